package redact

import (
	"slices"

	"ingle/fhir"
)

// Restore returns a resource that a caller sends, with what is hidden from the
// caller in the stored version that it replaces (nil for a new resource). What is
// hidden stays with what it belongs to: it goes when the caller takes that away
// as a whole, and stays when the caller changes what is seen of it.
//
// Errors are *fhir.Error with status 403: the caller sends a hidden element, a
// narrative in the place of one that is hidden, or elements of a list that hold
// something hidden in a way that does not tell which is which.
func (f *Fields) Restore(sent *fhir.Doc, stored []byte) ([]byte, error) {
	r := &removal{f: f, src: sent.Source(), in: sent.Root()}
	r.resource(sent.Root())
	if len(r.met) > 0 {
		return nil, fhir.Errorf(403, fhir.CodeForbidden, "the access policy hides %s from you; you may not set it", r.met[0]).At(r.met[0])
	}
	if stored == nil {
		return sent.Source(), nil
	}
	if r.narrative != "" {
		return nil, fhir.Errorf(403, fhir.CodeForbidden, "the access policy hides the narrative from you; leave out %s, and the stored one stays", r.narrative).At(r.narrative)
	}
	doc, err := fhir.Parse(stored, limits)
	if err != nil {
		return nil, err
	}
	m := &restoration{f: f, src: sent.Source(), from: doc, in: doc.Root()}
	if err := m.resource(sent.Root(), doc.Root()); err != nil {
		return nil, err
	}
	return m.result(), nil
}

// restoration collects what is put into a document.
type restoration struct {
	f    *Fields
	src  []byte
	from *fhir.Doc // what is stored
	in   fhir.Node // the stored resource that this is in, which is not contained itself
	adds []addition
}

type addition struct {
	at   int
	text []byte
}

func (m *restoration) result() []byte {
	if len(m.adds) == 0 {
		return m.src
	}
	slices.SortStableFunc(m.adds, func(a, b addition) int { return a.at - b.at })
	var out []byte
	at := 0
	for _, a := range m.adds {
		out = append(append(out, m.src[at:a.at]...), a.text...)
		at = a.at
	}
	return append(out, m.src[at:]...)
}

// add puts a stored member or element at the end of a container.
func (m *restoration) add(into, n fhir.Node) {
	_, end := into.Span()
	from, to := whole(n)
	text := append([]byte{','}, m.from.Source()[from:to]...)
	if into.Len() == 0 && !slices.ContainsFunc(m.adds, func(a addition) bool { return a.at == end-1 }) {
		text = text[1:]
	}
	m.adds = append(m.adds, addition{end - 1, text})
}

func (m *restoration) resource(sent, stored fhir.Node) error {
	name := stored.Get("resourceType").Text()
	t := m.f.defs.Type(name)
	if t == nil || sent.Get("resourceType").Text() != name {
		return nil
	}
	return m.object(sent, stored, t, m.f.types[name], nil)
}

func (m *restoration) object(sent, stored fhir.Node, t *fhir.Type, hide tree, field *fhir.Field) error {
	h := m.f.here(stored, m.in, t, hide, field)
	if h.display && !m.same(sent, stored, field, t.Name, hide) {
		return nil // it points elsewhere, or brings words of its own
	}
	for n := stored.First(); n.Valid(); n = n.Next() {
		f, typ, ext := t.MemberBytes(key(n))
		switch {
		case f == nil:
		case h.hides(f, typ):
			m.add(sent, n)
		case !ext:
			if err := m.below(sent, n, f, typ, hide[f.Name]); err != nil {
				return err
			}
		}
	}
	return nil
}

// below restores what is hidden below one member.
func (m *restoration) below(into, stored fhir.Node, f *fhir.Field, typ string, hide tree) error {
	sent := into.Get(stored.Key())
	switch {
	case !sent.Valid():
		if m.visible(stored, f, typ, hide) == nil { // the caller sees nothing of it
			m.add(into, stored)
		}
		return nil
	case sent.Kind() != stored.Kind():
		return nil
	case sent.Kind() == fhir.Array:
		return m.array(sent, stored, f, typ, hide)
	case sent.Kind() == fhir.Object:
		return m.value(sent, stored, f, typ, hide)
	}
	return nil
}

func (m *restoration) value(sent, stored fhir.Node, f *fhir.Field, typ string, hide tree) error {
	if typ == "Resource" {
		if f.Name != "contained" {
			defer func(in fhir.Node) { m.in = in }(m.in)
			m.in = stored
		}
		return m.resource(sent, stored)
	}
	if t := m.f.defs.Type(typ); t != nil {
		return m.object(sent, stored, t, hide, f)
	}
	return nil
}

// array finds out which element of a list is which: those that are as the caller
// sees them, resources by their id, and the others in order, if there are as many.
func (m *restoration) array(sent, stored fhir.Node, f *fhir.Field, typ string, hide tree) error {
	if stored.First().Kind() != fhir.Object {
		return nil
	}
	fresh := elements(sent)
	var left []fhir.Node // of the stored ones that the caller sees
	for n := stored.First(); n.Valid(); n = n.Next() {
		seen := m.visible(n, f, typ, hide)
		if seen == nil {
			m.add(sent, n)
			continue
		}
		i := slices.IndexFunc(fresh, func(s fhir.Node) bool { return m.alike(s, seen, typ) })
		if i < 0 {
			left = append(left, n)
			continue
		}
		if err := m.value(fresh[i], n, f, typ, hide); err != nil {
			return err
		}
		fresh = slices.Delete(fresh, i, i+1)
	}
	if len(fresh) != len(left) {
		if (len(hide) > 0 || m.narrates(typ)) && len(fresh) > 0 && len(left) > 0 {
			return fhir.Errorf(403, fhir.CodeForbidden, "the access policy hides parts of %s from you, and after these changes it cannot be told which is which; change one at a time", f.Name).At(f.Name)
		}
		return nil // some were taken away, or added
	}
	for i := range fresh {
		if err := m.value(fresh[i], left[i], f, typ, hide); err != nil {
			return err
		}
	}
	return nil
}

// narrates tells whether a backbone element has a narrative of its own.
func (m *restoration) narrates(typ string) bool {
	t := m.f.defs.Type(typ)
	return t != nil && t.Kind == fhir.TypeBackbone && slices.ContainsFunc(t.Fields, func(f fhir.Field) bool { return f.Types[0].Code == narrative })
}

// visible is what the caller sees of a stored value, nil for nothing.
func (m *restoration) visible(n fhir.Node, f *fhir.Field, typ string, hide tree) []byte {
	r := &removal{f: m.f, src: m.from.Source(), in: m.in}
	if r.value(n, f, typ, hide) {
		return nil
	}
	return r.window(n.Span())
}

// alike tells whether an element that the caller sends is the one seen.
func (m *restoration) alike(sent fhir.Node, seen []byte, typ string) bool {
	doc, err := fhir.Parse(seen, limits)
	if err != nil {
		return false
	}
	if typ == "Resource" {
		id := doc.Root().Get("id").Text()
		return id != "" && id == sent.Get("id").Text()
	}
	return fhir.SameJSON(sent, doc.Root())
}

// same tells whether a value is sent as the caller sees it.
func (m *restoration) same(sent, stored fhir.Node, f *fhir.Field, typ string, hide tree) bool {
	seen := m.visible(stored, f, typ, hide)
	return seen != nil && m.alike(sent, seen, typ)
}

func elements(array fhir.Node) (out []fhir.Node) {
	for n := array.First(); n.Valid(); n = n.Next() {
		out = append(out, n)
	}
	return out
}
