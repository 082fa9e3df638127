package profiles

import (
	"bytes"
	"encoding/json"
	"strings"
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
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		v.Validate(b.Context(), doc, req)
	}
}

func BenchmarkObservationBase(b *testing.B) {
	benchmark(b, base(), sample(b, "synthea/synthea-2.4.0-2019.tar.zst", "Observation", "Quantity"), Request{})
}

func BenchmarkPatientBase(b *testing.B) {
	benchmark(b, base(), sample(b, "synthea/synthea-2.4.0-2019.tar.zst", "Patient", ""), Request{})
}

func BenchmarkObservationUSCore(b *testing.B) {
	benchmark(b, withPackages(b, Config{}, usCore), sample(b, "synthea/synthea-2021-uscore.tar.zst", "Observation", "us-core"), Request{})
}

func BenchmarkPatientUSCore(b *testing.B) {
	benchmark(b, withPackages(b, Config{}, usCore), sample(b, "synthea/synthea-2021-uscore.tar.zst", "Patient", ""), Request{})
}

// BenchmarkDecodeTree decodes the same Observation with encoding/json, and
// BenchmarkParse with fhir.Parse, to compare with.
func BenchmarkDecodeTree(b *testing.B) {
	src := sample(b, "synthea/synthea-2021-uscore.tar.zst", "Observation", "us-core")
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		if err := decodeTree(src); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	src := sample(b, "synthea/synthea-2021-uscore.tar.zst", "Observation", "us-core")
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := fhir.Parse(src, fhir.Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}
