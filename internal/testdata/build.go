package testdata

import (
	"fmt"
	"os/exec"
)

// Build builds the program into a file, with the race detector where the test
// has it: what was compiled for the tests serves again, and only linking is left.
func Build(out string) error {
	args := []string{"build", "-ldflags=-s -w", "-o", out}
	if Race {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "./cmd/ingle")...)
	cmd.Dir = Root()
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the program: %w: %s", err, text)
	}
	return nil
}
