package r4

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// Every definition comes out of its Go type as it went in, but for the
// extensions of primitives, which the types leave out.
func TestModelsKeepEverything(t *testing.T) {
	d := Definitions()
	count := 0
	for kind, make := range map[string]func() any{
		"StructureDefinition":   func() any { return new(StructureDefinition) },
		"ValueSet":              func() any { return new(ValueSet) },
		"CodeSystem":            func() any { return new(CodeSystem) },
		"ConceptMap":            func() any { return new(ConceptMap) },
		"OperationDefinition":   func() any { return new(OperationDefinition) },
		"SearchParameter":       func() any { return new(SearchParameter) },
		"CompartmentDefinition": func() any { return new(CompartmentDefinition) },
		"NamingSystem":          func() any { return new(NamingSystem) },
	} {
		n := 0
		for url, text := range d.Each(kind) {
			if n++; testing.Short() && n > 50 {
				break
			}
			v := make()
			if err := json.Unmarshal(text, v); err != nil {
				t.Fatalf("%s: %v", url, err)
			}
			out, err := json.Marshal(v)
			if err != nil {
				t.Fatalf("%s: %v", url, err)
			}
			if want, got := tree(t, text), tree(t, out); !reflect.DeepEqual(want, got) {
				t.Fatalf("%s:\n in  %s\n out %s", url, text[:min(len(text), 2000)], out[:min(len(out), 2000)])
			}
			count++
		}
	}
	t.Logf("%d definitions", count)
}

// tree decodes JSON without the extensions of primitives.
func tree(t *testing.T, text []byte) any {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatal(err)
	}
	var prune func(any)
	prune = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				prune(e)
			}
		case map[string]any:
			for name, e := range v {
				if strings.HasPrefix(name, "_") {
					delete(v, name)
					continue
				}
				prune(e)
			}
		}
	}
	prune(v)
	return v
}

func TestOpen(t *testing.T) {
	yes := true
	p := Parameters{Parameter: []ParametersParameter{
		{Name: "a", Value: OpenOf("boolean", false)},
		{Name: "b", Value: OpenOf("decimal", json.Number("1.50"))},
		{Name: "c", Value: OpenOf("CodeableConcept", CodeableConcept{Coding: []Coding{{Code: "x", UserSelected: &yes}}})},
		{Name: "d", Resource: json.RawMessage(`{"resourceType":"Patient"}`)},
		{Value: OpenOf("base64Binary", "AAAA"), Part: []ParametersParameter{{Name: "e", Value: OpenOf("url", "http://x")}}},
	}}
	text, err := json.Marshal(&p)
	want := `{"resourceType":"Parameters","parameter":[{"name":"a","valueBoolean":false},{"name":"b","valueDecimal":1.50},` +
		`{"name":"c","valueCodeableConcept":{"coding":[{"code":"x","userSelected":true}]}},{"name":"d","resource":{"resourceType":"Patient"}},` +
		`{"part":[{"name":"e","valueUrl":"http://x"}],"valueBase64Binary":"AAAA"}]}`
	if err != nil || string(text) != want {
		t.Fatalf("%v\ngot  %s\nwant %s", err, text, want)
	}
	var back Parameters
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back, p) {
		t.Errorf("%v: %+v", err, back)
	}
	if v := back.Parameter[4].Value; v.Type != "base64Binary" || v.String() != "AAAA" {
		t.Errorf("%+v", v)
	}
	var concept CodeableConcept
	if err := back.Parameter[2].Value.Decode(&concept); err != nil || concept.Coding[0].Code != "x" {
		t.Errorf("%v %+v", err, concept)
	}
	if _, err := json.Marshal(Extension{URL: "x", Value: &Open{Type: "Patient", Value: json.RawMessage("{}")}}); err == nil {
		t.Error("an extension of type Patient was written")
	}
	if text, err := json.Marshal(Extension{Value: OpenOf("string", "only")}); err != nil || string(text) != `{"valueString":"only"}` {
		t.Errorf("%s %v", text, err)
	}
	if err := json.Unmarshal([]byte(`{"resourceType":"Patient"}`), &back); err == nil {
		t.Error("a Patient was read as Parameters")
	}
	if text, _ := json.Marshal(OperationOutcome{Issue: []OperationOutcomeIssue{{Severity: "error", Code: "invalid"}}}); string(text) != `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"invalid"}]}` {
		t.Errorf("%s", text)
	}
}
