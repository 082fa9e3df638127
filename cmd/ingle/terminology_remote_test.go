package main

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	neturl "net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"ingle/internal/config"
)

// TestRemoteTerminology lets one server ask another for a code system: behind
// TLS of an authority of its own, with HTTP Basic and a header. When the other
// one is down, nothing that it was to answer passes.
func TestRemoteTerminology(t *testing.T) {
	t.Parallel()
	const system = "http://example.org/far"
	farURL := served(t)
	file := filepath.Join(t.TempDir(), "codes.csv")
	if err := os.WriteFile(file, []byte("code,display,parent,kind\na,Alpha,,x\nb,Beta,a,y\nc,Gamma,b,y\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	imports := terminologyCommand(func() (*config.Config, error) {
		c := &config.Config{}
		c.Database.URL = farURL
		return c, nil
	})
	imports.SetArgs([]string{"import", file, "--url", system, "--code-system-version", "1"})
	imports.SetOut(&bytes.Buffer{})
	if err := imports.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	far, stopFar := start(t, farURL) // one that runs already hears of an import within two seconds

	target, err := neturl.Parse(strings.TrimSuffix(far, "/fhir"))
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	proxy := httputil.NewSingleHostReverseProxy(target)
	door := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if user, password, _ := r.BasicAuth(); user != "reader" || password != "secret" || r.Header.Get("X-Key") != "k1" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		r.Header.Del("Authorization")
		proxy.ServeHTTP(w, r)
	}))
	defer door.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: door.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	base, _ := start(t, served(t), fmt.Sprintf(`INGLE_TERMINOLOGY_REMOTE=[{base: %s/fhir, systems: [%s], user: reader, password: secret, headers: [{name: X-Key, value: k1}], ca_file: %s, timeout: 2s}]`, door.URL, system, ca))

	put := func(path, body string) {
		t.Helper()
		if status, text := request(t, http.MethodPut, base+"/"+path, body); status != 201 {
			t.Fatalf("%s: %d %s", path, status, text)
		}
	}
	put("ValueSet/y", `{"resourceType":"ValueSet","id":"y","url":"http://example.org/y","status":"active","compose":{"include":[{"system":"`+system+`","filter":[{"property":"kind","op":"=","value":"y"}]}]}}`)
	put("StructureDefinition/bound", `{"resourceType":"StructureDefinition","id":"bound","url":"http://example.org/bound","name":"Bound","status":"active","kind":"resource","abstract":false,
		"type":"Observation","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Observation","derivation":"constraint","differential":{"element":[{"id":"Observation.code","path":"Observation.code",
		"binding":{"strength":"required","valueSet":"http://example.org/y"}}]}}`)
	for _, c := range []string{"a", "b", "c"} {
		put("Observation/"+c, `{"resourceType":"Observation","id":"`+c+`","status":"final","code":{"coding":[{"system":"`+system+`","code":"`+c+`"}]}}`)
	}
	ask := func(path string, want int, holds ...string) {
		t.Helper()
		status, text := request(t, http.MethodGet, base+"/"+path, "")
		if status != want {
			t.Errorf("%s: %d %s", path, status, text)
		}
		for _, h := range holds {
			if !strings.Contains(text, h) {
				t.Errorf("%s: %s\nlacks %s", path, text, h)
			}
		}
	}
	ask("CodeSystem/$lookup?system="+system+"&code=b", 200, `"Beta"`)
	before := asked.Load()
	ask("CodeSystem/$lookup?system="+system+"&code=b", 200, `"Beta"`)
	if asked.Load() != before {
		t.Error("an answer is not kept")
	}
	ask("CodeSystem/$lookup?system="+system+"&code=q", 404, "Unknown code")
	ask("CodeSystem/$subsumes?system="+system+"&codeA=a&codeB=c", 200, `"subsumes"`)
	ask("CodeSystem/$validate-code?url="+system+"&code=b&display=Wrong", 200, `"valueBoolean":false`, "Wrong Display Name")
	ask("ValueSet/y/$validate-code?system="+system+"&code=b", 200, `"valueBoolean":true`)
	ask("ValueSet/y/$validate-code?system="+system+"&code=a", 200, `"valueBoolean":false`)
	ask("ValueSet/$expand?url=http://example.org/y", 200, `"total":2`, `"code":"b"`, `"code":"c"`)
	ask("Observation?code:in=http://example.org/y&_summary=count", 200, `"total":2`)
	ask("Observation?code:below="+system+"%7Cb&_summary=count", 200, `"total":2`)
	ask("metadata?mode=terminology", 200, system)

	stopFar()
	ask("CodeSystem/$lookup?system="+system+"&code=b", 200, `"Beta"`) // still kept
	for _, path := range []string{"CodeSystem/$lookup?system=" + system + "&code=zz", "CodeSystem/$validate-code?url=" + system + "&code=zz",
		"ValueSet/y/$validate-code?system=" + system + "&code=zz", "CodeSystem/$subsumes?system=" + system + "&codeA=zz&codeB=a",
		"ValueSet/$expand?url=http://example.org/y&filter=be", "Observation?code:below=" + system + "%7Ca"} {
		ask(path, 503, "OperationOutcome", system)
	}
	validate := func(code string) string {
		_, text := request(t, http.MethodPost, base+"/Observation/$validate", `{"resourceType":"Observation","meta":{"profile":["http://example.org/bound"]},"status":"final","code":{"coding":[{"system":"`+system+`","code":"`+code+`"}]}}`)
		return text
	}
	if text := validate("a"); !strings.Contains(text, `"error"`) || !strings.Contains(text, "not in the value set") {
		t.Errorf("a code that is known not to be bound: %s", text)
	}
	if text := validate("never"); !strings.Contains(text, "could not be asked") {
		t.Errorf("validation passes in silence: %s", text)
	}
}
