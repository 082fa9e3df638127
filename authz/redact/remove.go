package redact

import (
	"fmt"
	"strings"

	"ingle/fhir"
)

// limits let everything pass that is stored already.
var limits = fhir.Limits{Depth: 1 << 10, Nodes: 1 << 30, String: 1 << 30}

// Remove returns a resource without what is hidden; the rest keeps its bytes. It
// is the very same slice where nothing is.
func (f *Fields) Remove(body []byte) ([]byte, error) {
	doc, err := fhir.Parse(body, limits)
	if err != nil {
		return nil, fmt.Errorf("read a stored resource: %w", err)
	}
	r := &removal{f: f, src: body, in: doc.Root()}
	r.resource(doc.Root())
	return r.result(), nil
}

// removal collects the spans of a document that go.
type removal struct {
	f     *Fields
	src   []byte
	in    fhir.Node // the resource that this is in, which is not contained itself
	spans [][2]int
	// met are the hidden elements that are there, and narrative is the path of a narrative.
	met       []string
	narrative string
}

func (r *removal) result() []byte { return r.window(0, len(r.src)) }

// window is what is left of src[from:to].
func (r *removal) window(from, to int) []byte {
	if len(r.spans) == 0 {
		return r.src[from:to:to]
	}
	out := make([]byte, 0, to-from)
	for _, s := range r.spans {
		if s[0] < from || s[1] > to {
			continue
		}
		out = append(out, r.src[from:s[0]]...)
		from = s[1]
	}
	return append(out, r.src[from:to]...)
}

func (r *removal) resource(n fhir.Node) {
	name := n.Get("resourceType").Text()
	if t := r.f.defs.Type(name); t != nil {
		r.object(n, t, r.f.types[name], nil)
	} else {
		r.unknown(n, r.f.types[name])
	}
}

// object takes out of an object what is hidden below it. It tells whether
// nothing is left. field is the element that the object is the value of.
func (r *removal) object(n fhir.Node, t *fhir.Type, hide tree, field *fhir.Field) (emptied bool) {
	h := r.f.here(n, r.in, t, hide, field)
	return r.container(n, func(m fhir.Node) bool {
		f, typ, ext := t.MemberBytes(key(m))
		switch {
		case f == nil:
			return r.unknownMember(m, nil)
		case h.hides(f, typ):
			if h.named(f.Name) {
				r.met = append(r.met, t.Name+"."+f.Name)
			}
			if typ == narrative {
				r.narrative = t.Name + "." + f.Name
			}
			return true
		case ext:
			return false
		}
		return r.value(m, f, typ, hide[f.Name])
	})
}

// value looks below an element, and tells whether nothing is left of it.
func (r *removal) value(n fhir.Node, f *fhir.Field, typ string, hide tree) (emptied bool) {
	switch n.Kind() {
	case fhir.Array:
		return r.container(n, func(e fhir.Node) bool { return r.value(e, f, typ, hide) })
	case fhir.Object:
	default:
		return false
	}
	if typ == "Resource" {
		if f.Name != "contained" {
			defer func(in fhir.Node) { r.in = in }(r.in)
			r.in = n
		}
		r.resource(n)
		return false
	}
	if t := r.f.defs.Type(typ); t != nil {
		return r.object(n, t, hide, f)
	}
	return r.unknown(n, hide)
}

// unknown takes out of what no definition tells of all that may be hidden or
// repeat it, by the names: hide's own, those of narratives, and those of what a
// reference says. It tells whether nothing is left.
func (r *removal) unknown(n fhir.Node, hide tree) (emptied bool) {
	switch n.Kind() {
	case fhir.Array:
		return r.container(n, func(e fhir.Node) bool { return r.unknown(e, hide) })
	case fhir.Object:
	default:
		return false
	}
	if typ := n.Get("resourceType").Text(); typ != "" && r.f.defs.Type(typ) != nil {
		r.resource(n)
		return false
	}
	return r.container(n, func(m fhir.Node) bool { return r.unknownMember(m, hide) })
}

func (r *removal) unknownMember(m fhir.Node, hide tree) (goes bool) {
	name := strings.TrimPrefix(m.Key(), "_")
	for own := range hide {
		if strings.HasPrefix(name, own) { // valueString for value
			return true
		}
	}
	if name == "display" || m.Kind() == fhir.Object && (name == "text" || name == "identifier" || m.Get("div").Valid()) {
		return true
	}
	return r.unknown(m, nil)
}

// container takes out the members or elements that goes names, with the commas
// that go with them, and tells whether none is left where some were.
func (r *removal) container(n fhir.Node, goes func(fhir.Node) bool) (emptied bool) {
	kept, gone := 0, 0
	from := -1        // of the run that goes
	last, end := 0, 0 // end of what was kept last, and of the run
	mark := len(r.spans)
	for m := n.First(); m.Valid(); m = m.Next() {
		start, stop := whole(m)
		below := len(r.spans)
		if goes(m) {
			r.spans = r.spans[:below] // what went inside goes with it
			if from < 0 {
				from = start
			}
			end = stop
			gone++
			continue
		}
		if from >= 0 { // up to what stays, in front of what went inside of that
			r.spans = append(r.spans, [2]int{})
			copy(r.spans[below+1:], r.spans[below:])
			r.spans[below] = [2]int{from, start}
			from = -1
		}
		last = stop
		kept++
	}
	switch {
	case gone == 0:
	case kept == 0:
		r.spans = r.spans[:mark]
		start, stop := n.Span()
		r.spans = append(r.spans, [2]int{start + 1, stop - 1})
		return true
	case from >= 0:
		r.spans = append(r.spans, [2]int{last, end})
	}
	return false
}

// narrative is the type of a text for people, which may repeat anything.
const narrative = "Narrative"

// here is what is hidden of one object.
type here struct {
	hide                tree
	display, identifier bool // it is a reference
}

func (f *Fields) here(n, in fhir.Node, t *fhir.Type, hide tree, field *fhir.Field) here {
	h := here{hide: hide}
	if t.Name == "Reference" && field != nil {
		h.display, h.identifier = f.repeated(f.targets(n, in, field))
	}
	return h
}

// named tells whether an element is hidden by its own name.
func (h here) named(name string) bool {
	below, there := h.hide[name]
	return there && below == nil
}

// hides tells whether an element is hidden that is of this type here.
func (h here) hides(f *fhir.Field, typ string) bool {
	return h.named(f.Name) || typ == narrative || h.display && f.Name == "display" || h.identifier && f.Name == "identifier"
}

// key is a member's name as it stands in the source.
func key(m fhir.Node) []byte {
	from, to := m.KeySpan()
	return m.Doc().Source()[from+1 : to-1]
}

// whole is the span of a value and, in an object, of its name.
func whole(n fhir.Node) (from, to int) {
	from, to = n.Span()
	if k, end := n.KeySpan(); end != 0 {
		from = k
	}
	return from, to
}
