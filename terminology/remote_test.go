package terminology_test

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ingle/fhir"
	"ingle/fhir/r4"
	"ingle/terminology"
)

const far = "http://far.example.org/cs"

// farServer answers like a terminology server for one code system with the
// codes a, and b below a. It counts requests.
func farServer(t *testing.T, status *atomic.Int32, calls *atomic.Int32) *httptest.Server {
	return httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		calls.Add(1)
		if s := status.Load(); s != 0 {
			if s == 1 {
				time.Sleep(2 * time.Second)
			}
			w.WriteHeader(int(max(s, 200)))
			return
		}
		if req.Header.Get("X-Key") != "secret" {
			w.WriteHeader(401)
			return
		}
		body, _ := io.ReadAll(req.Body)
		var p struct {
			Parameter []struct{ Name, ValueCode, ValueUri string }
		}
		json.Unmarshal(body, &p)
		get := func(name string) string {
			for _, x := range p.Parameter {
				if x.Name == name {
					return x.ValueCode + x.ValueUri
				}
			}
			return ""
		}
		switch req.URL.Path {
		case "/fhir/CodeSystem/$lookup":
			if c := get("code"); c != "a" && c != "b" {
				w.WriteHeader(404)
				w.Write([]byte(`{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"not-found"}]}`))
				return
			}
			w.Write([]byte(`{"resourceType":"Parameters","parameter":[{"name":"name","valueString":"Far"},{"name":"display","valueString":"The ` + get("code") + `"},
				{"name":"designation","part":[{"name":"language","valueCode":"de"},{"name":"value","valueString":"Das"}]}]}`))
		case "/fhir/CodeSystem/$subsumes":
			out := "not-subsumed"
			if get("codeA") == "a" && get("codeB") == "b" {
				out = "subsumes"
			}
			w.Write([]byte(`{"resourceType":"Parameters","parameter":[{"name":"outcome","valueCode":"` + out + `"}]}`))
		case "/fhir/ValueSet/$expand":
			w.Write([]byte(`{"resourceType":"ValueSet","status":"active","expansion":{"timestamp":"2020-01-01","total":2,"contains":[{"system":"` + far + `","code":"a","display":"The a"},{"system":"` + far + `","code":"b"}]}}`))
		case "/fhir/ValueSet/$validate-code":
			w.Write([]byte(`{"resourceType":"Parameters","parameter":[{"name":"result","valueBoolean":` + map[bool]string{true: "true", false: "false"}[strings.Contains(string(body), `"code":"b"`)] + `}]}`))
		default:
			w.WriteHeader(404)
		}
	}))
}

func TestRemote(t *testing.T) {
	var status, calls atomic.Int32
	srv := farServer(t, &status, &calls)
	defer srv.Close()
	trust := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	opt := terminology.RemoteOptions{Base: srv.URL + "/fhir/", Systems: []string{far}, Headers: map[string]string{"X-Key": "secret"},
		TrustPEM: trust, Timeout: time.Second}
	remote, err := terminology.NewRemote(opt)
	if err != nil {
		t.Fatal(err)
	}
	svc := terminology.New(terminology.Options{Remote: []*terminology.Remote{remote}})
	src := terminology.Definitions(r4.Definitions())
	out, err := svc.Lookup(t.Context(), src, params("system", far, "code", "b", "property", "*"))
	if err != nil || !strings.Contains(string(out), "The b") || !strings.Contains(string(out), "Das") {
		t.Errorf("%s %v", out, err)
	}
	before := calls.Load()
	if _, err := svc.Lookup(t.Context(), src, params("system", far, "code", "b", "property", "*")); err != nil || calls.Load() != before {
		t.Errorf("the answer was not kept: %v", err)
	}
	if _, err := svc.Lookup(t.Context(), src, params("system", far, "code", "zz")); fhir.AsError(err) == nil || fhir.AsError(err).Status != 404 {
		t.Error(err)
	}
	if out, err := svc.Subsumes(t.Context(), src, params("system", far, "codeA", "a", "codeB", "b")); err != nil || !strings.Contains(string(out), `"subsumes"`) {
		t.Errorf("%s %v", out, err)
	}
	vs := func(s string) fhir.Node {
		doc, err := fhir.Parse([]byte(s), fhir.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		return doc.Root()
	}
	filtered := vs(`{"resourceType":"ValueSet","status":"active","compose":{"include":[{"system":"` + far + `","filter":[{"property":"x","op":"=","value":"y"}]}]}}`)
	if out, err := svc.Expand(t.Context(), src, params("valueSet", filtered)); err != nil || !strings.Contains(string(out), `"code":"b"`) {
		t.Errorf("%s %v", out, err)
	}
	for code, want := range map[string]string{"a": "false", "b": "true", "c": "false"} {
		out, err := svc.ValidateInValueSet(t.Context(), src, params("valueSet", filtered, "system", far, "code", code))
		if err != nil || !strings.Contains(string(out), `"valueBoolean":`+want) {
			t.Errorf("%s: %s %v", code, out, err)
		}
	}
	// what was not asked before cannot be answered while the server is down
	for _, down := range []int32{500, 503, 429, 401, 302, 1} {
		status.Store(down)
		code := "down" + string(rune('a'+down%26))
		for name, err := range map[string]error{
			"lookup":   second(svc.Lookup(t.Context(), src, params("system", far, "code", code))),
			"validate": second(svc.ValidateInValueSet(t.Context(), src, params("valueSet", filtered, "system", far, "code", code))),
			"cs":       second(svc.ValidateInCodeSystem(t.Context(), src, params("url", far, "code", code))),
			"subsumes": second(svc.Subsumes(t.Context(), src, params("system", far, "codeA", code, "codeB", "b"))),
		} {
			if e := fhir.AsError(err); e == nil || e.Status != 503 || e.RetryAfter == 0 || !strings.Contains(e.Issues[0].Details, far) {
				t.Errorf("%d %s: %v", down, name, err)
			}
		}
		if m, why, err := svc.Defined(t.Context(), src, terminology.Coding{System: far, Code: code}); m != terminology.Unknown || why == "" || err != nil {
			t.Errorf("%d: %v %q %v", down, m, why, err)
		}
	}
}

func second[A any](_ A, err error) error { return err }

func TestRemoteRefusesAddresses(t *testing.T) {
	for base, ok := range map[string]bool{
		"http://tx.example.org/fhir": false, "https://tx.example.org/fhir": true, "http://127.0.0.1:1/fhir": true, "http://10.0.0.1/fhir": false, "http://tx/fhir": true, "ftp://tx.example.org": false,
		"https://user:pw@tx.example.org": false, "tx": false, "https://tx.example.org?x=1": false,
	} {
		if _, err := terminology.NewRemote(terminology.RemoteOptions{Base: base, Systems: []string{far}, AllowHosts: []string{"tx"}}); (err == nil) != ok {
			t.Errorf("%s: %v", base, err)
		}
	}
}
