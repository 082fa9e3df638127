package search

import "strings"

// containedSearch is a search for contained resources, "" where none comes to mind.
func (g *generator) containedSearch() string {
	if len(g.o.inside) == 0 {
		return ""
	}
	typ := containedMark + pick(g.r, g.o.inside).typ
	var parts []string
	for range g.r.IntN(3) {
		if s := g.term(typ, 0); s != "" {
			parts = append(parts, s)
		}
	}
	if g.chance(0.2) {
		if s := g.shape(typ); s != "" && !strings.HasPrefix(s, "_list") {
			parts = append(parts, s)
		}
	}
	kind := pick(g.r, []string{"true", "both"})
	parts = append(parts, "_contained="+kind)
	alone := g.chance(0.5)
	if alone {
		parts = append(parts, "_containedType=contained")
	}
	if g.chance(0.4) {
		s := "_sort=" + pick(g.r, []string{"", "-"}) + pick(g.r, []string{"_id", "_lastUpdated"})
		if alone && g.chance(0.7) {
			s = g.sort(typ)
		}
		if s != "" {
			parts = append(parts, s)
		}
	}
	return bareType(typ) + "?" + strings.Join(parts, "&")
}

// inside is a chain from a parameter into a contained resource.
func (g *generator) inside(p *Param, f found, s *stored, depth int) string {
	t := g.o.fragment(f, s)
	if t == nil {
		return ""
	}
	if inner := g.term(containedMark+t.typ, depth+1); inner != "" {
		return p.Code + ":" + t.typ + "." + inner
	}
	return ""
}
