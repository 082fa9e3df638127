package noninterference

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ingle/authz"
	"ingle/fhir"
	"ingle/fhir/r4"
	"ingle/interaction"
	"ingle/internal/demo"
	"ingle/internal/pgtest"
	"ingle/migrations"
	"ingle/profiles"
	"ingle/search"
	"ingle/store"
)

// World is a database with labelled resources, and what a generator of requests
// knows of them: everything, since an attacker may.
type World struct {
	reg       *search.Registry
	validator *profiles.Validator
	refs      []string            // "Type/id", deleted ones too
	byType    map[string][]string // ids
	types     []string
	body      map[string]string   // current bodies, by reference
	values    map[string][]string // what occurs, by "Type.code", as it stands in a URL
}

const base = "http://fhir.test/fhir"

// url makes a database with the world's data.
func url(t testing.TB) string {
	t.Helper()
	return pgtest.Template(t, "noninterference", func(url string) error { return build(url, synthea(t)) })
}

// NewWorld loads the data if need be and reads what requests are made of.
func NewWorld(t testing.TB) *World {
	t.Helper()
	defs := r4.Definitions()
	w := &World{reg: search.NewRegistry(defs), byType: map[string][]string{}, body: map[string]string{}, values: map[string][]string{}}
	var err error
	if w.validator, err = profiles.New(profiles.NewRegistry(defs), profiles.Config{}, nil); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), url(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := w.read(t.Context(), conn, defs); err != nil {
		t.Fatal(err)
	}
	return w
}

// build stores the demo cohort and some more people with labels spread over its resources, then
// changes, moves and deletes some of them, so that there is a history.
func build(url string, people []map[string]any) error {
	ctx := context.Background()
	if _, err := migrations.Up(ctx, url); err != nil {
		return err
	}
	defs := r4.Definitions()
	reg := search.NewRegistry(defs)
	db, err := store.Open(ctx, store.Options{URL: url, Registry: reg, Defs: defs, Consent: store.ConsentOptOut, Now: steps(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), 7*time.Second)})
	if err != nil {
		return err
	}
	defer db.Close()
	svc, err := interaction.New(interaction.Config{Database: db, Registry: reg, Definitions: defs, UpdateCreate: true})
	if err != nil {
		return err
	}
	session := db.As(authz.Open())
	send := func(req *interaction.Request) error {
		req.ContentType, req.BaseURL = "application/fhir+json", base
		if resp := svc.Do(ctx, session, req); resp.Status >= 400 {
			return fmt.Errorf("load: %d %v %v", resp.Status, resp.Err, resp.Issues)
		}
		return nil
	}
	var all []map[string]any
	for text := range demo.Bundles() {
		var b map[string]any
		if err := decode(text, &b); err != nil {
			return err
		}
		for _, e := range b["entry"].([]any) {
			r := e.(map[string]any)["resource"].(map[string]any)
			label(r, labelsOf(r))
			all = append(all, r)
		}
		if err := send(&interaction.Request{Kind: interaction.Batch, Body: encode(b)}); err != nil {
			return err
		}
	}
	more := slices.Concat(lists(all), codes(), guests(), consents(), people)
	for _, r := range more {
		label(r, labelsOf(r))
		if err := send(&interaction.Request{Kind: interaction.Update, Type: r["resourceType"].(string), ID: r["id"].(string), Body: encode(r)}); err != nil {
			return err
		}
	}
	all = append(all, more...)
	rnd := rand.New(rand.NewPCG(11, 4))
	for i := range 260 {
		r := all[rnd.IntN(len(all))]
		typ, id := r["resourceType"].(string), r["id"].(string)
		switch {
		case i%6 == 0:
			if err := send(&interaction.Request{Kind: interaction.Delete, Type: typ, ID: id}); err != nil {
				return err
			}
			continue
		case i%3 == 0: // moved
			label(r, []string{paths[rnd.IntN(len(paths))]})
		case i%7 == 0:
			label(r, nil)
		}
		r["language"] = []string{"en", "de", "fr"}[i%3]
		if err := send(&interaction.Request{Kind: interaction.Update, Type: typ, ID: id, Body: encode(r)}); err != nil {
			return err
		}
	}
	return nil
}

// steps is a clock that goes on at each look.
func steps(from time.Time, step time.Duration) func() time.Time {
	var mu sync.Mutex
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		from = from.Add(step)
		return from
	}
}

// paths are the labels that occur.
var paths = []string{
	"/programs/rare/projects/one",
	"/programs/a/projects/p0", "/programs/a/projects/p1", "/programs/a/projects/p2", "/programs/a/projects/p3",
	"/programs/b/projects/q0", "/programs/b/projects/q1", "/programs/b/projects/q2",
	"/programs/ab/projects/p0", "/open",
}

// labelsOf spreads labels: by patient, with some resources on two projects,
// some on another than their patient, some on none.
func labelsOf(r map[string]any) []string {
	n := number(r["resourceType"].(string) + "/" + r["id"].(string))
	subject := patientOf(r)
	own := paths[len(paths)-1]
	switch {
	case subject == "demo-p01":
		own = paths[0]
	case subject != "":
		own = paths[1+number(subject)%8]
	case n%3 == 0:
		own = paths[1+n/3%8]
	}
	switch n % 50 {
	case 0:
		return nil
	case 1, 2, 3, 4, 5:
		return []string{own, paths[n/50%len(paths)]}
	case 6, 7, 8:
		return []string{paths[n/50%len(paths)]}
	}
	return []string{own}
}

func number(s string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(s))
	return int(h.Sum32() >> 1)
}

// patientOf is the id of the patient that a resource is about, "" for none.
func patientOf(r map[string]any) string {
	if r["resourceType"] == "Patient" {
		return r["id"].(string)
	}
	for _, name := range []string{"subject", "patient", "individual"} {
		if ref, ok := r[name].(map[string]any); ok {
			if text, ok := ref["reference"].(string); ok && strings.HasPrefix(text, "Patient/") {
				return text[len("Patient/"):]
			}
		}
	}
	return ""
}

// label gives a resource these labels and no others.
func label(r map[string]any, labels []string) {
	meta, _ := r["meta"].(map[string]any)
	if meta == nil {
		meta = map[string]any{}
		r["meta"] = meta
	}
	delete(meta, "security")
	var codings []any
	for _, l := range slices.Compact(slices.Sorted(slices.Values(labels))) {
		codings = append(codings, map[string]any{"system": authz.DefaultLabelSystem, "code": l})
	}
	if codings != nil {
		meta["security"] = codings
	}
	if len(meta) == 0 {
		delete(r, "meta")
	}
}

func decode(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return d.Decode(v)
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // of what was decoded before
	}
	return b
}

// most bounds the values that are kept of one parameter.
const most = 60

// read learns what is in the database.
func (w *World) read(ctx context.Context, conn *pgx.Conn, defs *fhir.Definitions) error {
	byKey := map[int64]string{}
	rows, err := conn.Query(ctx, `SELECT rtype, fhir_id, rk, coalesce(body_text, body::text, '') FROM resource ORDER BY rid`)
	if err != nil {
		return err
	}
	var rtype int16
	var id, body string
	var key int64
	if _, err := pgx.ForEachRow(rows, []any{&rtype, &id, &key, &body}, func() error {
		typ := defs.TypeName(rtype)
		ref := typ + "/" + id
		w.refs = append(w.refs, ref)
		w.byType[typ] = append(w.byType[typ], id)
		byKey[key] = ref
		if body != "" {
			w.body[ref] = body
		}
		return nil
	}); err != nil {
		return err
	}
	params, keys := map[int32]string{}, map[int64]string{}
	for typ := range w.byType {
		w.types = append(w.types, typ)
		for _, p := range w.reg.Params(typ) {
			params[int32(p.ID)], keys[search.ValueKey(p.ID)] = typ+"."+p.Code, typ+"."+p.Code
		}
	}
	slices.Sort(w.types)
	add := func(name, value string) {
		if list := w.values[name]; name != "" && value != "" && len(list) < most && !slices.Contains(list, value) {
			w.values[name] = append(list, value)
		}
	}
	each := func(sql string, into []any, f func()) error {
		rows, err := conn.Query(ctx, sql)
		if err != nil {
			return err
		}
		_, err = pgx.ForEachRow(rows, into, func() error { f(); return nil })
		return err
	}
	var p int32
	var k, micros int64
	var system, code, text string
	if err := each(`SELECT p, system, code FROM token ORDER BY h`, []any{&p, &system, &code}, func() {
		switch {
		case system == "":
			add(params[p], escaped(code))
		case len(code)%3 == 0:
			add(params[p], escaped(code))
		default:
			add(params[p], escaped(system)+"|"+escaped(code))
		}
	}); err != nil {
		return err
	}
	if err := each(`SELECT p, rk FROM idx_ref ORDER BY rid, rk`, []any{&p, &k}, func() { add(params[p], byKey[k]) }); err != nil {
		return err
	}
	if err := each(`SELECT k, lo FROM idx_date WHERE lo > -60000000000000000 ORDER BY lo % 9973, rid`, []any{&k, &micros}, func() {
		at := time.UnixMicro(micros).UTC()
		add(keys[k], at.Format([]string{"2006-01-02", "2006-01", "2006", "2006-01-02T15:04:05Z"}[micros/1000000%4]))
	}); err != nil {
		return err
	}
	if err := each(`SELECT k, coalesce(raw, val) FROM idx_string ORDER BY val`, []any{&k, &text}, func() { add(keys[k], escaped(text)) }); err != nil {
		return err
	}
	if err := each(`SELECT k, lo::text FROM idx_quantity WHERE lo > -1e9 AND lo < 1e9 ORDER BY lo % 17, rid`, []any{&k, &text}, func() { add(keys[k], text) }); err != nil {
		return err
	}
	for _, ref := range w.refs {
		var r struct {
			Identifier json.RawMessage
			Text       struct{ Div string }
		}
		if w.body[ref] == "" || json.Unmarshal([]byte(w.body[ref]), &r) != nil {
			continue
		}
		var list []struct{ System, Value string }
		typ, _, _ := strings.Cut(ref, "/")
		if json.Unmarshal(r.Identifier, &list) == nil {
			for _, i := range list {
				add(typ+".identifier", escaped(i.System)+"|"+escaped(i.Value))
			}
		}
	}
	return nil
}

// escaped writes a value so that a search reads it as one (R4 search.html#escaping).
func escaped(s string) string {
	return strings.NewReplacer(`\`, `\\`, `,`, `\,`, `|`, `\|`, `$`, `\$`).Replace(s)
}
