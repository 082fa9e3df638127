package profiles

import (
	"bytes"
	"testing"

	"ingle/fhir"
)

// FuzzValidate: no document makes the validator fail, and what it says has a
// place in the document.
func FuzzValidate(f *testing.F) {
	for _, s := range []string{
		`{"resourceType":"Patient","_birthDate":{"extension":[{"url":"http://x/y","valueCode":"a"}]},"name":[{"given":["a",null],"_given":[null,{"id":"x"}]}]}`,
		`{"resourceType":"Observation","contained":[{"resourceType":"Patient","id":"p"}],"subject":{"reference":"#p"},"valueQuantity":{"value":1e2}}`,
		`{"resourceType":"Bundle","type":"document","entry":[{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Composition","section":[{"entry":[{"reference":"Patient/1"}]}]}}]}`,
		`{"resourceType":"Parameters","parameter":[{"name":"a","part":[{"name":"b","resource":{"resourceType":"Basic"}}]}]}`,
		`{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns='x'><p a=\"&amp;\">x</p></div>"}}`,
		`{"resourceType":"StructureDefinition","derivation":"constraint","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient","differential":{"element":[{"path":"Patient.name.x","id":"a:b.c"}]}}`,
		`{"resourceType":"ValueSet","compose":{"include":[{"system":"http://snomed.info/sct","filter":[{"property":"constraint","op":"=","value":"< 1"}]}]}}`,
		`[]`, `{}`, `{"resourceType":{}}`, `{"resourceType":"Extension"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		doc, err := fhir.Parse(src, fhir.Limits{Nodes: 2000})
		if err != nil {
			return
		}
		for _, is := range base().Validate(t.Context(), doc, Request{Warnings: true, Rules: true}) {
			if is.Diagnostics == "" || is.Severity == "" || is.Code == "" {
				t.Errorf("an issue says nothing: %+v", is)
			}
			if is.Line > bytes.Count(src, []byte{'\n'})+1 {
				t.Errorf("line %d of %d", is.Line, bytes.Count(src, []byte{'\n'})+1)
			}
		}
	})
}

// FuzzProfile: no profile makes the compiler or the snapshot generator fail.
func FuzzProfile(f *testing.F) {
	f.Add([]byte(`{"resourceType":"StructureDefinition","url":"http://t/x","type":"Patient","derivation":"constraint","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient",
		"differential":{"element":[{"path":"Patient.name","slicing":{"discriminator":[{"type":"value","path":"use"}],"rules":"closed"}},{"path":"Patient.name","sliceName":"a/b","min":1}]}}`))
	f.Add([]byte(`{"resourceType":"StructureDefinition","url":"http://t/x","type":"Patient","derivation":"constraint","baseDefinition":"http://t/x","differential":{"element":[{"path":"Patient"}]}}`))
	f.Add([]byte(`{"resourceType":"StructureDefinition","url":"http://t/x","type":"Patient","derivation":"constraint","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient",
		"snapshot":{"element":[{"path":"Patient"},{"path":"Patient.contact","contentReference":"#Patient.contact"},{"path":"Patient.contact.name"}]}}`))
	f.Fuzz(func(t *testing.T, src []byte) {
		reg := NewRegistry(base().Registry().Definitions())
		if reg.Set("x", src) != nil {
			return
		}
		v, err := New(reg, Config{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := fhir.Parse([]byte(`{"resourceType":"Patient","name":[{"use":"usual","family":"x"}],"contact":[{"name":{"text":"x"}}],"extension":[{"url":"http://t/x","valueCode":"x"}]}`), fhir.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		v.Validate(t.Context(), doc, Request{Profiles: []string{"http://t/x"}})
		if p, err := fhir.Parse(src, fhir.Limits{}); err == nil {
			_, _ = v.Snapshot(p)
		}
	})
}

// FuzzReadPackage: no archive makes the reader fail.
func FuzzReadPackage(f *testing.F) {
	f.Add(archive(f, map[string]string{"package/package.json": `{"name":"a","version":"1"}`, "package/x.json": `{"resourceType":"ValueSet","url":"http://t"}`}))
	f.Add([]byte("\x1f\x8b"))
	f.Fuzz(func(t *testing.T, src []byte) {
		p, err := ReadPackage(bytes.NewReader(src))
		if (p == nil) == (err == nil) {
			t.Errorf("%v, %v", p, err)
		}
	})
}
