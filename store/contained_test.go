package store_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"ingle/authz"
	"ingle/fhir"
	"ingle/fhir/r4"
	"ingle/search"
	"ingle/store"
	"ingle/store/storetest"
)

// The index rows of contained resources always are those of what contains them
// now: through updates, labels, moves, deletion and indexing anew.
func TestContainedRowsFollow(t *testing.T) {
	t.Parallel()
	ctx, url := context.Background(), storetest.URL(t)
	reg := search.NewRegistry(r4.Definitions())
	reg.EnableFullText()
	db := storetest.OpenURL(t, url, func(o *store.Options) { o.Registry = reg })
	s, work := db.As(authz.Open()), db.As(authz.System("test"))
	conn, err := pgx.Connect(ctx, url)
	must(t, err)
	defer conn.Close(ctx)

	extract := func(body string) *search.Rows {
		doc, err := fhir.Parse([]byte(body), fhir.Limits{})
		must(t, err)
		rows, err := reg.IndexRows(doc)
		must(t, err)
		return rows
	}
	// same tells what is in the tables against what the current body gives.
	same := func(step string) {
		t.Helper()
		var want []string
		var rid int64
		var label int32
		var body *string
		must(t, conn.QueryRow(ctx, `SELECT rid, label, body::text FROM resource WHERE fhir_id = 'm'`).Scan(&rid, &label, &body))
		note := func(rid int64, rows *search.Rows) {
			n := len(rows.Tokens) + len(rows.Refs) + len(rows.Dates) + len(rows.Strings) + len(rows.Quantities)
			if rows.Words != nil {
				n++
			}
			if rows.Place != nil {
				n++
			}
			want = append(want, fmt.Sprint(rid, label, n))
		}
		if body != nil {
			rows := extract(*body)
			note(rid, rows)
			for _, in := range rows.Contained {
				note(search.ContainedRID(rid, in.Place.Ord), in)
			}
		}
		list, err := conn.Query(ctx, `SELECT rid || ' ' || label || ' ' || count(*) FROM (SELECT rid, label FROM idx_token UNION ALL SELECT rid, label FROM idx_ref UNION ALL
			SELECT rid, label FROM idx_date UNION ALL SELECT rid, label FROM idx_string UNION ALL SELECT rid, label FROM idx_quantity UNION ALL SELECT rid, label FROM idx_text
			UNION ALL SELECT rid, label FROM idx_contained) AS all_rows GROUP BY rid, label`)
		must(t, err)
		have, err := pgx.CollectRows(list, pgx.RowTo[string])
		must(t, err)
		slices.Sort(want)
		slices.Sort(have)
		if !slices.Equal(have, want) {
			t.Errorf("%s: rows %v, want %v", step, have, want)
		}
	}
	body := func(version int, contained ...string) string {
		return fmt.Sprintf(`{"resourceType":"MedicationRequest","id":"m","meta":{"versionId":"%d"},"status":"active","contained":[%s],"medicationReference":{"reference":"#a"}}`,
			version, strings.Join(contained, ","))
	}
	a := `{"resourceType":"Medication","id":"a","code":{"coding":[{"system":"s","code":"one"}],"text":"words"}}`
	b := `{"resourceType":"Organization","id":"b","name":"Maker","identifier":[{"system":"i","value":"7"}]}`
	var old *store.Resource
	write := func(step string, op store.Op, text string, labels ...string) {
		t.Helper()
		c := store.Change{Op: op, Old: old, Type: "MedicationRequest", ID: "m", Version: 1, LastUpdated: db.Time(old), Labels: labels}
		if old != nil {
			c.Version = old.Version + 1
		}
		if op != store.OpDelete {
			c.Body, c.Rows = []byte(text), extract(text)
		}
		must(t, s.Write(ctx, []store.Change{c}))
		old, err = s.Read(ctx, "MedicationRequest", "m")
		must(t, err)
		same(step)
	}
	write("create", store.OpCreate, body(1, a))
	write("one more", store.OpUpdate, body(2, a, b))
	write("another value", store.OpUpdate, body(3, a, strings.Replace(b, "Maker", "Other", 1)))
	write("another order", store.OpUpdate, body(4, b, a))
	write("another id", store.OpUpdate, body(5, strings.Replace(b, `"b"`, `"c"`, 1), a))
	write("of another type", store.OpUpdate, body(6, a, strings.Replace(a, `"a"`, `"d"`, 1), b))
	write("under a label", store.OpUpdate, body(7, a, b), "/programs/x")
	write("under another", store.OpUpdate, body(8, b), "/programs/y")
	write("none", store.OpUpdate, body(9), "/programs/y")
	write("again", store.OpUpdate, body(10, a, b), "/programs/y")
	must(t, work.ReindexOne(ctx, "MedicationRequest", "m"))
	same("indexed anew")
	if _, err := work.StartReindex(ctx, "Medications", []string{"Medication"}, 0); err != nil {
		t.Fatal(err)
	}
	if job, err := work.RunReindex(ctx); err != nil || job.Done != 1 {
		t.Errorf("indexing Medications anew goes through %+v, %v: what contains one is to be among them", job, err)
	}
	same("its type indexed anew")
	if _, err := work.Relabel(ctx, store.Relabelling{From: "/programs/y", To: "/programs/z", Labels: authz.Labels{System: authz.DefaultLabelSystem}}); err != nil {
		t.Fatal(err)
	}
	same("moved")
	old, err = s.Read(ctx, "MedicationRequest", "m")
	must(t, err)
	write("delete", store.OpDelete, "")
	write("and back", store.OpUpdate, body(12, a))
}
