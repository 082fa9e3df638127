package search

import (
	"testing"

	"ingle/fhir"
	"ingle/fhir/r4"
)

func TestZZ(t *testing.T) {
	r := NewRegistry(r4.Definitions())
	type key struct{ p, t string }
	seen := map[key]string{}
	for _, rt := range r4.Definitions().ResourceTypes() {
		ti := r.index(rt)
		for _, b := range ti.beyond {
			t.Log("beyond", rt, b.p.Code, b.p.Definition.Expression)
		}
		for _, p := range ti.params {
			if !p.indexed {
				t.Log("not indexed", rt, p.Code, p.Type, p.Definition.Expression)
			}
			if p.Type == "reference" && len(p.Targets) == 0 {
				t.Log("no targets", rt, p.Code)
			}
		}
		var walk func(n *node)
		walk = func(n *node) {
			for _, l := range n.leaves {
				seen[key{l.p.Type, l.typ}] = rt + "." + l.p.Code
			}
			for _, k := range n.kids {
				walk(k)
			}
			for _, w := range n.wheres {
				walk(w.node)
			}
			if n.first != nil {
				walk(n.first)
			}
		}
		walk(ti.tree)
	}
	for k, v := range seen {
		t.Log(k, v)
	}
	_ = fhir.Parse
}
