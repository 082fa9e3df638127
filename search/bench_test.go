package search

import (
	"testing"

	"ingle/fhir"
	"ingle/internal/testdata"
)

// BenchmarkIndexRows is the extraction of one Observation of 1.5 kB.
func BenchmarkIndexRows(b *testing.B) {
	reg := registry(b)
	var doc *fhir.Doc
	for name, data := range testdata.Tar(b, "synthea/synthea-2.4.0-2019.tar.zst") {
		_ = name
		if len(data) < 10000 {
			continue
		}
		for _, body := range literal(b, data) {
			d, err := fhir.Parse(body, fhir.Limits{})
			if err != nil {
				b.Fatal(err)
			}
			if d.Root().Get("resourceType").Text() == "Observation" && d.Root().Get("valueQuantity").Valid() {
				doc = d
				break
			}
		}
		if doc != nil {
			break
		}
	}
	rows, err := reg.IndexRows(doc)
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("%d bytes: %d tokens, %d references, %d dates, %d strings, %d quantities", len(doc.Source()),
		len(rows.Tokens), len(rows.Refs), len(rows.Dates), len(rows.Strings), len(rows.Quantities))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := reg.IndexRows(doc); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCompile is the way from a request to its statement.
func BenchmarkCompile(b *testing.B) {
	reg := registry(b)
	for _, text := range []string{"Patient?family=ann", "Observation?patient=1&code=http://loinc.org|1-1&_sort=-date&_count=50", "Patient?gender=http://hl7.org/fhir/administrative-gender|male",
		"Patient?_has:Observation:patient:code=1-1&_include=Patient:organization", "Patient/1/Observation?date=ge2020"} {
		b.Run(text, func(b *testing.B) {
			req := request(text)
			b.ReportAllocs()
			for b.Loop() {
				q, _, err := reg.Parse(req)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := reg.Compile(q, tables{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
