package profiles

import (
	"context"
	"fmt"
	"strings"

	"ingle/fhir"
	"ingle/fhirpath"
)

// locate returns the element that holds a node of a document, behind all elements
// around it, the document's resource first; nil if the document has no such
// element. A node of "_name" leads to the primitive.
func (r *run) locate(at fhir.Node) []item {
	root := at.Doc().Root()
	typ := root.Get("resourceType").Text()
	chain := []item{{n: root, typ: typ, tab: r.e.table(typ), idx: -1}}
	for {
		last := &chain[len(chain)-1]
		if last.n == at || last.x == at {
			return chain
		}
		next, ok := r.towards(last, at)
		if !ok {
			return nil
		}
		chain = append(chain, next)
	}
}

// towards returns the child that holds a node.
func (r *run) towards(it *item, at fhir.Node) (item, bool) {
	var children []item
	if it.tab == nil { // a primitive
		children = r.children(it, "id", r.children(it, "extension", nil))
	} else {
		for c := it.n.First(); c.Valid(); c = c.Next() {
			if m := it.tab.memberOf(c); m != nil && holdsNode(c, at) {
				children = r.children(it, m.elem.name, nil)
				break
			}
		}
	}
	for _, c := range children {
		if holdsNode(c.n, at) || holdsNode(c.x, at) {
			return c, true
		}
	}
	return item{}, false
}

// holdsNode tells whether a node is another one or around it.
func holdsNode(n, inner fhir.Node) bool {
	if !n.Valid() {
		return false
	}
	start, end := n.Span()
	return start <= inner.Offset() && inner.Offset() < end
}

// located is locate for a FHIRPath value.
func (r *run) located(v fhirpath.Value) []item {
	switch {
	case v.Node().Valid():
		return r.locate(v.Node())
	case v.Extra().Valid():
		return r.locate(v.Extra())
	}
	return nil
}

// elementDefinition is elementDefinition() of FHIRPath: what the definition of its
// type says of a resource, and of any other element that of the type around it.
func (r *run) elementDefinition(_ context.Context, v fhirpath.Value) (fhir.Node, error) {
	chain := r.located(v)
	if len(chain) == 0 {
		return fhir.Node{}, nil
	}
	last := &chain[len(chain)-1]
	if last.tab != nil && last.tab.resource {
		return last.tab.structure.snapshot[0].node, nil
	}
	around := chain[len(chain)-2].tab
	if around == nil { // a primitive
		around = r.e.table("Element")
	}
	if el := around.byName[last.name]; el != nil {
		return el.def.node, nil
	}
	return fhir.Node{}, nil
}

// sliceOf is slice() of FHIRPath.
func (r *run) sliceOf(_ context.Context, v fhirpath.Value, url, name string) (fhirpath.Collection, error) {
	s, err := r.e.structure(url)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, fmt.Errorf("%s: %w", url, errUnknownProfile)
	}
	named := r.e.slicesNamed(s, name)
	if len(named) == 0 {
		return nil, fmt.Errorf("%s has no slice %q", s.canonical(), name)
	}
	chain := r.located(v)
	if len(chain) == 0 {
		return nil, nil
	}
	for _, m := range named {
		if m.holds(r, chain) {
			return fhirpath.Collection{v}, nil
		}
	}
	var out fhirpath.Collection
	last := chain[len(chain)-1]
	for _, m := range named {
		for _, child := range r.children(&last, m.levels[0].name, nil) {
			if !m.holds(r, append(chain[:len(chain):len(chain)], child)) {
				continue
			}
			if found, ok := r.focus(&child); ok {
				out = append(out, found)
			}
		}
	}
	return out, nil
}

// namedSlice finds the elements of a slice of a structure.
type namedSlice struct {
	typ    string       // that the structure defines or constrains
	levels []sliceLevel // from the slice outwards to a child of the root
}

// sliceLevel is an element on the way, with the rules of the slices that it is in.
type sliceLevel struct {
	name    string
	matches []matcher
}

// slicesNamed compiles the slices of that name; a profile may have several, of different elements.
func (e *engine) slicesNamed(s *structure, name string) []namedSlice {
	key := s.cite + "#" + name
	if v, ok := e.named.Load(key); ok {
		return v.([]namedSlice)
	}
	root := buildTree(s.snapshot)
	if root == nil {
		return nil
	}
	c := &compiler{e: e, s: s, root: root, byID: map[string]*tree{}, linked: map[*tree]*rules{}}
	var out []namedSlice
	var visit func(t *tree)
	visit = func(t *tree) {
		if t.sliceOf != nil && t.el.sliceName == name {
			out = append(out, namedSlice{s.typ, c.levels(t)})
		}
		for _, list := range [][]*tree{t.slices, t.children} {
			for _, k := range list {
				visit(k)
			}
		}
	}
	visit(root)
	if len(out) > 0 { // others may be names that a caller made up
		e.named.Store(key, out)
	}
	return out
}

func (c *compiler) levels(t *tree) []sliceLevel {
	var out []sliceLevel
	for ; t.parent != nil; t = t.parent {
		level := sliceLevel{name: strings.TrimSuffix(t.el.last(), "[x]")}
		for s := t; s.sliceOf != nil; s = s.sliceOf { // a slice of a slice is in both
			by := discriminators(s.sliceOf.el)
			if len(by) == 0 { // nothing tells what is in it
				by = []discriminator{{}}
			}
			for _, d := range by {
				level.matches = append(level.matches, c.matcher(d, s))
			}
		}
		out = append(out, level)
	}
	return out
}

// holds tells whether the last of the elements is in the slice.
func (m *namedSlice) holds(r *run, chain []item) bool {
	root := len(chain) - 1 - len(m.levels)
	if root < 0 || chain[root].typ != m.typ {
		return false
	}
	for i, level := range m.levels {
		it := &chain[len(chain)-1-i]
		if it.name != level.name {
			return false
		}
		for _, match := range level.matches {
			if !match(r, it) {
				return false
			}
		}
	}
	return true
}
