package search

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"ingle/fhir"
	"ingle/internal/testdata"
)

// TestOracle asks random searches and compares sets, orders, totals and pages
// with the oracle: 1,000 of them, 20,000 with INGLE_LONG=1. A tenth as many chains are
// compared with themselves.
func TestOracle(t *testing.T) {
	n := 1000
	if os.Getenv("INGLE_LONG") != "" {
		n = 20000
	}
	if testing.Short() {
		n = 200
	}
	w := newWorld(t, wordy(t))
	w.synthea(t, "synthea/synthea-2.4.0-2019.tar.zst", 5)
	w.examples(t)
	w.flush(t, 0)
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("INGLE_SEED"); s != "" {
		fmt.Sscan(s, &seed)
	}
	t.Logf("%d resources, %d searches, INGLE_SEED=%d", len(w.docs), n, seed)
	g := newGenerator(w, seed)
	g.compare(t, n, "search oracle")
	g.compareChains(t, n/10, "chains to many types")
}

// wordy is a registry with full text.
func wordy(t *testing.T) *Registry {
	t.Helper()
	reg := registry(t)
	reg.EnableFullText()
	return reg
}

// TestScope asks random searches as someone who may see a third of the
// resources, and compares them with the oracle over that third: a search that
// reads a row beyond the scope anywhere (a chain, _has, a sort key, a total, an
// include) would tell.
func TestScope(t *testing.T) {
	n := 300
	if os.Getenv("INGLE_LONG") != "" {
		n = 5000
	}
	if testing.Short() {
		n = 100
	}
	w := newWorld(t, wordy(t))
	w.synthea(t, "synthea/synthea-2.4.0-2019.tar.zst", 2)
	w.examples(t)
	seen := &world{reg: w.reg, conn: w.conn, src: scoped{tables{w.links}, []int32{1, 4}}, links: w.links, byKey: map[string]*stored{}}
	r := testRand(time.Now().UnixNano())
	for _, s := range w.docs {
		if s.label = int32(r.IntN(6)); s.label == 1 || s.label == 4 {
			seen.docs = append(seen.docs, s)
			seen.byKey[s.typ+"/"+s.id] = s
		}
	}
	w.flush(t, 0)
	g := newGenerator(seen, uint64(time.Now().UnixNano()))
	t.Logf("%d of %d resources may be seen", len(seen.docs), len(w.docs))
	g.compare(t, n, "scope oracle")
	g.compareIncludes(t, n/5, "scope include oracle")
}

// compare asks n random searches.
func (g *generator) compare(t *testing.T, n int, label string) {
	w, o := g.o.w, g.o
	failed, hits := 0, 0
	for i := 0; i < n; i++ {
		text := g.search()
		req := request(text)
		req.Terminology, o.sets = g.sets, g.sets
		want := o.answer(req)
		for i, kv := range req.Params {
			if kv.Name == "_text" || kv.Name == "_content" { // so that words never look like the word not
				req.Params[i].Value = strings.ReplaceAll(kv.Value, "not:", "not ")
			}
		}
		got, back, total, err := w.pages(t, req, 1+g.r.IntN(60))
		switch {
		case err != nil:
			t.Errorf("%s: %v", text, err)
		case !slices.Equal(got, want):
			t.Errorf("%s: %s", text, w.difference(got, want))
		case !slices.Equal(back, want):
			t.Errorf("%s: backwards %s", text, w.difference(back, want))
		case total != int64(len(want)):
			t.Errorf("%s: total %d, want %d", text, total, len(want))
		default:
			if len(want) > 0 {
				hits++
			}
			continue
		}
		if failed++; failed >= 15 {
			t.Fatal("too many differences")
		}
	}
	t.Logf("%s: %d passed, %d failed; %d of them found something", label, n-failed, failed, hits)
}

func (w *world) difference(got, want []int64) string {
	name := func(rid int64) string {
		if rid >= containedFrom {
			return w.insideAt(rid)
		}
		s := w.at(rid)
		return s.typ + "/" + s.id
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d found, %d wanted", len(got), len(want))
	show := func(label string, a, b2 []int64) {
		n := 0
		for _, x := range a {
			if !slices.Contains(b2, x) {
				if n++; n > 2 {
					return
				}
				fmt.Fprintf(&b, "; %s %s", label, name(x))
			}
		}
	}
	show("too much:", got, want)
	show("missing:", want, got)
	if len(got) == len(want) {
		for i := range got {
			if got[i] != want[i] {
				fmt.Fprintf(&b, "; at %d %s instead of %s", i, name(got[i]), name(want[i]))
				break
			}
		}
	}
	return b.String()
}

// examples adds the official example resources.
func (w *world) examples(t testing.TB) {
	t.Helper()
	lu := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, data := range testdata.Tar(t, "r4-examples.tar.zst") {
		if !strings.HasSuffix(name, ".json") || len(data) > 300_000 {
			continue
		}
		doc, err := fhir.Parse(data, fhir.Limits{})
		if err != nil || doc.Root().Get("id").Text() == "" || !w.reg.defs.IsResourceType(doc.Root().Get("resourceType").Text()) {
			continue
		}
		lu = lu.Add(3 * time.Hour)
		w.add(t, data, lu)
	}
}

// generator makes searches whose values mostly occur in the data.
type generator struct {
	o      *oracle
	r      *rand.Rand
	byType map[string][]*stored
	types  []string
	sets   randomSets
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

func (g *generator) chance(p float64) bool { return g.r.Float64() < p }

func (g *generator) search() string {
	for {
		if g.chance(0.06) {
			if text := g.containedSearch(); text != "" {
				return text
			}
		}
		if g.chance(0.12) {
			if text := g.wide(); text != "" {
				return text
			}
		}
		typ := pick(g.r, g.types)
		if g.chance(0.3) {
			typ = pick(g.r, []string{"Observation", "Patient", "Encounter", "Condition", "MedicationRequest"})
		}
		var parts []string
		for range 1 + g.r.IntN(3) {
			if s := g.term(typ, 0); s != "" {
				parts = append(parts, s)
			}
		}
		if g.chance(0.2) {
			if s := g.shape(typ); s != "" {
				parts = append(parts, s)
			}
		}
		if len(parts) == 0 && g.chance(0.9) {
			continue
		}
		if len(parts) > 0 && g.chance(0.15) { // by a parameter that is asked for
			code, _, _ := strings.Cut(parts[0], "=")
			if p := g.o.w.reg.Param(typ, code); p != nil && p.indexed && p.Type != "composite" && p.Type != "special" {
				parts = append(parts, "_sort="+pick(g.r, []string{"", "-"})+code)
			}
		} else if g.chance(0.05) { // by a code of which a resource has one
			for _, p := range g.o.w.reg.Params(typ) {
				if p.Type == "token" && p.single && g.chance(0.6) {
					parts = append(parts, "_sort="+pick(g.r, []string{"", "-"})+p.Code)
					break
				}
			}
		} else if g.chance(0.4) {
			if s := g.sort(typ); s != "" {
				parts = append(parts, s)
			}
		}
		return typ + "?" + strings.Join(parts, "&")
	}
}

func (g *generator) sort(typ string) string {
	var keys []string
	for range 1 + g.r.IntN(2) {
		p := pick(g.r, g.o.w.reg.Params(typ))
		ok := slices.Contains([]string{"date", "string", "token", "number", "quantity", "uri", "reference"}, p.Type) &&
			(p.indexed || p.Code == "_id" || p.Code == "_lastUpdated")
		if !ok {
			continue
		}
		key := p.Code
		if len(p.Targets) > 0 && len(p.Targets) < 6 && !p.canonical && g.chance(0.7) {
			key = g.chainedKey(p)
		}
		if g.chance(0.5) {
			key = "-" + key
		}
		keys = append(keys, key)
	}
	if keys == nil {
		return ""
	}
	return "_sort=" + strings.Join(keys, ",")
}

// chainedKey sorts by what a reference points to.
func (g *generator) chainedKey(p *Param) string {
	t := pick(g.r, p.Targets)
	next := pick(g.r, g.o.w.reg.Params(t))
	if !slices.Contains([]string{"date", "string", "token", "number", "quantity", "uri"}, next.Type) || !next.indexed && next.Code != "_id" && next.Code != "_lastUpdated" {
		return p.Code
	}
	return p.Code + ":" + t + "." + next.Code
}

// sample is a resource of the type with a value of the parameter.
func (g *generator) sample(p *Param) (*stored, []found) {
	for range 12 {
		s := pick(g.r, g.byType[p.resource])
		if v := g.o.values(p.Definition, s); len(v) > 0 {
			return s, v
		}
	}
	return nil, nil
}

// id asks for a resource by its id; some of the examples have one that is none.
func (g *generator) id(s *stored) string {
	if !fhir.ValidID(s.id) {
		return ""
	}
	return "_id=" + s.id
}

// term is one parameter with a value, "" where none comes to mind.
func (g *generator) term(typ string, depth int) string {
	if depth < 2 && g.chance(0.15) {
		return g.link(typ, depth)
	}
	p := pick(g.r, g.o.w.reg.Params(typ))
	switch p.Code {
	case "_id":
		return g.id(pick(g.r, g.byType[typ]))
	case "_lastUpdated":
		return "_lastUpdated=" + g.prefix() + pick(g.r, g.byType[typ]).lu.Format(pick(g.r, []string{"2006", "2006-01", "2006-01-02", "2006-01-02T15:04:05Z"}))
	}
	if !p.indexed {
		return ""
	}
	if g.chance(0.06) && p.Type != "composite" && p.Type != "special" {
		return p.Code + ":missing=" + pick(g.r, []string{"true", "false"})
	}
	s, vals := g.sample(p)
	if s == nil {
		return ""
	}
	name, values := p.Code, []string{}
	modifier := ""
	switch p.Type {
	case "token":
		if g.chance(0.1) {
			modifier = ":not"
		}
	case "string":
		if g.chance(0.4) {
			modifier = pick(g.r, []string{":exact", ":contains", ":text"})
		}
	case "uri":
		if g.chance(0.3) {
			modifier = pick(g.r, []string{":above", ":below"})
		}
	case "reference":
		if p.canonical && g.chance(0.5) {
			modifier = ":below"
		}
	}
	for i := 0; i < 1 || g.chance(0.15) && i < 4; i++ {
		v := g.value(p.Type, pick(g.r, vals), s, modifier)
		if p.Type == "composite" {
			v = g.compositeValue(p.Definition, pick(g.r, vals), s)
		}
		if v == "" || strings.Contains(v, "&") {
			return ""
		}
		if strings.HasPrefix(v, "urn:") && modifier != "" {
			modifier = ""
		}
		values = append(values, v)
	}
	return name + modifier + "=" + strings.Join(values, ",")
}

// link is a chain or _has.
func (g *generator) link(typ string, depth int) string {
	if g.chance(0.5) {
		p := pick(g.r, g.o.w.reg.Params(typ))
		if p.Type != "reference" || !p.indexed {
			return ""
		}
		s, vals := g.sample(p)
		if s == nil {
			return ""
		}
		for _, f := range vals {
			if text := g.inside(p, f, s, depth); text != "" {
				return text
			}
		}
		for _, r := range g.o.refs(pick(g.r, vals), s) {
			for _, t := range g.o.resolve(vals[0], r) {
				if len(p.Targets) > 0 && !slices.Contains(p.Targets, t.typ) {
					continue
				}
				if inner := g.term(t.typ, depth+1); inner != "" {
					return p.Code + ":" + t.typ + "." + inner
				}
			}
		}
		return ""
	}
	from := pick(g.r, g.types)
	if isContained(typ) {
		return ""
	}
	p := pick(g.r, g.o.w.reg.Params(from))
	if p.Type != "reference" || !p.indexed || len(p.Targets) > 0 && !slices.Contains(p.Targets, typ) {
		return ""
	}
	if inner := g.term(from, depth+1); inner != "" {
		return "_has:" + from + ":" + p.Code + ":" + inner
	}
	return ""
}

func testRand(seed int64) *rand.Rand { return rand.New(rand.NewPCG(uint64(seed), 7)) }

func newGenerator(w *world, seed uint64) *generator {
	g := &generator{o: newOracle(w), r: rand.New(rand.NewPCG(seed, 1)), byType: map[string][]*stored{}}
	for _, s := range w.docs {
		g.byType[s.typ] = append(g.byType[s.typ], s)
	}
	for _, s := range g.o.inside {
		g.byType[containedMark+s.typ] = append(g.byType[containedMark+s.typ], s)
	}
	for typ := range g.byType {
		if isContained(typ) {
			continue
		}
		g.types = append(g.types, typ)
	}
	slices.Sort(g.types)
	return g
}
