package terminology_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
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
	"ingle/terminology"
)

// made is a generated code system: a tree of some depth, in which one concept
// in twenty has a second parent.
type made struct {
	info    terminology.SystemInfo
	n       int
	parents [][]int
}

func generate(url string, n, depth int, seed uint64) *made {
	rnd := rand.New(rand.NewPCG(seed, 7))
	m := &made{n: n, parents: make([][]int, n), info: terminology.SystemInfo{URL: url, Version: "1", Name: "Made", Status: "active", CaseSensitive: true, HierarchyMeaning: "is-a"}}
	level := make([]int, n)
	byLevel := [][]int{{0}}
	for i := 1; i < n; i++ {
		l := 1 + rnd.IntN(depth)
		for l > len(byLevel) {
			l--
		}
		up := byLevel[l-1]
		m.parents[i] = []int{up[rnd.IntN(len(up))]}
		if rnd.IntN(20) == 0 && l > 1 {
			p := up[rnd.IntN(len(up))]
			if p != m.parents[i][0] {
				m.parents[i] = append(m.parents[i], p)
			}
		}
		level[i] = l
		if l == len(byLevel) {
			byLevel = append(byLevel, nil)
		}
		byLevel[l] = append(byLevel[l], i)
	}
	return m
}

var syllables = []string{"zor", "bin", "qua", "tle", "mex", "fu", "lio", "dra", "nep", "hor", "ista", "ule", "oma", "itis"}

func (m *made) code(i int) string { return fmt.Sprintf("C%07d", i) }

func (m *made) display(i int) string {
	var b strings.Builder
	x := uint64(i)*2654435761 + 12345
	for w := range 4 {
		if w > 0 {
			b.WriteByte(' ')
		}
		for range 2 + x%2 {
			b.WriteString(syllables[x%uint64(len(syllables))])
			x = x*6364136223846793005 + 1442695040888963407
			x ^= x >> 29
		}
	}
	return b.String()
}

func (m *made) Info() *terminology.SystemInfo { i := m.info; return &i }
func (m *made) Checksum() ([]byte, error)     { return []byte(fmt.Sprint(m.n)), nil }
func (m *made) Read(ctx context.Context, codesOnly bool, to terminology.Receiver) error {
	for i := range m.n {
		c := terminology.Concept{Code: m.code(i)}
		for _, p := range m.parents[i] {
			if err := to.Parent(c.Code, m.code(p)); err != nil {
				return err
			}
		}
		if !codesOnly {
			c.Display = m.display(i)
			c.Properties = []terminology.Property{{Code: "kind", Type: "Code", Value: fmt.Sprint("k", i%7)}}
			c.Inactive = i%50 == 49
		}
		if err := to.Concept(&c); err != nil {
			return err
		}
	}
	return nil
}

func (m *made) ancestors(i int) map[int]bool {
	out := map[int]bool{}
	var up func(int)
	up = func(i int) {
		for _, p := range m.parents[i] {
			if !out[p] {
				out[p] = true
				up(p)
			}
		}
	}
	up(i)
	return out
}

// TestStoredEqualsClosure compares an imported hierarchy with the closure of its
// edges, in all the ways in which it can be asked.
func TestStoredEqualsClosure(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t)
	svc := terminology.New(terminology.Options{Concepts: db.Concepts()})
	const url = "http://e.org/made"
	m := generate(url, 3000, 9, 3)
	res, err := svc.Import(t.Context(), m, false, nil)
	if err != nil || res.Concepts != m.n || res.Cycles != 0 {
		t.Fatalf("%+v %v", res, err)
	}
	above := make([]map[int]bool, m.n)
	below := make([][]string, m.n)
	for i := range m.n {
		above[i] = m.ancestors(i)
		for a := range above[i] {
			below[a] = append(below[a], m.code(i))
		}
	}
	src := terminology.Sources{}
	rnd := rand.New(rand.NewPCG(5, 5))
	for range 300 {
		a, b := rnd.IntN(m.n), rnd.IntN(m.n)
		if len(above[b]) > 0 && rnd.IntN(2) == 0 {
			for x := range above[b] {
				a = x
			}
		}
		want := "not-subsumed"
		switch {
		case a == b:
			want = "equivalent"
		case above[b][a]:
			want = "subsumes"
		case above[a][b]:
			want = "subsumed-by"
		}
		out, err := svc.Subsumes(t.Context(), src, params("system", url, "codeA", m.code(a), "codeB", m.code(b)))
		if err != nil || !strings.Contains(string(out), `"`+want+`"`) {
			t.Errorf("%s %s: %s %v, want %s", m.code(a), m.code(b), out, err, want)
		}
	}
	for range 40 {
		a := rnd.IntN(200)
		inline := listed(t, set("x", `{"include":[{"system":"`+url+`","filter":[{"property":"concept","op":"descendent-of","value":"`+m.code(a)+`"}]}]}`))
		list, err := expandAll(t, svc, inline, "http://e.org/x")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range list {
			got = append(got, c.Code)
		}
		slices.Sort(got)
		slices.Sort(below[a])
		if !slices.Equal(got, below[a]) {
			t.Errorf("below %s: %d codes, want %d", m.code(a), len(got), len(below[a]))
		}
		for range 5 {
			b := rnd.IntN(m.n)
			if in := isMember(t, svc, inline, "http://e.org/x", url, m.code(b)); in != above[b][a] {
				t.Errorf("%s below %s: %v", m.code(b), m.code(a), in)
			}
		}
		up := listed(t, set("x", `{"include":[{"system":"`+url+`","filter":[{"property":"concept","op":"generalizes","value":"`+m.code(a+1000)+`"}]}]}`))
		if list, err = expandAll(t, svc, up, "http://e.org/x"); err != nil || len(list) != len(above[a+1000])+1 {
			t.Errorf("above %s: %v %v", m.code(a+1000), list, err)
		}
	}
	// pages are parts of the whole, in its order
	whole := listed(t, set("x", `{"include":[{"system":"`+url+`","filter":[{"property":"kind","op":"in","value":"k1,k2"}]}]}`))
	all, err := expandAll(t, svc, whole, "http://e.org/x")
	if err != nil {
		t.Fatal(err)
	}
	var paged []contains
	for offset := 0; offset < len(all)+100; offset += 100 {
		raw, err := svc.Expand(t.Context(), whole, params("url", "http://e.org/x", "count", 100, "offset", offset))
		if err != nil {
			t.Fatal(err)
		}
		var vs struct {
			Expansion struct {
				Total    int
				Contains []contains
			}
		}
		json.Unmarshal(raw, &vs)
		if vs.Expansion.Total != len(all) {
			t.Errorf("total %d at %d, want %d", vs.Expansion.Total, offset, len(all))
		}
		paged = append(paged, vs.Expansion.Contains...)
	}
	if fmt.Sprint(paged) != fmt.Sprint(all) || len(all) == 0 {
		t.Errorf("%d in pages, %d in one piece", len(paged), len(all))
	}
	// $closure says the same
	four := []int{1500, 1501, 1502}
	for a := range above[1500] {
		four = append(four, a)
	}
	if _, err := svc.Closure(t.Context(), src, "me", params("name", "x")); err != nil {
		t.Fatal(err)
	}
	if _, err := svc.Closure(t.Context(), src, "me", closureParams(t, "y", url, m.code(1))); fhir.AsError(err) == nil || fhir.AsError(err).Status != 404 {
		t.Errorf("a table that was not made: %v", err)
	}
	edges := map[string]bool{}
	for _, i := range four {
		raw, err := svc.Closure(t.Context(), src, "me", closureParams(t, "x", url, m.code(i)))
		if err != nil {
			t.Fatal(err)
		}
		readClosure(t, raw, edges)
	}
	again := map[string]bool{}
	raw, err := svc.Closure(t.Context(), src, "me", params("name", "x", "version", "0"))
	if err != nil {
		t.Fatal(err)
	}
	readClosure(t, raw, again)
	want := 0
	for _, a := range four {
		for _, b := range four {
			if above[a][b] {
				want++
				if !edges[m.code(a)+" "+m.code(b)] {
					t.Errorf("$closure lacks %s below %s", m.code(a), m.code(b))
				}
			}
		}
	}
	if len(edges) != want || fmt.Sprint(edges) != fmt.Sprint(again) {
		t.Errorf("%d relations, replayed %d, want %d", len(edges), len(again), want)
	}
	if raw, err := svc.Closure(t.Context(), src, "somebody else", params("name", "x", "version", "0")); fhir.AsError(err) == nil || fhir.AsError(err).Status != 404 {
		t.Errorf("another caller's table: %s %v", raw, err)
	}
}

func closureParams(t *testing.T, name, system string, list ...string) *terminology.Parameters {
	p := params("name", name)
	for _, c := range list {
		doc, err := fhir.Parse([]byte(`{"system":"`+system+`","code":"`+c+`"}`), fhir.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		p.List = append(p.List, terminology.Parameter{Name: "concept", Node: doc.Root()})
	}
	return p
}

func readClosure(t *testing.T, raw []byte, into map[string]bool) {
	var m struct {
		Group []struct {
			Element []struct {
				Code   string
				Target []struct{ Code, Equivalence string }
			}
		}
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	for _, g := range m.Group {
		for _, e := range g.Element {
			for _, x := range e.Target {
				if x.Equivalence != "subsumes" {
					t.Errorf("%s", raw)
				}
				into[e.Code+" "+x.Code] = true
			}
		}
	}
}

// TestCodeSets compares what search is given with what $validate-code says.
func TestCodeSets(t *testing.T) {
	t.Parallel()
	url := storetest.URL(t)
	db := storetest.OpenURL(t, url)
	svc := terminology.New(terminology.Options{Concepts: db.Concepts()})
	const made = "http://e.org/made"
	m := generate(made, 500, 6, 4)
	if _, err := svc.Import(t.Context(), m, false, nil); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	src := terminology.Sources{listed(t, tree,
		set("small", `{"include":[{"system":"http://e.org/tree","filter":[{"property":"concept","op":"is-a","value":"a"}]}],"exclude":[{"system":"http://e.org/tree","concept":[{"code":"m"}]}]}`),
		set("large", `{"include":[{"system":"`+made+`","filter":[{"property":"concept","op":"is-a","value":"`+m.code(2)+`"}]},{"valueSet":["http://e.org/small"]}],"exclude":[{"system":"`+made+`","filter":[{"property":"kind","op":"=","value":"k3"}]}]}`),
		set("active", `{"inactive":false,"include":[{"system":"`+made+`"}]}`),
		set("meet", `{"include":[{"system":"`+made+`","valueSet":["http://e.org/large","http://e.org/active"]}]}`),
	)}
	type sc struct{ system, code string }
	var all []sc
	for i := range m.n {
		all = append(all, sc{made, m.code(i)})
	}
	for _, c := range []string{"a", "b", "c", "x", "y", "m"} {
		all = append(all, sc{"http://e.org/tree", c})
	}
	for _, name := range []string{"small", "large", "active", "meet"} {
		cs, err := svc.CodeSet(t.Context(), src, "in", "http://e.org/"+name)
		if err != nil {
			t.Fatal(err)
		}
		if (cs.Where == nil) != (name == "small") {
			t.Errorf("%s: where is %v", name, cs.Where == nil)
		}
		for _, c := range all {
			want := isMember(t, svc, src, "http://e.org/"+name, c.system, c.code)
			if got := inCodeSet(t, conn, cs, c.system, c.code); got != want {
				t.Errorf("%s %v: search says %v, $validate-code %v", name, c, got, want)
			}
		}
	}
	for _, mod := range []string{"below", "above"} {
		cs, err := svc.CodeSet(t.Context(), src, mod, made+"|"+m.code(60))
		if err != nil {
			t.Fatal(err)
		}
		for i := range m.n {
			want := i == 60 || mod == "below" && m.ancestors(i)[60] || mod == "above" && m.ancestors(60)[i]
			if got := inCodeSet(t, conn, cs, made, m.code(i)); got != want {
				t.Errorf("%s %s: %v", mod, m.code(i), got)
			}
		}
	}
	for mod, v := range map[string]string{"below": "no-system", "in": "http://e.org/missing", "above": "http://e.org/tree|q", "text": "x"} {
		if _, err := svc.CodeSet(t.Context(), src, mod, v); fhir.AsError(err) == nil {
			t.Errorf("%s %s: %v", mod, v, err)
		}
	}
}

func inCodeSet(t *testing.T, conn *pgx.Conn, cs *terminology.CodeSet, system, code string) bool {
	if cs.Where == nil {
		return slices.ContainsFunc(cs.Codes, func(c terminology.Coding) bool { return c.System == system && c.Code == strings.ToLower(code) })
	}
	args := []any{system, strings.ToLower(code)}
	where := cs.Where("d.system", "d.code", func(v any) string { args = append(args, v); return fmt.Sprint("$", len(args)) })
	var got bool
	if err := conn.QueryRow(t.Context(), "SELECT "+where+" FROM (SELECT $1::text AS system, $2::text AS code) d", args...).Scan(&got); err != nil {
		t.Fatalf("%s: %v", where, err)
	}
	return got
}

func write(t *testing.T, db *store.DB, typ, id, body string, version int, labels ...string) {
	t.Helper()
	doc, err := fhir.Parse([]byte(body), fhir.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := search.NewRegistry(r4.Definitions()).IndexRows(doc)
	if err != nil {
		t.Fatal(err)
	}
	s := db.As(authz.Open())
	c := store.Change{Op: store.OpCreate, Type: typ, ID: id, Version: version, Body: []byte(body), Rows: rows, Labels: labels, LastUpdated: db.Time(nil)}
	if version > 1 {
		if c.Old, err = s.Read(t.Context(), typ, id); err != nil || c.Old == nil {
			t.Fatal(err)
		}
		c.Op, c.LastUpdated = store.OpUpdate, db.Time(c.Old)
	}
	if err := s.Write(t.Context(), []store.Change{c}); err != nil {
		t.Fatal(err)
	}
}

// TestResourcesOfTheDatabase: what was written is seen at once, in its newest
// version, and only by those who may.
func TestResourcesOfTheDatabase(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t)
	svc := terminology.New(terminology.Options{Concepts: db.Concepts()})
	conf := store.NewConformance(db, 0)
	src := func(scope authz.Scope) terminology.Source {
		return terminology.Sources{terminology.Stored(conf, db.As(scope)), terminology.Definitions(r4.Definitions())}
	}
	body := func(id string, version int, codes string) string {
		return fmt.Sprintf(`{"resourceType":"ValueSet","id":"%s","meta":{"versionId":"%d","lastUpdated":"2026-01-01T00:00:00Z"},"url":"http://e.org/vs","version":"1.%d","status":"active","compose":{"include":[{"system":"http://hl7.org/fhir/administrative-gender","concept":[%s]}]}}`, id, version, version, codes)
	}
	if m, _, err := svc.Member(t.Context(), src(authz.Open()), "http://e.org/vs", terminology.Coding{Code: "male"}); m != terminology.Unknown || err != nil {
		t.Error(m, err)
	}
	write(t, db, "ValueSet", "v", body("v", 1, `{"code":"male"}`), 1, "/open")
	gender := terminology.Coding{System: "http://hl7.org/fhir/administrative-gender", Code: "female"}
	if m, _, err := svc.Member(t.Context(), src(authz.Open()), "http://e.org/vs", gender); m != terminology.NotMember || err != nil {
		t.Error(m, err)
	}
	write(t, db, "ValueSet", "v", body("v", 2, `{"code":"male"},{"code":"female"}`), 2, "/open")
	if m, why, err := svc.Member(t.Context(), src(authz.Open()), "http://e.org/vs", gender); m != terminology.Member || err != nil {
		t.Error(m, why, err)
	}
	if !isMember(t, svc, src(authz.Open()), "http://e.org/vs|1.2", gender.System, gender.Code) {
		t.Error("version 1.2")
	}
	var nobody authz.Scope
	if _, err := svc.Expand(t.Context(), src(nobody), params("url", "http://e.org/vs")); fhir.AsError(err) == nil || fhir.AsError(err).Status != 404 {
		t.Errorf("nobody sees it: %v", err)
	}
	// maps from the database
	write(t, db, "ConceptMap", "m", `{"resourceType":"ConceptMap","id":"m","meta":{"versionId":"1","lastUpdated":"2026-01-01T00:00:00Z"},"url":"http://e.org/map","status":"active","group":[{"source":"http://hl7.org/fhir/administrative-gender","target":"http://e.org/g","element":[{"code":"male","target":[{"code":"M","equivalence":"wider"}]}]}]}`, 1)
	out, err := svc.Translate(t.Context(), src(authz.Open()), params("system", gender.System, "code", "male", "targetsystem", "http://e.org/g"))
	if err != nil || !strings.Contains(string(out), `"code":"M"`) || !strings.Contains(string(out), `"wider"`) {
		t.Errorf("%s %v", out, err)
	}
}
