package noninterference

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	neturl "net/url"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"ingle/authz/redact"
	"ingle/fhir/r4"
	"ingle/search"
)

// restrict removes from a database all that a user may not see. Numbers,
// versions and times of the rest stay. whole is a server on a database that
// holds everything, open to everybody: it tells which resources meet the
// conditions of scopes. hidden are the references that went.
func (u *User) restrict(t testing.TB, url string, whole http.Handler) (hidden map[string]bool) {
	t.Helper()
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	defs := r4.Definitions()

	labels := map[int32][]string{}
	scan := func(sql string, into []any, f func()) {
		t.Helper()
		rows, err := conn.Query(ctx, sql)
		if err == nil {
			_, err = pgx.ForEachRow(rows, into, func() error { f(); return nil })
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var id int32
	var list []string
	scan(`SELECT id, paths FROM label`, []any{&id, &list}, func() { labels[id] = list; list = nil })

	seen := map[int64]bool{}
	meeting := map[string]map[string]bool{} // type → references that meet the scopes
	hidden = map[string]bool{}
	var rid int64
	var label int32
	var rtype, op int16
	var fhirID string
	restricted := map[int64]bool{} // of types on which scopes set conditions: no history
	scan(`SELECT rid, label, rtype, op, fhir_id FROM resource`, []any{&rid, &label, &rtype, &op, &fhirID}, func() {
		typ := defs.TypeName(rtype)
		ref := typ + "/" + fhirID
		conditions, whole1 := u.conditions(typ)
		ok := u.sees(labels[label])
		if ok && !whole1 {
			restricted[rid] = true
			if meeting[typ] == nil {
				meeting[typ] = u.meeting(t, typ, conditions, whole)
			}
			ok = meeting[typ][ref]
			if op == 4 { // of a deleted resource nothing is known but its id
				ok = false
				for _, c := range conditions {
					ok = ok || ref == "Patient/"+c.Patient && c.Query == ""
				}
			}
		}
		if ok {
			seen[rid] = true
		} else {
			hidden[ref] = true
		}
	})
	type version struct {
		rid     int64
		version int32
	}
	var kept []version
	var number int32
	scan(`SELECT rid, version, label FROM resource_history`, []any{&rid, &number, &label}, func() {
		if seen[rid] && !restricted[rid] && u.sees(labels[label]) {
			kept = append(kept, version{rid, number})
		}
	})
	if len(hidden) == 0 {
		return hidden // nothing goes, so the planner's figures stay as well
	}
	rids := make([]int64, 0, len(seen))
	for r := range seen {
		rids = append(rids, r)
	}
	keptRIDs, keptVersions := make([]int64, len(kept)), make([]int32, len(kept))
	for i, v := range kept {
		keptRIDs[i], keptVersions[i] = v.rid, v.version
	}
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := conn.Exec(ctx, sql, args...); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	exec(`CREATE TEMPORARY TABLE seen (rid int8 PRIMARY KEY)`)
	exec(`INSERT INTO seen SELECT unnest($1::int8[])`, rids)
	exec(`INSERT INTO seen SELECT i.rid FROM idx_contained AS i JOIN seen ON seen.rid = i.container`)
	for _, table := range dataTables(t, conn) {
		exec(`DELETE FROM ` + table + ` AS x WHERE NOT EXISTS (SELECT 1 FROM seen WHERE seen.rid = x.rid)`)
	}
	exec(`DELETE FROM resource_history AS x WHERE NOT EXISTS (SELECT 1 FROM unnest($1::int8[], $2::int4[]) AS k(rid, version) WHERE k.rid = x.rid AND k.version = x.version)`,
		keptRIDs, keptVersions)
	if f := u.fields(t); f != nil {
		redacted(t, conn, f)
	}
	exec(`DELETE FROM token AS x WHERE p <> $1 AND NOT EXISTS (SELECT 1 FROM idx_token AS i WHERE i.h = x.h)`, int32(search.LinkParam))
	exec(`DELETE FROM label AS x WHERE id <> 0 AND NOT EXISTS (SELECT 1 FROM resource AS r WHERE r.label = x.id) AND NOT EXISTS (SELECT 1 FROM resource_history AS r WHERE r.label = x.id)`)
	exec(`ANALYZE`)
	return hidden
}

// redacted takes what is hidden out of bodies, and with it the index rows of the
// parameters that rest on it.
func redacted(t testing.TB, conn *pgx.Conn, f *redact.Fields) {
	t.Helper()
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	for _, table := range []string{"resource", "resource_history"} {
		rows, err := conn.Query(t.Context(), `SELECT rid, version, coalesce(body_text, body::text) FROM `+table+` WHERE body IS NOT NULL`)
		if err != nil {
			t.Fatal(err)
		}
		var rids []int64
		var versions []int32
		var bodies []string
		var rid int64
		var version int32
		var body string
		if _, err := pgx.ForEachRow(rows, []any{&rid, &version, &body}, func() error {
			seen, err := f.Remove([]byte(body))
			if string(seen) != body {
				rids, versions, bodies = append(rids, rid), append(versions, version), append(bodies, string(seen))
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		exec(`UPDATE `+table+` AS r SET body = n.body::jsonb, body_text = CASE WHEN r.body_text IS NULL THEN NULL ELSE n.body END
			FROM unnest($1::int8[], $2::int4[], $3::text[]) AS n(rid, version, body) WHERE r.rid = n.rid AND r.version = n.version`, rids, versions, bodies)
	}
	reg := search.NewRegistry(r4.Definitions())
	var ps []int32
	var keys []int64
	for _, typ := range r4.Definitions().ResourceTypes() {
		if len(f.Of(typ)) == 0 {
			continue
		}
		for _, p := range reg.Params(typ) {
			q, _, err := reg.Parse(search.Request{Type: typ, Params: []search.KV{{Name: p.Code + ":missing", Value: "true"}}, Strict: true})
			if err != nil {
				continue
			}
			for _, use := range q.Uses() {
				if slices.ContainsFunc(use.Elements, func(path string) bool { return f.Touches(typ, path) }) {
					ps, keys = append(ps, int32(p.ID)), append(keys, search.ValueKey(p.ID))
				}
			}
		}
	}
	for _, table := range []string{"idx_token", "idx_ref"} {
		exec(`DELETE FROM `+table+` WHERE p = ANY($1::int4[])`, ps)
	}
	for _, table := range []string{"idx_date", "idx_string", "idx_quantity"} {
		exec(`DELETE FROM `+table+` WHERE k = ANY($1::int8[])`, keys)
	}
}

// dataTables are the tables that hold rows of resources.
func dataTables(t testing.TB, conn *pgx.Conn) []string {
	t.Helper()
	rows, err := conn.Query(t.Context(), `SELECT c.table_name::text FROM information_schema.columns AS c JOIN information_schema.tables AS b USING (table_schema, table_name)
		WHERE c.column_name = 'rid' AND c.table_schema = 'public' AND b.table_type = 'BASE TABLE'`)
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(names) < 7 {
		t.Fatalf("tables of resources: %v, %v", names, err)
	}
	return names
}

// meeting are the resources of a type that meet one of the conditions.
func (u *User) meeting(t testing.TB, typ string, conditions []Condition, whole http.Handler) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for _, c := range conditions {
		var sets []map[string]bool
		if c.Patient != "" {
			in := map[string]bool{}
			if r4.Definitions().Compartment("Patient").Params[typ] != nil {
				in = found(t, whole, "/Patient/"+c.Patient+"/"+typ+"?_count=1000&_elements=id")
			}
			if typ == "Patient" {
				in["Patient/"+c.Patient] = true
			}
			sets = append(sets, in)
		}
		if c.Query != "" {
			sets = append(sets, found(t, whole, "/"+typ+"?"+c.Query+"&_count=1000&_elements=id"))
		}
		for ref := range sets[0] {
			if len(sets) == 1 || sets[1][ref] {
				out[ref] = true
			}
		}
	}
	return out
}

// found follows a search to its end.
func found(t testing.TB, h http.Handler, path string) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for next := "/fhir" + path; next != ""; {
		req, err := http.NewRequestWithContext(t.Context(), "GET", next, nil)
		if err != nil {
			t.Fatal(err)
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		var b struct {
			Link  []struct{ Relation, URL string }
			Entry []struct {
				Resource struct{ ResourceType, ID string }
			}
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &b); err != nil || rec.Code != 200 {
			t.Fatalf("%s: %d %v %s", next, rec.Code, err, rec.Body)
		}
		for _, e := range b.Entry {
			out[fmt.Sprint(e.Resource.ResourceType, "/", e.Resource.ID)] = true
		}
		next = ""
		for _, l := range b.Link {
			if l.Relation == "next" {
				next = target(l.URL)
			}
		}
	}
	return out
}

// target is the path and query of a link.
func target(link string) string {
	u, err := neturl.Parse(link)
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(u.RequestURI(), "")
}
