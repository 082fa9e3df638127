package terminology_test

import (
	"strings"
	"testing"

	"ingle/fhir"
	"ingle/fhir/r4"
	"ingle/terminology"
)

// probe calls an operation with and without one parameter: the answers must
// differ, or the call with it must be refused with the status.
type probe struct {
	with    []any // of the operation's basic call
	without []any
	refused int
}

// TestEveryParameterCounts walks the input parameters that R4's
// OperationDefinitions name: each is honoured or refused, none is ignored in
// silence, and none is missing here.
func TestEveryParameterCounts(t *testing.T) {
	svc := terminology.New(terminology.Options{})
	node := func(text string) fhir.Node { return node(t, text) }
	const codes = `{"resourceType":"CodeSystem","url":"http://e.org/cs","version":"%","status":"active","content":"complete","caseSensitive":true,"language":"en",
		"property":[{"code":"kind","type":"code"}],
		"concept":[{"code":"a","display":"Alpha %","designation":[{"language":"de","value":"Alfa"}],"property":[{"code":"kind","valueCode":"k"},{"code":"notSelectable","valueBoolean":true}],"concept":[{"code":"b","display":"Beta"}]},
			{"code":"old","display":"Old","property":[{"code":"inactive","valueBoolean":true}]}]}`
	const conceptMap = `{"resourceType":"ConceptMap","url":"http://e.org/map","version":"%","status":"active","sourceUri":"http://e.org/vs","targetUri":"http://e.org/t",
		"group":[{"source":"http://e.org/cs","sourceVersion":"1","target":"http://e.org/t","element":[{"code":"a","target":[{"code":"A%","equivalence":"equal"}]},
			{"code":"b","target":[{"code":"B","equivalence":"equal","dependsOn":[{"property":"http://e.org/p","value":"x"}]}]}]}]}`
	of := func(text, version string) string { return strings.ReplaceAll(text, "%", version) }
	const all = `{"include":[{"system":"http://e.org/cs"}]}`
	versioned := func(version, compose string) string {
		return strings.Replace(set("vs", compose), `"status"`, `"version":"`+version+`","status"`, 1)
	}
	src := terminology.Sources{listed(t, of(codes, "1"), of(codes, "2"), versioned("1", `{"include":[{"system":"http://e.org/cs","concept":[{"code":"a"}]}]}`), versioned("2", all),
		set("t", `{"include":[{"system":"http://e.org/t"}]}`), of(conceptMap, "1"), of(conceptMap, "2")), terminology.Definitions(r4.Definitions())}
	coding := func(code string) fhir.Node { return node(`{"system":"http://e.org/cs","code":"` + code + `"}`) }
	concept := node(`{"coding":[{"system":"http://e.org/cs","code":"b"}]}`)
	inline := node(set("inline", `{"include":[{"system":"http://e.org/cs","concept":[{"code":"b"}]}]}`))
	other := node(strings.Replace(of(codes, "9"), "Beta", "Gamma", 1))
	ofMap := node(strings.Replace(of(conceptMap, "9"), `"code":"A9"`, `"code":"other"`, 1))

	vs := []any{"url", "http://e.org/vs"}
	inSet := append(vs[:2:2], "system", "http://e.org/cs", "code", "b")
	inSystem := []any{"url", "http://e.org/cs", "code", "b"}
	looked := []any{"system", "http://e.org/cs", "code", "b"}
	compared := []any{"system", "http://e.org/cs", "codeA", "a", "codeB", "b"}
	mapped := []any{"system", "http://e.org/cs", "code", "a", "targetsystem", "http://e.org/t"}
	and := func(base []any, more ...any) probe {
		return probe{with: append(base[:len(base):len(base)], more...), without: base}
	}
	instead := func(with ...any) probe { return probe{with: with} } // alone it is enough: without it the call is refused
	refused := func(base []any, more ...any) probe {
		p := and(base, more...)
		p.refused = 422
		return p
	}
	probes := map[string]map[string]probe{
		"ValueSet-expand": {
			"url": instead("url", "http://e.org/vs"), "valueSet": instead("valueSet", inline), "valueSetVersion": and(vs, "valueSetVersion", "1"),
			"context": refused(vs, "context", "http://e.org/p#x"), "contextDirection": refused(vs, "contextDirection", "incoming"),
			"filter": and(vs, "filter", "bet"), "date": refused(vs, "date", "2020-01-01"), "offset": and(vs, "offset", 1), "count": and(vs, "count", 1),
			"includeDesignations": and(vs, "includeDesignations", true),
			"designation":         {with: []any{"url", "http://e.org/vs", "includeDesignations", true, "designation", "urn:ietf:bcp:47|fr"}, without: []any{"url", "http://e.org/vs", "includeDesignations", true}},
			"includeDefinition":   and(vs, "includeDefinition", true), "activeOnly": and(vs, "activeOnly", true), "excludeNested": and(vs, "excludeNested", true),
			"excludeNotForUI": and(vs, "excludeNotForUI", true), "excludePostCoordinated": and(vs, "excludePostCoordinated", true),
			"displayLanguage": and(vs, "displayLanguage", "de"), "exclude-system": and(vs, "exclude-system", "http://e.org/cs"),
			"system-version": and(vs, "system-version", "http://e.org/cs|1"), "check-system-version": and(vs, "check-system-version", "http://e.org/cs|1"),
			"force-system-version": and(vs, "force-system-version", "http://e.org/cs|1"),
		},
		"ValueSet-validate-code": {
			"url": instead(inSet...), "context": refused(inSet, "context", "http://e.org/p#x"), "valueSet": instead("valueSet", inline, "system", "http://e.org/cs", "code", "b"),
			"valueSetVersion": and(inSet, "valueSetVersion", "1"), "code": instead(inSet...), "system": instead(inSet...), "systemVersion": and(inSet, "systemVersion", "1"),
			"display": and(inSet, "display", "Wrong"), "coding": instead("url", "http://e.org/vs", "coding", coding("b")), "codeableConcept": instead("url", "http://e.org/vs", "codeableConcept", concept),
			"date": refused(inSet, "date", "2020"), "displayLanguage": and(append(vs[:2:2], "system", "http://e.org/cs", "code", "a"), "displayLanguage", "de"),
			"abstract": and(append(vs[:2:2], "system", "http://e.org/cs", "code", "a"), "abstract", false),
		},
		"CodeSystem-validate-code": {
			"url": instead(inSystem...), "codeSystem": {with: []any{"codeSystem", other, "code", "b"}, without: inSystem}, "code": instead(inSystem...), "version": and(inSystem, "version", "7"),
			"display": and(inSystem, "display", "Wrong"), "coding": instead("url", "http://e.org/cs", "coding", coding("b")), "codeableConcept": instead("url", "http://e.org/cs", "codeableConcept", concept),
			"date": refused(inSystem, "date", "2020"), "displayLanguage": and([]any{"url", "http://e.org/cs", "code", "a"}, "displayLanguage", "de"), "abstract": and([]any{"url", "http://e.org/cs", "code", "a"}, "abstract", false),
		},
		"CodeSystem-lookup": {
			"code": instead(looked...), "system": instead(looked...), "version": and(looked, "version", "1"), "coding": instead("coding", coding("b")), "date": refused(looked, "date", "2020"),
			"displayLanguage": and([]any{"system", "http://e.org/cs", "code", "a"}, "displayLanguage", "de"), "property": and(looked, "property", "parent"),
		},
		"CodeSystem-subsumes": {
			"codeA": instead(compared...), "codeB": instead(compared...), "system": instead(compared...), "version": and(compared, "version", "7"),
			"codingA": instead("codingA", coding("a"), "codingB", coding("b")), "codingB": instead("codingA", coding("a"), "codingB", coding("b")),
		},
		"ConceptMap-translate": {
			"url": and(mapped, "url", "http://e.org/map|1"), "conceptMap": and(mapped, "conceptMap", ofMap), "conceptMapVersion": and(append(mapped[:len(mapped):len(mapped)], "url", "http://e.org/map"), "conceptMapVersion", "1"),
			"code": instead(mapped...), "system": instead(mapped...), "version": and(mapped, "version", "7"), "source": and(append(mapped[:len(mapped):len(mapped)], "url", "http://e.org/map"), "source", "http://e.org/none"),
			"coding": instead("coding", coding("a"), "targetsystem", "http://e.org/t"), "codeableConcept": instead("codeableConcept", concept, "targetsystem", "http://e.org/t"),
			"target": and(append(mapped[:len(mapped):len(mapped)], "url", "http://e.org/map"), "target", "http://e.org/none"), "targetsystem": and([]any{"system", "http://e.org/cs", "code", "a"}, "targetsystem", "http://e.org/none"),
			"dependency": {with: []any{"system", "http://e.org/cs", "code", "b", "dependency", []terminology.Parameter{{Name: "element", Text: "http://e.org/p"}, {Name: "concept", Node: node(`{"coding":[{"code":"x"}]}`)}}},
				without: []any{"system", "http://e.org/cs", "code", "b"}},
			"reverse": {with: []any{"system", "http://e.org/t", "code", "A2", "reverse", true}, without: []any{"system", "http://e.org/t", "code", "A2"}},
		},
	}
	ops := map[string]string{"ValueSet-expand": "expand", "ValueSet-validate-code": "validate-code", "CodeSystem-validate-code": "cs-validate-code", "CodeSystem-lookup": "lookup",
		"CodeSystem-subsumes": "subsumes", "ConceptMap-translate": "translate"}
	stable := func(body []byte) string { // without what differs from call to call
		text := string(body)
		for _, name := range []string{`"identifier":"`, `"timestamp":"`} {
			if before, after, ok := strings.Cut(text, name); ok {
				_, after, _ = strings.Cut(after, `"`)
				text = before + after
			}
		}
		return text
	}
	walked, refusals := 0, 0
	for url, raw := range r4.Definitions().Each("OperationDefinition") {
		name := url[strings.LastIndexByte(url, '/')+1:]
		op, ours := ops[name]
		if !ours {
			continue
		}
		doc, err := fhir.Parse(raw, fhir.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		for p := doc.Root().Get("parameter").First(); p.Valid(); p = p.Next() {
			parameter := p.Get("name").Text()
			if p.Get("use").Text() != "in" {
				continue
			}
			try, ok := probes[name][parameter]
			if !ok {
				t.Errorf("%s: nothing tries the parameter %s", name, parameter)
				continue
			}
			walked++
			without := try.without
			if without == nil { // the same call without this parameter
				for i := 0; i < len(try.with); i += 2 {
					if try.with[i] != parameter {
						without = append(without, try.with[i], try.with[i+1])
					}
				}
			}
			before, plain := call(t, svc, src, op, params(without...))
			status, body := call(t, svc, src, op, params(try.with...))
			switch {
			case try.refused != 0:
				refusals++
				if status != try.refused || !strings.Contains(string(body), parameter) {
					t.Errorf("%s: %s is not refused with %d: %d %s", name, parameter, try.refused, status, body)
				}
			case stable(plain) == stable(body) && before == status:
				t.Errorf("%s: %s changes nothing: %d %s", name, parameter, status, body)
			case try.without == nil && (status != 200 || before < 400):
				t.Errorf("%s: with %s %d, without it %d; it should be needed: %s", name, parameter, status, before, body)
			}
		}
	}
	t.Logf("%d parameters of %d operations: %d honoured, %d refused", walked, len(ops), walked-refusals, refusals)
	if walked < 60 {
		t.Errorf("only %d parameters were walked", walked)
	}
}
