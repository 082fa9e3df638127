package load

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"

	"ingle/fhir"
)

// notes is a FHIR server as far as the loader needs one: it writes down what it got. It
// refuses resources that bear "refuse", and those that bear "waits" until
// "awaited" was stored.
type notes struct {
	mu     sync.Mutex
	stored []string
	busy   int
}

func (n *notes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	if n.busy > 0 {
		n.busy--
		w.WriteHeader(503)
		return
	}
	doc, err := fhir.Parse(body, fhir.Limits{})
	refused := func(status int, at string) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"invalid","diagnostics":"no","expression":[%q]}]}`, at)
	}
	if err != nil {
		refused(400, "")
		return
	}
	root := doc.Root()
	bad := func(x fhir.Node) bool {
		raw := string(x.Raw())
		return strings.Contains(raw, "refuse") || strings.Contains(raw, "waits") && !slices.Contains(n.stored, "Patient/awaited")
	}
	if root.Get("resourceType").Text() != "Bundle" {
		if bad(root) {
			refused(422, "")
			return
		}
		n.stored = append(n.stored, label(root))
		w.WriteHeader(201)
		return
	}
	batch := root.Get("type").Text() == "batch"
	var out []string
	i := 0
	for e := root.Get("entry").First(); e.Valid(); e = e.Next() {
		if bad(e.Get("resource")) {
			if !batch {
				refused(422, fmt.Sprintf("Bundle.entry[%d].resource", i))
				return
			}
			out = append(out, `{"response":{"status":"422 Unprocessable","outcome":{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"invalid","diagnostics":"no"}]}}}`)
		} else {
			out = append(out, `{"response":{"status":"201 Created"}}`)
			n.stored = append(n.stored, label(e.Get("resource")))
		}
		i++
	}
	fmt.Fprintf(w, `{"resourceType":"Bundle","type":"x","entry":[%s]}`, strings.Join(out, ","))
}

func run(t *testing.T, n *notes, files map[string][]byte) (*Result, string) {
	t.Helper()
	server := httptest.NewServer(n)
	t.Cleanup(server.Close)
	dir := t.TempDir()
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	res, err := Run(context.Background(), Options{Paths: []string{dir}, Base: server.URL, Log: &log})
	if err != nil {
		t.Fatal(err)
	}
	return res, strings.ReplaceAll(log.String(), filepath.ToSlash(dir)+"/", "")
}

func packed(t *testing.T, data []byte, w func(io.Writer) io.WriteCloser) []byte {
	t.Helper()
	var b bytes.Buffer
	z := w(&b)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gz(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }
func zst(w io.Writer) io.WriteCloser {
	z, _ := zstd.NewWriter(w)
	return z
}

func tarred(t *testing.T, names []string, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range names {
		if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Size: int64(len(files[name])), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(w, files[name])
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestEveryKindOfFile(t *testing.T) {
	t.Parallel()
	patient := func(id string) string { return fmt.Sprintf(`{"resourceType":"Patient","id":%q}`, id) }
	n := &notes{busy: 2}
	res, log := run(t, n, map[string][]byte{
		"a.json":           []byte(patient("a")),
		"deep/b.ndjson":    []byte(patient("b1") + "\n\n" + patient("b2") + "\n"),
		"c.ndjson.gz":      packed(t, []byte(patient("c1")+"\n"+patient("c2")), gz),
		"d.json.zst":       packed(t, []byte(patient("d")), zst),
		"e.tar.zst":        packed(t, tarred(t, []string{"x/e1.json", "x/hospitalInformation1.json"}, map[string]string{"x/e1.json": patient("e1"), "x/hospitalInformation1.json": patient("first")}), zst),
		"f.tar.gz":         packed(t, tarred(t, []string{"f.ndjson"}, map[string]string{"f.ndjson": patient("f")}), gz),
		"g.json":           []byte(`{"resourceType":"Bundle","type":"transaction","entry":[{"resource":` + patient("g1") + `},{"resource":` + patient("g2") + `}]}`),
		"h.json":           []byte(`{"resourceType":"Bundle","type":"collection","entry":[{"resource":` + patient("h") + `}]}`),
		"README.md":        []byte("not for the server"),
		".hidden/i.json":   []byte(patient("hidden")),
		"later/waits.json": []byte(`{"resourceType":"Patient","id":"waits"}`),
		"later/z.json":     []byte(patient("awaited")),
	})
	slices.Sort(n.stored)
	want := []string{"Patient/a", "Patient/awaited", "Patient/b1", "Patient/b2", "Patient/c1", "Patient/c2", "Patient/d", "Patient/e1", "Patient/f", "Patient/first", "Patient/g1", "Patient/g2", "Patient/h", "Patient/waits"}
	if !slices.Equal(n.stored, want) || res.Stored != int64(len(want)) || res.Refused != 0 || res.Exit() != 0 || log != "" {
		t.Errorf("stored %v\n%+v\n%s", n.stored, res, log)
	}
}

func TestRefusalsAreNamed(t *testing.T) {
	t.Parallel()
	n := &notes{}
	res, log := run(t, n, map[string][]byte{
		"a.ndjson":  []byte(`{"resourceType":"Patient","id":"1"}` + "\n" + `{"resourceType":"Patient","id":"refuse"}` + "\n{\n" + `{"resourceType":"Patient","id":"4"}`),
		"b.json":    []byte("{\"resourceType\":\"Bundle\",\"type\":\"transaction\",\"entry\":[\n{\"resource\":{\"resourceType\":\"Patient\"}},\n{\"resource\":{\"resourceType\":\"Patient\",\"id\":\"refuse\"}}]}"),
		"c.json":    []byte("{\"resourceType\":\"Bundle\",\"type\":\"batch\",\"entry\":[\n{\"resource\":{\"resourceType\":\"Patient\",\"id\":\"5\"}},\n{\"resource\":{\"resourceType\":\"Patient\",\"id\":\"refuse\"}}]}"),
		"d.json":    []byte(`{"no":"resource"}`),
		"0.json.gz": []byte("no gzip"),
		"1.tar":     tarred(t, []string{"1.json", "2.json"}, map[string]string{"1.json": `{"resourceType":"Patient","id":"6"}`, "2.json": `{"resourceType":"Patient"}`})[:3*512+9],
	})
	for _, line := range []string{"a.ndjson:2: Patient/refuse: 422 invalid: no", "a.ndjson:3: document: JSON is not acceptable at line 3, column 2:", "b.json:3: Bundle of 2 entries: 422", "c.json:3: Patient/refuse: 422", "d.json:1: document: it is no FHIR resource",
		"0.json.gz:1: file: it cannot be read to its end", "1.tar:1: file: it cannot be read to its end: 2.json"} {
		if !strings.Contains(log, line) {
			t.Errorf("%q is not in\n%s", line, log)
		}
	}
	if res.Stored != 4 || res.Refused != 8 || res.Exit() != 1 {
		t.Errorf("%+v %v", res, n.stored)
	}
}
