//go:build unix

package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// initialise makes the cluster unless it is there. It is made under another name and renamed when complete, so an
// interrupted one is never taken for a cluster.
func (s *Server) initialise(ctx context.Context) error {
	passwordFile := filepath.Join(s.dir, "password")
	if clusterMajor(s.cluster()) != 0 {
		text, err := os.ReadFile(passwordFile)
		if err != nil {
			return fmt.Errorf("reading the password of the private PostgreSQL: %w", err)
		}
		s.password = strings.TrimSpace(string(text))
		return nil
	}
	s.password = newPassword()
	unfinished := s.cluster() + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return fmt.Errorf("removing an unfinished cluster: %w", err)
	}
	if err := os.Mkdir(unfinished, 0o700); err != nil {
		return fmt.Errorf("making the cluster's folder: %w", err)
	}
	if err := s.account.own(unfinished); err != nil {
		return err
	}
	if err := s.initdb(ctx, unfinished); err != nil {
		return err
	}
	if err := os.WriteFile(passwordFile, []byte(s.password+"\n"), 0o600); err != nil {
		return fmt.Errorf("keeping the password of the private PostgreSQL: %w", err)
	}
	if err := os.Rename(unfinished, s.cluster()); err != nil {
		return fmt.Errorf("putting the cluster into place: %w", err)
	}
	return nil
}

// initdb fills an empty folder. The C locale makes sorting the same on every machine and index prefixes usable; what
// FHIR asks for beyond bytes (case, accents) Ingle does before storing.
func (s *Server) initdb(ctx context.Context, dir string) error {
	// The password travels in a file, which the account must own to read; the command line is visible to everyone.
	pwfile := filepath.Join(s.socket, "initdb-password")
	_ = os.Remove(pwfile)
	if err := os.WriteFile(pwfile, []byte(s.password+"\n"), 0o600); err != nil {
		return fmt.Errorf("handing the password to initdb: %w", err)
	}
	defer os.Remove(pwfile)
	if err := s.account.own(pwfile); err != nil {
		return err
	}
	args := []string{"-D", dir, "--username=" + superuser, "--pwfile=" + pwfile, "--auth=scram-sha-256",
		"--encoding=UTF8", "--no-locale", "--data-checksums", "--no-instructions"}
	if s.options.Volatile {
		args = append(args, "--no-sync")
	}
	cmd := s.command(ctx, "initdb", args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	s.log.Info("making a private PostgreSQL cluster", "folder", s.dir, "version", s.binaries.Version)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("initdb of the private PostgreSQL: %w: %s", err, lastLines(out.Bytes(), 5))
	}
	return nil
}

// command prepares one of PostgreSQL's programs: as the account, in a folder it may enter, without the caller's own
// PG… variables.
func (s *Server) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(s.binaries.Dir, program), args...)
	cmd.Dir = s.socket
	cmd.Env = []string{"PATH=" + s.binaries.Dir + ":/usr/bin:/bin", "LC_ALL=C", "TZ=UTC", "HOME=" + s.socket}
	cmd.SysProcAttr = s.account.attributes()
	return cmd
}

// settings are given on the command line, so that a newer Ingle can change them for an old cluster.
func (s *Server) settings() map[string]string {
	set := map[string]string{
		"listen_addresses":        "",
		"unix_socket_directories": s.socket,
		"port":                    "5432", // only part of the socket's name
		"max_connections":         "200",
		"shared_buffers":          "256MB",
		"work_mem":                "16MB",
		"maintenance_work_mem":    "128MB",
		"max_wal_size":            "4GB",
		"min_wal_size":            "256MB",
		"checkpoint_timeout":      "15min",
		"random_page_cost":        "1.1",
		"jit":                     "off", // Ingle's statements are short; compiling them costs more than it saves
		"timezone":                "UTC",
		"log_timezone":            "UTC",
		"log_destination":         "stderr",
		"logging_collector":       "off",
		"log_line_prefix":         "%m [%p] ",
		// Statements and error details can hold data of patients, which no log may.
		"log_min_messages":        "warning",
		"log_min_error_statement": "panic",
		"log_error_verbosity":     "terse",
	}
	if runtime.GOOS == "linux" {
		set["effective_io_concurrency"] = "200"
	}
	if s.options.Volatile {
		for k, v := range map[string]string{
			"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
			"wal_level": "minimal", "max_wal_senders": "0",
			"shared_buffers": "128MB", "min_wal_size": "80MB", "max_wal_size": "1GB",
			"bgwriter_lru_maxpages": "0",
		} {
			set[k] = v
		}
	}
	for k, v := range s.options.Settings {
		set[k] = v
	}
	return set
}

// stopOrphan ends a server that outlived the process that had started it. The caller holds the folder's lock, so
// whoever runs on the cluster has no supervisor. A stale postmaster.pid whose number now belongs to some other
// program is removed, because PostgreSQL itself could take that program for a server.
func stopOrphan(ctx context.Context, cluster string, log *slog.Logger) error {
	file := filepath.Join(cluster, "postmaster.pid")
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading postmaster.pid: %w", err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || pid <= 1 || !servesCluster(ctx, pid, cluster) {
		if err := os.Remove(file); err != nil {
			return fmt.Errorf("removing a stale postmaster.pid: %w", err)
		}
		return nil
	}
	log.Warn("stopping a private PostgreSQL left by an earlier run", "pid", pid)
	for _, step := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{syscall.SIGINT, 30 * time.Second}, {syscall.SIGQUIT, 5 * time.Second}, {syscall.SIGKILL, 5 * time.Second}} {
		_ = syscall.Kill(pid, step.signal)
		for end := time.Now().Add(step.wait); time.Now().Before(end); {
			if !servesCluster(ctx, pid, cluster) {
				return nil
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	return fmt.Errorf("process %d still runs the private PostgreSQL in %s and cannot be stopped", pid, cluster)
}

// servesCluster tells whether the process is the postmaster of the cluster: it works in its data folder. Where there
// is no /proc the program's command line has to do.
func servesCluster(ctx context.Context, pid int, cluster string) bool {
	if syscall.Kill(pid, 0) == syscall.ESRCH {
		return false
	}
	if runtime.GOOS == "linux" {
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && bytes.Contains(stat, []byte(") Z ")) {
			return false // dead, only not yet waited for by its parent
		}
		if cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); err == nil {
			return cwd == cluster
		}
	}
	out, err := exec.CommandContext(ctx, "ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && bytes.Contains(out, []byte("postgres")) && bytes.Contains(out, []byte(cluster))
}

// lastLines is the end of a program's output, for error messages.
func lastLines(out []byte, n int) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "; ")
}
