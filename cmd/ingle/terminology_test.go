package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ingle/internal/config"
	"ingle/store/storetest"
)

func TestTerminologyCommand(t *testing.T) {
	url := storetest.URL(t)
	file := filepath.Join(t.TempDir(), "codes.csv")
	if err := os.WriteFile(file, []byte("code,display,parent\na,Alpha,\nb,Beta,a\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (string, error) {
		c := &config.Config{}
		c.Database.URL = url
		cmd := terminologyCommand(func() (*config.Config, error) { return c, nil })
		var out bytes.Buffer
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		cmd.SetArgs(args)
		err := cmd.ExecuteContext(t.Context())
		return out.String(), err
	}
	imports := []string{"import", file, "--url", "http://example.org/cs", "--code-system-version", "1"}
	for _, want := range []string{"2 concepts in", "2 concepts, unchanged"} {
		if out, err := run(imports...); err != nil || !strings.Contains(out, "http://example.org/cs 1: "+want) {
			t.Errorf("%s %v, want %s", out, err, want)
		}
	}
	if out, err := run("list"); err != nil || out != "http://example.org/cs\t1\t2 concepts\n" {
		t.Errorf("%q %v", out, err)
	}
	if _, err := run("remove", "http://example.org/cs", "1"); err != nil {
		t.Error(err)
	}
	if out, err := run("list"); err != nil || out != "" {
		t.Errorf("%q %v", out, err)
	}
	for _, wrong := range [][]string{{"import", file}, {"import", "nowhere"}, {"remove", "http://example.org/cs", "1"}, {"import", file, file, "--url", "http://example.org/cs"}} {
		if out, err := run(wrong...); err == nil {
			t.Errorf("%v: %s", wrong, out)
		}
	}
}
