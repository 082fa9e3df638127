package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"ingle/internal/postgres"
)

// local is a private PostgreSQL with full durability and a server on it, both
// in a temporary folder.
type local struct {
	dir      string
	postgres *postgres.Server
	server   *exec.Cmd
	log      *os.File
	base     string
	database string
	profile  string // host:port of the listener for metrics and profiling
}

// startLocal starts both; serve is the command of the server, which is told by
// its environment where to listen and what its database is.
func startLocal(ctx context.Context, serve []string) (*local, error) {
	dir, err := os.MkdirTemp("", "ingle-bench-")
	if err != nil {
		return nil, err
	}
	l := &local{dir: dir}
	if err := os.Chmod(dir, 0o711); err != nil {
		return nil, errors.Join(err, l.stop())
	}
	if l.postgres, err = postgres.Start(ctx, postgres.Options{Dir: filepath.Join(dir, "postgres")}); err != nil {
		return nil, errors.Join(err, l.stop())
	}
	if err := l.postgres.EnsureDatabase(ctx, "ingle"); err != nil {
		return nil, errors.Join(err, l.stop())
	}
	l.database = l.postgres.URL("ingle")
	if err := l.startServer(ctx, serve); err != nil {
		return nil, errors.Join(err, l.stop())
	}
	return l, nil
}

func (l *local) startServer(ctx context.Context, serve []string) error {
	addr, err := freeAddress()
	if err != nil {
		return err
	}
	if l.profile, err = freeAddress(); err != nil {
		return err
	}
	if l.log, err = os.Create(filepath.Join(l.dir, "server.log")); err != nil {
		return err
	}
	l.server = exec.CommandContext(ctx, serve[0], serve[1:]...)
	l.server.Env = append(environment(), "INGLE_LISTEN="+addr, "INGLE_DATABASE_URL="+l.database, "INGLE_METRICS_LISTEN="+l.profile, "INGLE_DEMO=false", "INGLE_DATA_DIR="+filepath.Join(l.dir, "data"))
	l.server.Stdout, l.server.Stderr = l.log, l.log
	l.server.Cancel = func() error { return l.server.Process.Signal(syscall.SIGTERM) }
	l.server.WaitDelay = 20 * time.Second
	if err := l.server.Start(); err != nil {
		l.server = nil
		return fmt.Errorf("start the server: %w", err)
	}
	l.base = "http://" + addr + "/fhir"
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		resp, err := http.Get("http://" + addr + "/readyz")
		if err != nil {
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
	}
	return fmt.Errorf("the server did not get ready: %s", l.lastWords())
}

// lastWords is the end of the server's log.
func (l *local) lastWords() string {
	text, _ := os.ReadFile(l.log.Name())
	return string(text[max(0, len(text)-2000):])
}

// environment configures the server as the caller's does, without what names the
// data of measuring: the server refuses variables of its prefix that it does not know.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "INGLE_TESTDATA=") })
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// stop ends both and removes what they wrote.
func (l *local) stop() error {
	if l.server != nil {
		_ = l.server.Process.Signal(syscall.SIGTERM)
		_ = l.server.Wait()
	}
	if l.log != nil {
		_ = l.log.Close()
	}
	var err error
	if l.postgres != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		err = l.postgres.Stop(ctx)
	}
	return errors.Join(err, os.RemoveAll(l.dir))
}
