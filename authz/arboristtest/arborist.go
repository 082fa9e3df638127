package arboristtest

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"ingle/internal/pgtest"
)

// The version of Arborist that is tried, and its module.
const (
	Module  = "github.com/uc-cdis/arborist"
	Version = "v0.0.0-20260918161051-85ce58de9efe"
)

//go:embed testdata/main.go
var mainSource []byte

// Server is a running Arborist with a database of its own.
type Server struct {
	URL      string
	Database string // connection URL of its database

	log *bytes.Buffer
	cmd *exec.Cmd
	in  io.Closer
}

// Start runs Arborist with the issuer's keys. It skips the test where Arborist
// cannot be built (no module proxy) and fails it for anything else.
func Start(t testing.TB, is *Issuer) *Server {
	t.Helper()
	binary, migrations := Build(t)
	database := pgtest.Template(t, "arborist "+Version, func(u string) error { return migrate(u, migrations) })
	s := &Server{Database: database, log: &bytes.Buffer{}}
	s.cmd = exec.Command(binary)
	s.cmd.Env = append(os.Environ(), "ARBORIST_DATABASE="+plain(t, database), "ARBORIST_KEYS="+is.KeysURL)
	s.cmd.Stderr = s.log
	in, err := s.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.in = in
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("start Arborist: %v", err)
	}
	t.Cleanup(s.Stop)
	lines := bufio.NewReader(out)
	address, err := lines.ReadString('\n')
	if err != nil {
		_ = s.cmd.Wait()
		t.Fatalf("Arborist did not start: %v\n%s", err, s.log)
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }() // ends with the process
	s.URL = "http://" + strings.TrimSpace(address)
	return s
}

// Stop ends the server; stopping twice is harmless.
func (s *Server) Stop() {
	if s.cmd.ProcessState != nil {
		return
	}
	_ = s.in.Close()
	ended := time.AfterFunc(5*time.Second, func() { _ = s.cmd.Process.Kill() })
	_ = s.cmd.Wait()
	ended.Stop()
}

// plain gives a connection URL the form that Arborist's driver takes.
func plain(t testing.TB, database string) string {
	cfg, err := pgconn.ParseConfig(database)
	if err != nil {
		t.Fatal(err)
	}
	words := []string{"host=" + cfg.Host, fmt.Sprintf("port=%d", cfg.Port), "user=" + cfg.User, "dbname=" + cfg.Database, "sslmode=disable"}
	if cfg.Password != "" {
		words = append(words, "password="+cfg.Password)
	}
	return strings.Join(words, " ")
}

// migrate applies the module's own migration scripts in order.
func migrate(database, migrations string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	scripts, err := filepath.Glob(filepath.Join(migrations, "*", "up.sql"))
	if err != nil || len(scripts) == 0 {
		return fmt.Errorf("no migrations in %s (%v)", migrations, err)
	}
	slices.Sort(scripts)
	conn, err := pgconn.Connect(ctx, database)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, script := range scripts {
		sql, err := os.ReadFile(script)
		if err != nil {
			return err
		}
		if _, err := conn.Exec(ctx, string(sql)).ReadAll(); err != nil {
			return fmt.Errorf("%s: %w", script, err)
		}
	}
	return nil
}

type built struct {
	binary, migrations string
	err                error
}

var build = sync.OnceValue(func() built {
	b, m, err := compile()
	return built{b, m, err}
})

// Build returns the path of the Arborist binary and of the folder of its
// migrations. It skips the test where it cannot be built.
func Build(t testing.TB) (binary, migrations string) {
	t.Helper()
	b := build()
	if b.err != nil {
		t.Skipf("Arborist cannot be built from %s@%s: %v", Module, Version, b.err)
	}
	return b.binary, b.migrations
}

// compile builds in a module of its own, so that Arborist's requirements never
// enter this module's graph, and keeps the binary in the user's cache.
func compile() (binary, migrations string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var module struct{ Dir, Error string }
	out, err := run(ctx, os.TempDir(), "mod", "download", "-json", Module+"@"+Version)
	if jsonErr := json.Unmarshal(out, &module); err != nil || jsonErr != nil {
		return "", "", fmt.Errorf("download: %w: %s", err, module.Error)
	}
	migrations = filepath.Join(module.Dir, "migrations")
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	cache = filepath.Join(cache, "ingle-test")
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return "", "", err
	}
	binary = filepath.Join(cache, "arborist-"+Version+"-"+runtime.Version())
	if info, err := os.Stat(binary); err == nil && info.Mode().IsRegular() {
		return binary, migrations, nil
	}
	dir, err := os.MkdirTemp("", "arborist-build-")
	if err != nil {
		return "", "", err
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "main.go"), mainSource, 0o600); err != nil {
		return "", "", err
	}
	fresh := filepath.Join(cache, filepath.Base(dir))
	for _, args := range [][]string{
		{"mod", "init", "arborist.test/main"},
		{"get", Module + "@" + Version},
		{"build", "-mod=mod", "-o", fresh, "."},
	} {
		if out, err := run(ctx, dir, args...); err != nil {
			return "", "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	return binary, migrations, os.Rename(fresh, binary)
}

func run(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GO111MODULE=on", "PWD="+dir)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.Bytes(), fmt.Errorf("%w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.Bytes(), nil
}

// Call sends a request as an administrator of Arborist and returns status and
// body. The body may be nil, and is written as JSON.
func (s *Server) Call(t testing.TB, method, path string, body any) (int, []byte) {
	t.Helper()
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, answer
}

// Must is Call that fails the test for any status but 2xx.
func (s *Server) Must(t testing.TB, method, path string, body any) []byte {
	t.Helper()
	status, answer := s.Call(t, method, path, body)
	if status/100 != 2 {
		t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
	return answer
}

// Allowed asks Arborist itself whether a token may do something, as a
// yardstick (POST /auth/request).
func (s *Server) Allowed(t testing.TB, token, path, service, method string) bool {
	t.Helper()
	answer := s.Must(t, "POST", "/auth/request", map[string]any{
		"user":    map[string]any{"token": token},
		"request": map[string]any{"resource": path, "action": map[string]any{"service": service, "method": method}},
	})
	var got struct{ Auth bool }
	if err := json.Unmarshal(answer, &got); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	return got.Auth
}

// Policy is one policy: roles on resources.
type Policy struct {
	ID        string
	Resources []string
	Roles     []string
}

// Policies is what a commons' user.yaml says.
type Policies struct {
	Resources []string            // with all their parents
	Roles     map[string][]string // role: "service:method" …
	Policies  []Policy
	Users     map[string][]string // user: policies
	Groups    map[string]Group    // "anonymous" and "logged-in" are there already
	Clients   map[string][]string // client: policies
}

// Group is a group of users with its policies.
type Group struct{ Users, Policies []string }

// Apply writes the policies into Arborist.
func (s *Server) Apply(t testing.TB, p Policies) {
	t.Helper()
	for _, r := range p.Resources {
		if status, answer := s.Call(t, "PUT", "/resource?p", map[string]any{"path": r}); status != 201 && status != 409 {
			t.Fatalf("resource %s: %d %s", r, status, answer)
		}
	}
	for role, actions := range p.Roles {
		var permissions []map[string]any
		for i, a := range actions {
			service, method, _ := strings.Cut(a, ":")
			permissions = append(permissions, map[string]any{"id": fmt.Sprintf("%s-%d", role, i), "action": map[string]any{"service": service, "method": method}})
		}
		s.Must(t, "POST", "/role", map[string]any{"id": role, "permissions": permissions})
	}
	for _, x := range p.Policies {
		s.Must(t, "POST", "/policy", map[string]any{"id": x.ID, "resource_paths": x.Resources, "role_ids": x.Roles})
	}
	for user, policies := range p.Users {
		s.Must(t, "POST", "/user", map[string]any{"name": user})
		for _, x := range policies {
			s.Must(t, "POST", "/user/"+url.PathEscape(user)+"/policy", map[string]any{"policy": x})
		}
	}
	for group, g := range p.Groups {
		if group != "anonymous" && group != "logged-in" {
			s.Must(t, "POST", "/group", map[string]any{"name": group})
		}
		for _, x := range g.Policies {
			s.Must(t, "POST", "/group/"+group+"/policy", map[string]any{"policy": x})
		}
		for _, u := range g.Users {
			s.Must(t, "POST", "/group/"+group+"/user", map[string]any{"username": u})
		}
	}
	for client, policies := range p.Clients {
		s.Must(t, "POST", "/client", map[string]any{"clientID": client, "policies": policies})
	}
}

// Sample is a small commons. alice reads program a; carol (by her group) does
// everything in a's project c; admin administers; everyone reads /open, who is
// logged in reads phs000424. bob has no grant of his own.
var Sample = Policies{
	Resources: []string{
		"/programs/a/projects/b", "/programs/a/projects/c", "/programs/ab/projects/d",
		"/programs/phs000424.c1-GRU/projects/GTEx-v8_all~x", "/open", "/services/fhir/admin",
	},
	Roles: map[string][]string{
		"reader":     {"fhir:read"},
		"any-reader": {"*:read", "*:read-storage"},
		"fhir-admin": {"fhir:*"},
		"creator":    {"fhir:create"},
		"storage":    {"*:write-storage", "fhir:read-storage", "other:read"},
	},
	Policies: []Policy{
		{"a-all", []string{"/programs/a"}, []string{"any-reader"}},
		{"ab-all", []string{"/programs/ab"}, []string{"any-reader"}},
		{"c-write", []string{"/programs/a/projects/c"}, []string{"fhir-admin"}},
		{"b-create", []string{"/programs/a/projects/b"}, []string{"creator"}},
		{"open-read", []string{"/open"}, []string{"reader"}},
		{"loggedin", []string{"/programs/phs000424.c1-GRU"}, []string{"reader"}},
		{"storage-a", []string{"/programs/a"}, []string{"storage"}},
		{"admin", []string{"/services/fhir/admin", "/programs"}, []string{"fhir-admin"}},
	},
	Users: map[string][]string{
		"Alice@Example.org": {"a-all"},
		"bob":               {},
		"carol":             {},
		"writer":            {"c-write", "b-create"},
		"storage":           {"storage-a"},
		"admin":             {"admin"},
	},
	Groups: map[string]Group{
		"team":      {Users: []string{"carol"}, Policies: []string{"c-write"}},
		"anonymous": {Policies: []string{"open-read"}},
		"logged-in": {Policies: []string{"loggedin"}},
	},
	Clients: map[string][]string{
		"client-full": {"a-all"},
		"client-b":    {"b-create", "ab-all"},
		"client-none": {},
	},
}
