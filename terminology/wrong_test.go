package terminology_test

import (
	"strings"
	"testing"

	"ingle/fhir"
	"ingle/fhir/r4"
	"ingle/terminology"
)

func listed(t *testing.T, resources ...string) *terminology.Listed {
	t.Helper()
	var l terminology.Listed
	for _, r := range resources {
		doc, err := fhir.Parse([]byte(r), fhir.Limits{})
		if err != nil {
			t.Fatalf("%v: %s", err, r)
		}
		l.AddDoc(doc, "", false)
	}
	return &l
}

const tree = `{"resourceType":"CodeSystem","url":"http://e.org/tree","version":"1","status":"active","content":"complete","caseSensitive":true,
	"property":[{"code":"parent","uri":"http://hl7.org/fhir/concept-properties#parent","type":"code"}],
	"concept":[{"code":"a","concept":[{"code":"b","concept":[{"code":"c"}]}]},{"code":"x","property":[{"code":"parent","valueCode":"y"}]},{"code":"y","property":[{"code":"parent","valueCode":"x"}]},
	{"code":"m","property":[{"code":"parent","valueCode":"b"},{"code":"parent","valueCode":"x"}]}]}`

func set(url, compose string) string {
	return `{"resourceType":"ValueSet","url":"http://e.org/` + url + `","status":"active","compose":` + compose + `}`
}

// wrongSets are value sets with faults, and one without.
var wrongSets = []string{tree,
	set("all", `{"include":[{"system":"http://e.org/tree"}]}`),
	set("self", `{"include":[{"valueSet":["http://e.org/self"]}]}`),
	set("one", `{"include":[{"valueSet":["http://e.org/two"]}]}`), set("two", `{"include":[{"valueSet":["http://e.org/one"]}]}`),
	set("nothing", `{"include":[{}]}`),
	set("both", `{"include":[{"system":"http://e.org/tree","concept":[{"code":"a"}],"filter":[{"property":"concept","op":"is-a","value":"a"}]}]}`),
	set("op", `{"include":[{"system":"http://e.org/tree","filter":[{"property":"concept","op":"like","value":"a"}]}]}`),
	set("regex", `{"include":[{"system":"http://e.org/tree","filter":[{"property":"code","op":"regex","value":"("}]}]}`),
	set("prop", `{"include":[{"system":"http://e.org/tree","filter":[{"property":"nope","op":"=","value":"1"}]}]}`),
	set("gone", `{"include":[{"system":"http://e.org/gone"}]}`),
	set("ucum", `{"include":[{"system":"http://unitsofmeasure.org"}]}`),
	set("excludes", `{"include":[{"system":"http://e.org/tree"}],"exclude":[{"valueSet":["http://e.org/missing"]}]}`),
}

// wrongCall is a call that is refused, with the status and a text that says why.
type wrongCall struct {
	op     string
	status int
	says   string
	list   []any
}

func node(t testing.TB, s string) fhir.Node {
	t.Helper()
	doc, err := fhir.Parse([]byte(s), fhir.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return doc.Root()
}

func wrongCalls(t testing.TB) []wrongCall {
	coding := func(s string) fhir.Node { return node(t, s) }
	ab := coding(`{"system":"http://e.org/tree","code":"a"}`)
	return []wrongCall{
		{"expand", 400, "no value set is given", nil},
		{"expand", 404, "could not be found", []any{"url", "http://e.org/missing"}},
		{"expand", 404, "could not be found", []any{"url", "http://e.org/all|7"}},
		{"expand", 404, "http://e.org/gone", []any{"url", "http://e.org/gone"}},
		{"expand", 400, "may be given once", []any{"url", "http://e.org/all", "url", "http://e.org/all"}},
		{"expand", 400, "must be a number", []any{"url", "http://e.org/all", "count", "-1"}},
		{"expand", 400, "must be a number", []any{"url", "http://e.org/all", "offset", "x"}},
		{"expand", 400, "must be true or false", []any{"url", "http://e.org/all", "activeOnly", "yes"}},
		{"expand", 422, "Cyclic", []any{"url", "http://e.org/self"}},
		{"expand", 422, "Cyclic", []any{"url", "http://e.org/one"}},
		{"expand", 422, "neither a system", []any{"url", "http://e.org/nothing"}},
		{"expand", 422, "both concepts and filters", []any{"url", "http://e.org/both"}},
		{"expand", 400, "operator 'like'", []any{"url", "http://e.org/op"}},
		{"expand", 400, "regular expression", []any{"url", "http://e.org/regex"}},
		{"expand", 422, "no property nope", []any{"url", "http://e.org/prop"}},
		{"expand", 422, "grammar", []any{"url", "http://e.org/ucum"}},
		{"expand", 404, "could not be found", []any{"url", "http://e.org/excludes"}},
		{"expand", 422, "date is not supported", []any{"url", "http://e.org/all", "date", "2020"}},
		{"expand", 400, "url|version", []any{"url", "http://e.org/all", "system-version", "http://e.org/tree"}},
		{"expand", 422, "not allowed", []any{"url", "http://e.org/all", "check-system-version", "http://e.org/tree|2", "system-version", "http://e.org/tree|1"}},
		{"expand", 404, "version '2'", []any{"url", "http://e.org/all", "force-system-version", "http://e.org/tree|2"}},
		{"expand", 400, "longer than", []any{"url", "http://e.org/all", "filter", strings.Repeat("x", 500)}},
		{"expand", 404, "supplement", []any{"url", "http://e.org/all", "useSupplement", "http://e.org/s"}},
		{"expand", 400, "not a ValueSet", []any{"valueSet", coding(tree)}},
		{"expand", 400, "has no parameter", []any{"url", "http://e.org/all", "activeonly", "true"}},
		{"validate-code", 400, "has no parameter", []any{"url", "http://e.org/all", "coding", ab, "check-valueset-version", "http://e.org/all|1"}},
		{"cs-validate-code", 400, "has no parameter", []any{"url", "http://e.org/tree", "code", "a", "valueSet", coding(tree)}},
		{"lookup", 400, "has no parameter", []any{"code", "a", "system", "http://e.org/tree", "properties", "x"}},
		{"translate", 400, "has no parameter", []any{"code", "a", "system", "http://e.org/tree", "to", "x"}},
		{"subsumes", 400, "has no parameter", []any{"codeA", "a", "codeB", "b", "system", "http://e.org/tree", "displayLanguage", "de"}},
		{"expand", 422, "context is not supported", []any{"context", "http://e.org/p#x"}},
		{"validate-code", 400, "0 of them", []any{"url", "http://e.org/all"}},
		{"validate-code", 400, "2 of them", []any{"url", "http://e.org/all", "code", "a", "system", "http://e.org/tree", "coding", ab}},
		{"validate-code", 400, "needs its system", []any{"url", "http://e.org/all", "code", "a"}},
		{"validate-code", 400, "has no code", []any{"url", "http://e.org/all", "coding", coding(`{"system":"x"}`)}},
		{"validate-code", 422, "Cyclic", []any{"url", "http://e.org/one", "code", "a", "system", "http://e.org/tree"}},
		{"validate-code", 400, "must be sent in a Parameters", []any{"url", "http://e.org/all", "coding", "a"}},
		{"cs-validate-code", 400, "no code system", []any{"code", "a"}},
		{"lookup", 400, "send code and system", []any{"code", "a"}},
		{"lookup", 404, "Unknown code 'q'", []any{"code", "q", "system", "http://e.org/tree"}},
		{"lookup", 404, "http://e.org/gone", []any{"code", "q", "system", "http://e.org/gone"}},
		{"lookup", 404, "Valid versions: 1", []any{"code", "a", "system", "http://e.org/tree", "version", "2"}},
		{"lookup", 400, "not both", []any{"code", "q", "coding", ab}},
		{"translate", 400, "0 of them", nil},
		{"translate", 400, "needs its system", []any{"code", "a"}},
		{"translate", 404, "ConceptMap", []any{"url", "http://e.org/map", "code", "a", "system", "http://e.org/tree"}},
		{"subsumes", 400, "send codeA", []any{"codeA", "a", "system", "http://e.org/tree"}},
		{"subsumes", 400, "code system is missing", []any{"codeA", "a", "codeB", "b"}},
		{"subsumes", 404, "Unknown code", []any{"codeA", "a", "codeB", "q", "system", "http://e.org/tree"}},
		{"subsumes", 422, "inside one code system", []any{"codingA", ab, "codingB", coding(`{"system":"http://e.org/other","code":"a"}`)}},
	}
}

// TestWrongInput: what is wrong is refused.
func TestWrongInput(t *testing.T) {
	svc := terminology.New(terminology.Options{})
	src := terminology.Sources{listed(t, wrongSets...), terminology.Definitions(r4.Definitions())}
	for _, c := range wrongCalls(t) {
		status, body := call(t, svc, src, c.op, params(c.list...))
		if status != c.status || !strings.Contains(string(body), c.says) {
			t.Errorf("%s %v: %d %s, want %d … %s", c.op, c.list, status, body, c.status, c.says)
		}
	}
	if _, err := svc.Closure(t.Context(), src, "me", params("name", "x")); fhir.AsError(err) == nil || fhir.AsError(err).Status != 422 {
		t.Errorf("closure without a database: %v", err)
	}
	for _, body := range []string{`{"resourceType":"Patient"}`, `{}`, `[]`, `{"resourceType":"Parameters","parameter":[{"valueCode":"x"}]}`,
		`{"resourceType":"Parameters","parameter":[{"name":"a","valueCode":"x","valueString":"y"}]}`, ``} {
		if _, err := terminology.ReadParameters([]byte(body)); fhir.AsError(err) == nil || fhir.AsError(err).Status != 400 {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// TestHierarchies: diamonds and circles are no trees, and end all the same.
func TestHierarchies(t *testing.T) {
	svc := terminology.New(terminology.Options{})
	src := terminology.Sources{listed(t, tree,
		set("isa-x", `{"include":[{"system":"http://e.org/tree","filter":[{"property":"concept","op":"is-a","value":"x"}]}]}`),
		set("up-m", `{"include":[{"system":"http://e.org/tree","filter":[{"property":"concept","op":"generalizes","value":"m"}]}]}`),
		set("isa-a", `{"include":[{"system":"http://e.org/tree","filter":[{"property":"concept","op":"is-a","value":"a"}]}]}`))}
	for url, want := range map[string]string{"isa-x": "x y m", "up-m": "a b x y m", "isa-a": "a b c m"} {
		list, err := expandAll(t, svc, src, "http://e.org/"+url)
		got := map[string]bool{}
		for _, c := range list {
			got[c.Code] = true
		}
		if err != nil || len(got) != len(strings.Fields(want)) || len(list) != len(got) {
			t.Errorf("%s: %v %v", url, list, err)
		}
		for _, c := range strings.Fields(want) {
			if !got[c] {
				t.Errorf("%s lacks %s", url, c)
			}
		}
		// nested too: nothing is lost in a circle
		raw, err := svc.Expand(t.Context(), src, params("url", "http://e.org/"+url))
		if err != nil || strings.Count(string(raw), `"code":"`) != len(got) {
			t.Errorf("%s nested: %s %v", url, raw, err)
		}
	}
	out, err := svc.Subsumes(t.Context(), src, params("system", "http://e.org/tree", "codeA", "x", "codeB", "y"))
	if err != nil || !strings.Contains(string(out), "equivalent") {
		t.Errorf("%s %v", out, err)
	}
}
