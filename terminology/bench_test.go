package terminology_test

import (
	"testing"

	"ingle/fhir/r4"
	"ingle/terminology"
)

// BenchmarkMember is a required binding on a small value set, as validation
// asks for it at every coded element.
func BenchmarkMember(b *testing.B) {
	svc := terminology.New(terminology.Options{})
	src := terminology.Sources{terminology.Definitions(r4.Definitions())}
	c := terminology.Coding{System: "http://hl7.org/fhir/observation-status", Code: "final"}
	for b.Loop() {
		if m, _, err := svc.Member(b.Context(), src, "http://hl7.org/fhir/ValueSet/observation-status|4.0.1", c); m != terminology.Member || err != nil {
			b.Fatal(m, err)
		}
	}
}

// BenchmarkValidateCode is the whole operation, in memory.
func BenchmarkValidateCode(b *testing.B) {
	svc := terminology.New(terminology.Options{})
	src := terminology.Sources{terminology.Definitions(r4.Definitions())}
	p := params("url", "http://hl7.org/fhir/ValueSet/observation-status", "system", "http://hl7.org/fhir/observation-status", "code", "final")
	for b.Loop() {
		if _, err := svc.ValidateInValueSet(b.Context(), src, p); err != nil {
			b.Fatal(err)
		}
	}
}
