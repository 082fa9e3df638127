package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"ingle/internal/config"
)

// What changes the database past every server leaves a line in the audit trail:
// who, what, to what and the outcome; and nothing else does.
func TestCommandsLeaveATrail(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "codes.csv")
	if err := os.WriteFile(file, []byte("code,display\na,Alpha\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	env := []string{"INGLE_DATABASE_URL=" + served(t), "INGLE_LOG_LEVEL=error"}
	for _, step := range []struct {
		make  func(func() (*config.Config, error)) *cobra.Command
		args  string
		trail string // "" for none
	}{
		{migrateCommand, "up", `"action":"U","interaction":"migrate","schema":`},
		{migrateCommand, "version", ""},
		{relabelCommand, "--from /programs/a --to /programs/b", `"action":"U","interaction":"relabel","from":"/programs/a","to":"/programs/b","resources":0,"versions":0,"outcome":"success"`},
		{relabelCommand, "--from /programs/a --to /programs/b --dry-run", ""},
		{relabelCommand, "--from a --to /programs/b", `"outcome":"serious failure"`},
		{terminologyCommand, "import --url http://t/cs --code-system-version 1 " + file, `"action":"U","interaction":"terminology import","url":"http://t/cs","version":"1","outcome":"success"`},
		{terminologyCommand, "import --url cs --code-system-version 1 " + file, `"interaction":"terminology import","url":"cs","version":"1","outcome":"serious failure"`},
		{terminologyCommand, "list", ""},
		{terminologyCommand, "remove http://t/cs 1", `"action":"D","interaction":"terminology remove","url":"http://t/cs","version":"1","outcome":"success"`},
	} {
		for _, kept := range []bool{true, false} {
			cmd := step.make(func() (*config.Config, error) {
				if kept {
					return config.Load("", env)
				}
				return config.Load("", append(env, "INGLE_ACCESS_AUDIT=false"))
			})
			var out, log bytes.Buffer
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
			cmd.SetOut(&out)
			cmd.SetErr(&log)
			cmd.SetArgs(strings.Fields(step.args))
			err := cmd.ExecuteContext(t.Context())
			switch line := log.String(); {
			case step.trail == "" || !kept:
				if log.Len() > 0 {
					t.Errorf("%s: %s", step.args, line)
				}
			case strings.Count(line, "\n") != 1 || !strings.Contains(line, `"msg":"audit","principal":"operator`) || !strings.Contains(line, step.trail) || strings.Contains(line, "Alpha") || !json.Valid(log.Bytes()):
				t.Errorf("%s: %v, %s", step.args, err, line)
			case strings.Contains(line, `"success"`) != (err == nil):
				t.Errorf("%s: %v, and %s", step.args, err, line)
			}
		}
	}
}
