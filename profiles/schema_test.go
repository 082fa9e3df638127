package profiles

import (
	"encoding/json"
	"strings"
	"testing"

	"ingle/fhir"
	"ingle/internal/testdata"
)

// TestSchemaAgrees: a resource that the closures find nothing against is valid
// by the JSON Schemas of its type and its profiles too.
func TestSchemaAgrees(t *testing.T) {
	t.Parallel()
	testdata.Whole(t)
	v := withPackages(t, Config{}, usCore)
	passed, failed := 0, 0
	try := func(name string, src []byte) {
		doc, err := fhir.Parse(src, fhir.Limits{})
		if err != nil {
			return
		}
		plain := errorsOf(v.Validate(t.Context(), doc, Request{}))
		with := errorsOf(v.Validate(t.Context(), doc, Request{Schema: true}))
		if len(plain) == len(with) {
			passed++
			return
		}
		failed++
		if failed < 20 {
			t.Errorf("%s: %s", name, describe(with[len(with)-1]))
		}
	}
	for name, src := range testdata.Tar(t, "r4-examples.tar.zst") {
		if strings.HasSuffix(name, ".json") && name != "manifest.json" {
			try(name, src)
		}
	}
	for name, src := range packageExamples(t, usCore) {
		try(name, src)
	}
	t.Logf("schema agrees on valid resources: %d passed, %d failed", passed, failed)
	if passed < 900 {
		t.Errorf("only %d resources", passed)
	}
}

// TestSchemaExport: the exported schema is a JSON document that says what the
// definition says.
func TestSchemaExport(t *testing.T) {
	t.Parallel()
	src, err := base().Schema(sdPrefix + "Patient")
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		Schema string `json:"$schema"`
		ID     string `json:"$id"`
		Defs   map[string]struct {
			Properties           map[string]json.RawMessage
			AdditionalProperties bool
		} `json:"$defs"`
	}
	if err := json.Unmarshal(src, &s); err != nil {
		t.Fatal(err)
	}
	if s.ID != sdPrefix+"Patient" || s.Schema != "https://json-schema.org/draft/2020-12/schema" {
		t.Errorf("the schema is %s of %s", s.Schema, s.ID)
	}
	if p := s.Defs["Patient"]; p.Properties["birthDate"] == nil || p.Properties["_birthDate"] == nil || p.Properties["deceasedBoolean"] == nil || p.AdditionalProperties {
		t.Errorf("the schema of Patient lacks properties, or allows any")
	}
	if _, err := base().Schema("http://example.org/none"); err == nil {
		t.Error("an unknown profile has a schema")
	}
}

func BenchmarkSchemaObservationUSCore(b *testing.B) {
	v := withPackages(b, Config{}, usCore)
	src := usCoreObservation(b)
	doc := parse(b, src)
	s, err := v.current().schema("http://hl7.org/fhir/us/core/StructureDefinition/us-core-observation-lab")
	if err != nil {
		b.Fatal(err)
	}
	measure(b, src, func() {
		if f := s.against(doc.Root()); f != nil {
			b.Fatal(f)
		}
	})
}

// BenchmarkSchemaTree makes only the tree that the schema is applied to.
func BenchmarkSchemaTree(b *testing.B) {
	src := usCoreObservation(b)
	doc := parse(b, src)
	measure(b, src, func() { plain(doc.Root()) })
}
