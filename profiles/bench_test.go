package profiles

import (
	"bytes"
	"encoding/json"
	"strings"
	"syscall"
	"testing"

	"ingle/fhir"
	"ingle/internal/testdata"
)

// sample returns the first resource of a type in a Synthea set, compact.
func sample(tb testing.TB, archive, resourceType, holding string) []byte {
	tb.Helper()
	for name, src := range testdata.Tar(tb, archive) {
		if !strings.HasSuffix(name, ".json") || strings.Contains(name, "Information") {
			continue
		}
		doc, err := fhir.Parse(src, fhir.Limits{Nodes: 10_000_000})
		if err != nil {
			tb.Fatal(err)
		}
		for e := doc.Root().Get("entry").First(); e.Valid(); e = e.Next() {
			r := e.Get("resource")
			if r.Get("resourceType").Text() == resourceType && bytes.Contains(r.Raw(), []byte(holding)) {
				var out bytes.Buffer
				if err := json.Compact(&out, r.Raw()); err != nil {
					tb.Fatal(err)
				}
				return out.Bytes()
			}
		}
	}
	tb.Fatalf("%s has no %s", archive, resourceType)
	return nil
}

func benchmark(b *testing.B, v *Validator, src []byte, req Request) {
	doc := parse(b, src)
	if issues := v.Validate(b.Context(), doc, req); HasErrors(issues) {
		b.Fatal(describe(errorsOf(issues)[0]))
	}
	measure(b, src, func() { v.Validate(b.Context(), doc, req) })
}

// measure reports the processor time of fn beside the time of the clock, which
// other work on the machine stretches.
func measure(b *testing.B, src []byte, fn func()) {
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	fn()
	before := processorTime()
	for b.Loop() {
		fn()
	}
	b.ReportMetric(float64(processorTime()-before)/float64(b.N), "cpu-ns/op")
}

func processorTime() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

func BenchmarkObservationBase(b *testing.B) {
	benchmark(b, base(), sample(b, "synthea/synthea-2.4.0-2019.tar.zst", "Observation", "Quantity"), Request{})
}

func BenchmarkPatientBase(b *testing.B) {
	benchmark(b, base(), sample(b, "synthea/synthea-2.4.0-2019.tar.zst", "Patient", ""), Request{})
}

// usCoreObservation is an example of US Core without its narrative.
func usCoreObservation(b *testing.B) []byte {
	b.Helper()
	src := packageExamples(b, usCore)["Observation-serum-calcium.json"]
	if src == nil {
		b.Skip("US Core has no such example")
	}
	doc := parse(b, src)
	start, _ := doc.Root().Get("text").KeySpan()
	next, _ := doc.Root().Get("text").Next().KeySpan()
	var out bytes.Buffer
	if err := json.Compact(&out, append(append([]byte{}, src[:start]...), src[next:]...)); err != nil {
		b.Fatal(err)
	}
	return out.Bytes()
}

func BenchmarkObservationUSCore(b *testing.B) {
	benchmark(b, withPackages(b, Config{}, usCore), usCoreObservation(b), Request{})
}

func BenchmarkPatientUSCore(b *testing.B) {
	benchmark(b, withPackages(b, Config{}, usCore), sample(b, "synthea/synthea-2021-uscore.tar.zst", "Patient", ""), Request{})
}

// BenchmarkDecodeTree decodes the same Observation with encoding/json, and
// BenchmarkParse with fhir.Parse, to compare with.
func BenchmarkDecodeTree(b *testing.B) {
	src := usCoreObservation(b)
	measure(b, src, func() {
		if err := decodeTree(src); err != nil {
			b.Fatal(err)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	src := usCoreObservation(b)
	measure(b, src, func() { parse(b, src) })
}
