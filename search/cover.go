package search

import (
	"cmp"
	"slices"
	"strings"
)

// Some parameters find nothing but what others find together: combo-code of
// Observation is code and component-code. Such a parameter has no rows of its
// own; its searches look at the rows of the others.

// place is where a parameter finds values, and as what.
func (jp *jsonPath) place() string {
	var b strings.Builder
	for _, s := range jp.steps {
		b.WriteString("." + s.key)
		if s.whereKey != "" {
			b.WriteString("[" + s.whereKey + "=" + s.whereVal + "]")
		}
		if s.index >= 0 {
			b.WriteString("[0]")
		}
	}
	return b.String() + ":" + jp.typ
}

// placeOf is the place of a composite's elements, with its components.
func placeOf(base *jsonPath, parts []*component) string {
	out := base.place()
	for _, c := range parts {
		out += "$" + c.typ
		for i := range c.paths {
			out += "|" + c.paths[i].place()
			if c.paths[i].root {
				out += "^"
			}
		}
	}
	return out
}

// cover finds which of FHIR's own parameters have the places of others together
// and takes their leaves out of the tree. Those that users add come and go, so
// that nothing else may rest on their rows. References stay: what they may point
// to is a part of what they mean.
func (t *typeIndex) cover(own []*Param) {
	for _, p := range own {
		slices.Sort(p.places)
		p.places = slices.Compact(p.places)
	}
	candidates := slices.DeleteFunc(own, func(p *Param) bool {
		return len(p.places) == 0 || p.Type == "reference" || p.Type == "special" || p.Type == "uri"
	})
	slices.SortFunc(candidates, func(a, b *Param) int {
		return cmp.Or(len(a.places)-len(b.places), strings.Compare(a.Code, b.Code))
	})
	for i, p := range candidates {
		var parts []*Param
		left := slices.Clone(p.places)
		for _, q := range candidates[:i] {
			if q.Type != p.Type || q.parts != nil || !containsAll(p.places, q.places) {
				continue
			}
			parts = append(parts, q)
			left = slices.DeleteFunc(left, func(place string) bool { return slices.Contains(q.places, place) })
		}
		if len(left) == 0 {
			p.parts = parts
			t.tree.remove(p)
		}
	}
}

func containsAll(list, part []string) bool {
	for _, s := range part {
		if !slices.Contains(list, s) {
			return false
		}
	}
	return true
}

// remove takes the leaves of a parameter out of the tree.
func (n *node) remove(p *Param) {
	n.leaves = slices.DeleteFunc(n.leaves, func(l leaf) bool { return l.p == p })
	for _, kid := range n.kids {
		kid.remove(p)
	}
	if n.first != nil {
		n.first.remove(p)
	}
	for _, w := range n.wheres {
		w.node.remove(p)
	}
}

// stored are the parameters whose rows a search for this one looks at.
func (p *Param) stored() []*Param {
	if p.parts != nil {
		return p.parts
	}
	return []*Param{p}
}
