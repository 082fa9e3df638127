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

	"github.com/jackc/pgx/v5"
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
	"MedicationRequest?medication.code=http://codes|mix",
	"Medication?_contained=true&code=http://codes|mix",
	"Medication?_contained=both&code=http://codes|mix",
	"Medication?_contained=true&_containedType=contained&code=http://codes|mix&_sort=status",
}

// TestPlans proves that every shape of the mix has an index for each relation
// it reads, with and without labels: with sequential scans priced out of the
// market, none is left.
func TestPlans(t *testing.T) {
	w := newWorld(t, registry(t))
	w.synthea(t, "synthea/synthea-2.4.0-2019.tar.zst", 6)
	w.add(t, []byte(`{"resourceType":"MedicationRequest","id":"mix","contained":[{"resourceType":"Medication","id":"m","code":{"coding":[{"system":"http://codes","code":"mix"}]}}],"medicationReference":{"reference":"#m"}}`), time.Now())
	w.flush(t, 0)
	if _, err := w.conn.Exec(context.Background(), "SET enable_seqscan = off"); err != nil {
		t.Fatal(err)
	}
	w.noSeqScans(t, mix)
}

// noSeqScans fails the test where the plan of a search, with or without labels,
// reads a relation from end to end.
func (w *world) noSeqScans(t *testing.T, searches []string) {
	t.Helper()
	rep := w.samples()
	for _, src := range []Source{tables{w.links}, scoped{tables{w.links}, []int32{0, 7}}, scoped{tables{w.links}, []int32{3, 7}}} {
		w.src = src
		for _, text := range searches {
			text = rep.Replace(text)
			plan, err := w.explain(text, "EXPLAIN (FORMAT JSON) ")
			if err != nil {
				t.Errorf("%s: %v", text, err)
				continue
			}
			if seq := seqScans(plan.Plan, 0); len(seq) > 0 {
				t.Errorf("%s reads %s from end to end", text, strings.Join(seq, ", "))
			}
		}
	}
}

// TestPlansAtTenMillion reads the plans of what is asked of one patient, or by one
// identifier or rare code, as PostgreSQL would make them for ten million
// resources: no table is read from end to end. The statistics are those of a small
// database with its numbers of rows multiplied; a patient's share of them stays, so
// that an index is worth less than it would be.
func TestPlansAtTenMillion(t *testing.T) {
	w := newWorld(t, registry(t))
	w.synthea(t, "synthea/synthea-2.4.0-2019.tar.zst", 10)
	w.flush(t, 0)
	ctx := context.Background()
	if _, err := w.conn.Exec(ctx, "VACUUM ANALYZE"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.conn.Exec(ctx, `UPDATE pg_class SET reltuples = reltuples * $1 WHERE relkind IN ('r', 'i') AND relnamespace = 'public'::regnamespace AND reltuples > 0`, 10_000_000/len(w.docs)); err != nil {
		t.Fatal(err)
	}
	var all []explained
	var raw []byte
	if err := w.conn.QueryRow(ctx, "EXPLAIN (FORMAT JSON) SELECT FROM resource").Scan(&raw); err != nil || json.Unmarshal(raw, &all) != nil || all[0].Plan["Plan Rows"].(float64) < 9e6 {
		t.Fatalf("the statistics are not those of ten million resources: %s, %v", raw, err)
	}
	searches := []string{"Observation?patient=%P", "Condition?subject=Patient/%P", "Patient/%P/*"}
	for _, text := range mix {
		if strings.Contains(text, "%P") || strings.Contains(text, "%I") || strings.Contains(text, "99999-9") {
			searches = append(searches, text)
		}
	}
	w.noSeqScans(t, searches)
}

// samples fills the placeholders of the mix with values of one patient.
func (w *world) samples() *strings.Replacer {
	var p *stored
	n := 0
	for _, s := range w.docs {
		if s.typ == "Patient" {
			if n++; n <= 20 {
				p = s
			}
		}
	}
	family := p.doc.Root().Get("name").First().Get("family").Text()
	ident := p.doc.Root().Get("identifier").First()
	return strings.NewReplacer("%P", p.id, "%F", family, "%C", family[1:4], "%I", ident.Get("system").Text()+"|"+ident.Get("value").Text(), "%B", p.doc.Root().Get("birthDate").Text()[:4])
}

// explained is what EXPLAIN (FORMAT JSON) returns.
type explained struct {
	Plan map[string]any
	Time float64 `json:"Execution Time"`
	PT   float64 `json:"Planning Time"`
}

func (w *world) explain(text, how string) (*explained, error) {
	q, _, err := w.reg.Parse(request(text))
	if err != nil {
		return nil, err
	}
	st, err := w.reg.Compile(q, w.src)
	if err == nil && q.Total == TotalAccurate {
		st, err = w.reg.CompileCount(q, w.src)
	}
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	var raw []byte
	if st.Stable && st.Few { // planned once, for all values alike
		if _, err := w.conn.Exec(ctx, "SET plan_cache_mode = force_generic_plan; PREPARE asked AS "+st.SQL); err != nil {
			return nil, fmt.Errorf("%w\n%s", err, st.SQL)
		}
		values := make([]string, len(st.Args))
		for i, a := range st.Args {
			values[i] = sqlText(a)
		}
		err = w.conn.QueryRow(ctx, how+"EXECUTE asked("+strings.Join(values, ", ")+")", pgx.QueryExecModeSimpleProtocol).Scan(&raw)
		if _, resetErr := w.conn.Exec(ctx, "DEALLOCATE asked; RESET plan_cache_mode"); err == nil {
			err = resetErr
		}
	} else {
		err = w.conn.QueryRow(ctx, how+st.SQL, st.Args...).Scan(&raw)
	}
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, st.SQL)
	}
	var x []explained
	if err := json.Unmarshal(raw, &x); err != nil || len(x) != 1 {
		return nil, fmt.Errorf("read the plan: %w", err)
	}
	return &x[0], nil
}

// sqlText is an argument of a statement as SQL text.
func sqlText(v any) string {
	switch v := v.(type) {
	case int16, int32, int64:
		return fmt.Sprint(v)
	case []int16, []int32, []int64:
		return "'{" + strings.ReplaceAll(strings.Trim(fmt.Sprint(v), "[]"), " ", ",") + "}'"
	case []string:
		return "ARRAY['" + strings.Join(v, "','") + "']"
	case time.Time:
		return "'" + v.Format(time.RFC3339Nano) + "'"
	}
	return "'" + strings.ReplaceAll(fmt.Sprint(v), "'", "''") + "'"
}

// TestMix reads the plans and times of the mix over 112,000 resources, with and
// without labels: no sequential scan. It runs with INGLE_LONG=1;
// INGLE_BUNDLES makes it smaller, INGLE_PLANS=1 prints the plans, INGLE_QUERY
// takes searches of its own.
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
	for _, s := range w.docs {
		s.label = int32(s.rid % 200)
	}
	w.flush(t, 0)
	if _, err := w.conn.Exec(context.Background(), "VACUUM ANALYZE"); err != nil {
		t.Fatal(err)
	}
	rep := w.samples()
	t.Logf("%d resources", len(w.docs))
	asked := mix
	if q := os.Getenv("INGLE_QUERY"); q != "" {
		asked = strings.Split(q, " ")
	}
	var hundred scoped
	for l := range int32(100) {
		hundred.labels = append(hundred.labels, l*2)
	}
	for name, src := range map[string]Source{"all": tables{}, "3 of 200 labels": scoped{labels: []int32{3, 50, 120}}, "100 of 200 labels": hundred} {
		w.src = src
		for _, text := range asked {
			text = rep.Replace(text)
			var best *explained
			for range 3 {
				x, err := w.explain(text, "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ")
				if err != nil {
					t.Fatalf("%s: %v", text, err)
				}
				if best == nil || x.Time < best.Time {
					best = x
				}
			}
			t.Logf("%-17s %8.2f ms, planning %5.2f ms, %5.0f pages, %4.0f rows  %s", name, best.Time, best.PT, best.Plan["Shared Hit Blocks"], best.Plan["Actual Rows"], text)
			if seq := seqScans(best.Plan, 1000); len(seq) > 0 {
				t.Errorf("%s reads %s from end to end", text, strings.Join(seq, ", "))
			}
			if os.Getenv("INGLE_PLANS") != "" {
				plan, _ := json.MarshalIndent(best.Plan, "", " ")
				t.Logf("%s", plan)
			}
		}
	}
}

// seqScans lists the tables that a plan reads from end to end for more rows than least.
func seqScans(n map[string]any, least float64) []string {
	var out []string
	rows, _ := n["Actual Rows"].(float64)
	if n["Node Type"] == "Seq Scan" && rows >= least {
		out = append(out, fmt.Sprint(n["Relation Name"]))
	}
	kids, _ := n["Plans"].([]any)
	for _, k := range kids {
		out = append(out, seqScans(k.(map[string]any), least)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
