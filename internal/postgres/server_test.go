//go:build unix

package postgres

import (
	"context"
	"errors"
	"os"
	osexec "os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// start brings up a server for one test in a folder that the server's account can enter.
func start(t *testing.T, dir string, o Options) *Server {
	t.Helper()
	o.Dir = dir
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// tempDir is the place for a server's folder, in memory where there is such a file system: a dozen clusters are made.
func tempDir(t *testing.T) string {
	t.Helper()
	parent := "/dev/shm"
	if info, err := os.Stat(parent); err != nil || !info.IsDir() {
		parent = ""
	}
	dir, err := os.MkdirTemp(parent, "ingle-postgres-test-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(dir, "data", "postgres")
}

func query[T any](t *testing.T, url, sql string, args ...any) T {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var v T
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func execute(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func TestDataStaysBetweenRuns(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	first := start(t, dir, Options{})
	if err := first.EnsureDatabase(t.Context(), "ingle"); err != nil {
		t.Fatal(err)
	}
	if err := first.EnsureDatabase(t.Context(), "ingle"); err != nil {
		t.Fatal("a second time:", err)
	}
	execute(t, first.URL("ingle"), "CREATE TABLE kept AS SELECT 42 AS answer")
	if got := query[string](t, first.URL("ingle"), "SHOW fsync"); got != "on" {
		t.Errorf("fsync = %s in a server that keeps data", got)
	}
	pid := first.PID()
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("postmaster %d is still there after Stop: %v", pid, err)
	}
	if err := first.Stop(t.Context()); err != nil {
		t.Error("Stop after Stop:", err)
	}
	began := time.Now()
	second := start(t, dir, Options{})
	t.Log("warm start:", time.Since(began))
	if got := query[int](t, second.URL("ingle"), "SELECT answer FROM kept"); got != 42 {
		t.Errorf("answer = %d, want 42", got)
	}
}

func TestPasswordIsRequired(t *testing.T) {
	t.Parallel()
	s := start(t, tempDir(t), Options{Volatile: true})
	conn, err := pgx.Connect(t.Context(), strings.Replace(s.URL("postgres"), s.password, "wrong", 1))
	if err == nil {
		conn.Close(t.Context())
		t.Fatal("a wrong password was accepted")
	}
	if !strings.Contains(err.Error(), "password authentication failed") {
		t.Errorf("unexpected refusal: %v", err)
	}
	if got := query[string](t, s.URL("postgres"), "SHOW listen_addresses"); got != "" {
		t.Errorf("listens on %q, want the unix socket only", got)
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	start(t, dir, Options{Volatile: true})
	other, err := Start(t.Context(), Options{Dir: dir, Volatile: true})
	if err == nil {
		other.Stop(t.Context())
		t.Fatal("two supervisors on one cluster")
	}
	if !errors.Is(err, ErrInUse) {
		t.Errorf("error = %v, want ErrInUse", err)
	}
}

func TestContextEndsTheServer(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s, err := Start(ctx, Options{Dir: tempDir(t), Volatile: true})
	if err != nil {
		t.Fatal(err)
	}
	pid := s.PID()
	cancel()
	s.watch.Wait()
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("postmaster %d outlived its context: %v", pid, err)
	}
}

// A supervisor that died without a word leaves a running server and a freed lock.
func TestOrphanIsTakenOver(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	dead, err := Start(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	execute(t, dead.URL("postgres"), "CREATE TABLE kept AS SELECT 42 AS answer")
	orphan := dead.PID()
	dead.mu.Lock()
	dead.stopped = true // its goroutines die with it
	dead.lock.Close()
	dead.mu.Unlock()

	s := start(t, dir, Options{})
	if s.PID() == orphan {
		t.Error("the orphan has no supervisor, a new server was expected")
	}
	if got := query[int](t, s.URL("postgres"), "SELECT answer FROM kept"); got != 42 {
		t.Errorf("answer = %d, want 42", got)
	}
}

// After a restart of the machine the number in postmaster.pid can belong to any program.
func TestStalePidFileIsRemoved(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	s := start(t, dir, Options{})
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(s.cluster(), "postmaster.pid")
	text := strings.Join([]string{"PID", s.cluster(), "1", "5432", s.socket, "", "0 0", "ready   "}, "\n") + "\n"
	for _, pid := range []string{strconv.Itoa(os.Getpid()), "4194303", "nonsense"} {
		if err := os.WriteFile(file, []byte(strings.Replace(text, "PID", pid, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		again, err := Start(t.Context(), Options{Dir: dir})
		if err != nil {
			t.Fatalf("with process %s in postmaster.pid: %v", pid, err)
		}
		if err := again.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestKilledServerComesBack(t *testing.T) {
	t.Parallel()
	s := start(t, tempDir(t), Options{})
	execute(t, s.URL("postgres"), "CREATE TABLE kept AS SELECT 42 AS answer")

	t.Run("by itself", func(t *testing.T) {
		pid := s.PID()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(20 * time.Second); s.PID() == pid; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("no new postmaster within 20 s")
			}
		}
		if got := query[int](t, s.URL("postgres"), "SELECT answer FROM kept"); got != 42 {
			t.Errorf("answer = %d, want 42", got)
		}
	})
	t.Run("when asked", func(t *testing.T) {
		conn, err := pgx.Connect(t.Context(), s.URL("postgres"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.Background())
		s.Kill()
		if err := conn.Ping(t.Context()); err == nil {
			t.Error("a session outlived its server")
		}
		if conn, err := pgx.Connect(t.Context(), s.URL("postgres")); err == nil {
			conn.Close(t.Context())
			t.Fatal("a killed server answers")
		}
		if err := s.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := query[int](t, s.URL("postgres"), "SELECT answer FROM kept"); got != 42 {
			t.Errorf("answer = %d, want 42", got)
		}
	})
}

// An initdb that was interrupted must not leave something that looks like a cluster.
func TestUnfinishedClusterIsMadeAnew(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	if err := os.MkdirAll(filepath.Join(dir, "cluster.new", "base"), 0o755); err != nil {
		t.Fatal(err)
	}
	s := start(t, dir, Options{Volatile: true})
	if got := query[int](t, s.URL("postgres"), "SELECT 1"); got != 1 {
		t.Error(got)
	}
}

func TestLongPathsUseAShorterSocket(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(tempDir(t), strings.Repeat("long/", 25), "postgres")
	s := start(t, dir, Options{Volatile: true})
	if got := query[int](t, s.URL("postgres"), "SELECT 1"); got != 1 {
		t.Error(got)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("socket folder %s left behind", s.socket)
	}
}

func TestFailedStartSaysWhy(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), Options{Dir: tempDir(t), Volatile: true, Settings: map[string]string{"shared_buffers": "many"}})
	if err == nil {
		t.Fatal("no error")
	}
	if !strings.Contains(err.Error(), "shared_buffers") {
		t.Errorf("the error does not name the setting: %v", err)
	}
}

// As root the other tests run the server as another user; here an ordinary user runs all of it. The copy of the test
// binary is needed because the go command builds it in a folder that only root may enter.
func TestOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: the other tests run as an ordinary user already")
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Skip("no user nobody:", err)
	}
	uid, _ := strconv.Atoi(nobody.Uid)
	gid, _ := strconv.Atoi(nobody.Gid)
	dir := filepath.Dir(filepath.Dir(tempDir(t)))
	binary := filepath.Join(dir, "postgres.test")
	text, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(binary, text, 0o755); err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(dir, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(home, uid, gid); err != nil {
		t.Fatal(err)
	}
	cmd := osexec.Command(binary, "-test.v", "-test.run=^(TestDataStaysBetweenRuns|TestOrphanIsTakenOver|TestSecondProcessIsRefused)$")
	cmd.Dir = home
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + home}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestDataStaysBetweenRuns") {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
}

// Root's own home is closed to the user that the server runs as.
func TestClosedParentFolder(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root meets folders closed to the server's user")
	}
	dir := tempDir(t)
	closed := filepath.Dir(dir)
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	s := start(t, dir, Options{Volatile: true})
	t.Cleanup(func() { os.RemoveAll(s.dir) })
	target, err := os.Readlink(dir)
	if err != nil {
		t.Fatal("no link where the data were asked for:", err)
	}
	if target != s.dir || !strings.HasPrefix(target, "/var/lib/ingle/postgres-") {
		t.Errorf("linked to %s, the server is in %s", target, s.dir)
	}
	execute(t, s.URL("postgres"), "CREATE TABLE kept AS SELECT 42 AS answer")
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := start(t, dir, Options{Volatile: true})
	if got := query[int](t, again.URL("postgres"), "SELECT answer FROM kept"); got != 42 {
		t.Errorf("answer = %d, want 42", got)
	}
}
