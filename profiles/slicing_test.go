package profiles

import (
	"fmt"
	"strings"
	"testing"

	"ingle/fhir/r4"
)

// custom is a validator with profiles given by their differentials: type →
// elements as JSON. The profile of the type X has the URL http://t/X.
func custom(t testing.TB, cfg Config, differentials map[string]string) *Validator {
	t.Helper()
	reg := NewRegistry(r4.Definitions())
	for name, elements := range differentials {
		typ, _, _ := strings.Cut(name, "-")
		src := fmt.Sprintf(`{"resourceType":"StructureDefinition","url":"http://t/%s","name":"P","status":"active","kind":"resource","abstract":false,
			"type":%q,"baseDefinition":"http://hl7.org/fhir/StructureDefinition/%s","derivation":"constraint","differential":{"element":[%s]}}`, name, typ, typ, elements)
		if err := reg.Set("StructureDefinition/"+name, []byte(src)); err != nil {
			t.Fatal(err)
		}
	}
	v, err := New(reg, cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

type profileCase struct {
	name    string
	profile string // URL behind http://t/
	src     string
	want    []string // of each error in order: parts of its description
}

func runProfileCases(t *testing.T, v *Validator, cases []profileCase) {
	t.Helper()
	for _, c := range cases {
		issues := errorsOf(v.Validate(t.Context(), parse(t, []byte(c.src)), Request{Profiles: []string{"http://t/" + c.profile}}))
		if len(issues) != len(c.want) {
			t.Errorf("%s: %d errors, want %d", c.name, len(issues), len(c.want))
			for _, is := range issues {
				t.Logf("    %s", describe(is))
			}
			continue
		}
		for i, is := range issues {
			if !strings.Contains(describe(is), c.want[i]) {
				t.Errorf("%s: %s, want %s", c.name, describe(is), c.want[i])
			}
		}
	}
}

const observation = `{"resourceType":"Observation","status":"final","code":{"text":"x"}`

func TestSlicing(t *testing.T) {
	t.Parallel()
	const slicing = `{"path":"Observation.category","slicing":{"discriminator":[{"type":"%s","path":"%s"}],"rules":"%s","ordered":%v}},`
	v := custom(t, Config{}, map[string]string{
		// value: fixed values inside, told by a path of two steps
		"Observation-value": fmt.Sprintf(slicing, "value", "coding.code", "closed", false) +
			`{"path":"Observation.category","sliceName":"a","min":1,"max":"1"},{"path":"Observation.category.coding.code","id":"Observation.category:a.coding.code","min":1,"fixedCode":"a"},
			 {"path":"Observation.category","sliceName":"b","min":0,"max":"1"},{"path":"Observation.category.coding.code","id":"Observation.category:b.coding.code","min":1,"fixedCode":"b"},
			 {"path":"Observation.category.text","id":"Observation.category:b.text","min":1}`,
		// pattern on $this
		"Observation-pattern": fmt.Sprintf(slicing, "pattern", "$this", "open", true) +
			`{"path":"Observation.category","sliceName":"a","min":0,"max":"1","patternCodeableConcept":{"coding":[{"system":"http://s","code":"a"}]}},
			 {"path":"Observation.category","sliceName":"b","min":1,"max":"*","patternCodeableConcept":{"coding":[{"system":"http://s","code":"b"}]}}`,
		// exists
		"Observation-exists": fmt.Sprintf(slicing, "exists", "text", "openAtEnd", false) +
			`{"path":"Observation.category","sliceName":"worded","min":1,"max":"1"},{"path":"Observation.category.text","id":"Observation.category:worded.text","min":1}`,
		// type of a choice
		"Observation-type": `{"path":"Observation.value[x]","slicing":{"discriminator":[{"type":"type","path":"$this"}],"rules":"closed"}},
			 {"path":"Observation.value[x]","sliceName":"valueQuantity","min":0,"max":"1","type":[{"code":"Quantity"}]},
			 {"path":"Observation.value[x].code","id":"Observation.value[x]:valueQuantity.code","min":1,"fixedCode":"mg"}`,
		// the same in short
		"Observation-short": `{"path":"Observation.valueQuantity","min":1},{"path":"Observation.valueQuantity.unit","min":1}`,
		// type behind resolve()
		"Observation-resolve": `{"path":"Observation.performer","slicing":{"discriminator":[{"type":"type","path":"resolve()"}],"rules":"closed"}},
			 {"path":"Observation.performer","sliceName":"who","min":1,"max":"1","type":[{"code":"Reference","targetProfile":["http://hl7.org/fhir/StructureDefinition/Practitioner"]}]}`,
		// profile behind resolve()
		"Observation-profile": `{"path":"Observation.performer","slicing":{"discriminator":[{"type":"profile","path":"resolve()"}],"rules":"open"}},
			 {"path":"Observation.performer","sliceName":"named","min":1,"max":"1","type":[{"code":"Reference","targetProfile":["http://t/Practitioner-named"]}]}`,
		"Practitioner-named": `{"path":"Practitioner.name","min":1}`,
		// slices in a slice, and a slice of a slice
		"Observation-nested": `{"path":"Observation.component","slicing":{"discriminator":[{"type":"value","path":"code"}],"rules":"open"}},
			 {"path":"Observation.component","sliceName":"sys","min":1,"max":"1"},
			 {"path":"Observation.component.code","id":"Observation.component:sys.code","min":1,"patternCodeableConcept":{"coding":[{"code":"sys"}]}},
			 {"path":"Observation.component.code.coding","id":"Observation.component:sys.code.coding","slicing":{"discriminator":[{"type":"value","path":"system"}],"rules":"open"}},
			 {"path":"Observation.component.code.coding","id":"Observation.component:sys.code.coding:loinc","sliceName":"loinc","min":1,"max":"1"},
			 {"path":"Observation.component.code.coding.system","id":"Observation.component:sys.code.coding:loinc.system","min":1,"fixedUri":"http://loinc.org"}`,
	})
	v2 := custom(t, Config{}, map[string]string{
		"Bundle-typed": `{"path":"Bundle.entry","slicing":{"discriminator":[{"type":"type","path":"resource"}],"rules":"open"}},
			{"path":"Bundle.entry","sliceName":"pat","min":1,"max":"1"},{"path":"Bundle.entry.resource","id":"Bundle.entry:pat.resource","min":1,"type":[{"code":"Patient","profile":["http://t/Patient-named"]}]}`,
		"Bundle-profiled": `{"path":"Bundle.entry","slicing":{"discriminator":[{"type":"profile","path":"resource"}],"rules":"closed"}},
			{"path":"Bundle.entry","sliceName":"named","min":0,"max":"1"},{"path":"Bundle.entry.resource","id":"Bundle.entry:named.resource","min":1,"type":[{"code":"Patient","profile":["http://t/Patient-named"]}]}`,
		"Patient-named": `{"path":"Patient.name","min":1}`,
		"Patient-extended": `{"path":"Patient.birthDate.extension","slicing":{"discriminator":[{"type":"value","path":"url"}],"rules":"closed"}},
			{"path":"Patient.birthDate.extension","sliceName":"time","min":1,"max":"1","type":[{"code":"Extension","profile":["http://hl7.org/fhir/StructureDefinition/patient-birthTime"]}]}`,
	})
	bundle := func(list string) string {
		return `{"resourceType":"Bundle","type":"collection","entry":[` + list + `]}`
	}
	runProfileCases(t, v2, []profileCase{
		{"type of an entry's resource", "Bundle-typed", bundle(`{"resource":{"resourceType":"Basic","code":{"text":"x"}}},{"resource":{"resourceType":"Patient","name":[{"text":"x"}]}}`), nil},
		{"a profile on an entry's resource", "Bundle-typed", bundle(`{"resource":{"resourceType":"Patient"}}`), []string{"Bundle.entry[0].resource @1:56 Patient.name occurs 0 times"}},
		{"no entry of the type", "Bundle-typed", bundle(`{"resource":{"resourceType":"Basic","code":{"text":"x"}}}`), []string{"Bundle.entry:pat occurs 0 times"}},
		{"profile of an entry's resource", "Bundle-profiled", bundle(`{"resource":{"resourceType":"Patient","name":[{"text":"x"}]}}`), nil},
		{"another profile", "Bundle-profiled", bundle(`{"resource":{"resourceType":"Patient"}}`), []string{"Bundle.entry[0] @1:55 this fits none of the slices"}},
		{"extension of a primitive", "Patient-extended", `{"resourceType":"Patient","birthDate":"2000-01-01","_birthDate":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthTime","valueDateTime":"2000-01-01T00:00:00Z"}]}}`, nil},
		{"extension of a primitive missing", "Patient-extended", `{"resourceType":"Patient","birthDate":"2000-01-01"}`, []string{"required Patient.birthDate @1:27 Patient.birthDate.extension:time occurs 0"}},
		{"extension in a wrong place", "Patient-named", `{"resourceType":"Patient","name":[{"text":"x"}],"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthTime","valueDateTime":"2000-01-01T00:00:00Z"}]}`, []string{"Patient.extension[0] @1:63 the extension 'http://hl7.org/fhir/StructureDefinition/patient-birthTime' is not allowed on Patient; it is defined for Patient.birthDate"}},
		{"extension of a wrong type", "Patient-named", `{"resourceType":"Patient","name":[{"text":"x"}],"birthDate":"2000-01-01","_birthDate":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthTime","valueString":"x"}]}}`, []string{"Patient.birthDate.extension[0].value.ofType(string)"}},
	})
	category := func(list string) string { return observation + `,"category":[` + list + `]}` }
	runProfileCases(t, v, []profileCase{
		{"value: fits", "Observation-value", category(`{"coding":[{"code":"a"}]},{"coding":[{"code":"b"}],"text":"x"}`), nil},
		{"value: required slice missing", "Observation-value", category(`{"coding":[{"code":"b"}],"text":"x"}`), []string{"required Observation @1:1 Observation.category:a occurs 0 times"}},
		{"value: closed", "Observation-value", category(`{"coding":[{"code":"a"}]},{"coding":[{"code":"c"}]}`), []string{"Observation.category[1]"}},
		{"value: too many", "Observation-value", category(`{"coding":[{"code":"a"}]},{"coding":[{"code":"a"}]}`), []string{"Observation.category[1] @1:106 Observation.category:a occurs more than 1"}},
		{"value: rule inside the slice", "Observation-value", category(`{"coding":[{"code":"a"}]},{"coding":[{"code":"b"}]}`), []string{"Observation.category[1] @1:106 Observation.category:b.text"}},
		{"pattern: open and in order", "Observation-pattern", category(`{"coding":[{"system":"http://s","code":"a"}]},{"text":"other"},{"coding":[{"system":"http://s","code":"b","display":"B"}]}`), nil},
		{"pattern: out of order", "Observation-pattern", category(`{"coding":[{"system":"http://s","code":"b"}]},{"coding":[{"system":"http://s","code":"a"}]}`), []string{"Observation.category[1]"}},
		{"pattern: missing", "Observation-pattern", category(`{"coding":[{"system":"http://other","code":"b"}]}`), []string{"Observation.category:b occurs 0 times"}},
		{"exists: fits", "Observation-exists", category(`{"text":"x"},{"coding":[{"code":"a"}]}`), nil},
		{"exists: open at the end only", "Observation-exists", category(`{"coding":[{"code":"a"}]},{"text":"x"}`), []string{"Observation.category[1]"}},
		{"type: fits", "Observation-type", observation + `,"valueQuantity":{"value":1,"system":"http://unitsofmeasure.org","code":"mg"}}`, nil},
		{"type: rule inside", "Observation-type", observation + `,"valueQuantity":{"value":1,"system":"http://unitsofmeasure.org","code":"kg"}}`, []string{"Observation.value.ofType(Quantity).code @1:132 the value must be exactly \"mg\""}},
		{"type: closed", "Observation-type", observation + `,"valueString":"x"}`, []string{"Observation.value.ofType(string)"}},
		{"short: fits", "Observation-short", observation + `,"valueQuantity":{"value":1,"unit":"mg"}}`, nil},
		{"short: absent", "Observation-short", observation + `}`, []string{"Observation.value[x]", "valueQuantity"}},
		{"short: inside", "Observation-short", observation + `,"valueQuantity":{"value":1}}`, []string{"Observation.value.ofType(Quantity)"}},
		{"resolve: type of the reference", "Observation-resolve", observation + `,"performer":[{"reference":"Practitioner/1"}]}`, nil},
		{"resolve: contained", "Observation-resolve", observation + `,"contained":[{"resourceType":"Practitioner","id":"p"}],"performer":[{"reference":"#p"}]}`, nil},
		{"resolve: other type", "Observation-resolve", observation + `,"performer":[{"reference":"Patient/1"}]}`, []string{"Observation.performer[0]", "Observation @1:1 Observation.performer:who occurs 0"}},
		{"profile: holds", "Observation-profile", observation + `,"contained":[{"resourceType":"Practitioner","id":"p","name":[{"text":"x"}]}],"performer":[{"reference":"#p"}]}`, nil},
		{"profile: does not hold", "Observation-profile", observation + `,"contained":[{"resourceType":"Practitioner","id":"p"}],"performer":[{"reference":"#p"}]}`, []string{"Observation.performer:named occurs 0 times"}},
		{"nested: fits", "Observation-nested", observation + `,"component":[{"code":{"coding":[{"code":"sys"},{"system":"http://loinc.org","code":"1-8"}]}}]}`, nil},
		{"nested: inner slice missing", "Observation-nested", observation + `,"component":[{"code":{"coding":[{"code":"sys"}]}}]}`, []string{"Observation.component[0].code @1:82 Observation.component:sys.code.coding:loinc occurs 0"}},
	})
}

func TestProfileRules(t *testing.T) {
	t.Parallel()
	v := custom(t, Config{}, map[string]string{
		"Patient-rules": `{"path":"Patient.name","min":1,"max":"2"},{"path":"Patient.name.family","maxLength":5,"min":1},{"path":"Patient.photo","max":"0"},
			{"path":"Patient.birthDate","minValueDate":"1900-01-01","maxValueDate":"2020-12-31"},{"path":"Patient.multipleBirth[x]","type":[{"code":"integer"}]},
			{"path":"Patient.maritalStatus","patternCodeableConcept":{"coding":[{"code":"M"}]}},{"path":"Patient.language","fixedCode":"en"},
			{"path":"Patient.generalPractitioner","type":[{"code":"Reference","targetProfile":["http://hl7.org/fhir/StructureDefinition/Organization"],"aggregation":["contained"]}]},
			{"path":"Patient.contact","constraint":[{"key":"t-1","severity":"error","human":"a contact has a name","expression":"name.exists()"}]},
			{"path":"Patient.gender","binding":{"strength":"required","valueSet":"http://hl7.org/fhir/ValueSet/administrative-gender"},"min":1}`,
	})
	patient := func(rest string) string {
		return `{"resourceType":"Patient","gender":"male","name":[{"family":"Abc"}]` + rest + `}`
	}
	runProfileCases(t, v, []profileCase{
		{"fits", "Patient-rules", patient(`,"birthDate":"1950","multipleBirthInteger":2,"maritalStatus":{"coding":[{"code":"M","display":"x"}]},"language":"en","contact":[{"name":{"text":"x"}}]`), nil},
		{"min", "Patient-rules", `{"resourceType":"Patient","gender":"male"}`, []string{"Patient @1:1 Patient.name occurs 0 times, the profile requires at least 1"}},
		{"min by extension only", "Patient-rules", `{"resourceType":"Patient","name":[{"family":"x"}],"_gender":{"id":"x","extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]}}`, []string{"Patient.gender @1:51 no code is given"}},
		{"max", "Patient-rules", `{"resourceType":"Patient","gender":"male","name":[{"family":"a"},{"family":"b"},{"family":"c"}]}`, []string{"Patient.name[2]"}},
		{"prohibited", "Patient-rules", patient(`,"photo":[{"title":"x"}]`), []string{"Patient.photo[0] @1:78 the profile does not allow Patient.photo"}},
		{"maxLength", "Patient-rules", `{"resourceType":"Patient","gender":"male","name":[{"family":"Abcdef"}]}`, []string{"too-long Patient.name[0].family"}},
		{"minValue", "Patient-rules", patient(`,"birthDate":"1850-01-01"`), []string{"Patient.birthDate @1:69 the value must be at least"}},
		{"maxValue", "Patient-rules", patient(`,"birthDate":"2021-01-01"`), []string{"the value must be at most"}},
		{"choice narrowed", "Patient-rules", patient(`,"multipleBirthBoolean":true`), []string{"Patient.multipleBirth.ofType(boolean)"}},
		{"pattern", "Patient-rules", patient(`,"maritalStatus":{"coding":[{"code":"S"}]}`), []string{"Patient.maritalStatus @1:69 the value must have at least"}},
		{"fixed", "Patient-rules", patient(`,"language":"de"`), []string{"Patient.language @1:69 the value must be exactly \"en\""}},
		{"target and aggregation", "Patient-rules", patient(`,"generalPractitioner":[{"reference":"Practitioner/1"}]`), []string{"only Organization may be referred to", "the reference is referenced, but the profile asks that it be contained"}},
		{"invariant", "Patient-rules", patient(`,"contact":[{"gender":"male"}]`), []string{"Patient|4.0.1#pat-1", "t-1: a contact has a name"}},
	})
}

// TestContextInvariant: an extension that says of which elements it is for.
func TestContextInvariant(t *testing.T) {
	t.Parallel()
	v := custom(t, Config{}, nil)
	src := `{"resourceType":"StructureDefinition","url":"http://t/ext","name":"E","status":"active","kind":"complex-type","abstract":false,"type":"Extension",
		"baseDefinition":"http://hl7.org/fhir/StructureDefinition/Extension","derivation":"constraint","context":[{"type":"element","expression":"Patient"}],
		"contextInvariant":["gender = 'female' and %extension.value.exists()"],"differential":{"element":[{"path":"Extension.url","fixedUri":"http://t/ext"},{"path":"Extension.value[x]","min":1,"type":[{"code":"boolean"}]}]}}`
	if err := v.Registry().Set("x", []byte(src)); err != nil {
		t.Fatal(err)
	}
	for gender, want := range map[string]int{"female": 0, "male": 1} {
		doc := parse(t, []byte(`{"resourceType":"Patient","gender":"`+gender+`","extension":[{"url":"http://t/ext","valueBoolean":true}]}`))
		if issues := errorsOf(v.Validate(t.Context(), doc, Request{})); len(issues) != want {
			t.Errorf("%s: %v", gender, issues)
		}
	}
}
