package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"ingle/fhir"
	"ingle/fhir/r4"
	"ingle/internal/pgtest"
	"ingle/internal/testdata"
	"ingle/migrations"
	"ingle/search"
)

// loaded is a database that the limit's own transactions filled.
func loaded(t *testing.T, resources int) (*pgxpool.Pool, string) {
	t.Helper()
	data := testdata.Path(t, "synthea/synthea-2.4.0-2019.tar.zst")
	ctx := t.Context()
	url := pgtest.New(t)
	if _, err := migrations.Up(ctx, url); err != nil {
		t.Fatal(err)
	}
	pool, err := limitPool(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	src := newSource(ctx, []string{data}, 0)
	defer src.stop()
	list, err := src.take(resources)
	if err != nil {
		t.Fatal(err)
	}
	reg := search.NewRegistry(r4.Definitions())
	first := int64(1)
	for _, b := range list {
		p, err := prepare(b, r4.Definitions(), reg)
		if err != nil {
			t.Fatal(err)
		}
		if p.entries != b.entries {
			t.Fatalf("%d of %d entries were prepared", p.entries, b.entries)
		}
		if err := p.write(ctx, pool, first); err != nil {
			t.Fatal(err)
		}
		first += int64(p.entries)
	}
	if _, err := pool.Exec(ctx, "ANALYZE"); err != nil {
		t.Fatal(err)
	}
	return pool, url
}

// drawn is a sample straight from the database.
func drawn(t *testing.T, pool *pgxpool.Pool) *sample {
	t.Helper()
	s := &sample{}
	rows, err := pool.Query(t.Context(), "SELECT body::text FROM resource ORDER BY rid")
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for rows.Next() {
		doc, err := fhir.Parse(slices.Clone(rows.RawValues()[0]), fhir.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		n := doc.Root()
		switch typ := n.Get("resourceType").Text(); typ {
		case "Patient":
			s.addPatient(n)
		case "Observation":
			o := newObservation(n)
			s.observations = append(s.observations, o)
			counts[o.code]++
			s.updated = append(s.updated, n.Get("meta").Get("lastUpdated").Text())
		case "Encounter":
			s.encounters = append(s.encounters, encounter{n.Get("period").Get("start").Text(), n.Get("status").Text()})
		case "MedicationRequest":
			s.withDrugs = append(s.withDrugs, n.Get("subject").Get("reference").Text())
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for c := range counts {
		s.codes = append(s.codes, c)
	}
	slices.SortFunc(s.codes, func(a, b string) int {
		return 2*(counts[b]-counts[a]) + strings.Compare(a, b)
	})
	return s
}

// TestLimitIsRight holds every way in which the searches of the mix are written
// by hand against the oracle: a limit that is quick and wrong limits nothing.
func TestLimitIsRight(t *testing.T) {
	t.Parallel()
	pool, url := loaded(t, 3000)
	s := drawn(t, pool)
	truth, err := newOracle(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer truth.close(context.Background())
	var spec LimitSpec
	type ask struct {
		q    *query
		list []instance
	}
	var asks []ask
	for i, q := range mix() {
		random := rand.New(rand.NewPCG(uint64(i), 1))
		for way, sql := range q.limits {
			a := ask{q: &q}
			lq := LimitQuery{SQL: sql, Count: q.count, Describe: way%2 == 0}
			for len(a.list) < 12 {
				in, ok := q.draw(s, random)
				if !ok {
					t.Fatalf("%s: nothing to draw", q.name)
				}
				a.list, lq.Args = append(a.list, in), append(lq.Args, in.args)
			}
			asks, spec.Queries = append(asks, a), append(spec.Queries, lq)
		}
	}
	handler, err := limitHandler(&spec, pool, pool)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()
	c := newClient(server.URL, nil)
	for n, a := range asks {
		found := 0
		for i, in := range a.list {
			p, err := c.search(t.Context(), fmt.Sprintf("search/%d/%d", n, i))
			if err != nil {
				t.Fatalf("%s: %v", in.path, err)
			}
			if err := truth.check(t.Context(), a.q, in, p); err != nil {
				t.Errorf("%s: %v", in.path, err)
			}
			found += len(p.ids)
		}
		if found == 0 {
			t.Errorf("%s: no search found anything", a.q.name)
		}
		t.Logf("%-50s %d matches", a.q.name, found)
	}
}

// TestLimitWrites runs the single reads and writes of the limit.
func TestLimitWrites(t *testing.T) {
	t.Parallel()
	pool, _ := loaded(t, 100)
	if _, err := pool.Exec(t.Context(), scratchTables); err != nil {
		t.Fatal(err)
	}
	handler, err := limitHandler(&LimitSpec{Templates: [][]byte{[]byte(`{"resourceType":"Observation","code":{"coding":[{"code":"a"}]}`)}}, pool, pool)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()
	c := newClient(server.URL, nil)
	ref := drawn(t, pool).patients[0].ref
	for _, step := range []struct {
		method, path, body string
		status             int
		tag                string
	}{
		{http.MethodGet, "read/" + ref, "", 200, ""},
		{http.MethodPost, "create/a", `{"a":1}`, 201, ""},
		{http.MethodPost, "create/a", `{"a":1}`, 500, ""},
		{http.MethodPost, "create/0/a", `{"a":1}`, 201, ""},
		{http.MethodPost, "create/0/a", `{"a":1}`, 500, ""},
		{http.MethodPut, "update/a", `{"a":2}`, 200, `W/"2"`},
		{http.MethodPut, "update/a", `{"a":3}`, 200, `W/"3"`},
	} {
		var body []byte
		if step.body != "" {
			body = []byte(step.body)
		}
		r, err := c.do(t.Context(), step.method, step.path, body)
		if err != nil {
			t.Fatal(err)
		}
		if r.status != step.status || r.header.Get("ETag") != step.tag {
			t.Errorf("%s %s: %d, ETag %q: %s", step.method, step.path, r.status, r.header.Get("ETag"), r.body)
		}
		r.release()
	}
	var rows int
	if err := pool.QueryRow(t.Context(), "SELECT count(*) FROM idx_token JOIN resource USING (rid) WHERE fhir_id = 'a'").Scan(&rows); err != nil || rows == 0 {
		t.Errorf("%d index rows of the resource, %v", rows, err)
	}
	var history int
	if err := pool.QueryRow(t.Context(), "SELECT count(*) FROM limit_history").Scan(&history); err != nil || history != 2 {
		t.Errorf("%d versions in the history, %v", history, err)
	}
}

func TestRenew(t *testing.T) {
	t.Parallel()
	in := []byte(`{"a":"urn:uuid:563460b4-b997-4772-a548-a9f877eb4c12","b":"x-563460b4-b997-4772-a548-a9f877eb4c12","c":"2000-02-23T12:11:31","d":"563460b4-b997-4772-a548-a9f877eb4c13"}`)
	if string(renew(in, 0)) != string(in) {
		t.Error("round 0 changed the text")
	}
	seen := map[string]bool{}
	for round := range uint32(50) {
		out := string(renew(in, round))
		if len(out) != len(in) || !strings.Contains(out, "2000-02-23T12:11:31") {
			t.Fatalf("round %d: %s", round, out)
		}
		first, again, other := out[15:51], out[60:96], out[len(out)-38:len(out)-2]
		if first != again || first == other || !isUUID([]byte(first)) || !isUUID([]byte(other)) {
			t.Errorf("round %d: %s, %s, %s", round, first, again, other)
		}
		if seen[first] || seen[other] {
			t.Errorf("round %d repeats an id", round)
		}
		seen[first], seen[other] = true, true
	}
}

func TestFigures(t *testing.T) {
	t.Parallel()
	for in, want := range map[float64]string{0: "0", 0.01234: "0.0123", 0.5: "0.500", 1.234: "1.23", 12.34: "12.3", 99.96: "100.0", 1234.5: "1234"} {
		if got := figure(in); got != want {
			t.Errorf("figure(%v) = %s, want %s", in, got, want)
		}
	}
	f := figures{Rates: []float64{10, 30, 20, 40}}
	if f.Rate() != 25 || f.Spread() != 0.8 {
		t.Errorf("median %v, spread %v", f.Rate(), f.Spread())
	}
}
