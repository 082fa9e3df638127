package terminology_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"

	"ingle/terminology"
)

// TestSearchBySets: Observation?code:in, :not-in, :below and :above over an
// imported code system and a resource's one find what an oracle finds.
func TestSearchBySets(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	svc := terminology.New(terminology.Options{Concepts: srv.Database.Concepts()})
	const made = "http://e.org/made"
	m := generate(made, 400, 6, 11)
	if _, err := svc.Import(context.Background(), m, false, nil); err != nil {
		t.Fatal(err)
	}
	putJSON := func(path, body string) {
		t.Helper()
		if status, answer := send(t, "PUT", srv.Base+"/"+path, "", []byte(body)); status != 201 && status != 200 {
			t.Fatalf("%s: %d %s", path, status, answer)
		}
	}
	putJSON("CodeSystem/tree", strings.Replace(tree, `{"resourceType":"CodeSystem"`, `{"resourceType":"CodeSystem","id":"tree"`, 1))
	for name, compose := range map[string]string{
		"large": `{"include":[{"system":"` + made + `","filter":[{"property":"concept","op":"is-a","value":"` + m.code(2) + `"}]},{"system":"http://e.org/tree","concept":[{"code":"a"}]}]}`,
		"small": `{"include":[{"system":"http://e.org/tree","filter":[{"property":"concept","op":"descendent-of","value":"a"}]}]}`,
	} {
		putJSON("ValueSet/"+name, strings.Replace(set(name, compose), `{"resourceType":"ValueSet"`, `{"resourceType":"ValueSet","id":"`+name+`"`, 1))
	}
	rnd := rand.New(rand.NewPCG(3, 3))
	type obs struct {
		id, system, code string
		n                int
	}
	var all []obs
	for i := range 60 {
		o := obs{fmt.Sprint("o", i), made, "", rnd.IntN(m.n)}
		o.code = m.code(o.n)
		if i%6 == 5 {
			o.system, o.code = "http://e.org/tree", []string{"a", "b", "c", "x", "m"}[i/6%5]
		}
		all = append(all, o)
		putJSON("Observation/"+o.id, fmt.Sprintf(`{"resourceType":"Observation","id":%q,"status":"final","code":{"coding":[{"system":%q,"code":%q}]}}`, o.id, o.system, o.code))
	}
	for _, c := range []struct {
		modifier, value string
		want            func(obs) bool
	}{
		{"in", "http://e.org/large", func(o obs) bool {
			return o.system == made && (o.n == 2 || m.ancestors(o.n)[2]) || o.system != made && o.code == "a"
		}},
		{"not-in", "http://e.org/large", func(o obs) bool {
			return !(o.system == made && (o.n == 2 || m.ancestors(o.n)[2]) || o.system != made && o.code == "a")
		}},
		{"in", "ValueSet/small", func(o obs) bool { return o.system != made && strings.Contains("bcm", o.code) }},
		{"in", "http://e.org/small", func(o obs) bool { return o.system != made && strings.Contains("bcm", o.code) }},
		{"below", made + "|" + m.code(1), func(o obs) bool { return o.system == made && (o.n == 1 || m.ancestors(o.n)[1]) }},
		{"above", "http://e.org/tree|c", func(o obs) bool { return o.system != made && strings.Contains("abc", o.code) }},
		{"below", "http://e.org/tree|a", func(o obs) bool { return o.system != made && strings.Contains("abcm", o.code) }},
	} {
		status, body := send(t, "GET", srv.Base+"/Observation?_count=100&code:"+c.modifier+"="+url.QueryEscape(c.value), "", nil)
		var b struct {
			Entry []struct{ Resource struct{ ID string } }
		}
		if json.Unmarshal(body, &b); status != 200 {
			t.Errorf("%s %s: %d %s", c.modifier, c.value, status, body)
			continue
		}
		var got, want []string
		for _, e := range b.Entry {
			got = append(got, e.Resource.ID)
		}
		for _, o := range all {
			if c.want(o) {
				want = append(want, o.id)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s %s: %v, want %v", c.modifier, c.value, got, want)
		}
	}
	for _, q := range []string{"code:in=http://e.org/nope", "code:below=x", "code:below=http://e.org/tree|nope"} {
		if status, body := send(t, "GET", srv.Base+"/Observation?"+strings.ReplaceAll(q, "|", "%7C"), "", nil); status < 400 || status >= 500 {
			t.Errorf("%s: %d %s", q, status, body)
		}
	}
}

// TestOperationsOverHTTP: the ways to call the operations.
func TestOperationsOverHTTP(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	put := func(path, body string) {
		t.Helper()
		if status, answer := send(t, "PUT", srv.Base+"/"+path, "", []byte(body)); status != 201 {
			t.Fatalf("%s: %d %s", path, status, answer)
		}
	}
	put("CodeSystem/tree", strings.Replace(tree, `{"resourceType":"CodeSystem"`, `{"resourceType":"CodeSystem","id":"tree"`, 1))
	put("ValueSet/all", strings.Replace(set("all", `{"include":[{"system":"http://e.org/tree"}]}`), `{"resourceType":"ValueSet"`, `{"resourceType":"ValueSet","id":"all"`, 1))
	put("ConceptMap/m", `{"resourceType":"ConceptMap","id":"m","url":"http://e.org/m","status":"active","group":[{"source":"http://e.org/tree","target":"http://e.org/t","element":[{"code":"a","target":[{"code":"A","equivalence":"equal"}]}]}]}`)
	const parameters = `{"resourceType":"Parameters","parameter":[%s]}`
	for _, c := range []struct {
		method, path, body string
		status             int
		says               []string
	}{
		{"GET", "/ValueSet/$expand?url=http://e.org/all&count=2", "", 200, []string{`"total":6`, `"code":"a"`, `"code":"b"`}},
		{"GET", "/ValueSet/all/$expand", "", 200, []string{`"code":"m"`}},
		{"GET", "/ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/administrative-gender&filter=fem", "", 200, []string{`"code":"female"`, `"total":1`}},
		{"POST", "/ValueSet/all/$expand", fmt.Sprintf(parameters, `{"name":"activeOnly","valueBoolean":true}`), 200, []string{`"activeOnly"`}},
		{"POST", "/ValueSet/$expand", set("inline", `{"include":[{"system":"http://e.org/tree","concept":[{"code":"c"}]}]}`), 200, []string{`"code":"c"`}},
		{"GET", "/ValueSet/none/$expand", "", 404, []string{"OperationOutcome"}},
		{"GET", "/ValueSet/$validate-code?url=http://e.org/all&system=http://e.org/tree&code=c", "", 200, []string{`"result","valueBoolean":true`}},
		{"GET", "/ValueSet/all/$validate-code?system=http://e.org/tree&code=zz", "", 200, []string{`"result","valueBoolean":false`}},
		{"GET", "/CodeSystem/$validate-code?url=http://e.org/tree&code=c", "", 200, []string{`"result","valueBoolean":true`}},
		{"GET", "/CodeSystem/tree/$validate-code?code=c", "", 200, []string{`"result","valueBoolean":true`}},
		{"GET", "/CodeSystem/$lookup?system=http://e.org/tree&code=b", "", 200, []string{`"valueCode":"parent"`}},
		{"GET", "/CodeSystem/$lookup?system=http://unitsofmeasure.org&code=mg/dL", "", 200, []string{`"name":"display","valueString":"mg/dL"`}},
		{"GET", "/CodeSystem/$lookup?system=urn:ietf:bcp:47&code=de-CH", "", 200, []string{"Swiss High German"}},
		{"GET", "/CodeSystem/tree/$subsumes?codeA=a&codeB=c", "", 200, []string{`"subsumes"`}},
		{"GET", "/CodeSystem/$subsumes?system=http://e.org/tree&codeA=c&codeB=a", "", 200, []string{`"subsumed-by"`}},
		{"GET", "/ConceptMap/$translate?system=http://e.org/tree&code=a&targetsystem=http://e.org/t", "", 200, []string{`"code":"A"`, `"equal"`}},
		{"GET", "/ConceptMap/m/$translate?system=http://e.org/tree&code=zz", "", 200, []string{`"result","valueBoolean":false`}},
		{"POST", "/$closure", fmt.Sprintf(parameters, `{"name":"name","valueString":"mine"}`), 200, []string{`"ConceptMap"`, `"version":"0"`}},
		{"POST", "/$closure", fmt.Sprintf(parameters, `{"name":"name","valueString":"mine"},{"name":"concept","valueCoding":{"system":"http://e.org/tree","code":"a"}},{"name":"concept","valueCoding":{"system":"http://e.org/tree","code":"c"}}`), 200,
			[]string{`"version":"1"`, `{"code":"c","target":[{"code":"a","equivalence":"subsumes"}]}`}},
		{"POST", "/$closure", fmt.Sprintf(parameters, `{"name":"name","valueString":"other"},{"name":"version","valueString":"1"}`), 404, []string{"no closure table"}},
		{"POST", "/ValueSet/$batch-validate-code", fmt.Sprintf(parameters, `{"name":"url","valueUri":"http://e.org/all"},
			{"name":"validation","resource":{"resourceType":"Parameters","parameter":[{"name":"coding","valueCoding":{"system":"http://e.org/tree","code":"a"}}]}},
			{"name":"validation","resource":{"resourceType":"Parameters","parameter":[{"name":"coding","valueCoding":{"system":"http://e.org/tree","code":"zz"}}]}},
			{"name":"validation","resource":{"resourceType":"Parameters","parameter":[{"name":"url","valueUri":"http://e.org/none"},{"name":"coding","valueCoding":{"system":"http://e.org/tree","code":"a"}}]}}`), 200,
			[]string{`"valueBoolean":true`, `"valueBoolean":false`, `OperationOutcome`}},
		{"GET", "/metadata?mode=terminology", "", 200, []string{`"TerminologyCapabilities"`, "http://unitsofmeasure.org"}},
	} {
		status, body := send(t, c.method, srv.Base+c.path, "", []byte(c.body))
		if status != c.status {
			t.Errorf("%s %s: %d %s", c.method, c.path, status, body)
		}
		for _, s := range c.says {
			if !strings.Contains(string(body), s) {
				t.Errorf("%s %s: %s\nlacks %s", c.method, c.path, body, s)
			}
		}
	}
}
