package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPackageCommand(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	zw := gzip.NewWriter(&packed)
	tw := tar.NewWriter(zw)
	for name, text := range map[string]string{
		"package/package.json": `{"name":"a.b","version":"1.0.0","dependencies":{"c.d":"2.0.0"}}`,
		"package/vs.json":      `{"resourceType":"ValueSet","id":"v","url":"http://t/v"}`,
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
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.tgz"), packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	var asked []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path)
		if strings.HasSuffix(r.URL.Path, "/v") && r.Method == http.MethodDelete {
			w.WriteHeader(http.StatusConflict)
			_, _ = io.WriteString(w, `{"resourceType":"OperationOutcome","issue":[{"diagnostics":"in use"}]}`)
		}
	}))
	defer srv.Close()
	run := func(args ...string) (string, int) {
		var out bytes.Buffer
		cmd := packageCommand()
		cmd.SilenceUsage, cmd.SilenceErrors = true, true
		cmd.SetArgs(args)
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		var status exitStatus
		if err := cmd.ExecuteContext(t.Context()); err != nil && !errors.As(err, &status) {
			t.Errorf("%v: %v", args, err)
		}
		return out.String(), int(status)
	}
	if out, _ := run("list", dir); out != "a.b#1.0.0\n    1 StructureDefinition\n    1 ValueSet\n    needs c.d#2.0.0\n" {
		t.Errorf("list: %q", out)
	}
	if out, status := run("add", "--url", srv.URL+"/fhir", dir); status != 0 || out != "a.b#1.0.0: 2 resources stored, 0 refused\n" {
		t.Errorf("add: %d %q", status, out)
	}
	if got := strings.Join(asked, " "); got != "PUT /fhir/StructureDefinition/s PUT /fhir/ValueSet/v" {
		t.Errorf("add sends %s", got)
	}
	if out, status := run("remove", "--url", srv.URL+"/fhir", dir); status != exitFailed || !strings.Contains(out, "ValueSet/v: 409 Conflict: in use") || !strings.Contains(out, "1 resources deleted, 1 refused") {
		t.Errorf("remove: %d %q", status, out)
	}
}
