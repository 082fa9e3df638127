//go:build unix

package postgres

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// superuser is the only role of a private cluster; Ingle owns all of it.
const superuser = "ingle"

// maxSocketPath is the longest unix socket path that every supported system takes (macOS: 104 bytes with the NUL).
const maxSocketPath = 103

// Options say where and how a private server runs. Only Dir is required.
type Options struct {
	// Dir holds everything that the server keeps; it is made when absent. By custom `<data dir>/postgres`.
	Dir string
	// BinDir is the folder of `postgres` and `initdb`; empty: look for one (see FindBinaries).
	BinDir string
	// CacheDir is where fetched binaries stay; empty: the user's cache folder.
	CacheDir string
	// NoFetch forbids fetching binaries from the network when the machine has none.
	NoFetch bool
	// Volatile trades durability for speed: no fsync, no waiting for the write-ahead log. For tests only.
	Volatile bool
	// Settings are further server settings; they win over the ones Start chooses.
	Settings map[string]string
	// Log receives what happens to the server; nil is silent.
	Log *slog.Logger
}

// Server is a running private PostgreSQL. Its methods are safe for concurrent use.
type Server struct {
	options  Options
	binaries Binaries
	account  account
	dir      string // absolute, symbolic links resolved
	socket   string // folder of the unix socket
	password string
	lock     *os.File
	log      *slog.Logger

	mu      sync.Mutex
	process *process
	stopped bool // by Stop or Kill: do not bring it back
	closed  bool // the lock is given up
	ended   chan struct{}
	watch   sync.WaitGroup
}

// Start brings up the cluster in o.Dir and returns when it answers. The server lives until Stop is called or ctx
// ends, so a caller that drains requests after a signal passes a context that outlives the draining.
//
// A cluster left running by a process that died is stopped first and started anew. A second live process on the
// same folder is refused.
func Start(ctx context.Context, o Options) (*Server, error) {
	s := &Server{options: o, log: o.Log, ended: make(chan struct{})}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if err := s.open(ctx); err != nil {
		s.release()
		return nil, err
	}
	s.watch.Add(1)
	go func() {
		defer s.watch.Done()
		select {
		case <-s.ended:
		case <-ctx.Done():
			stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
			defer cancel()
			if err := s.stop(stopCtx); err != nil {
				s.log.Error("private PostgreSQL did not stop", "error", err)
			}
		}
	}()
	return s, nil
}

// open does the steps of Start that may fail.
func (s *Server) open(ctx context.Context) error {
	var err error
	if s.account, err = serverAccount(); err != nil {
		return err
	}
	if s.dir, err = s.account.home(s.options.Dir); err != nil {
		return err
	}
	if s.lock, err = lockDir(s.dir); err != nil {
		return err
	}
	if s.binaries, err = s.findBinaries(ctx); err != nil {
		return err
	}
	if err := stopOrphan(ctx, s.cluster(), s.log); err != nil {
		return err
	}
	if err := s.makeSocketDir(); err != nil {
		return err
	}
	if err := s.initialise(ctx); err != nil {
		return err
	}
	return s.launch(ctx)
}

// findBinaries prefers the major version that made the cluster: another one cannot read it.
func (s *Server) findBinaries(ctx context.Context) (Binaries, error) {
	major := clusterMajor(s.cluster())
	b, err := FindBinaries(ctx, s.options.BinDir, major)
	if err == nil {
		if err := s.account.canReach(b.Dir); err != nil {
			return Binaries{}, err
		}
		return b, nil
	}
	if s.options.BinDir != "" || s.options.NoFetch || !errors.Is(err, ErrNoBinaries) {
		return Binaries{}, err
	}
	cache, cacheErr := s.account.cacheDir(s.options.CacheDir)
	if cacheErr != nil {
		return Binaries{}, cacheErr
	}
	s.log.Info("no PostgreSQL on this machine, fetching its binaries once", "folder", cache)
	b, fetchErr := fetch(ctx, cache, major, "")
	if fetchErr != nil {
		return Binaries{}, fmt.Errorf("%w; fetching them failed too: %w", err, fetchErr)
	}
	return b, nil
}

func (s *Server) cluster() string { return filepath.Join(s.dir, "cluster") }

// LogPath is the file that receives the server's own messages.
func (s *Server) LogPath() string { return filepath.Join(s.dir, "postgres.log") }

// Version is the server's version, such as "15.4".
func (s *Server) Version() string { return s.binaries.Version }

// URL is the connection URL of a database of this server, with the superuser's password in it: never log it.
func (s *Server) URL(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, s.password),
		Path:     "/" + database,
		RawQuery: url.Values{"host": {s.socket}, "sslmode": {"disable"}}.Encode(),
	}
	return u.String()
}

// EnsureDatabase makes the database unless it is there.
func (s *Server) EnsureDatabase(ctx context.Context, name string) error {
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return fmt.Errorf("connecting to the private PostgreSQL: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists); err != nil {
		return fmt.Errorf("looking for database %q: %w", name, err)
	}
	if exists {
		return nil
	}
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		return fmt.Errorf("making database %q: %w", name, err)
	}
	return nil
}

// PID is the process id of the postmaster, 0 while there is none.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return 0
	}
	return s.process.pid()
}

// Stop ends the server: clients are disconnected, a checkpoint is written (PostgreSQL's "fast" shutdown). When ctx
// ends first the server is stopped at once and recovers at its next start. Stop may be called more than once.
func (s *Server) Stop(ctx context.Context) error {
	err := s.stop(ctx)
	s.watch.Wait()
	return err
}

func (s *Server) stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.stopped, s.closed = true, true
	close(s.ended)
	var err error
	if s.process != nil {
		err = s.process.stop(ctx)
		s.process = nil
	}
	s.release()
	return err
}

// Kill ends the postmaster and its children with SIGKILL, as a crash would, and leaves it down until Restart.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	if s.process != nil {
		s.process.kill()
		s.process = nil
	}
}

// Restart brings the server back after Kill; PostgreSQL recovers from its write-ahead log.
func (s *Server) Restart(ctx context.Context) error {
	s.mu.Lock()
	closed, running := s.closed, s.process != nil
	s.stopped = closed
	s.mu.Unlock()
	if closed {
		return errors.New("the private PostgreSQL has been stopped for good")
	}
	if running {
		return nil
	}
	return s.launch(ctx)
}

// release gives up the folder.
func (s *Server) release() {
	if s.socket != "" && !strings.HasPrefix(s.socket, s.dir+string(filepath.Separator)) {
		_ = os.RemoveAll(s.socket)
	}
	if s.lock != nil {
		_ = s.lock.Close() // closing the descriptor ends the flock
		s.lock = nil
	}
}

// lockDir makes sure that one process at a time supervises the folder. The kernel frees the lock when that process
// dies, however it dies.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock of the private PostgreSQL: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		owner, _ := os.ReadFile(f.Name())
		_ = f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("locking %s: %w", dir, err)
		}
		return nil, fmt.Errorf("%w: %s (process %s); stop that process, or give this one its own data folder or a database URL",
			ErrInUse, dir, strings.TrimSpace(string(owner)))
	}
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	}
	return f, nil
}

// makeSocketDir puts the socket beside the cluster, or in the temporary folder when the path would be too long.
func (s *Server) makeSocketDir() error {
	s.socket = filepath.Join(s.dir, "socket")
	var err error
	if len(s.socket)+len("/.s.PGSQL.5432") > maxSocketPath {
		if s.socket, err = os.MkdirTemp("", "ingle-pg-"); err != nil {
			return fmt.Errorf("making a folder for the socket: %w", err)
		}
	} else if err := os.Mkdir(s.socket, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("making a folder for the socket: %w", err)
	}
	return s.account.own(s.socket)
}

// newPassword has 128 random bits; URL-safe by its alphabet.
func newPassword() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, crypto/rand ends the program first
	return hex.EncodeToString(b[:])
}
