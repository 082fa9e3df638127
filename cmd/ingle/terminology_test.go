package main

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"ingle/internal/config"
)

// roleWithoutDDL makes a role with the rights that docs/operations.md gives to
// servers, and returns the URL by which it reaches the database.
func roleWithoutDDL(t *testing.T, owner string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	role := "ingle_server_" + conn.Config().Database
	exec := func(ctx context.Context, sql string) {
		if _, err := conn.Exec(ctx, fmt.Sprintf(sql, pgx.Identifier{role}.Sanitize())); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() {
		ctx := context.Background()
		exec(ctx, `DROP OWNED BY %[1]s; DROP ROLE %[1]s`)
		conn.Close(ctx)
	})
	exec(t.Context(), `CREATE ROLE %[1]s LOGIN PASSWORD 'secret'; REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT USAGE ON SCHEMA public TO %[1]s;
		GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO %[1]s; GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO %[1]s`)
	u, err := url.Parse(owner)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(role, "secret")
	return u.String()
}

// What is imported is there for a server whose role may not change the schema too.
func TestTerminologyCommand(t *testing.T) {
	t.Parallel()
	database := served(t)
	server := roleWithoutDDL(t, database)
	file := filepath.Join(t.TempDir(), "codes.csv")
	if err := os.WriteFile(file, []byte("code,display,parent\na,Alpha,\nb,Beta,a\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (string, error) {
		c := &config.Config{}
		c.Database.URL = database
		cmd := terminologyCommand(func() (*config.Config, error) { return c, nil })
		var out bytes.Buffer
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		cmd.SetArgs(args)
		err := cmd.ExecuteContext(t.Context())
		return out.String(), err
	}
	imports := []string{"import", file, "--url", "http://example.org/cs", "--code-system-version", "1"}
	for _, want := range []string{"2 concepts in", "2 concepts, unchanged"} {
		if out, err := run(imports...); err != nil || !strings.Contains(out, "http://example.org/cs 1: "+want) {
			t.Errorf("%s %v, want %s", out, err, want)
		}
	}
	if out, err := run("list"); err != nil || out != "http://example.org/cs\t1\t2 concepts\n" {
		t.Errorf("%q %v", out, err)
	}
	base, _ := start(t, server, "INGLE_MIGRATE=false")
	for path, holds := range map[string]string{"/CodeSystem/$lookup?system=http://example.org/cs&code=b": "Beta", "/CodeSystem/$subsumes?system=http://example.org/cs&codeA=a&codeB=b": "subsumes"} {
		if status, text := request(t, "GET", base+path, ""); status != 200 || !strings.Contains(text, holds) {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	if _, err := run("remove", "http://example.org/cs", "1"); err != nil {
		t.Error(err)
	}
	if out, err := run("list"); err != nil || out != "" {
		t.Errorf("%q %v", out, err)
	}
	for _, wrong := range [][]string{{"import", file}, {"import", "nowhere"}, {"remove", "http://example.org/cs", "1"}, {"import", file, file, "--url", "http://example.org/cs"}} {
		if out, err := run(wrong...); err == nil {
			t.Errorf("%v: %s", wrong, out)
		}
	}
}
