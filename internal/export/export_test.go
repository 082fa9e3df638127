package export_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"ingle/internal/export"
	"ingle/server/servertest"
)

// cut is a proxy that sends the first half of a file and breaks off, for as long as
// broken is set, and passes everything else.
func cut(t *testing.T, s *servertest.Server, broken *atomic.Bool) string {
	t.Helper()
	to, err := url.Parse(s.Root)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	at := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if broken.Load() && strings.HasSuffix(r.URL.Path, "/2") {
			w.WriteHeader(http.StatusOK)
			_, _ = w.Write([]byte(`{"resourceType":"Patient"`))
			return // it ends well, within a line
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(at.Close)
	return at.URL + "/fhir"
}

func TestExport(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	for _, ref := range []string{"Organization/a", "Patient/p", "Patient/q"} {
		typ, id, _ := strings.Cut(ref, "/")
		s.Put("/"+ref, `{"resourceType":"`+typ+`","id":"`+id+`","active":true,"name":`+map[string]string{"Patient": `[{"family":"x"}]`, "Organization": `"x"`}[typ]+`}`).Is(201)
	}
	var broken atomic.Bool
	broken.Store(true)
	var told bytes.Buffer
	out := filepath.Join(t.TempDir(), "out")
	o := export.Options{Base: cut(t, s, &broken), Query: url.Values{"_type": {"Organization,Patient"}}, Out: out, Status: &told}
	if _, err := export.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), ".1.ndjson") {
		t.Fatalf("a file that was cut off: %v", err)
	}
	// the rest comes with the next call, from the same snapshot
	s.Put("/Patient/late", `{"resourceType":"Patient","id":"late"}`).Is(201)
	broken.Store(false)
	res, err := export.Run(t.Context(), o)
	if err != nil || res.Files != 2 || res.Resources != 3 || res.Time == "" || !strings.Contains(told.String(), "2 of 2 files") {
		t.Fatalf("%+v, %v: %s", res, err, told.String())
	}
	text, err := os.ReadFile(filepath.Join(out, "Patient.1.ndjson"))
	if err != nil || strings.Count(string(text), "\n") != 2 || strings.Contains(string(text), "late") {
		t.Errorf("%s %v", text, err)
	}
	left, _ := filepath.Glob(filepath.Join(out, "*.part"))
	if len(left) > 0 {
		t.Errorf("%v is left", left)
	}
	// it is done: nothing is asked any more; another export wants another folder
	s.Service.Close()
	if again, err := export.Run(t.Context(), o); err != nil || again.Resources != 3 {
		t.Errorf("%+v %v", again, err)
	}
	o.Query = url.Values{"_type": {"Patient"}}
	if _, err := export.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "another export") {
		t.Errorf("%v", err)
	}
	o.Out, o.Query = t.TempDir(), url.Values{"_type": {"Pateint"}}
	if _, err := export.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "did you mean") {
		t.Errorf("%v", err)
	}
}
