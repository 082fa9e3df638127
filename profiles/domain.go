package profiles

import (
	"sort"

	"ingle/fhir"
)

// domainRules checks what DomainResource says of every resource, dom-2 to
// dom-6, without FHIRPath: their expressions walk over the whole resource.
func (r *run) domainRules(it *item) {
	s := it.tab.structure
	idx := 0
	var ties *ties
	if it.n.Get("contained").Valid() {
		ties = localReferences(it.n)
	}
	for c := it.n.Get("contained").First(); c.Valid(); c = c.Next() {
		step := item{name: "contained", idx: idx}
		idx++
		r.push(&step)
		if inner := c.Get("contained"); inner.Valid() {
			r.fail(inner, fhir.CodeInvariant, rule(s, "dom-2"), "a contained resource may not contain resources itself (dom-2)")
		}
		meta := c.Get("meta")
		for _, name := range [...]string{"versionId", "lastUpdated"} {
			if v := meta.Get(name); v.Valid() {
				r.fail(v, fhir.CodeInvariant, rule(s, "dom-4"), "a contained resource may not have meta.%s (dom-4)", name)
			}
		}
		if v := meta.Get("security"); v.Valid() {
			r.fail(v, fhir.CodeInvariant, rule(s, "dom-5"), "a contained resource may not have a security label; label the resource around it (dom-5)")
		}
		id := c.Get("id")
		if id.Kind() != fhir.String {
			r.fail(c, fhir.CodeRequired, s.canonical(), "a contained resource needs an id, by which it is referred to")
		} else if !ties.with(c, id.Bytes()) {
			r.fail(c, fhir.CodeInvariant, rule(s, "dom-3"), "the contained resource is not referred to by '#%s' from the resource around it, nor does it refer to that by '#' (dom-3)", id.Text())
		}
		r.pop()
	}
	if r.warnings && len(r.resources) == 1 && !it.n.Get("text").Get("div").Valid() && it.typ != "Bundle" {
		r.warn(it.n, fhir.CodeInvariant, rule(s, "dom-6"), "a resource should have a narrative (dom-6, best practice)")
	}
}

// ties are the local references in a resource: what ties contained resources to
// it. (dom-3 asks for references, canonicals, uris and urls; no other string is
// "#" and an id of the document by chance.)
type ties struct {
	ids        map[string]bool // after "#"
	containers []int           // places of "#" alone, in order
}

// localReferences collects them in one pass.
func localReferences(n fhir.Node) *ties {
	t := &ties{ids: map[string]bool{}}
	t.collect(n)
	return t
}

func (t *ties) collect(n fhir.Node) {
	for c := n.First(); c.Valid(); c = c.Next() {
		switch c.Kind() {
		case fhir.String:
			switch b := c.Bytes(); {
			case len(b) == 0 || b[0] != '#':
			case len(b) == 1:
				t.containers = append(t.containers, c.Offset())
			default:
				t.ids[string(b[1:])] = true
			}
		case fhir.Object, fhir.Array:
			t.collect(c)
		}
	}
}

// with tells whether a contained resource is tied to its container: it is
// referred to as "#id", or itself refers to "#".
func (t *ties) with(contained fhir.Node, id []byte) bool {
	if t.ids[string(id)] {
		return true
	}
	start, end := contained.Span()
	i := sort.SearchInts(t.containers, start)
	return i < len(t.containers) && t.containers[i] < end
}
