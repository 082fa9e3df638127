package profiles

import (
	"context"
	"strings"
	"testing"

	"ingle/fhir/r4"
)

// wordList knows one value set with a filter and one code system, as a
// terminology service would.
type wordList struct{ asked int }

func (w *wordList) ValidateCode(_ context.Context, valueSet string, c Coding) (Verdict, string) {
	w.asked++
	if valueSet != "http://t/filtered" {
		return Unknown, "the value set is not known"
	}
	if strings.HasPrefix(c.Code, "a") {
		return In, ""
	}
	return NotIn, "it does not begin with a"
}

func (w *wordList) ValidateInSystem(_ context.Context, c Coding) (Verdict, string) {
	if c.System != "http://t/big" {
		return Unknown, ""
	}
	if c.Code == "missing" {
		return NotIn, "it is not there"
	}
	return In, ""
}

// TestTerminology: value sets that cannot be listed are asked of the
// Terminology, others are not.
func TestTerminology(t *testing.T) {
	t.Parallel()
	reg := NewRegistry(r4.Definitions())
	for id, src := range map[string]string{
		"vs": `{"resourceType":"ValueSet","url":"http://t/filtered","compose":{"include":[{"system":"http://t/big","filter":[{"property":"x","op":"=","value":"y"}]}]}}`,
		"p": `{"resourceType":"StructureDefinition","url":"http://t/p","name":"P","status":"active","kind":"resource","abstract":false,"type":"Observation",
			"baseDefinition":"http://hl7.org/fhir/StructureDefinition/Observation","derivation":"constraint","differential":{"element":[{"path":"Observation.code","binding":{"strength":"required","valueSet":"http://t/filtered"}}]}}`,
		"q": `{"resourceType":"StructureDefinition","url":"http://t/q","name":"Q","status":"active","kind":"resource","abstract":false,"type":"Observation",
			"baseDefinition":"http://hl7.org/fhir/StructureDefinition/Observation","derivation":"constraint","differential":{"element":[{"path":"Observation.code","binding":{"strength":"required","valueSet":"http://t/none"}}]}}`,
	} {
		if err := reg.Set(id, []byte(src)); err != nil {
			t.Fatal(err)
		}
	}
	terms := &wordList{}
	v, err := New(reg, Config{}, terms)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ profile, code, want string }{
		{"p", "abc", ""},
		{"p", "xyz", "error code-invalid Observation.code @1:49 none of the codes is in the required value set http://t/filtered: it does not begin with a"},
		{"q", "abc", "information not-supported Observation.code @1:49 the codes cannot be checked against the value set http://t/none: the value set is not known"},
		{"p", "amissing", ""},
	} {
		src := `{"resourceType":"Observation","status":"final", "code":{"coding":[{"system":"http://t/big","code":"` + c.code + `"}]}}`
		got := ""
		for _, is := range v.Validate(t.Context(), parse(t, []byte(src)), Request{Profiles: []string{"http://t/" + c.profile}, Warnings: true}) {
			if is.Code != "invariant" {
				got += describe(is)
			}
		}
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s of %s: %q, want %q", c.code, c.profile, got, c.want)
		}
	}
	src := `{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://t/big","code":"missing"}]}}`
	issues := v.Validate(t.Context(), parse(t, []byte(src)), Request{Warnings: true})
	if HasErrors(issues) || len(issues) == 0 || !strings.Contains(describe(issues[0]), "warning code-invalid Observation.code.coding[0].code") {
		t.Errorf("a code that its system lacks: %v", issues)
	}
	before := terms.asked
	v.Validate(t.Context(), parse(t, []byte(`{"resourceType":"Patient","gender":"male"}`)), Request{})
	if terms.asked != before {
		t.Error("a value set that can be listed was asked of the terminology")
	}
}
