package ncpi

import (
	"encoding/json"
	"syscall"
	"testing"

	"ingle/fhir"
	"ingle/fhir/r4"
	"ingle/internal/testdata"
	"ingle/profiles"
)

func processorTime() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

func measure(b *testing.B, fn func()) {
	b.ReportAllocs()
	fn()
	before := processorTime()
	for b.Loop() {
		fn()
	}
	b.ReportMetric(float64(processorTime()-before)/float64(b.N), "cpu-ns/op")
}

// BenchmarkParticipant validates an example participant against base and NCPI.
func BenchmarkParticipant(b *testing.B) {
	v := validator(b, profiles.Config{})
	doc := participant(b)
	if issues := v.Validate(b.Context(), doc, profiles.Request{}); profiles.HasErrors(issues) {
		b.Fatal(issues)
	}
	measure(b, func() { v.Validate(b.Context(), doc, profiles.Request{}) })
}

func participant(b *testing.B) *fhir.Doc {
	src := testdata.TarFile(b, "ncpi/ncpi-ig-2-0.2.0.tar.zst", "examples/Patient-PT-006SP660.json")
	doc, err := fhir.Parse(src, fhir.Limits{})
	if err != nil {
		b.Fatal(err)
	}
	return doc
}

// BenchmarkParticipantTree decodes the same bytes with encoding/json.
func BenchmarkParticipantTree(b *testing.B) {
	src := participant(b).Source()
	measure(b, func() {
		var v any
		if err := json.Unmarshal(src, &v); err != nil {
			b.Fatal(err)
		}
	})
}

// BenchmarkLoad loads the guide into a registry, as at the start.
func BenchmarkLoad(b *testing.B) {
	measure(b, func() {
		p, err := Package()
		if err != nil {
			b.Fatal(err)
		}
		if err := profiles.NewRegistry(r4.Definitions()).Load(p); err != nil {
			b.Fatal(err)
		}
	})
}

// BenchmarkFirst validates the first resource of a fresh registry: what is
// compiled lazily is compiled then.
func BenchmarkFirst(b *testing.B) {
	p, err := Package()
	if err != nil {
		b.Fatal(err)
	}
	doc := participant(b)
	measure(b, func() {
		reg := profiles.NewRegistry(r4.Definitions())
		if err := reg.Load(p); err != nil {
			b.Fatal(err)
		}
		v, err := profiles.New(reg, profiles.Config{}, nil)
		if err != nil {
			b.Fatal(err)
		}
		v.Validate(b.Context(), doc, profiles.Request{})
	})
}
