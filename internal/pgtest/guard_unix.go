//go:build unix

package pgtest

import (
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"
)

// guard is a small shell that outlives this process by a moment to clean up after it.
type guard struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
}

// guards keeps the guards that are on duty from the garbage collector, which would close their input.
var guards sync.Map // *guard → true

// guardScript waits for the end of its input, which is the end of the test binary, even by SIGKILL. It then ends the
// postmaster, by the number it has at that time, and removes the folder. It goes by postmaster.pid because a test may
// have restarted the server.
const guardScript = `
trap '' INT TERM HUP QUIT
read -r _
pid=$(head -n 1 "$2/cluster/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ]; then
	kill -QUIT "$pid" 2>/dev/null
	i=0
	while kill -0 "$pid" 2>/dev/null && [ $i -lt 100 ]; do sleep 0.05; i=$((i + 1)); done
	kill -KILL "$pid" 2>/dev/null
fi
rm -rf "$1"
`

// watch starts a guard of the server in serverDir; dir is removed with all that is in it. Its output goes nowhere:
// `go test` would wait for it to be closed.
func watch(dir, serverDir string) (*guard, error) {
	g := &guard{cmd: exec.Command("sh", "-c", guardScript, "sh", dir, serverDir)}
	g.cmd.Dir = "/"
	// A process group of its own: Ctrl-C is for the tests.
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var err error
	if g.stdin, err = g.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("starting the guard of the test server: %w", err)
	}
	if err := g.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the guard of the test server: %w", err)
	}
	guards.Store(g, true)
	return g, nil
}

// release lets the guard clean up now and waits for it.
func (g *guard) release() {
	guards.Delete(g)
	_ = g.stdin.Close()
	_ = g.cmd.Wait()
}
