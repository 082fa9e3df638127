package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestValidateCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	good := write("good.json", `{"resourceType":"Patient","gender":"female"}`)
	bad := write("bad.json", "{\n  \"resourceType\": \"Patient\",\n  \"birthDate\": \"x\"\n}\n")
	lines := write("lines.ndjson", "{\"resourceType\":\"Patient\"}\n{\"resourceType\":\"Patient\",\"gender\":\"none\"}\n")
	for _, c := range []struct {
		args   []string
		status int
		holds  string
	}{
		{[]string{good}, 0, ""},
		{[]string{bad}, 1, ":3:3: error Patient.birthDate"},
		{[]string{bad}, 1, "     3 |   \"birthDate\": \"x\""},
		{[]string{"--json", bad}, 1, `operationoutcome-issue-line","valueInteger":3`},
		{[]string{good, lines}, 1, ":2:27: error Patient.gender"},
		{[]string{filepath.Join(dir, "none.json")}, 2, ""},
		{[]string{"--profile", "https://nih-ncpi.github.io/ncpi-fhir-ig-2/StructureDefinition/ncpi-person", good}, 1, "is for Person, not for Patient"},
	} {
		var out bytes.Buffer
		cmd := validateCommand()
		cmd.SilenceUsage, cmd.SilenceErrors = true, true
		cmd.SetArgs(c.args)
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		err := cmd.ExecuteContext(t.Context())
		var status exitStatus
		if err != nil && !errors.As(err, &status) {
			t.Errorf("%v: %v", c.args, err)
		}
		if int(status) != c.status {
			t.Errorf("%v: exit status %d, want %d; %s", c.args, status, c.status, out.String())
		}
		if !strings.Contains(out.String(), c.holds) {
			t.Errorf("%v: %q lacks %q", c.args, out.String(), c.holds)
		}
	}
}
