// Package pgtest gives tests a database on a real PostgreSQL, each its own.
//
//	url := pgtest.New(t)                          // an empty database
//	url := pgtest.Template(t, "store", migrate)   // a copy of one that migrate built, once for the test binary
//	server := pgtest.Private(t)                   // a durable server to kill and restart
//
// The server is started at the first call: in a container where a Docker engine answers, else as a private server
// from the machine's own binaries (package postgres), with durability switched off and its files in memory where
// there is room. It ends with the test binary, however that ends. INGLE_TEST_DATABASE_URL, the connection URL of a
// role that may make databases, takes its place.
//
// Tests may run in parallel. A database is dropped when its test ends, with its connections.
package pgtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ingle/internal/postgres"
)

// New makes an empty database and returns its connection URL. It fails the test when there is no PostgreSQL.
func New(t testing.TB) string {
	t.Helper()
	return create(t, "")
}

// Template returns the connection URL of a copy of a template database, which build makes at the first call with the
// name: it gets the URL of an empty database and must close its connections to it before it returns. All calls with
// the same name in one test binary share the template, so the name must say everything that build depends on.
func Template(t testing.TB, name string, build func(url string) error) string {
	t.Helper()
	v, _ := templates.LoadOrStore(name, &template{})
	tpl := v.(*template)
	tpl.once.Do(func() { tpl.database, tpl.err = makeTemplate(build) })
	if tpl.err != nil {
		t.Fatalf("building the template database %q: %v", name, tpl.err)
	}
	return create(t, tpl.database)
}

// Private starts a server for this test alone, with PostgreSQL's full durability, for tests that kill it
// (postgres.Server.Kill and Restart). Settings win over those that package postgres chooses. The server's URL method
// takes the name of a database; "postgres" is there from the start.
func Private(t testing.TB, settings map[string]string) *postgres.Server {
	t.Helper()
	dir, err := scratchDir(os.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	s, err := postgres.Start(context.Background(), privateOptions(dir, settings, false))
	if err != nil {
		os.RemoveAll(dir)
		t.Fatal(err)
	}
	guard, err := watch(dir, serverDir(dir))
	if err != nil {
		_ = s.Stop(ctx)
		os.RemoveAll(dir)
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
		guard.release()
	})
	return s
}

var templates sync.Map // name → *template

type template struct {
	once     sync.Once
	database string
	err      error
}

// create makes a database, a copy of the template unless that is empty, and drops it when the test ends.
func create(t testing.TB, template string) string {
	t.Helper()
	s, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	name := newName("ingle_test_")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.exec(ctx, s.createSQL(name, template)); err != nil {
		t.Fatalf("making a test database: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.exec(ctx, "DROP DATABASE IF EXISTS "+quote(name)+" WITH (FORCE)"); err != nil {
			t.Errorf("dropping a test database: %v", err)
		}
	})
	return s.url(name)
}

// makeTemplate builds a database and closes it to connections, which would keep it from being copied.
func makeTemplate(build func(url string) error) (string, error) {
	s, err := shared()
	if err != nil {
		return "", err
	}
	name := newName("ingle_template_")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := s.exec(ctx, s.createSQL(name, "")); err != nil {
		return "", err
	}
	if err := build(s.url(name)); err != nil {
		_ = s.exec(ctx, "DROP DATABASE "+quote(name)+" WITH (FORCE)")
		return "", err
	}
	return name, s.exec(ctx, "ALTER DATABASE "+quote(name)+" WITH ALLOW_CONNECTIONS false")
}

// server is where the test databases are made.
type server struct {
	admin   string // connection URL of a role that may make databases
	version int    // server_version_num, 150004
}

// shared is the server of this test binary, started at the first call.
var shared = sync.OnceValues(func() (*server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	admin, err := startShared(ctx)
	if err != nil {
		return nil, fmt.Errorf("no PostgreSQL for the tests: %w", err)
	}
	s := &server{admin: admin}
	conn, err := pgx.Connect(ctx, admin)
	if err != nil {
		return nil, fmt.Errorf("no PostgreSQL for the tests: %w", err)
	}
	defer conn.Close(ctx)
	if err := conn.QueryRow(ctx, "SELECT current_setting('server_version_num')::int").Scan(&s.version); err != nil {
		return nil, fmt.Errorf("asking the test server for its version: %w", err)
	}
	return s, nil
})

// createSQL copies files, which takes 0.6 of the time of a copy through the write-ahead log (PostgreSQL's default
// since 15) on a server without fsync: 33 ms against 57 ms for create and drop of 15 MB (BenchmarkClone).
func (s *server) createSQL(name, template string) string {
	if template == "" {
		template = "template0"
	}
	sql := "CREATE DATABASE " + quote(name) + " TEMPLATE " + quote(template)
	if s.version >= 150000 {
		sql += " STRATEGY file_copy"
	}
	return sql
}

func (s *server) exec(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, s.admin)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}

// url is the admin's URL with another database.
func (s *server) url(database string) string {
	u, err := url.Parse(s.admin)
	if err != nil {
		panic("the admin URL has been used already: " + err.Error())
	}
	u.Path = "/" + database
	return u.String()
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// newName is unlikely to meet another of a concurrent test binary on the same server.
func newName(prefix string) string {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return prefix + hex.EncodeToString(b[:])
}
