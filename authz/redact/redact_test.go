package redact_test

import (
	"strings"
	"testing"

	"ingle/authz/redact"
	"ingle/fhir"
	"ingle/fhir/r4"
)

func fields(t testing.TB, paths map[string][]string) *redact.Fields {
	t.Helper()
	f, err := redact.New(r4.Definitions(), paths)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

var patient = map[string][]string{"Patient": {"name", "contact.name", "deceased[x]", "Patient.identifier"}}

func TestRemove(t *testing.T) {
	f := fields(t, patient)
	for name, tc := range map[string][2]string{
		"nothing":                  {`{"resourceType":"Patient", "id": "1"}`, `{"resourceType":"Patient", "id": "1"}`},
		"at the end":               {`{"id": "1", "resourceType": "Patient", "name": [{"family": "x"}], "text": {"div": "x"}}`, `{"id": "1", "resourceType": "Patient"}`},
		"in front":                 {`{"name": [{"family": "x"}], "text": {"div": "x"}, "resourceType": "Patient"}`, `{"resourceType": "Patient"}`},
		"in the middle":            {`{"id": "1", "name": [{"family": "x"}], "resourceType": "Patient"}`, `{"id": "1", "resourceType": "Patient"}`},
		"choice and its extension": {`{"resourceType": "Patient", "deceasedBoolean": true, "_deceasedBoolean": {"id": "x"}, "active": true}`, `{"resourceType": "Patient", "active": true}`},
		"below a list":             {`{"resourceType": "Patient", "contact": [{"name": {"family": "x"}, "gender": "male"}, {"gender": "female", "name": {"text": "y"}}]}`, `{"resourceType": "Patient", "contact": [{"gender": "male"}, {"gender": "female"}]}`},
		"an element emptied":       {`{"resourceType": "Patient", "contact": [{"name": {"family": "x"}}, {"gender": "female"}]}`, `{"resourceType": "Patient", "contact": [{"gender": "female"}]}`},
		"a list emptied":           {`{"resourceType": "Patient", "contact": [{"name": {"family": "x"}}], "active": true}`, `{"resourceType": "Patient", "active": true}`},
		"run after something inside": {`{"resourceType": "Patient", "contact": [{"name": {"family": "x"}, "gender": "male"}], "name": [{}], "identifier": [{}], "active": true}`,
			`{"resourceType": "Patient", "contact": [{"gender": "male"}], "active": true}`},
		"contained": {`{"resourceType": "Observation", "text": {"div": "x"}, "contained": [{"resourceType": "Patient", "name": [{"family": "x"}], "id": "p"}], "status": "final"}`,
			`{"resourceType": "Observation", "contained": [{"resourceType": "Patient", "id": "p"}], "status": "final"}`},
		"in a Bundle": {`{"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient", "name": [{"family": "x"}], "id": "p"}}]}`,
			`{"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient", "id": "p"}}]}`},
		"references": {`{"resourceType": "Observation", "subject": {"reference": "Patient/1", "identifier": {"value": "1"}, "display": "Ann"}, "performer": [{"reference": "Practitioner/1", "display": "Dr"}, {"display": "Ann"}, {"type": "Practitioner", "display": "Dr"}], "specimen": {"display": "blood"}}`,
			`{"resourceType": "Observation", "subject": {"reference": "Patient/1"}, "performer": [{"reference": "Practitioner/1", "display": "Dr"}, {"type": "Practitioner"}], "specimen": {"display": "blood"}}`},
		"wrong types": {`{"resourceType": "Observation", "contained": [{"resourceType": "Patient", "id": "q"}, {"resourceType": "Practitioner", "id": "r"}], "subject": {"type": "http://hl7.org/fhir/StructureDefinition/Patient", "identifier": {"value": "1"}}, "specimen": {"type": "http://hl7.org/fhir/StructureDefinition/Patient", "display": "Ann"}, "performer": [{"reference": "#q", "type": "Practitioner", "display": "Ann"}, {"reference": "#r", "type": "Patient", "display": "Dr"}, {"reference": "urn:uuid:1", "type": "Practitioner", "display": "Ann"}, {"reference": "#gone", "display": "Ann"}]}`,
			`{"resourceType": "Observation", "contained": [{"resourceType": "Patient", "id": "q"}, {"resourceType": "Practitioner", "id": "r"}], "subject": {"type": "http://hl7.org/fhir/StructureDefinition/Patient"}, "specimen": {"type": "http://hl7.org/fhir/StructureDefinition/Patient"}, "performer": [{"reference": "#q", "type": "Practitioner"}, {"reference": "#r", "type": "Patient", "display": "Dr"}, {"reference": "urn:uuid:1", "type": "Practitioner"}, {"reference": "#gone"}]}`},
		"narratives": {`{"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Composition", "id": "c", "section": [{"title": "t", "text": {"div": "Ann"}, "section": [{"title": "u", "text": {"div": "Ann"}}]}]}}, {"resource": {"resourceType": "List", "contained": [{"resourceType": "Composition", "section": [{"text": {"div": "Ann"}, "title": "t"}]}]}}]}`,
			`{"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Composition", "id": "c", "section": [{"title": "t", "section": [{"title": "u"}]}]}}, {"resource": {"resourceType": "List", "contained": [{"resourceType": "Composition", "section": [{"title": "t"}]}]}}]}`},
		"what no definition tells of": {`{"resourceType": "View", "id": "v", "text": {"div": "Ann"}, "contained": [{"resourceType": "Patient", "id": "p", "name": [{"family": "x"}]}], "about": {"reference": "Patient/p", "display": "Ann", "identifier": {"value": "1"}}, "note": [{"said": {"div": "Ann"}, "text": "t"}], "identifier": [{"value": "v"}]}`,
			`{"resourceType": "View", "id": "v", "contained": [{"resourceType": "Patient", "id": "p"}], "about": {"reference": "Patient/p"}, "note": [{"text": "t"}], "identifier": [{"value": "v"}]}`},
		"an element that no definition tells of": {`{"resourceType": "Observation", "about": {"reference": "Patient/p", "display": "Ann"}, "status": "final"}`, `{"resourceType": "Observation", "about": {"reference": "Patient/p"}, "status": "final"}`},
		"an absolute one":                        {`{"resourceType": "Observation", "subject": {"reference": "http://x.test/fhir/Patient/1", "display": "Ann"}}`, `{"resourceType": "Observation", "subject": {"reference": "http://x.test/fhir/Patient/1"}}`},
	} {
		got, err := f.Remove([]byte(tc[0]))
		if err != nil || string(got) != tc[1] {
			t.Errorf("%s: %v\n got %s\nwant %s", name, err, got, tc[1])
		}
		again, err := f.Remove(got)
		if err != nil || string(again) != string(got) {
			t.Errorf("%s: what is left loses more: %s", name, again)
		}
	}
}

func TestRestore(t *testing.T) {
	f := fields(t, patient)
	const stored = `{"resourceType": "Patient", "id": "1", "text": {"div": "Ann"}, "name": [{"family": "A"}], "gender": "male", "contact": [{"gender": "male", "name": {"text": "B"}}, {"gender": "female", "name": {"text": "C"}}], "link": [{"other": {"reference": "Patient/2", "display": "D"}, "type": "refer"}], "maritalStatus": {"text": "x"}}`
	const seen = `{"resourceType":"Patient","id":"1","gender":"male","contact":[{"gender":"male"},{"gender":"female"}],"link":[{"other":{"reference":"Patient/2"},"type":"refer"}]}`
	for name, tc := range map[string]struct {
		sent, want, refused string
	}{
		"as seen":       {sent: seen, want: `{"resourceType":"Patient","id":"1","gender":"male","contact":[{"gender":"male","name": {"text": "B"}},{"gender":"female","name": {"text": "C"}}],"link":[{"other":{"reference":"Patient/2","display": "D"},"type":"refer"}],"text": {"div": "Ann"},"name": [{"family": "A"}]}`},
		"another value": {sent: `{"resourceType":"Patient","gender":"other"}`, want: `{"resourceType":"Patient","gender":"other","text": {"div": "Ann"},"name": [{"family": "A"}]}`},
		"in another order": {sent: `{"resourceType":"Patient","contact":[{"gender":"female"},{"gender":"male"}]}`,
			want: `{"resourceType":"Patient","contact":[{"gender":"female","name": {"text": "C"}},{"gender":"male","name": {"text": "B"}}],"text": {"div": "Ann"},"name": [{"family": "A"}]}`},
		"one changed": {sent: `{"resourceType":"Patient","contact":[{"gender":"other"},{"gender":"female"}]}`,
			want: `{"resourceType":"Patient","contact":[{"gender":"other","name": {"text": "B"}},{"gender":"female","name": {"text": "C"}}],"text": {"div": "Ann"},"name": [{"family": "A"}]}`},
		"one taken away": {sent: `{"resourceType":"Patient","contact":[{"gender":"female"}]}`,
			want: `{"resourceType":"Patient","contact":[{"gender":"female","name": {"text": "C"}}],"text": {"div": "Ann"},"name": [{"family": "A"}]}`},
		"one added": {sent: `{"resourceType":"Patient","contact":[{"gender":"female"},{"gender":"male"},{"gender":"other"}]}`,
			want: `{"resourceType":"Patient","contact":[{"gender":"female","name": {"text": "C"}},{"gender":"male","name": {"text": "B"}},{"gender":"other"}],"text": {"div": "Ann"},"name": [{"family": "A"}]}`},
		"pointing elsewhere": {sent: `{"resourceType":"Patient","link":[{"other":{"reference":"Patient/3"},"type":"refer"}]}`,
			want: `{"resourceType":"Patient","link":[{"other":{"reference":"Patient/3"},"type":"refer"}],"text": {"div": "Ann"},"name": [{"family": "A"}]}`},
		"one changed and one added":   {sent: `{"resourceType":"Patient","contact":[{"gender":"other"},{"gender":"female"},{"gender":"unknown"}]}`, refused: "which is which"},
		"a hidden element":            {sent: `{"resourceType":"Patient","name":[{"family":"Z"}]}`, refused: "Patient.name"},
		"one below":                   {sent: `{"resourceType":"Patient","contact":[{"name":{"text":"Z"}}]}`, refused: "Patient.contact.name"},
		"its extension":               {sent: `{"resourceType":"Patient","_deceasedBoolean":{"id":"z"}}`, refused: "Patient.deceased"},
		"a narrative":                 {sent: `{"resourceType":"Patient","text":{"div":"z"}}`, refused: "narrative"},
		"hidden in what is contained": {sent: `{"resourceType":"Patient","contained":[{"resourceType":"Patient","id":"q","name":[{"text":"Z"}]}]}`, refused: "Patient.name"},
	} {
		doc, err := fhir.Parse([]byte(tc.sent), fhir.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.Restore(doc, []byte(stored))
		if tc.refused != "" {
			if e := fhir.AsError(err); e == nil || e.Status != 403 || !strings.Contains(e.Error(), tc.refused) {
				t.Errorf("%s: %v, %s", name, err, got)
			}
			continue
		}
		if err != nil || string(got) != tc.want {
			t.Errorf("%s: %v\n got %s\nwant %s", name, err, got, tc.want)
			continue
		}
		// what the caller then sees is what it sent
		back, err := f.Remove(got)
		if doc2, perr := fhir.Parse(back, fhir.Limits{}); err != nil || perr != nil || !fhir.SameJSON(doc.Root(), doc2.Root()) {
			t.Errorf("%s: sent %s, then sees %s", name, tc.sent, back)
		}
	}
	// a new resource may have a narrative, and nothing hidden
	for sent, ok := range map[string]bool{`{"resourceType":"Patient","text":{"div":"z"}}`: true, `{"resourceType":"Patient","name":[{}]}`: false} {
		doc, _ := fhir.Parse([]byte(sent), fhir.Limits{})
		if got, err := f.Restore(doc, nil); (err == nil) != ok || ok && string(got) != sent {
			t.Errorf("new %s: %s, %v", sent, got, err)
		}
	}
}

// TestRestoreKeeps proves with contained resources and emptied lists that what a
// caller does not see outlives its updates.
func TestRestoreKeeps(t *testing.T) {
	f := fields(t, patient)
	for stored, sent := range map[string]string{
		`{"resourceType":"Observation","contained":[{"resourceType":"Patient","id":"p","name":[{"family":"HIDDEN"}],"gender":"male"}],"status":"final"}`:                                `{"resourceType":"Observation","contained":[{"resourceType":"Patient","id":"p","gender":"female"}],"status":"amended"}`,
		`{"resourceType":"Observation","performer":[{"display":"HIDDEN"}],"status":"final"}`:                                                                                            `{"resourceType":"Observation","status":"amended"}`,
		`{"resourceType":"Observation","performer":[{"display":"HIDDEN"},{"reference":"Practitioner/1"}],"status":"final"}`:                                                             `{"resourceType":"Observation","performer":[{"reference":"Practitioner/2"}],"status":"amended"}`,
		`{"resourceType":"Patient","contact":[{"name":{"text":"HIDDEN"}}]}`:                                                                                                             `{"resourceType":"Patient","contact":[{"gender":"male"}]}`,
		`{"resourceType":"Composition","section":[{"title":"a","text":{"div":"HIDDEN"}}]}`:                                                                                              `{"resourceType":"Composition","section":[{"title":"b"}]}`,
		`{"resourceType":"Composition","contained":[{"resourceType":"Patient","id":"q"}],"attester":[{"party":{"reference":"#q","type":"Group","display":"HIDDEN"}}],"status":"final"}`: `{"resourceType":"Composition","contained":[{"resourceType":"Patient","id":"q"}],"attester":[{"party":{"reference":"#q","type":"Group"}}],"status":"amended"}`,
		`{"resourceType":"Bundle","entry":[{"fullUrl":"urn:a","resource":{"resourceType":"Patient","name":[{"text":"HIDDEN"}]}}]}`:                                                      `{"resourceType":"Bundle","entry":[{"fullUrl":"urn:a","resource":{"resourceType":"Patient","active":true}}]}`,
		`{"resourceType":"Observation","subject":{"reference":"Patient/1","identifier":{"value":"HIDDEN"}},"status":"final"}`:                                                           `{"resourceType":"Observation","subject":{"reference":"Patient/1"},"status":"amended"}`,
	} {
		doc, err := fhir.Parse([]byte(sent), fhir.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.Restore(doc, []byte(stored))
		if err != nil || !strings.Contains(string(got), "HIDDEN") {
			t.Errorf("%s over %s: %v, %s", sent, stored, err, got)
			continue
		}
		if seen, err := f.Remove(got); err != nil || strings.Contains(string(seen), "HIDDEN") {
			t.Errorf("%s is seen: %v", seen, err)
		}
	}
}

func TestNew(t *testing.T) {
	for path, fault := range map[string]string{
		"Patient.name":                "",
		"Patient.contact.name.family": "",
		"Observation.value[x]":        "",
		"Observation.value":           "",
		"Patient.nickname":            "no element",
		"Patient.name.nickname":       "no element",
		"Observation.status":          "mandatory",
		"Observation.component.code":  "mandatory",
		"Patient.id":                  "cannot be hidden",
		"Patient.meta.security":       "cannot be hidden",
		"Patient.contained":           "cannot be hidden",
		"Observation.value.system":    "several types",
		"Nothing.name":                "not a resource type",
		"ValueSet.compose":            "works by",
	} {
		typ, _, _ := strings.Cut(path, ".")
		_, err := redact.New(r4.Definitions(), map[string][]string{typ: {path}})
		if (err == nil) != (fault == "") || err != nil && !strings.Contains(err.Error(), fault) {
			t.Errorf("%s: %v", path, err)
		}
	}
	f := redact.Join(fields(t, patient), fields(t, map[string][]string{"Patient": {"contact", "birthDate"}, "Observation": {"component.value"}}))
	for path, touched := range map[string]bool{"name": true, "name.family": true, "contact.telecom": true, "gender": false, "birthDate": true, "text": true} {
		if f.Touches("Patient", path) != touched {
			t.Errorf("Patient.%s", path)
		}
	}
	for path, touched := range map[string]bool{"subject": false, "subject.display": true, "subject.identifier": false, "specimen.display": false, "text.div": true, "code.text": false} {
		if f := fields(t, map[string][]string{"Patient": {"name"}}); f.Touches("Observation", path) != touched {
			t.Errorf("Observation.%s", path)
		}
	}
	if !f.Touches("Observation", "subject.identifier") || !f.Touches("Composition", "section.text.div") || !f.Touches("Basic", "extension.value.identifier") {
		t.Error("what repeats what is hidden")
	}
	if !f.Touches("Observation", "component") || !f.Touches("Observation", "component.value") || f.Touches("Observation", "component.code") || f.Touches("Condition", "code") {
		t.Error("Observation, Condition")
	}
	if got := strings.Join(f.Of("Patient"), " "); got != "birthDate contact deceased identifier name" {
		t.Error(got)
	}
}

func FuzzRestore(t *testing.F) {
	f := fields(t, patient)
	t.Add(`{"resourceType":"Patient","contact":[{"gender":"male","name":{"text":"B"}}]}`, `{"resourceType":"Patient","contact":[{"gender":"male"}]}`)
	t.Add(`{"resourceType":"Observation","subject":{"reference":"Patient/1","display":"x"},"contained":[{"resourceType":"Patient","id":"a","name":[{}]}]}`, `{"resourceType":"Observation"}`)
	t.Fuzz(func(t *testing.T, stored, sent string) {
		doc, err := fhir.Parse([]byte(sent), fhir.Limits{})
		if err != nil || doc.Root().Kind() != fhir.Object {
			return
		}
		if d, err := fhir.Parse([]byte(stored), fhir.Limits{}); err != nil || d.Root().Kind() != fhir.Object {
			return
		}
		got, err := f.Restore(doc, []byte(stored))
		if err != nil {
			return
		}
		if _, err := fhir.Parse(got, fhir.Limits{}); err != nil {
			t.Fatalf("%s over %s: %v: %s", sent, stored, err, got)
		}
	})
}
