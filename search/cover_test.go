package search

import (
	"slices"
	"strings"
	"testing"

	"ingle/fhir"
	"ingle/fhir/r4"
)

func TestCover(t *testing.T) {
	t.Parallel()
	r := NewRegistry(r4.Definitions())
	var got []string
	for _, typ := range r.defs.ResourceTypes() {
		for _, p := range r.Params(typ) {
			if p.parts == nil {
				continue
			}
			var parts []string
			for _, q := range p.parts {
				parts = append(parts, q.Code)
			}
			slices.Sort(parts)
			got = append(got, typ+"."+p.Code+" = "+strings.Join(parts, " + "))
		}
	}
	want := []string{
		"CapabilityStatement.version = fhirversion",
		"Observation.combo-code = code + component-code",
		"Observation.combo-code-value-concept = code-value-concept + component-code-value-concept",
		"Observation.combo-code-value-quantity = code-value-quantity + component-code-value-quantity",
		"Observation.combo-data-absent-reason = component-data-absent-reason + data-absent-reason",
		"Observation.combo-value-concept = component-value-concept + value-concept",
		"Observation.combo-value-quantity = component-value-quantity + value-quantity",
		"Patient.phonetic = name",
		"Person.phonetic = name",
		"Practitioner.phonetic = name",
		"RelatedPerson.phonetic = name",
	}
	if !slices.Equal(got, want) {
		t.Errorf("without rows of their own are\n%s", strings.Join(got, "\n"))
	}
}

// TestCoverLeavesCustomParameters adds a parameter that finds what birthdate
// finds: each keeps its rows, for the one may be deleted again.
func TestCoverLeavesCustomParameters(t *testing.T) {
	t.Parallel()
	r := NewRegistry(r4.Definitions())
	def := &fhir.SearchParam{URL: "http://example.org/a-birth", Code: "a-birth", Type: "date", Base: []string{"Patient"}, Expression: "Patient.birthDate"}
	if err := r.Add(def, Active); err != nil {
		t.Fatal(err)
	}
	doc, err := fhir.Parse([]byte(`{"resourceType":"Patient","birthDate":"1970-01-02"}`), fhir.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := r.IndexRows(doc)
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range []string{"birthdate", "a-birth"} {
		p := r.Param("Patient", code)
		if p == nil || p.parts != nil || !slices.ContainsFunc(rows.Dates, func(d DateRow) bool { return d.K == p.key }) {
			t.Errorf("%s has no rows of its own", code)
		}
	}
}
