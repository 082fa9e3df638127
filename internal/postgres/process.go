//go:build unix

package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// maxLog is the size beyond which the server's log begins anew at the next start.
const maxLog = 8 << 20

// startTime bounds the wait for the first answer; recovery after a crash is part of it.
const startTime = 60 * time.Second

// process is one run of the postmaster.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has been waited for
	err  error         // readable after done
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// launch starts the postmaster, waits until it answers and sets a goroutine to bring it back if it dies.
func (s *Server) launch(ctx context.Context) error {
	p, err := s.spawnAfterCrash(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		p.kill()
		return errors.New("the private PostgreSQL was stopped while it started")
	}
	s.process = p
	s.watch.Add(1)
	go func() {
		defer s.watch.Done()
		s.revive(p)
	}()
	return nil
}

// spawnAfterCrash gives the children of a postmaster that was killed a moment to notice and let go of the shared
// memory; until then a new postmaster refuses to start.
func (s *Server) spawnAfterCrash(ctx context.Context) (*process, error) {
	for end := time.Now().Add(10 * time.Second); ; {
		p, err := s.spawn(ctx)
		if err == nil || time.Now().After(end) || !strings.Contains(err.Error(), "still in use") {
			return p, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (s *Server) spawn(ctx context.Context) (*process, error) {
	logFile, err := s.openLog()
	if err != nil {
		return nil, err
	}
	defer logFile.Close()
	began, err := logFile.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, fmt.Errorf("opening the log of the private PostgreSQL: %w", err)
	}
	args := []string{"-D", s.cluster()}
	set := s.settings()
	names := make([]string, 0, len(set))
	for name := range set {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		args = append(args, "-c", name+"="+set[name])
	}
	// Not bound to ctx: the server outlives its start.
	p := &process{cmd: s.command(context.WithoutCancel(ctx), "postgres", args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = logFile, logFile
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the private PostgreSQL: %w", err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	if err := s.await(ctx, p); err != nil {
		p.kill()
		said, _ := os.ReadFile(s.LogPath())
		if int64(len(said)) >= began {
			said = said[began:]
		}
		return nil, fmt.Errorf("starting the private PostgreSQL: %w: %s", err, lastLines(said, 5))
	}
	return p, nil
}

func (s *Server) openLog() (*os.File, error) {
	flags := os.O_CREATE | os.O_RDWR | os.O_APPEND
	if info, err := os.Stat(s.LogPath()); err == nil && info.Size() > maxLog {
		flags |= os.O_TRUNC
	}
	f, err := os.OpenFile(s.LogPath(), flags, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log of the private PostgreSQL: %w", err)
	}
	return f, nil
}

// await returns when the server takes connections, or when it has ended, or in the end with an error.
func (s *Server) await(ctx context.Context, p *process) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	config, err := pgx.ParseConfig(s.URL("postgres"))
	if err != nil {
		return fmt.Errorf("its own URL: %w", err)
	}
	socket := filepath.Join(s.socket, ".s.PGSQL.5432")
	for {
		if _, statErr := os.Stat(socket); statErr == nil {
			var conn *pgx.Conn
			if conn, err = pgx.ConnectConfig(ctx, config); err == nil {
				return conn.Close(ctx)
			}
		}
		select {
		case <-p.done:
			return fmt.Errorf("it ended at once (%w)", p.err)
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// revive waits for the end of the postmaster and, unless it was asked for, starts another: a private server has
// nobody else who would. It tries for ever, ever more slowly, because the reason (memory, disk) may pass.
func (s *Server) revive(p *process) {
	<-p.done
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		s.mu.Lock()
		if s.stopped || s.process != p {
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		s.log.Error("private PostgreSQL ended unexpectedly, starting it again", "status", fmt.Sprint(p.err), "log", s.LogPath())
		next, err := s.respawn()
		if err != nil {
			s.log.Error("private PostgreSQL did not start", "error", err)
			select {
			case <-s.ended:
				return
			case <-time.After(pause):
			}
			continue
		}
		s.mu.Lock()
		if s.stopped || s.process != p {
			s.mu.Unlock()
			next.kill()
			return
		}
		s.process = next
		s.mu.Unlock()
		s.log.Info("private PostgreSQL is back")
		p, pause = next, 50*time.Millisecond
		<-p.done
	}
}

// respawn is spawn until Stop is called.
func (s *Server) respawn() (*process, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	go func() {
		select {
		case <-s.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	return s.spawn(ctx)
}

// stop asks for a fast shutdown and, when ctx ends before it is done, for an immediate one.
func (p *process) stop(ctx context.Context) error {
	_ = p.cmd.Process.Signal(syscall.SIGINT)
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
	}
	_ = p.cmd.Process.Signal(syscall.SIGQUIT)
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
		p.kill()
	}
	return fmt.Errorf("the private PostgreSQL was stopped without a checkpoint: %w", context.Cause(ctx))
}

// kill ends the postmaster and all its children at once and waits for the postmaster. The children are sessions of
// their own, so they are looked up; the postmaster is held meanwhile, lest it makes new ones.
func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGSTOP)
	children := childrenOf(p.pid())
	_ = p.cmd.Process.Kill()
	for _, child := range children {
		_ = syscall.Kill(child, syscall.SIGKILL)
	}
	<-p.done
}

// childrenOf lists the processes that a process has started, from /proc where there is one, else from ps.
func childrenOf(pid int) []int {
	var children []int
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is well formed
	for _, stat := range stats {
		text, err := os.ReadFile(stat)
		if err != nil {
			continue // it has ended since
		}
		// "123 (postgres) S 100 …": the name may hold blanks and parentheses.
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(fields) < 2 || fields[1] != strconv.Itoa(pid) {
			continue
		}
		if child, err := strconv.Atoi(filepath.Base(filepath.Dir(stat))); err == nil {
			children = append(children, child)
		}
	}
	if len(stats) > 0 {
		return children
	}
	out, err := exec.Command("ps", "-A", "-o", "pid=,ppid=").Output()
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(out)) {
		var child, parent int
		if _, err := fmt.Sscan(line, &child, &parent); err == nil && parent == pid {
			children = append(children, child)
		}
	}
	return children
}
