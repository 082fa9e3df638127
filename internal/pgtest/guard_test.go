//go:build unix

package pgtest

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary play a program under test that starts the server and waits to be killed.
func TestMain(m *testing.M) {
	if os.Getenv("PGTEST_VICTIM") != "" {
		dir, err := scratchDir(memoryDir())
		if err != nil {
			panic(err)
		}
		s, err := startIn(dir)
		if err != nil {
			panic(err)
		}
		_, _ = os.Stdout.WriteString(dir + "\n")
		if os.Getenv("PGTEST_VICTIM") == "panic" {
			panic("as asked, with " + s)
		}
		select {}
	}
	os.Exit(m.Run())
}

func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"panic", "kill"} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0], "-test.run=^$")
			cmd.Env = append(os.Environ(), "PGTEST_VICTIM="+end)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			dir, err := bufio.NewReader(out).ReadString('\n')
			dir = strings.TrimSpace(dir)
			if err != nil || dir == "" {
				t.Fatalf("no folder from the child: %q, %v", dir, err)
			}
			if end == "kill" {
				if _, err := os.Stat(filepath.Join(dir, "postgres", "cluster", "postmaster.pid")); err != nil {
					t.Fatal("the child has no server:", err)
				}
				if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
			}
			if err := cmd.Wait(); err == nil {
				t.Error("the child ended well")
			}
			for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
				if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
					return
				}
				if time.Now().After(deadline) {
					t.Fatalf("%s is still there", dir)
				}
			}
		})
	}
}
