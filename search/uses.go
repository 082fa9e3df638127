package search

import "strings"

// A Use is a search parameter that a search rests on, wherever it stands: as a
// filter, in a chain, _has or _filter, as a key of _sort, in an _include or in the
// definition of a compartment. Whoever may not see an element must not learn of
// it by any of them.
type Use struct {
	Parameter string   // of the request, as the client wrote its name
	Code      string   // the search parameter's
	Type      string   // the resource type whose elements it looks at, contained or not
	Elements  []string // paths of them below the resource, without choice of type: "name.family", "value"
	Anywhere  bool     // it may look at any element: full text, FHIRPath
}

// Uses lists what the search rests on.
func (q *Query) Uses() []Use { return q.uses }

// use notes that the request's current parameter rests on search parameters.
func (p *parser) use(modifier string, ps ...*Param) {
	for _, sp := range ps {
		u := Use{Parameter: p.current, Code: sp.Code, Type: bareType(sp.resource), Elements: sp.elements, Anywhere: sp.anywhere}
		if modifier == "identifier" { // it looks at what the references say of themselves
			u.Elements = make([]string, len(sp.elements))
			for i, e := range sp.elements {
				u.Elements[i] = e + ".identifier"
			}
		}
		p.q.uses = append(p.q.uses, u)
	}
}

// useWords notes that it rests on all that the resources say.
func (p *parser) useWords(types []string, code string) {
	for _, t := range types {
		p.q.uses = append(p.q.uses, Use{Parameter: p.current, Code: code, Type: bareType(t), Anywhere: true})
	}
}

// pathOf is the path of steps below a resource, as Use has it.
func pathOf(steps ...step) string {
	names := make([]string, len(steps))
	for i, s := range steps {
		names[i] = s.name
	}
	return strings.Join(names, ".")
}

// restOn notes the elements of a composite's parts below one base.
func (p *Param) restOn(base []step) {
	for _, c := range p.Definition.Components {
		expr, root := strings.CutPrefix(c.Expression, "%resource.")
		branches, _ := parseExpression(expr, true) // components has read it
		for _, b := range branches {
			if root {
				p.elements = append(p.elements, pathOf(b.steps...))
			} else {
				p.elements = append(p.elements, pathOf(append(base[:len(base):len(base)], b.steps...)...))
			}
		}
	}
}
