package profiles

import (
	"slices"
	"strings"
	"testing"

	"ingle/fhir"
)

// elementDefinition() and slice() in constraints (R4, FHIRPath, 2.9.1).
func TestDefinitionsInConstraints(t *testing.T) {
	t.Parallel()
	rule := func(expression string) string {
		return `{"id":"Observation","path":"Observation","constraint":[{"key":"t-1","severity":"error","human":"it holds","expression":"` + expression + `"}]}`
	}
	const sliced = `{"id":"Observation.code","path":"Observation.code"},
		{"id":"Observation.code.coding","path":"Observation.code.coding","slicing":{"discriminator":[{"type":"value","path":"system"}],"rules":"open"}},
		{"id":"Observation.code.coding:loinc","path":"Observation.code.coding","sliceName":"loinc"},
		{"id":"Observation.code.coding:loinc.system","path":"Observation.code.coding.system","fixedUri":"http://loinc.org"},
		{"id":"Observation.component","path":"Observation.component","slicing":{"discriminator":[{"type":"pattern","path":"code"}],"rules":"open"}},
		{"id":"Observation.component:high","path":"Observation.component","sliceName":"high"},
		{"id":"Observation.component:high.code","path":"Observation.component.code","patternCodeableConcept":{"coding":[{"system":"http://s","code":"h"}]}},
		{"id":"Observation.component:high.extension","path":"Observation.component.extension","slicing":{"discriminator":[{"type":"value","path":"url"}],"rules":"open"}},
		{"id":"Observation.component:high.extension:why","path":"Observation.component.extension","sliceName":"why"},
		{"id":"Observation.component:high.extension:why.url","path":"Observation.component.extension.url","fixedUri":"http://e/why"}`
	const o = `{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://s","code":"x"},{"system":"http://loinc.org","code":"8480-6"}]},
		"contained":[{"resourceType":"Patient","id":"p"}],"subject":{"reference":"#p"},"_effectiveDateTime":{"extension":[{"url":"http://e/why","valueCode":"x"}]},
		"component":[{"code":{"coding":[{"system":"http://s","code":"h"}]},"extension":[{"url":"http://e/why","valueCode":"a"}],"valueQuantity":{"value":1}},
			{"code":{"text":"other"},"extension":[{"url":"http://e/why","valueCode":"b"}]}]}`
	for _, expression := range []string{
		"code.coding.slice('http://t/Observation-sliced', 'loinc').code = '8480-6'",
		"code.slice('http://t/Observation-sliced', 'loinc').code = '8480-6'",
		"component.slice('http://t/Observation-sliced', 'high').value.value = 1",
		"slice('http://t/Observation-sliced', 'high').count() = 1",
		"component.extension.slice('http://t/Observation-sliced', 'why').value.trace('x') = 'a'", // the other component is not in the slice around
		"status.slice('http://t/Observation-sliced', 'high').empty()",
		"contained.slice('http://t/Observation-sliced', 'high').empty()",
		"elementDefinition().path = 'Observation'",
		"status.elementDefinition().binding.strength = 'required'",
		"component.code.elementDefinition().path.distinct() = 'Observation.component.code'",
		"component.first().value.elementDefinition().path = 'Observation.component.value[x]'",
		"component.first().value.value.elementDefinition().path = 'Quantity.value'",
		"effective.elementDefinition().type.code.where($this = 'Period').exists()",
		"effective.extension.elementDefinition().path = 'Element.extension'",
		"effective.extension.value.elementDefinition().path = 'Extension.value[x]'",
		"contained.elementDefinition().path = 'Patient'",
		"contained.id.elementDefinition().path = 'Patient.id'",
		"('x').elementDefinition().empty()",
	} {
		v := custom(t, Config{}, map[string]string{"Observation-rule": rule(expression), "Observation-sliced": sliced})
		runProfileCases(t, v, []profileCase{{expression, "Observation-rule", o, nil}})
		v = custom(t, Config{}, map[string]string{"Observation-rule": rule("(" + expression + ").not()"), "Observation-sliced": sliced})
		runProfileCases(t, v, []profileCase{{"not: " + expression, "Observation-rule", o, []string{"t-1"}}})
	}
	for expression, want := range map[string]string{
		"component.slice('http://t/Observation-sliced', 'low').empty()": `has no slice "low"`,
		"component.slice('http://t/none', 'high').empty()":              "not known",
	} {
		v := custom(t, Config{}, map[string]string{"Observation-rule": rule(expression), "Observation-sliced": sliced})
		issues := v.Validate(t.Context(), parse(t, []byte(o)), Request{Profiles: []string{"http://t/Observation-rule"}, Warnings: true})
		if !slices.ContainsFunc(issues, func(is fhir.Issue) bool { return strings.Contains(is.Diagnostics, want) }) {
			t.Errorf("%s: %v", expression, issues)
		}
	}
}
