package terminology_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"ingle/fhir"
)

// asParameters writes a call's list as a Parameters resource.
func asParameters(t *testing.T, list []any, resources ...string) []byte {
	t.Helper()
	parameter := []map[string]any{}
	for i := 0; i < len(list); i += 2 {
		p := map[string]any{"name": list[i]}
		switch v := list[i+1].(type) {
		case fhir.Node:
			key := "valueCoding"
			if v.Get("resourceType").Valid() {
				key = "resource"
			}
			p[key] = json.RawMessage(v.Raw())
		default:
			p["valueString"] = fmt.Sprint(v)
		}
		parameter = append(parameter, p)
	}
	for _, r := range resources {
		parameter = append(parameter, map[string]any{"name": "tx-resource", "resource": json.RawMessage(r)})
	}
	body, err := json.Marshal(map[string]any{"resourceType": "Parameters", "parameter": parameter})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// TestWrongInputOverHTTP: the same refusals, as clients see them: the status, and
// an OperationOutcome that says why.
func TestWrongInputOverHTTP(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	paths := map[string]string{"expand": "/ValueSet/$expand", "validate-code": "/ValueSet/$validate-code", "cs-validate-code": "/CodeSystem/$validate-code",
		"lookup": "/CodeSystem/$lookup", "translate": "/ConceptMap/$translate", "subsumes": "/CodeSystem/$subsumes"}
	passed, failed := 0, 0
	try := func(what, method, path string, body []byte, status int, says string) {
		t.Helper()
		got, answer := send(t, method, srv.Base+path, "", body)
		var outcome struct {
			ResourceType string
			Issue        []struct {
				Severity, Code, Diagnostics string
				Details                     struct{ Text string }
			}
		}
		err := json.Unmarshal(answer, &outcome)
		text := ""
		for _, i := range outcome.Issue {
			text += i.Diagnostics + i.Details.Text
		}
		if err != nil || got != status || outcome.ResourceType != "OperationOutcome" || len(outcome.Issue) == 0 || outcome.Issue[0].Severity != "error" && outcome.Issue[0].Severity != "fatal" || !strings.Contains(text, says) {
			failed++
			t.Errorf("%s: %d %s, want %d … %s", what, got, answer, status, says)
			return
		}
		passed++
	}
	for _, c := range wrongCalls(t) {
		try(fmt.Sprint(c.op, " ", c.list), "POST", paths[c.op], asParameters(t, c.list, wrongSets...), c.status, c.says)
	}
	for _, c := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"GET", "/ValueSet/$expand?url=http://e.org/none", "", 404, "could not be found"},
		{"GET", "/ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/administrative-gender%7C9", "", 404, "could not be found"},
		{"GET", "/ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/administrative-gender&count=ten", "", 400, "must be a number"},
		{"GET", "/ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/ucum-units", "", 422, "grammar"},
		{"GET", "/ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/administrative-gender&context=x", "", 422, "context is not supported"},
		{"GET", "/ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/administrative-gender&Filter=x", "", 400, `has no parameter "Filter"`},
		{"POST", "/ValueSet/$batch-validate-code", `{"resourceType":"Parameters","parameter":[{"name":"validation","resource":{"resourceType":"Parameters","parameter":[{"name":"Code","valueCode":"x"}]}}]}`, 400, "has no parameter"},
		{"GET", "/ValueSet/none/$expand", "", 404, "not known"},
		{"GET", "/CodeSystem/$lookup?system=http://unitsofmeasure.org&code=furlongs", "", 404, "Unknown code"},
		{"GET", "/CodeSystem/$lookup?system=http://hl7.org/fhir/administrative-gender&code=male&version=1", "", 404, "could not be found"},
		{"GET", "/CodeSystem/$lookup", "", 400, "send code and system"},
		{"GET", "/CodeSystem/$validate-code?code=a", "", 400, "no code system"},
		{"GET", "/ConceptMap/$translate?code=a", "", 400, "needs its system"},
		{"POST", "/ValueSet/$expand", `{"resourceType":"Patient"}`, 400, "Parameters"},
		{"POST", "/ValueSet/$expand", `{"resourceType":"Parameters","parameter":[{"valueCode":"x"}]}`, 400, "no name"},
		{"POST", "/ValueSet/$expand", `{"resourceType":"Parameters","parameter":[{"name":"url","valueUri":"a","valueString":"b"}]}`, 400, "more than one value"},
		{"POST", "/ValueSet/$validate-code", `{"resourceType":"Parameters","parameter":[`, 400, ""},
		{"POST", "/$closure", `{"resourceType":"Parameters"}`, 400, "name is required"},
		{"POST", "/$closure", `{"resourceType":"Parameters","parameter":[{"name":"name","valueString":"n"},{"name":"concept","valueCoding":{"code":"a"}}]}`, 400, "system and code"},
		{"POST", "/$closure", `{"resourceType":"Parameters","parameter":[{"name":"name","valueString":"n"},{"name":"version","valueString":"3"}]}`, 404, "no closure table"},
		{"POST", "/$closure", `{"resourceType":"Parameters","parameter":[{"name":"name","valueString":"n"},{"name":"version","valueString":"x"}]}`, 400, "not one that"},
		{"POST", "/$closure", `{"resourceType":"Parameters","parameter":[{"name":"name","valueString":"n"},{"name":"version","valueString":"1"},{"name":"concept","valueCoding":{"system":"http://hl7.org/fhir/administrative-gender","code":"male"}}]}`, 400, "not both"},
		{"POST", "/ValueSet/$batch-validate-code", `{"resourceType":"Parameters"}`, 400, "no parameter validation"},
		{"GET", "/Observation?code:below=nonsense", "", 400, "system|code"},
		{"GET", "/Observation?code:in=http://e.org/none", "", 400, "could not be found"},
		{"GET", "/Observation?code:below=http://hl7.org/fhir/administrative-gender%7Cnone", "", 400, "Unknown code"},
	} {
		try(c.method+" "+c.path+" "+c.body, c.method, c.path, []byte(c.body), c.status, c.says)
	}
	fmt.Printf("terminology, wrong input over HTTP: %d passed, %d failed\n", passed, failed)
	req, err := http.NewRequest("GET", srv.Base+"/ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/administrative-gender&Filter=x", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Prefer", "handling=lenient")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("with handling=lenient: %s", resp.Status)
	}
}
