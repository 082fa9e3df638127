package search

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ingle/fhir"
	"ingle/fhir/r4"
	"ingle/internal/pgtest"
	"ingle/internal/testdata"
)

// tables is a Source without a scope, for tests of search alone.
type tables struct{ links map[Link]bool }

func (s tables) Linked(l Link) bool { return s.links[l] }

var tableNames = map[Relation]string{Resource: "resource WHERE op <> 4", Token: "idx_token", Ref: "idx_ref", Date: "idx_date",
	String: "idx_string", Quantity: "idx_quantity", Dictionary: "token", Text: "idx_text"}

func (tables) From(rel Relation, types []string, alias string, _ *Args) string {
	return "(" + rowsOf(rel, types, "") + ") AS " + alias
}

// rowsOf selects the rows of a relation that meet a condition, "" for all.
func rowsOf(rel Relation, types []string, where string) string {
	resources, contained := SplitContained(types)
	table := tableNames[rel]
	switch {
	case where != "" && rel == Resource:
		table += " AND " + where
	case where != "":
		table += " WHERE " + where
	}
	if rel != Resource || contained == nil {
		return "SELECT * FROM " + table
	}
	out := "SELECT i.rid, i.rk, r.lu, r.version, i.rtype, i.fhir_id, r.body->'contained'->i.ord AS body, r.body_text, i.container, r.rtype AS box_type, r.fhir_id AS box_id " +
		"FROM idx_contained i JOIN (SELECT * FROM " + table + ") r ON r.rid = i.container"
	if resources != nil {
		out += " UNION ALL SELECT rid, rk, lu, version, rtype, fhir_id, body, body_text, NULL, NULL, NULL FROM " + table
	}
	return out
}

// scoped is a Source that shows the rows of some labels only.
type scoped struct {
	tables
	labels []int32
}

func (s scoped) From(rel Relation, types []string, alias string, args *Args) string {
	if rel == Dictionary {
		return s.tables.From(rel, types, alias, args)
	}
	return "(" + rowsOf(rel, types, "label = ANY("+args.Add(s.labels)+")") + ") AS " + alias
}

// Labels implements FewLabels as the store does.
func (s scoped) Labels() []int32 {
	if len(s.labels) > 8 || slices.Contains(s.labels, 0) {
		return nil
	}
	return s.labels
}

// Under implements FewLabels.
func (s scoped) Under(label string) Source { return under{s, label} }

type under struct {
	scoped
	label string
}

func (u under) From(rel Relation, types []string, alias string, args *Args) string {
	if rel == Dictionary {
		return u.tables.From(rel, types, alias, args)
	}
	return "(" + rowsOf(rel, types, "label = "+u.label+" AND label <> 0 AND (label = ANY("+args.Add(u.labels)+")) IS TRUE") + ") AS " + alias
}

// world is a database with resources in it, and the same resources in memory.
type world struct {
	reg   *Registry
	conn  *pgx.Conn
	src   Source
	links map[Link]bool
	docs  []*stored // in the order of rid
	byKey map[string]*stored
	// inside are the contained resources of the first insideOf docs; see contained
	inside   []*stored
	insideOf int
}

// stored is a resource of the world.
type stored struct {
	rid  int64
	typ  string
	id   string
	lu   time.Time
	doc  *fhir.Doc
	root fhir.Node // the resource in doc
	rows *Rows
	box  *stored // what contains it; nil for any that is not contained
	// label is 0 but in tests of scopes.
	label int32
}

// schema runs the migrations' SQL.
func schema(url string) error {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	files, err := filepath.Glob(filepath.Join(testdata.Root(), "migrations", "sql", "*.up.sql"))
	if err != nil {
		return err
	}
	for _, f := range files {
		sql, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		if _, err := conn.Exec(ctx, string(sql)); err != nil {
			return err
		}
	}
	return nil
}

func newWorld(t testing.TB, reg *Registry) *world {
	t.Helper()
	url := pgtest.Template(t, "search", schema)
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	if _, err := conn.Exec(context.Background(), "SET plan_cache_mode = force_custom_plan; SET max_parallel_workers_per_gather = 0; SET jit = off"); err != nil {
		t.Fatal(err)
	}
	links := map[Link]bool{}
	return &world{reg: reg, conn: conn, src: tables{links}, links: links, byKey: map[string]*stored{}}
}

// add puts resources into memory; flush writes them.
func (w *world) add(t testing.TB, body []byte, lu time.Time) *stored {
	t.Helper()
	doc, err := fhir.Parse(body, fhir.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	s := &stored{rid: int64(len(w.docs) + 1), typ: doc.Root().Get("resourceType").Text(), id: doc.Root().Get("id").Text(), lu: lu, doc: doc, root: doc.Root()}
	if w.byKey[s.typ+"/"+s.id] != nil {
		return nil
	}
	if s.rows, err = w.reg.IndexRows(doc); err != nil {
		t.Fatal(err)
	}
	w.docs = append(w.docs, s)
	w.byKey[s.typ+"/"+s.id] = s
	return s
}

// flush copies everything added since the last flush into the tables.
func (w *world) flush(t testing.TB, from int) {
	t.Helper()
	ctx := context.Background()
	put := func(table string, columns []string, rows [][]any) {
		t.Helper()
		if _, err := w.conn.CopyFrom(ctx, pgx.Identifier{table}, columns, pgx.CopyFromRows(rows)); err != nil {
			t.Fatalf("copy into %s: %v", table, err)
		}
	}
	var res, tok, ref, date, str, qty, inside [][]any
	words := &pgx.Batch{}
	dict := map[int64]CodedToken{}
	index := func(rid int64, label int32, rows *Rows) {
		for _, r := range rows.Tokens {
			tok = append(tok, []any{r.H, rid, label, int32(r.P)})
		}
		for _, r := range rows.Coded {
			dict[r.H] = r
			if r.P == LinkParam {
				w.links[ReadLink(r.System, r.Code)] = true
			}
		}
		for _, r := range rows.Refs {
			ref = append(ref, []any{r.RK, rid, int32(r.P), label})
		}
		for _, r := range rows.Dates {
			date = append(date, []any{r.K, r.Lo, r.Hi, rid, label, r.SMin, r.SMax, r.Wide})
		}
		for _, r := range rows.Strings {
			str = append(str, []any{r.K, rid, label, r.SMin, r.SMax, r.Val, r.Whole, r.Raw})
		}
		for _, r := range rows.Quantities {
			qty = append(qty, []any{r.K, rid, r.Unit, r.UText, r.Sys, label, r.SMin, r.SMax, r.Lo, r.Hi})
		}
		if rows.Words != nil {
			words.Queue("INSERT INTO idx_text (rid, label, words) VALUES ($1, $2, array_to_tsvector($3::text[]))", rid, label, rows.Words)
		}
	}
	for _, s := range w.docs[from:] {
		res = append(res, []any{s.rid, RefKey(s.typ + "/" + s.id), s.lu, int32(1), s.label, w.reg.defs.TypeNumber(s.typ), int16(1), s.id, string(s.doc.Source())})
		index(s.rid, s.label, s.rows)
		for _, c := range s.rows.Contained {
			rid := ContainedRID(s.rid, c.Place.Ord)
			index(rid, s.label, c)
			inside = append(inside, []any{rid, s.label, c.Place.RK, c.Place.RType, c.Place.ID})
		}
	}
	if err := w.conn.SendBatch(ctx, words).Close(); err != nil {
		t.Fatal(err)
	}
	put("resource", []string{"rid", "rk", "lu", "version", "label", "rtype", "op", "fhir_id", "body"}, res)
	put("idx_contained", []string{"rid", "label", "rk", "rtype", "fhir_id"}, inside)
	put("idx_token", []string{"h", "rid", "label", "p"}, tok)
	put("idx_ref", []string{"rk", "rid", "p", "label"}, ref)
	put("idx_date", []string{"k", "lo", "hi", "rid", "label", "smin", "smax", "wide"}, date)
	put("idx_string", []string{"k", "rid", "label", "smin", "smax", "val", "whole", "raw"}, str)
	// COPY in pgx's binary form wants numerics: send them as text.
	if len(qty) > 0 {
		if _, err := w.conn.Exec(ctx, "CREATE TEMP TABLE q (k int8, rid int8, unit int8, utext int8, sys int8, label int4, smin bool, smax bool, lo text, hi text)"); err != nil {
			t.Fatal(err)
		}
		put("q", []string{"k", "rid", "unit", "utext", "sys", "label", "smin", "smax", "lo", "hi"}, qty)
		if _, err := w.conn.Exec(ctx, "INSERT INTO idx_quantity (k, rid, unit, utext, sys, label, smin, smax, lo, hi) SELECT k, rid, unit, utext, sys, label, smin, smax, lo::numeric, hi::numeric FROM q; DROP TABLE q"); err != nil {
			t.Fatal(err)
		}
	}
	b := &pgx.Batch{}
	for _, d := range dict {
		b.Queue("INSERT INTO token (h, p, system, code) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING", d.H, int32(d.P), d.System, d.Code)
	}
	if err := w.conn.SendBatch(ctx, b).Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.conn.Exec(ctx, "ANALYZE"); err != nil {
		t.Fatal(err)
	}
}

// hit is a row that a statement returned.
type hit struct {
	mode    int16
	rid     int64
	rtype   int16
	id      string
	version int32
	lu      time.Time
	body    []byte
	keys    []string
}

func (w *world) run(t testing.TB, st *Statement) ([]hit, error) {
	t.Helper()
	rows, err := w.conn.Query(context.Background(), st.SQL, append([]any{pgx.QueryExecModeCacheDescribe}, st.Args...)...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (h hit, err error) {
		err = r.Scan(&h.mode, &h.rid, &h.rtype, &h.id, &h.version, &h.lu, &h.body, &h.keys)
		return h, err
	})
}

// request reads "Patient?name=x&_sort=y", "Patient/1/Observation?…" or "?_type=…".
func request(text string) Request {
	path, query, _ := strings.Cut(text, "?")
	req := Request{Strict: true, Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	switch parts := strings.Split(path, "/"); len(parts) {
	case 3:
		req.Compartment, req.CompartmentID, req.Type = parts[0], parts[1], parts[2]
		if req.Type == "*" {
			req.Type = ""
		}
	default:
		req.Type = path
	}
	if query == "" {
		return req
	}
	for _, kv := range strings.Split(query, "&") {
		name, value, _ := strings.Cut(kv, "=")
		req.Params = append(req.Params, KV{name, value})
	}
	return req
}

// synthea adds the resources of some Synthea Bundles, with the references of
// the Bundle made literal.
func (w *world) synthea(t testing.TB, archive string, bundles int) {
	t.Helper()
	lu := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	n := 0
	for name, data := range testdata.Tar(t, archive) {
		if !strings.HasSuffix(name, ".json") {
			continue
		}
		if n++; n > bundles {
			return
		}
		for _, body := range literal(t, data) {
			lu = lu.Add(977 * time.Millisecond)
			w.add(t, body, lu)
		}
	}
}

// literal takes the resources out of a transaction Bundle and replaces
// urn:uuid references by Type/id.
func literal(t testing.TB, bundle []byte) [][]byte {
	t.Helper()
	doc, err := fhir.Parse(bundle, fhir.Limits{Nodes: 10_000_000})
	if err != nil {
		t.Fatal(err)
	}
	var pairs []string
	var bodies [][]byte
	for e := doc.Root().Get("entry").First(); e.Valid(); e = e.Next() {
		r := e.Get("resource")
		typ, id := text(r, "resourceType"), text(r, "id")
		full := text(e, "fullUrl")
		if id == "" {
			id = strings.TrimPrefix(full, "urn:uuid:")
		}
		pairs = append(pairs, `"`+full+`"`, `"`+typ+"/"+id+`"`)
		body := bytes.Clone(r.Raw())
		if text(r, "id") == "" {
			body = append([]byte(`{"id":"`+id+`",`), body[1:]...)
		}
		bodies = append(bodies, body)
	}
	rep := strings.NewReplacer(pairs...)
	for i, b := range bodies {
		bodies[i] = []byte(rep.Replace(string(b)))
	}
	return bodies
}

func registry(t testing.TB) *Registry {
	t.Helper()
	return NewRegistry(r4.Definitions())
}
