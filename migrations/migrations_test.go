package migrations_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"ingle/internal/pgtest"
	"ingle/migrations"
)

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func exec(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(context.Background(), sql); err != nil {
		t.Fatal(err)
	}
}

func TestUpIsWholeAndRepeatable(t *testing.T) {
	t.Parallel()
	ctx, url := context.Background(), pgtest.New(t)
	conn := connect(t, url)
	if st, err := migrations.Version(ctx, conn); err != nil || st.Version != 0 || st.Err() == nil {
		t.Fatalf("an empty database: %+v %v", st, err)
	}
	for range 2 {
		if st, err := migrations.Up(ctx, url); err != nil || !st.Current() || st.Err() != nil {
			t.Fatalf("%+v %v", st, err)
		}
	}
}

// Where one of several hosts is away the next one is asked, as servers do; keywords
// and values are as good as a URL.
func TestUpFollowsTheConnectionString(t *testing.T) {
	t.Parallel()
	c := connect(t, pgtest.New(t)).Config()
	text := fmt.Sprintf("host='/nowhere,%s' port=1,%d user='%s' password='%s' dbname='%s' sslmode=disable", c.Host, c.Port, c.User, c.Password, c.Database)
	if st, err := migrations.Up(context.Background(), text); err != nil || !st.Current() {
		t.Errorf("%+v %v", st, err)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ sql, says string }{
		"dirty":    {`UPDATE schema_migrations SET dirty = true`, "dirty"},
		"newer":    {`UPDATE schema_migrations SET version = 9999`, "newer"},
		"tampered": {`UPDATE setting SET value = 'x' WHERE name = 'migration-0001'`, "not the one in this binary"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, url := context.Background(), pgtest.New(t)
			if _, err := migrations.Up(ctx, url); err != nil {
				t.Fatal(err)
			}
			conn := connect(t, url)
			exec(t, conn, c.sql)
			st, err := migrations.Version(ctx, conn)
			if err == nil {
				err = st.Err()
			}
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("Version: %v", err)
			}
			if _, err := migrations.Up(ctx, url); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("Up: %v", err)
			}
		})
	}
}

// The server's role reads and writes, and needs no right to change the schema.
func TestRoleWithoutDDL(t *testing.T) {
	t.Parallel()
	ctx, owner := context.Background(), pgtest.New(t)
	if _, err := migrations.Up(ctx, owner); err != nil {
		t.Fatal(err)
	}
	conn := connect(t, owner)
	role := "server_" + strings.ToLower(conn.Config().Database[len(conn.Config().Database)-8:])
	exec(t, conn, fmt.Sprintf(`CREATE ROLE %[1]s LOGIN PASSWORD 'secret'; REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT USAGE ON SCHEMA public TO %[1]s;
		GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO %[1]s; GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO %[1]s`, role))
	t.Cleanup(func() {
		_, _ = conn.Exec(ctx, fmt.Sprintf(`DROP OWNED BY %[1]s; DROP ROLE %[1]s`, role))
	})
	u, err := url.Parse(owner)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(role, "secret")
	limited := connect(t, u.String())
	if _, err := limited.Exec(ctx, `CREATE TABLE x (y int)`); err == nil {
		t.Fatal("the role may create tables")
	}
	if st, err := migrations.Up(ctx, u.String()); err != nil || !st.Current() {
		t.Errorf("nothing is to be migrated, yet: %+v %v", st, err)
	}
	if _, err := limited.Exec(ctx, `SELECT nextval('rid_seq')`); err != nil {
		t.Error(err)
	}
}
