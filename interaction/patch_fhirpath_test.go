package interaction

import (
	"testing"

	"ingle/fhir"
	"ingle/fhir/r4"
	"ingle/internal/testdata"
)

// The official FHIRPath Patch cases of the FHIR test suite.
func TestFHIRPathPatchSuite(t *testing.T) {
	suite := parse(t, testdata.Read(t, "patch/fhir-patch-tests.json"))
	passed, failed := 0, 0
	for c := suite.Root().First(); c.Valid(); c = c.Next() {
		name := c.Get("name").Text()
		out, err := fhirPathPatch(t.Context(), r4.Definitions(), parse(t, c.Get("input").Raw()), parse(t, c.Get("diff").Raw()), fhir.Limits{})
		switch {
		case c.Get("error").Valid():
			if fhir.AsError(err) == nil {
				failed++
				t.Errorf("%s: got %s, %v; want an error", name, out, err)
				continue
			}
		case err != nil:
			failed++
			t.Errorf("%s: %v", name, err)
			continue
		case !fhir.SameJSON(parse(t, out).Root(), c.Get("output")):
			failed++
			t.Errorf("%s: got\n%s\nwant\n%s", name, out, c.Get("output").Raw())
			continue
		}
		passed++
	}
	t.Logf("patch (FHIRPath Patch): %d passed, %d failed", passed, failed)
	if passed+failed != 33 {
		t.Errorf("%d cases, want 33", passed+failed)
	}
}

func params(ops string) string {
	return `{"resourceType":"Parameters","parameter":[` + ops + `]}`
}

func op(parts string) string { return `{"name":"operation","part":[` + parts + `]}` }

func TestFHIRPathPatch(t *testing.T) {
	const typ, path, name = `{"name":"type","valueCode":"`, `{"name":"path","valueString":"`, `{"name":"name","valueString":"`
	for _, c := range []struct{ about, doc, patch, want string }{
		{"a choice is added under its type", `{"resourceType":"Observation","status":"final"}`,
			op(typ + `add"},` + path + `Observation"},` + name + `value"},{"name":"value","valueQuantity":{"value":1.50}}`),
			`{"resourceType":"Observation","status":"final","valueQuantity":{"value":1.50}}`},
		{"a choice is replaced by another type", `{"resourceType":"Observation","valueQuantity":{"value":1.50},"status":"final"}`,
			op(typ + `replace"},` + path + `Observation.value"},{"name":"value","valueString":"x"}`),
			`{"resourceType":"Observation","valueString":"x","status":"final"}`},
		{"the untouched keeps its spelling", `{ "resourceType" : "Observation", "valueQuantity":{"value":1.500e1}, "status":"final" }`,
			op(typ + `replace"},` + path + `Observation.status"},{"name":"value","valueCode":"amended"}`),
			`{ "resourceType" : "Observation", "valueQuantity":{"value":1.500e1}, "status":"amended" }`},
		{"a primitive goes with its extension", `{"resourceType":"Patient","gender":"male","birthDate":"1970-01-01","_birthDate":{"id":"a"}}`,
			op(typ + `delete"},` + path + `Patient.birthDate"}`),
			`{"resourceType":"Patient","gender":"male"}`},
		{"a name in a list and its place beside", `{"resourceType":"Patient","name":[{"given":["A","B"],"_given":[null,{"id":"b"}]}]}`,
			op(typ + `delete"},` + path + `Patient.name.given[0]"}`),
			`{"resourceType":"Patient","name":[{"given":["B"],"_given":[{"id":"b"}]}]}`},
		{"an extension on a primitive", `{"resourceType":"Patient","birthDate":"1970-01-01"}`,
			op(typ + `add"},` + path + `Patient.birthDate"},` + name + `extension"},{"name":"value","valueExtension":{"url":"http://x","valueCode":"y"}}`),
			`{"resourceType":"Patient","birthDate":"1970-01-01","_birthDate":{"extension":[{"url":"http://x","valueCode":"y"}]}}`},
		{"insert into an empty list", `{"resourceType":"Patient"}`,
			op(typ + `insert"},` + path + `Patient.identifier"},{"name":"index","valueInteger":0},{"name":"value","valueIdentifier":{"value":"1"}}`),
			`{"resourceType":"Patient","identifier":[{"value":"1"}]}`},
		{"deleting what is not there", `{"resourceType":"Patient","active":true}`, op(typ + `delete"},` + path + `Patient.birthDate"}`),
			`{"resourceType":"Patient","active":true}`},
		{"a path with a condition", `{"resourceType":"Patient","telecom":[{"system":"phone","value":"1"},{"system":"email","value":"2"}]}`,
			op(typ + `replace"},` + path + `Patient.telecom.where(system='email').value"},{"name":"value","valueString":"3"}`),
			`{"resourceType":"Patient","telecom":[{"system":"phone","value":"1"},{"system":"email","value":"3"}]}`},
	} {
		got, err := fhirPathPatch(t.Context(), r4.Definitions(), parse(t, []byte(c.doc)), parse(t, []byte(params(c.patch))), fhir.Limits{})
		if err != nil || string(got) != c.want {
			t.Errorf("%s:\n got %s, %v\nwant %s", c.about, got, err, c.want)
		}
	}
	for _, c := range []struct {
		about, patch string
		status       int
	}{
		{"no type", op(path + `Patient"}`), 400},
		{"unknown type", op(typ + `upsert"},` + path + `Patient"}`), 400},
		{"bad path", op(typ + `delete"},` + path + `Patient..x"}`), 400},
		{"no such element", op(typ + `add"},` + path + `Patient"},` + name + `color"},{"name":"value","valueString":"x"}`), 422},
		{"there already", op(typ + `add"},` + path + `Patient"},` + name + `gender"},{"name":"value","valueCode":"male"}`), 422},
		{"several", op(typ + `delete"},` + path + `Patient.name"}`), 422},
		{"index too great", op(typ + `insert"},` + path + `Patient.name"},{"name":"index","valueInteger":3},{"name":"value","valueHumanName":{"text":"x"}}`), 422},
		{"no list", op(typ + `move"},` + path + `Patient.gender"},{"name":"source","valueInteger":0},{"name":"destination","valueInteger":0}`), 422},
		{"the whole", op(typ + `delete"},` + path + `Patient"}`), 422},
		{"computed", op(typ + `replace"},` + path + `Patient.name.count()"},{"name":"value","valueInteger":1}`), 422},
		{"wrong choice", op(typ + `add"},` + path + `Patient"},` + name + `deceased"},{"name":"value","valueQuantity":{"value":1}}`), 422},
	} {
		doc := parse(t, []byte(`{"resourceType":"Patient","gender":"female","name":[{"text":"a"},{"text":"b"}]}`))
		out, err := fhirPathPatch(t.Context(), r4.Definitions(), doc, parse(t, []byte(params(c.patch))), fhir.Limits{})
		if fe := fhir.AsError(err); fe == nil || fe.Status != c.status {
			t.Errorf("%s: got %s, %v; want %d", c.about, out, err, c.status)
		}
	}
}
