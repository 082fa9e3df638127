package search

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// mix is the search mix of docs/performance.md: each query, with %P for a
// patient's id, %F a family name, %I an identifier, %B a birth year.
var mix = []string{
	"Patient?family=%F",
	"Patient?name:contains=%C",
	"Patient?birthdate=ge%B-01-01&birthdate=lt%B-12-31",
	"Patient?gender=female&family=%F",
	"Patient?identifier=%I",
	"Observation?patient=%P&_sort=-date&_count=50",
	"Observation?patient=%P&code=http://loinc.org|8302-2",
	"Observation?code=http://loinc.org|8302-2",
	"Observation?code=http://loinc.org|99999-9",
	"Observation?code=http://loinc.org|8302-2,http://loinc.org|29463-7,http://loinc.org|39156-5",
	"Observation?patient=%P&category=vital-signs&date=ge2015-01-01",
	"Observation?code-value-quantity=http://loinc.org|8302-2$gt180",
	"Observation?combo-code-value-quantity=http://loinc.org|8480-6$gt135",
	"Encounter?date=2016-05&status=finished",
	"Observation?patient.identifier=%I",
	"Patient?_has:Observation:patient:code=http://loinc.org|8302-2",
	"MedicationRequest?patient=%P&_include=MedicationRequest:*",
	"Patient?_id=%P&_revinclude=Condition:patient",
	"Observation?_lastUpdated=ge2025-01-01T06:00:00Z&_sort=_lastUpdated",
	"Observation?code=http://loinc.org|8302-2&_total=accurate",
	"Observation?code=8302-2",
	"Observation?code=http://loinc.org|8302-2&_sort=-date",
	"Encounter?date=ge2015&status=finished",
	"Observation?date=ge2018&_sort=-date",
	"Condition?patient=%P&clinical-status=active",
	"Observation?patient:Patient.family=%F&code=http://loinc.org|8302-2",
	"Patient/%P/Observation?code=http://loinc.org|8302-2",
	"Patient?_has:Observation:patient:code=http://loinc.org|99999-9",
	"Observation?code:not=http://loinc.org|8302-2",
	"Patient?_sort=family",
}

// TestMix reads the plans of the mix over 112,000 resources: no sequential scan
// of an index table, few pages. It runs with INGLE_LONG=1.
func TestMix(t *testing.T) {
	if os.Getenv("INGLE_LONG") == "" {
		t.Skip("runs with INGLE_LONG=1")
	}
	w := newWorld(t, registry(t))
	bundles := 365
	if s := os.Getenv("INGLE_BUNDLES"); s != "" {
		fmt.Sscan(s, &bundles)
	}
	w.synthea(t, "synthea/synthea-2.4.0-2019-load.tar.zst", bundles)
	w.flush(t, 0)
	if _, err := w.conn.Exec(context.Background(), "VACUUM ANALYZE"); err != nil {
		t.Fatal(err)
	}
	patients := 0
	var p *stored
	for _, s := range w.docs {
		if s.typ == "Patient" {
			patients++
			if patients == 20 {
				p = s
			}
		}
	}
	family := p.doc.Root().Get("name").First().Get("family").Text()
	ident := p.doc.Root().Get("identifier").First()
	t.Logf("%d resources, %d patients", len(w.docs), patients)
	rep := strings.NewReplacer("%P", p.id, "%F", family, "%C", family[1:4], "%I", ident.Get("system").Text()+"|"+ident.Get("value").Text(), "%B", p.doc.Root().Get("birthDate").Text()[:4])
	if q := os.Getenv("INGLE_QUERY"); q != "" {
		mix = strings.Split(q, " ")
	}
	for _, text := range mix {
		text = rep.Replace(text)
		q, _, err := w.reg.Parse(request(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		st, err := w.reg.Compile(q, tables{})
		if err != nil {
			t.Fatal(err)
		}
		if q.Total == TotalAccurate {
			st, _ = w.reg.CompileCount(q, tables{})
		}
		var best time.Duration
		var plan string
		for range 3 {
			var raw []byte
			if err := w.conn.QueryRow(context.Background(), "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "+st.SQL, st.Args...).Scan(&raw); err != nil {
				t.Fatalf("%s: %v\n%s", text, err, st.SQL)
			}
			var x []struct {
				Plan map[string]any
				Time float64 `json:"Execution Time"`
				PT   float64 `json:"Planning Time"`
			}
			if err := json.Unmarshal(raw, &x); err != nil {
				t.Fatal(err)
			}
			if d := time.Duration(x[0].Time * 1e6); best == 0 || d < best {
				best = d
				plan = fmt.Sprintf("%8.2f ms, planning %.2f ms, %5.0f pages, %4.0f rows", x[0].Time, x[0].PT, x[0].Plan["Shared Hit Blocks"], x[0].Plan["Actual Rows"])
			}
			if seq := seqScans(x[0].Plan); len(seq) > 0 {
				plan += " SEQ " + strings.Join(slices.Compact(seq), " ")
			}
		}
		t.Logf("%s  %s", plan, strings.ReplaceAll(text, p.id, "P"))
		if os.Getenv("INGLE_PLANS") != "" {
			rows, _ := w.conn.Query(context.Background(), "EXPLAIN (ANALYZE, BUFFERS) "+st.SQL, st.Args...)
			var lines []string
			for rows.Next() {
				var l string
				_ = rows.Scan(&l)
				lines = append(lines, l)
			}
			t.Logf("%s\n%v\n%s", st.SQL, st.Args, strings.Join(lines, "\n"))
		}
	}
}

func seqScans(n map[string]any) []string {
	var out []string
	if n["Node Type"] == "Seq Scan" && n["Actual Rows"].(float64) > 1000 {
		out = append(out, fmt.Sprint(n["Relation Name"]))
	}
	kids, _ := n["Plans"].([]any)
	for _, k := range kids {
		out = append(out, seqScans(k.(map[string]any))...)
	}
	return out
}
