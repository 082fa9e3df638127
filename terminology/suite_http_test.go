package terminology_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"ingle/fhir/r4"
	"ingle/interaction"
	"ingle/server/servertest"
	"ingle/store"
	"ingle/store/storetest"
	"ingle/terminology"
)

// startServer starts a whole server with the terminology operations.
func startServer(t testing.TB) *servertest.Server { return startServerOn(t, storetest.URL(t), 0) }

// startServerOn starts one that believes for a while what it knows of the
// database's resources.
func startServerOn(t testing.TB, url string, fresh time.Duration) *servertest.Server {
	var svc *terminology.Service
	var conf *store.Conformance
	static := terminology.Definitions(r4.Definitions())
	source := func(_ context.Context, session *store.Session) (terminology.Source, error) {
		return terminology.Sources{static, terminology.Stored(conf, session)}, nil
	}
	return servertest.Start(t, servertest.Options{
		URL: url,
		Interaction: func(c *interaction.Config) {
			conf = store.NewConformance(c.Database, fresh)
			svc = terminology.New(terminology.Options{Concepts: c.Database.Concepts(), Now: time.Now})
			c.Terminology, c.TerminologySource = svc, source
		},
		Register: func(s *interaction.Service) {
			for _, op := range interaction.TerminologyOperations(svc, source) {
				s.Register(op)
			}
		},
	})
}

// toR4 turns a resource of the suite, which is written in R5, into R4.
func toR4(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = toR4(v[i])
		}
	case map[string]any:
		delete(v, "versionAlgorithmCoding")
		for k := range v {
			if strings.Contains(k, ":") {
				delete(v, k)
				continue
			}
			v[k] = toR4(v[k])
		}
		if v["resourceType"] == "ConceptMap" {
			for from, to := range map[string]string{"sourceScopeUri": "sourceUri", "targetScopeUri": "targetUri"} {
				if x, ok := v[from]; ok {
					v[to] = x
					delete(v, from)
				}
			}
		}
		if r, ok := v["relationship"].(string); ok {
			delete(v, "relationship")
			if _, isTarget := v["mode"]; !isTarget {
				v["equivalence"] = map[string]string{"equivalent": "equivalent", "source-is-broader-than-target": "narrower",
					"source-is-narrower-than-target": "wider", "not-related-to": "disjoint", "related-to": "relatedto"}[r]
			}
		}
	}
	return v
}

func send(t testing.TB, method, url, lang string, body []byte) (int, []byte) {
	t.Helper()
	req, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/fhir+json")
	req.Header.Set("Accept", "application/fhir+json")
	if lang != "" {
		req.Header.Set("Accept-Language", lang)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, raw
}

// TestSuiteOverHTTP runs the official suite against the server, with the
// resources of each suite stored in it.
func TestSuiteOverHTTP(t *testing.T) {
	var all suite
	if err := json.Unmarshal(readSuite(t, "test-cases.json"), &all); err != nil {
		t.Fatal(err)
	}
	passed, failed := 0, 0
	for _, s := range all.Suites {
		srv := startServer(t)
		var extra []any // what the server refuses to store comes with each request
		for i, f := range s.Setup {
			var v any
			if err := json.Unmarshal(readSuite(t, f), &v); err != nil {
				t.Fatal(err)
			}
			m := toR4(v).(map[string]any)
			m["id"] = fmt.Sprintf("setup-%d", i)
			body, _ := json.Marshal(m)
			if status, answer := send(t, "PUT", fmt.Sprintf("%s/%s/%s", srv.Base, m["resourceType"], m["id"]), "", body); status == 400 || status == 422 {
				extra = append(extra, map[string]any{"name": "tx-resource", "resource": m})
			} else if status != 201 {
				t.Errorf("%s: %d %s", f, status, answer)
			}
		}
		for _, c := range s.Tests {
			diff := func() string {
				var want any
				if err := json.Unmarshal(readSuite(t, c.Response), &want); err != nil {
					return err.Error()
				}
				path := map[string]string{"expand": "/ValueSet/$expand", "validate-code": "/ValueSet/$validate-code", "cs-validate-code": "/CodeSystem/$validate-code",
					"lookup": "/CodeSystem/$lookup", "translate": "/ConceptMap/$translate"}[c.Operation]
				if c.Operation == "term-caps" || c.Operation == "metadata" {
					mode := map[string]string{"term-caps": "?mode=terminology"}[c.Operation]
					_, body := send(t, "GET", srv.Base+"/metadata"+mode, "", nil)
					return match(want, decode(body), "capabilities")
				}
				request := readSuite(t, c.Request)
				if len(extra) > 0 {
					p := decode(request).(map[string]any)
					p["parameter"] = append(p["parameter"].([]any), extra...)
					request, _ = json.Marshal(p)
				}
				status, body := send(t, "POST", srv.Base+path, c.AcceptLanguage, request)
				if os.Getenv("INGLE_SUITE") == c.Name {
					t.Logf("%s", body)
				}
				if (c.HTTPCode == "4xx") != (status >= 400 && status < 500) {
					return fmt.Sprintf("status %d: %s", status, body)
				}
				got := toR5(decode(body))
				if m, ok := got.(map[string]any); ok && m["resourceType"] == "OperationOutcome" {
					delete(m, "id")
				}
				return match(want, got, "$")
			}()
			judged(t, c.Name, diff, &passed, &failed)
		}
	}
	fmt.Printf("terminology over HTTP: %d passed, %d failed\n", passed, failed)
}
