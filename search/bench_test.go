package search

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

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

// BenchmarkPlanned compares a statement that is planned at each call with one
// that is planned once.
func BenchmarkPlanned(b *testing.B) {
	w := newWorld(b, registry(b))
	w.synthea(b, "synthea/synthea-2.4.0-2019.tar.zst", 20)
	w.flush(b, 0)
	rep := w.samples()
	for _, text := range []string{"Patient?identifier=%I", "Observation?patient=%P&code=http://loinc.org|8302-2", "Observation?patient=%P&_sort=-date&_count=10", "Patient?_id=%P", "Patient?family=%F", "Observation?code=http://loinc.org|8302-2",
		"Observation?code=8302-2", "Patient?birthdate=ge%B-01-01&birthdate=lt%B-12-31", "Patient?_id=%P&_revinclude=Condition:patient"} {
		text = rep.Replace(text)
		q, _, err := w.reg.Parse(request(text))
		if err != nil {
			b.Fatal(err)
		}
		st, err := w.reg.Compile(q, tables{})
		if err != nil || !st.Stable {
			b.Fatal(text, err, st.Stable)
		}
		for _, how := range []struct {
			name string
			mode pgx.QueryExecMode
			set  string
		}{{"each", pgx.QueryExecModeCacheDescribe, "SET plan_cache_mode = force_custom_plan"}, {"once", pgx.QueryExecModeCacheStatement, "SET plan_cache_mode = force_generic_plan"}} {
			b.Run(text[:min(len(text), 34)]+" "+how.name, func(b *testing.B) {
				if _, err := w.conn.Exec(context.Background(), how.set); err != nil {
					b.Fatal(err)
				}
				for b.Loop() {
					rows, err := w.conn.Query(context.Background(), st.SQL, append([]any{how.mode}, st.Args...)...)
					if err != nil {
						b.Fatal(err)
					}
					rows.Close()
					if rows.Err() != nil {
						b.Fatal(rows.Err())
					}
				}
			})
		}
	}
}
