package search

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"
)

// TestOracleIncludes compares what random pages include with the oracle.
func TestOracleIncludes(t *testing.T) {
	n := 150
	if os.Getenv("INGLE_LONG") != "" {
		n = 1500
	}
	w := newWorld(t, registry(t))
	w.synthea(t, "synthea/synthea-2.4.0-2019.tar.zst", 1)
	w.examples(t)
	w.flush(t, 0)
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("INGLE_SEED"); s != "" {
		fmt.Sscan(s, &seed)
	}
	t.Logf("%d resources, INGLE_SEED=%d", len(w.docs), seed)
	g := newGenerator(w, seed)
	g.compareIncludes(t, n, "include oracle")
}

// compareIncludes asks for n random pages with includes.
func (g *generator) compareIncludes(t *testing.T, n int, label string) {
	w := g.o.w
	failed, with := 0, 0
	for i := 0; i < n; i++ {
		typ := pick(g.r, g.types)
		if g.chance(0.5) {
			typ = pick(g.r, []string{"Observation", "Patient", "Encounter", "QuestionnaireResponse", "MedicationRequest", "Composition", "Library"})
		}
		req := request(typ)
		for range 1 + g.r.IntN(3) {
			if kv, ok := g.include(typ); ok {
				req.Params = append(req.Params, kv)
			}
		}
		if len(req.Params) == 0 {
			continue
		}
		count := 1 + g.r.IntN(4)
		req.Params = append(req.Params, KV{"_count", fmt.Sprint(count)})
		q, _, err := w.reg.Parse(req)
		if err != nil {
			t.Errorf("%v: %v", req.Params, err)
			continue
		}
		st, err := w.reg.Compile(q, w.src)
		if err != nil {
			t.Fatal(err)
		}
		hits, err := w.run(t, st)
		if err != nil {
			t.Fatalf("%v: %v", req.Params, err)
		}
		var page, got []int64
		for _, h := range hits {
			if h.mode == 1 {
				got = append(got, h.rid)
			} else if len(page) < count {
				page = append(page, h.rid)
			}
		}
		slices.Sort(got)
		if want := g.o.included(req, page); !slices.Equal(got, want) {
			t.Errorf("%s %v of %s: %s", typ, req.Params, w.at(page[0]).id, w.difference(got, want))
			if failed++; failed > 8 {
				t.Fatal("too many differences")
			}
		} else if len(want) > 0 {
			with++
		}
	}
	t.Logf("%s: %d passed, %d failed; %d of them included something", label, n-failed, failed, with)
}

// include is a random _include or _revinclude of a search on a type.
func (g *generator) include(typ string) (KV, bool) {
	refs := func(typ string) []*Param {
		return slices.DeleteFunc(slices.Clone(g.o.w.reg.Params(typ)), func(p *Param) bool { return p.Type != "reference" || !p.indexed })
	}
	name, source := "_include", typ
	iterate := g.chance(0.3)
	reverse := g.chance(0.5)
	if reverse {
		name = "_revinclude"
	}
	if iterate || reverse {
		source = pick(g.r, g.types)
		if g.chance(0.4) {
			source = pick(g.r, []string{"Observation", "Encounter", "Condition", "Claim", "Patient", "DiagnosticReport"})
		}
	}
	if iterate {
		name += ":iterate"
	}
	list := refs(source)
	if len(list) == 0 {
		return KV{}, false
	}
	p := pick(g.r, list)
	switch {
	case g.chance(0.1):
		return KV{name, source + ":*"}, true
	case g.chance(0.2) && len(p.Targets) > 0:
		return KV{name, source + ":" + p.Code + ":" + pick(g.r, p.Targets)}, true
	}
	return KV{name, source + ":" + p.Code}, true
}
