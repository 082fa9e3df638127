package pgtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func scalar[T any](t testing.TB, conn *pgx.Conn, sql string, args ...any) T {
	t.Helper()
	var v T
	if err := conn.QueryRow(context.Background(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func TestNewIsEmptyAndGoesAway(t *testing.T) {
	t.Parallel()
	var url string
	t.Run("in a test", func(t *testing.T) {
		url = New(t)
		conn, err := pgx.Connect(context.Background(), url) // left open: the drop must not mind
		if err != nil {
			t.Fatal(err)
		}
		if n := scalar[int](t, conn, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"); n != 0 {
			t.Errorf("%d tables in a new database", n)
		}
		if v := scalar[int](t, conn, "SELECT current_setting('server_version_num')::int"); v < 140000 {
			t.Errorf("server version %d", v)
		}
	})
	conn, err := pgx.Connect(context.Background(), url)
	if err == nil {
		conn.Close(context.Background())
		t.Fatal("the database outlived its test")
	}
}

func TestTemplateIsBuiltOnceAndCopied(t *testing.T) {
	t.Parallel()
	var built atomic.Int32
	build := func(url string) error {
		built.Add(1)
		conn, err := pgx.Connect(context.Background(), url)
		if err != nil {
			return err
		}
		defer conn.Close(context.Background())
		_, err = conn.Exec(context.Background(), "CREATE TABLE numbers AS SELECT * FROM generate_series(1, 1000) AS n")
		return err
	}
	var urls sync.Map
	t.Run("users", func(t *testing.T) {
		for i := range 8 {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				url := Template(t, t.Name()[:len("TestTemplateIsBuiltOnceAndCopied")], build)
				if _, again := urls.LoadOrStore(url, true); again {
					t.Errorf("two tests share %s", url)
				}
				conn := connect(t, url)
				if n := scalar[int](t, conn, "SELECT count(*) FROM numbers"); n != 1000 {
					t.Errorf("%d rows, want 1000", n)
				}
				if _, err := conn.Exec(context.Background(), "DELETE FROM numbers"); err != nil {
					t.Fatal(err)
				}
			})
		}
	})
	if built.Load() != 1 {
		t.Errorf("built %d times", built.Load())
	}
}

// failing records a fatal failure instead of ending the real test.
type failing struct {
	testing.TB
	said string
}

func (f *failing) Helper() {}
func (f *failing) Fatalf(format string, args ...any) {
	f.said = fmt.Sprintf(format, args...)
	panic(f)
}

func TestTemplateThatFailsFailsItsTests(t *testing.T) {
	t.Parallel()
	f := &failing{TB: t}
	func() {
		defer func() {
			if r := recover(); r != any(f) {
				t.Errorf("unexpected panic %v", r)
			}
		}()
		Template(f, t.Name(), func(string) error { return errors.New("no such step") })
	}()
	if want := `building the template database "TestTemplateThatFailsFailsItsTests": no such step`; f.said != want {
		t.Errorf("said %q, want %q", f.said, want)
	}
}

func TestPrivateKeepsWhatWasCommitted(t *testing.T) {
	t.Parallel()
	s := Private(t, nil)
	conn, err := pgx.Connect(t.Context(), s.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	if got := scalar[string](t, conn, "SHOW synchronous_commit"); got != "on" {
		t.Errorf("synchronous_commit = %s", got)
	}
	if _, err := conn.Exec(t.Context(), "CREATE TABLE kept AS SELECT 42 AS answer"); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := conn.Ping(ctx); err == nil {
		t.Error("the connection survived the server")
	}
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := scalar[int](t, connect(t, s.URL("postgres")), "SELECT answer FROM kept"); got != 42 {
		t.Errorf("answer = %d", got)
	}
}

// BenchmarkClone is the price that each test of a package with a schema pays: a copy of a template of about 15 MB,
// and its drop.
func BenchmarkClone(b *testing.B) {
	name, err := makeTemplate(func(url string) error {
		conn, err := pgx.Connect(context.Background(), url)
		if err != nil {
			return err
		}
		defer conn.Close(context.Background())
		for i := range 30 {
			sql := fmt.Sprintf("CREATE TABLE t%d AS SELECT n, md5(n::text) AS h FROM generate_series(1, 2000) AS n; CREATE INDEX ON t%[1]d (h)", i)
			if _, err := conn.Exec(context.Background(), sql); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	s, err := shared()
	if err != nil {
		b.Fatal(err)
	}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			clone := newName("ingle_test_")
			for _, sql := range []string{s.createSQL(clone, name), "DROP DATABASE " + quote(clone)} {
				if err := s.exec(context.Background(), sql); err != nil {
					b.Error(err)
				}
			}
		}
	})
}
