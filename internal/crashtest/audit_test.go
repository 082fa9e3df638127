package crashtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ingle/fhir"
	"ingle/fhir/r4"
	"ingle/search"
)

// version is a version as the database holds it.
type version struct {
	rid     int64
	number  int
	lu      time.Time
	until   time.Time
	op      int
	ref     string
	body    []byte
	current bool
}

// stored reads all versions, by resource and in order.
func stored(t *testing.T, conn *pgx.Conn) map[int64][]version {
	t.Helper()
	defs := r4.Definitions()
	rows, err := conn.Query(t.Context(), `SELECT rid, version, lu, 'infinity'::timestamptz, op, rtype, fhir_id, coalesce(body_text, body::text), true FROM resource
		UNION ALL SELECT h.rid, h.version, h.lu, h.until, h.op, h.rtype, r.fhir_id, coalesce(h.body_text, h.body::text), false
		FROM resource_history AS h JOIN resource AS r ON r.rid = h.rid ORDER BY 1, 2`)
	if err != nil {
		t.Fatal(err)
	}
	out := map[int64][]version{}
	for rows.Next() {
		var v version
		var rtype int16
		var id string
		var until any
		if err := rows.Scan(&v.rid, &v.number, &v.lu, &until, &v.op, &rtype, &id, &v.body, &v.current); err != nil {
			t.Fatal(err)
		}
		v.until, _ = until.(time.Time)
		v.ref = defs.TypeName(rtype) + "/" + id
		out[v.rid] = append(out[v.rid], v)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// checkVersions holds every resource against the rules of versions: from 1
// without a gap, each later than the one before, valid until the next.
func checkVersions(t *testing.T, all map[int64][]version) {
	t.Helper()
	for _, list := range all {
		for i, v := range list {
			switch {
			case v.number != i+1:
				t.Errorf("%s: version %d stands at place %d", v.ref, v.number, i+1)
			case v.current != (i == len(list)-1):
				t.Errorf("%s: version %d of %d: current is %v", v.ref, v.number, len(list), v.current)
			case i > 0 && !v.lu.After(list[i-1].lu):
				t.Errorf("%s: version %d is not later than the one before", v.ref, v.number)
			case i > 0 && !list[i-1].until.Equal(v.lu):
				t.Errorf("%s: version %d is valid until %v, the next begins at %v", v.ref, v.number-1, list[i-1].until, v.lu)
			case (v.op == 4) != (v.body == nil):
				t.Errorf("%s: version %d: operation %d, %d bytes", v.ref, v.number, v.op, len(v.body))
			}
		}
	}
}

// checkLedger holds what is stored against what was acknowledged. Refused
// writes must have left nothing, unknown ones all or nothing.
func checkLedger(t *testing.T, l *ledger, all map[int64][]version) {
	t.Helper()
	byRef := map[string][]version{}
	byMarker := map[string][]version{}
	for _, list := range all {
		byRef[list[0].ref] = list
		for _, v := range list {
			if v.body == nil {
				continue
			}
			root := parse(t, v.body)
			if strings.HasPrefix(root.Get("meta").Get("source").Text(), "https://packages.fhir.org/") {
				continue // the server's own: what is built in
			}
			m := root.Get("identifier").First().Get("value").Text()
			byMarker[m] = append(byMarker[m], v)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, odd := range l.odd {
		t.Errorf("strange: %s", odd)
	}
	l.odd = nil
	known := map[string]bool{}
	counts := map[outcome]int{}
	for _, e := range l.entries {
		counts[e.outcome]++
		if e.deleted {
			list := byRef[e.ref]
			there := len(list) >= e.version && list[e.version-1].op == 4
			if e.outcome == acknowledged && !there {
				t.Errorf("the acknowledged delete of %s at version %d is lost", e.ref, e.version)
			}
			continue
		}
		known[e.marker] = true
		found := byMarker[e.marker]
		switch {
		case len(found) != 0 && len(found) != e.count:
			t.Errorf("%s: %d of %d versions of one write are stored", e.marker, len(found), e.count)
		case e.outcome == acknowledged && len(found) == 0:
			t.Errorf("%s: an acknowledged write is lost", e.marker)
		case e.outcome == refused && len(found) != 0:
			t.Errorf("%s: a refused write is stored", e.marker)
		case e.outcome == acknowledged && e.version > 0 && (found[0].number != e.version || found[0].ref != e.ref):
			t.Errorf("%s: acknowledged as %s version %d, stored as %s version %d", e.marker, e.ref, e.version, found[0].ref, found[0].number)
		}
	}
	for m := range byMarker {
		if !known[m] {
			t.Errorf("%s is stored, and nobody wrote it", m)
		}
	}
	t.Logf("ledger: %d writes acknowledged, %d refused, %d with an unknown outcome; %d resources", counts[acknowledged], counts[refused], counts[unknown], len(all))
}

// checkIndex extracts the index rows of every current resource anew and holds
// them against the tables.
func checkIndex(t *testing.T, conn *pgx.Conn, all map[int64][]version) {
	t.Helper()
	reg := search.NewRegistry(r4.Definitions())
	want := map[string]map[string]int{}
	put := func(table, row string) {
		if want[table] == nil {
			want[table] = map[string]int{}
		}
		want[table][row] = 1 // one row for each distinct value
	}
	text := func(s *string) string {
		if s == nil {
			return "∅"
		}
		return *s
	}
	tokens := map[int64]bool{}
	var index func(rid int64, rows *search.Rows)
	index = func(rid int64, rows *search.Rows) {
		for _, r := range rows.Tokens {
			put("idx_token", fmt.Sprint(rid, 0, r.H, int32(r.P)))
		}
		for _, r := range rows.Refs {
			put("idx_ref", fmt.Sprint(rid, 0, r.RK, int32(r.P)))
		}
		for _, r := range rows.Dates {
			put("idx_date", fmt.Sprint(rid, 0, r.K, r.Lo, r.Hi, r.SMin, r.SMax, r.Wide))
		}
		for _, r := range rows.Strings {
			put("idx_string", fmt.Sprintf("%d 0 %d %q %q %q %v %v", rid, r.K, r.Val, text(r.Whole), text(r.Raw), r.SMin, r.SMax))
		}
		for _, r := range rows.Quantities {
			put("idx_quantity", fmt.Sprint(rid, 0, r.K, " ", number(t, r.Lo), " ", number(t, r.Hi), r.Unit, r.UText, r.Sys, r.SMin, r.SMax))
		}
		for _, c := range rows.Coded {
			tokens[c.H] = true
		}
		if at := rows.Place; at != nil {
			put("idx_contained", fmt.Sprint(rid, 0, at.RK, at.RType, at.ID))
		}
		for _, in := range rows.Contained {
			index(search.ContainedRID(rid, in.Place.Ord), in)
		}
	}
	for rid, list := range all {
		v := list[len(list)-1]
		if v.body == nil {
			continue
		}
		doc, err := fhir.Parse(v.body, fhir.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		rows, err := reg.IndexRows(doc)
		if err != nil {
			t.Fatal(err)
		}
		index(rid, rows)
	}
	have := map[string]map[string]int{}
	scan := func(table, columns string, row func(pgx.Rows) (string, error)) {
		have[table] = map[string]int{}
		rows, err := conn.Query(t.Context(), "SELECT "+columns+" FROM "+table)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			s, err := row(rows)
			if err != nil {
				t.Fatal(err)
			}
			have[table][s]++
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	var rid, k, lo, hi, unit, utext, sys int64
	var label, p int32
	var smin, smax, wide bool
	var val, slo, shi string
	var whole, raw *string
	scan("idx_token", "rid, label, h, p", func(r pgx.Rows) (string, error) {
		err := r.Scan(&rid, &label, &k, &p)
		return fmt.Sprint(rid, label, k, p), err
	})
	scan("idx_ref", "rid, label, rk, p", func(r pgx.Rows) (string, error) {
		err := r.Scan(&rid, &label, &k, &p)
		return fmt.Sprint(rid, label, k, p), err
	})
	scan("idx_date", "rid, label, k, lo, hi, smin, smax, wide", func(r pgx.Rows) (string, error) {
		err := r.Scan(&rid, &label, &k, &lo, &hi, &smin, &smax, &wide)
		return fmt.Sprint(rid, label, k, lo, hi, smin, smax, wide), err
	})
	scan("idx_string", "rid, label, k, val, whole, raw, smin, smax", func(r pgx.Rows) (string, error) {
		whole, raw = nil, nil
		err := r.Scan(&rid, &label, &k, &val, &whole, &raw, &smin, &smax)
		return fmt.Sprintf("%d %d %d %q %q %q %v %v", rid, label, k, val, text(whole), text(raw), smin, smax), err
	})
	scan("idx_quantity", "rid, label, k, lo::text, hi::text, unit, utext, sys, smin, smax", func(r pgx.Rows) (string, error) {
		err := r.Scan(&rid, &label, &k, &slo, &shi, &unit, &utext, &sys, &smin, &smax)
		return fmt.Sprint(rid, label, k, " ", number(t, slo), " ", number(t, shi), unit, utext, sys, smin, smax), err
	})
	scan("idx_contained", "rid, label, rk, rtype, fhir_id", func(r pgx.Rows) (string, error) {
		var rtype int16
		err := r.Scan(&rid, &label, &k, &rtype, &val)
		return fmt.Sprint(rid, label, k, rtype, val), err
	})
	n := 0
	for _, table := range []string{"idx_contained", "idx_token", "idx_ref", "idx_date", "idx_string", "idx_quantity"} {
		differ := 0
		for row := range want[table] {
			n++
			if have[table][row] == 0 {
				if differ++; differ <= 3 {
					t.Errorf("%s lacks the row %s", table, row)
				}
			}
		}
		for row, times := range have[table] {
			if want[table][row] == 0 || times != 1 {
				if differ++; differ <= 6 {
					t.Errorf("%s has the row %s %d times, which belongs to no current resource or stands there once", table, row, times)
				}
			}
		}
		if differ > 0 {
			t.Errorf("%s differs from the resources in %d rows", table, differ)
		}
	}
	rows, err := conn.Query(t.Context(), "SELECT h FROM token")
	if err != nil {
		t.Fatal(err)
	}
	hs, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hs {
		delete(tokens, h)
	}
	if len(tokens) > 0 {
		t.Errorf("the dictionary of tokens lacks %d keys", len(tokens))
	}
	if n == 0 {
		t.Error("there are no index rows at all")
	}
	t.Logf("index: %d rows agree with the resources", n)
}

// number writes decimals alike, however many zeros they end in.
func number(t *testing.T, s string) string {
	t.Helper()
	if i := slices.Index([]byte(s), '.'); i >= 0 {
		for s[len(s)-1] == '0' {
			s = s[:len(s)-1]
		}
		if s[len(s)-1] == '.' {
			s = s[:len(s)-1]
		}
	}
	return s
}
