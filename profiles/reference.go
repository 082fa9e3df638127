package profiles

import (
	"context"
	"slices"
	"strings"

	"ingle/fhir"
)

// referenceRules checks a Reference whatever element it is: that a local one
// has its contained resource (ref-1), and that any other one can lead to a
// resource at all (references.html#literal).
func (r *run) referenceRules(it *item) {
	ref := it.n.Get("reference")
	if ref.Kind() != fhir.String {
		return
	}
	b := ref.Bytes()
	if len(b) == 0 {
		return
	}
	if b[0] != '#' {
		// a type may be one of another version of FHIR, but not where it is searched
		to := fhir.ParseReference(string(b), nil, nil)
		if to.Form == fhir.RefInvalid || to.Form == fhir.RefID || to.Form == fhir.RefConditional && !r.e.reg.defs.IsResourceType(to.Type) {
			r.fail(ref, fhir.CodeValue, it.tab.structure.canonical(), "%s leads to no resource: Type/id, a URL or a urn is expected", clip(b))
		}
		return
	}
	if len(b) == 1 {
		return // the container itself
	}
	if !r.contained(string(b[1:])).Valid() {
		r.fail(ref, fhir.CodeInvariant, rule(it.tab.structure, "ref-1"), "no contained resource has the id %s that the reference names (ref-1)", clip(b[1:]))
	}
}

// contained returns the contained resource with an id, of the nearest resource
// around that has it.
func (r *run) contained(id string) fhir.Node {
	for i := len(r.resources) - 1; i >= 0; i-- {
		list := r.resources[i].n.Get("contained")
		if list.Len() > 16 {
			if n, ok := r.containedIndex(list)[id]; ok {
				return n
			}
			continue
		}
		for c := list.First(); c.Valid(); c = c.Next() {
			if c.Get("id").Text() == id {
				return c
			}
		}
	}
	return fhir.Node{}
}

// containedIndex finds contained resources by id where there are many.
func (r *run) containedIndex(list fhir.Node) map[string]fhir.Node {
	if r.byID == nil || r.byIDOf != list {
		r.byID, r.byIDOf = make(map[string]fhir.Node, list.Len()), list
		for c := list.First(); c.Valid(); c = c.Next() {
			if id := c.Get("id").Text(); !r.byID[id].Valid() {
				r.byID[id] = c
			}
		}
	}
	return r.byID
}

// targetTypes are the resource types that a list of target profiles stands for;
// nil for any.
func (e *engine) targetTypes(targets []string) []string {
	var out []string
	for _, t := range targets {
		url, _ := splitCanonical(t)
		name, core := strings.CutPrefix(url, sdPrefix)
		if core && e.reg.defs.IsResourceType(name) {
			out = append(out, name)
			continue
		}
		if name == "Resource" || name == "DomainResource" {
			return nil
		}
		s, _ := e.structure(t)
		if s == nil || s.typ == "Resource" || s.typ == "DomainResource" {
			return nil // an unknown profile may be on any type
		}
		out = append(out, s.typ)
	}
	return out
}

// referenceType is the resource type that a Reference points to, "" if it
// cannot be told from the resource alone.
func (r *run) referenceType(it *item) string {
	if target := r.resolveHere(it); target.Valid() {
		return target.Get("resourceType").Text()
	}
	if text := it.n.Get("reference").Text(); text != "" {
		ref := fhir.ParseReference(text, nil, r.e.reg.defs.IsResourceType)
		if (ref.Form == fhir.RefRelative || ref.Form == fhir.RefAbsolute) && r.e.reg.defs.IsResourceType(ref.Type) {
			return ref.Type
		}
		if typ, query, ok := strings.Cut(text, "?"); ok && query != "" && r.e.reg.defs.IsResourceType(typ) {
			return typ // a conditional reference of a transaction
		}
	}
	if typ := it.n.Get("type").Text(); r.e.reg.defs.IsResourceType(typ) {
		return typ
	}
	return ""
}

// referenceTarget checks that a Reference points to one of the allowed types.
func (r *run) referenceTarget(it *item, allowed []string, cite string) {
	typ := r.referenceType(it)
	if typ == "" || slices.Contains(allowed, typ) {
		return
	}
	at := it.n.Get("reference")
	if !at.Valid() {
		at = it.n
	}
	r.fail(at, fhir.CodeStructure, cite, "the reference is to a %s, but only %s may be referred to here", typ, oneOf(allowed))
}

func oneOf(names []string) string {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	if len(names) == 1 {
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// resolveHere finds the target of a reference in the document itself: a
// contained resource or an entry of the Bundle around.
func (r *run) resolveHere(it *item) fhir.Node {
	text := referenceText(it)
	if text == "" {
		return fhir.Node{}
	}
	if rest, ok := strings.CutPrefix(text, "#"); ok {
		if rest == "" && len(r.resources) > 0 {
			return r.container()
		}
		return r.contained(rest)
	}
	return r.inBundle(text)
}

// referenceText is the text of a Reference, or of a canonical, uri or url.
func referenceText(it *item) string {
	if it.n.Kind() == fhir.Object {
		return it.n.Get("reference").Text()
	}
	return it.n.Text()
}

// container is the resource that contained resources around the element in
// hand belong to.
func (r *run) container() fhir.Node {
	for i := len(r.resources) - 1; i >= 0; i-- {
		if i == 0 || r.resources[i-1].typ == "Bundle" || r.resources[i-1].typ == "Parameters" {
			return r.resources[i].n
		}
	}
	return fhir.Node{}
}

// maxFollowed is how many references out of the document the validation of one
// resource follows.
const maxFollowed = 200

// outside finds the resource that a reference leads to out of the document:
// another entry of the transaction, or what is stored. The zero Node: none is
// known.
func (r *run) outside(ctx context.Context, reference string) (fhir.Node, error) {
	around := &r.opts.Around
	if around.Entry != nil {
		if n := around.Entry(reference); n.Valid() {
			return n, nil
		}
	}
	if around.Stored == nil || r.followed >= maxFollowed {
		return fhir.Node{}, nil
	}
	r.followed++
	doc, err := around.Stored.resolve(ctx, reference, r.doc.Root())
	if doc == nil || err != nil {
		return fhir.Node{}, err
	}
	return doc.Root(), nil
}

// target finds the resource that a reference leads to, in the document or out
// of it. From what is out of the document no further one is followed.
func (r *run) target(it *item) fhir.Node {
	if n := r.resolveHere(it); n.Valid() || r.away > 0 {
		return n
	}
	text := referenceText(it)
	if text == "" || text[0] == '#' {
		return fhir.Node{}
	}
	n, _ := r.outside(r.ctx, text) // an error is kept by Stored
	return n
}

// resolve is target for discriminators. A target of which only the type is
// known is an item without a node.
func (r *run) resolve(it *item) (target item, ok bool) {
	if n := r.target(it); n.Valid() {
		return r.resourceItem(n), true
	}
	if typ := r.referenceType(it); typ != "" {
		return item{typ: typ, idx: -1}, true
	}
	return item{}, false
}

// within runs fn with the target of a reference as the resource in hand.
func (r *run) within(reference string, target *item, fn func()) {
	steps, resources := r.steps, r.resources
	r.steps = []step{{name: target.typ, idx: -1}}
	switch bundle := r.bundleAround(); {
	case reference[0] == '#':
		r.resources = append(slices.Clone(resources), *target)
	case bundle >= 0 && r.inBundle(reference).Valid():
		r.resources = append(slices.Clone(resources[:bundle+1]), *target)
	default:
		r.resources = []item{*target}
		r.away++
		defer func() { r.away-- }()
	}
	fn()
	r.steps, r.resources = steps, resources
}

// bundleAround is the place of the innermost Bundle around the element in hand
// among the resources around it, -1 for none.
func (r *run) bundleAround() int {
	for i := len(r.resources) - 1; i >= 0; i-- {
		if r.resources[i].typ == "Bundle" {
			return i
		}
	}
	return -1
}

func (r *run) resourceItem(n fhir.Node) item {
	typ := n.Get("resourceType").Text()
	return item{n: n, typ: typ, tab: r.e.table(typ), idx: -1}
}

// bundleIndex finds the entries of a Bundle by reference.
type bundleIndex struct {
	bundle  fhir.Node
	byURL   map[string]fhir.Node
	byLocal map[string]fhir.Node // "Type/id"
}

// inBundle finds a reference among the entries of the innermost Bundle around:
// by fullUrl, or as "Type/id" where the entry that refers has no REST URL.
func (r *run) inBundle(text string) fhir.Node {
	at := r.bundleAround()
	if at < 0 {
		return fhir.Node{}
	}
	bundle := r.resources[at].n
	if r.bundle == nil || r.bundle.bundle != bundle {
		ix := &bundleIndex{bundle: bundle, byURL: map[string]fhir.Node{}, byLocal: map[string]fhir.Node{}}
		for e := bundle.Get("entry").First(); e.Valid(); e = e.Next() {
			res := e.Get("resource")
			if !res.Valid() {
				continue
			}
			if u := e.Get("fullUrl").Text(); u != "" {
				ix.byURL[u] = res
				if ref := fhir.ParseReference(u, nil, r.e.reg.defs.IsResourceType); ref.Form == fhir.RefAbsolute || ref.Form == fhir.RefRelative {
					ix.byLocal[ref.Relative()] = res
				}
			}
			if id := res.Get("id").Text(); id != "" {
				key := res.Get("resourceType").Text() + "/" + id
				if _, ok := ix.byLocal[key]; !ok {
					ix.byLocal[key] = res
				}
			}
		}
		r.bundle = ix
	}
	bare, _, _ := strings.Cut(text, "/_history/")
	bare, _, _ = strings.Cut(bare, "#")
	if n, ok := r.bundle.byURL[bare]; ok {
		return n
	}
	return r.bundle.byLocal[bare]
}
