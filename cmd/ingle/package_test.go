package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPackageCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(version string) {
		var packed bytes.Buffer
		zw := gzip.NewWriter(&packed)
		tw := tar.NewWriter(zw)
		for name, text := range map[string]string{
			"package/package.json": `{"name":"a.b","version":"` + version + `","dependencies":{"c.d":"2.0.0"}}`,
			"package/vs.json":      `{"resourceType":"ValueSet","id":"v","url":"http://t/v","version":"` + version + `","status":"active"}`,
			"package/sd.json":      `{"resourceType":"StructureDefinition","id":"s","url":"http://t/s"}`,
		} {
			if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(tw, text); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(tw.Close(), zw.Close()); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "a.tgz"), packed.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("1.0.0")
	base, _ := start(t, served(t))
	run := func(args ...string) (string, int) {
		var out bytes.Buffer
		cmd := packageCommand()
		cmd.SilenceUsage, cmd.SilenceErrors = true, true
		if args[0] != "list" || len(args) == 1 {
			args = append(args, "--url", base)
		}
		cmd.SetArgs(args)
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		var status exitStatus
		if err := cmd.ExecuteContext(t.Context()); err != nil && !errors.As(err, &status) {
			return out.String() + err.Error(), exitFailed
		}
		return out.String(), int(status)
	}
	if out, _ := run("list", dir); out != "a.b#1.0.0\n    1 StructureDefinition\n    1 ValueSet\n    needs c.d#2.0.0\n" {
		t.Errorf("list: %q", out)
	}
	if out, status := run("add", dir); status != exitFailed || !strings.Contains(out, "c.d#2.0.0 (by a.b#1.0.0) is not there") ||
		!strings.Contains(out, "StructureDefinition/s: 400") || !strings.HasSuffix(out, "a.b#1.0.0: 1 of 2 resources stored\n") {
		t.Errorf("add: %d %q", status, out)
	}
	if out, status := run("list"); status != 0 || !strings.Contains(out, "a.b#1.0.0\n    1 ValueSet\n") || !strings.Contains(out, "ncpi") {
		t.Errorf("list of the server: %d %q", status, out)
	}
	// another version of the same, beside it
	write("1.1.0")
	if out, status := run("add", dir); status != exitFailed || !strings.Contains(out, "a.b#1.1.0: 1 of 2") {
		t.Errorf("add 1.1.0: %d %q", status, out)
	}
	if out, status := run("list"); status != 0 || !strings.Contains(out, "a.b#1.0.0\n    1 ValueSet\n") || !strings.Contains(out, "a.b#1.1.0\n    1 ValueSet\n") {
		t.Errorf("two versions: %d %q", status, out)
	}
	if out, status := run("remove", "a.b#1.0.0"); status != 0 || out != "a.b#1.0.0: 1 of 1 resources deleted\n" {
		t.Errorf("remove: %d %q", status, out)
	}
	if out, status := run("remove", "a.b#1.0.0"); status == 0 || !strings.Contains(out, "there is no package a.b#1.0.0") {
		t.Errorf("remove again: %d %q", status, out)
	}
}
