package export_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"ingle/internal/export"
)

// A server that means harm gets no credentials sent elsewhere, writes nothing outside the
// folder, and has nothing deleted elsewhere.
func TestHostile(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var elsewhere []string // what came to another server
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		elsewhere = append(elsewhere, r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization")+r.Header.Get("X-Key"))
		_, _ = w.Write([]byte("{}\n"))
	}))
	t.Cleanup(other.Close)
	manifest, place := "", "/fhir/place"
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	mux.HandleFunc("GET /fhir/$export", func(w http.ResponseWriter, _ *http.Request) {
		at := server.URL + place
		if strings.HasPrefix(place, "http") {
			at = place
		}
		w.Header().Set("Content-Location", at)
		w.WriteHeader(http.StatusAccepted)
	})
	mux.HandleFunc("GET /fhir/place", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(manifest)) })
	mux.HandleFunc("DELETE /fhir/place", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+"/deleted", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("GET /fhir/moved", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+"/moved", http.StatusFound)
	})
	o := export.Options{Base: server.URL + "/fhir", Header: http.Header{"Authorization": {"Bearer secret"}, "X-Key": {"secret"}}}
	run := func(typ, url string) (*export.Result, error) {
		t.Helper()
		manifest = fmt.Sprintf(`{"transactionTime":"2026-01-01T00:00:00Z","output":[{"type":%q,"url":%q}]}`, typ, url)
		o.Out = filepath.Join(t.TempDir(), "a", "b")
		return export.Run(t.Context(), o)
	}

	if res, err := run("Patient", server.URL+"/fhir/moved"); err != nil || res.Resources != 1 {
		t.Errorf("a file that is elsewhere: %+v %v", res, err)
	}
	if res, err := run("Patient", other.URL+"/direct"); err != nil || res.Faults != nil {
		t.Errorf("%+v %v", res, err)
	}
	for _, typ := range []string{"..", "../../x", "/etc/x", "", ".", "a\x1b[31m", strings.Repeat("x", 300), "Patient.1", `..\x`} {
		if _, err := run(typ, other.URL+"/name"); err == nil || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("the type %q: %v", typ, err)
		}
		if found, _ := filepath.Glob(filepath.Join(o.Out, "*.ndjson*")); len(found) > 0 {
			t.Errorf("%v", found)
		}
	}
	place = other.URL + "/their/place"
	_, _ = run("Patient", other.URL+"/direct")
	mu.Lock()
	defer mu.Unlock()
	if text := strings.Join(elsewhere, "\n"); strings.Contains(text, "secret") || strings.Contains(text, "DELETE") || !strings.Contains(text, "/moved") {
		t.Errorf("what came to another server:\n%s", text)
	}
}

// What is in a folder already is no part of a new export.
func TestFolderOfAnother(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	if err := os.WriteFile(filepath.Join(out, "Patient.1.ndjson"), []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := export.Run(t.Context(), export.Options{Base: "http://127.0.0.1:1/fhir", Out: out})
	if err == nil || !strings.Contains(err.Error(), "Patient.1.ndjson") {
		t.Errorf("%v", err)
	}
	names, _ := os.ReadDir(out)
	if slices.ContainsFunc(names, func(e os.DirEntry) bool { return e.Name() != "Patient.1.ndjson" }) {
		t.Errorf("%v", names)
	}
}

// What the server could not export is no resource, and is told.
func TestFaults(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	mux.HandleFunc("GET /fhir/$export", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Location", server.URL+"/fhir/place")
		w.WriteHeader(http.StatusAccepted)
	})
	mux.HandleFunc("GET /fhir/place", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"transactionTime":"2026-01-01T00:00:00Z","output":[{"type":"Patient","url":"%[1]s/lines"}],"error":[{"type":"OperationOutcome","url":"%[1]s/lines"}]}`, server.URL)
	})
	mux.HandleFunc("GET /lines", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}\n{}\n")) })
	res, err := export.Run(t.Context(), export.Options{Base: server.URL + "/fhir", Out: filepath.Join(t.TempDir(), "out")})
	if err != nil || res.Files != 2 || res.Resources != 2 || !slices.Equal(res.Faults, []string{"error.1.ndjson"}) {
		t.Errorf("%+v, %v", res, err)
	}
}
