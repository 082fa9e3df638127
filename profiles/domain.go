package profiles

import (
	"bytes"

	"ingle/fhir"
)

// domainRules checks what DomainResource says of every resource, dom-2 to
// dom-6, without FHIRPath: their expressions walk over the whole resource.
func (r *run) domainRules(it *item) {
	s := it.tab.structure
	idx := 0
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
		} else if !refersTo(it.n, c, id.Bytes()) {
			r.fail(c, fhir.CodeInvariant, rule(s, "dom-3"), "the contained resource is not referred to by '#%s' from the resource around it, nor does it refer to that by '#' (dom-3)", id.Text())
		}
		r.pop()
	}
	if r.warnings && len(r.resources) == 1 && !it.n.Get("text").Get("div").Valid() && it.typ != "Bundle" {
		r.warn(it.n, fhir.CodeInvariant, rule(s, "dom-6"), "a resource should have a narrative (dom-6, best practice)")
	}
}

// refersTo tells whether a contained resource is tied to its container: some
// string outside is "#id", or some string inside is "#". (dom-3 asks for
// references, canonicals, uris and urls; no other string begins with "#" and
// an id of the document by chance.)
func refersTo(root, contained fhir.Node, id []byte) bool {
	start, end := contained.Span()
	return searchStrings(root, func(n fhir.Node, b []byte) bool {
		if len(b) == 0 || b[0] != '#' {
			return false
		}
		if len(b) == 1 {
			off := n.Offset()
			return off >= start && off < end
		}
		return bytes.Equal(b[1:], id)
	})
}

func searchStrings(n fhir.Node, found func(fhir.Node, []byte) bool) bool {
	for c := n.First(); c.Valid(); c = c.Next() {
		switch c.Kind() {
		case fhir.String:
			if found(c, c.Bytes()) {
				return true
			}
		case fhir.Object, fhir.Array:
			if searchStrings(c, found) {
				return true
			}
		}
	}
	return false
}
