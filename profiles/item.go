package profiles

import (
	"strings"

	"ingle/fhir"
)

// item is one element of the resource under validation: its value, and for a
// primitive the object with its id and extensions. Either may be absent.
type item struct {
	n   fhir.Node // the value
	x   fhir.Node // the object under "_name"
	typ string    // FHIR type: "HumanName", "date", "Patient.contact", "Patient"
	tab *table    // of a complex type

	name   string // step in an expression: element name, "" for the start
	idx    int    // -1 where the element does not repeat
	choice bool   // the step tells the type: value.ofType(Quantity)
	path   string // where the element is defined: "HumanName.family"
}

// at returns the node that a position is taken from.
func (it *item) at() fhir.Node {
	if it.n.Valid() {
		return it.n
	}
	return it.x
}

// children appends the child elements of an item with the given name to out.
func (r *run) children(it *item, name string, out []item) []item {
	if it.tab == nil {
		if name == "extension" && it.x.Valid() {
			t := r.e.table("Element")
			if t == nil {
				return out
			}
			if el := t.byName["extension"]; el != nil {
				return r.expand(it.x.Get("extension"), fhir.Node{}, el.variants[0], el, out)
			}
		}
		if name == "id" && it.x.Valid() {
			if v := it.x.Get("id"); v.Valid() {
				out = append(out, item{n: v, typ: "string", name: "id", idx: -1})
			}
		}
		return out
	}
	el := it.tab.byName[name]
	if el == nil {
		return out
	}
	if !el.choice {
		m := el.variants[0]
		v := it.n.Get(m.json)
		var x fhir.Node
		if m.primitive {
			if un := it.tab.members["_"+m.json]; un != nil {
				x = it.n.Get(un.json)
			}
		}
		return r.expand(v, x, m, el, out)
	}
	for c := it.n.First(); c.Valid(); c = c.Next() {
		m := it.tab.memberOf(c)
		if m == nil || m.elem != el {
			continue
		}
		switch {
		case m.ext:
			plain := it.tab.members[m.json[1:]]
			if it.n.Get(plain.json).Valid() {
				continue // taken with the value
			}
			out = r.expand(fhir.Node{}, c, plain, el, out)
		case m.primitive:
			out = r.expand(c, it.n.Get("_"+m.json), m, el, out)
		default:
			out = r.expand(c, fhir.Node{}, m, el, out)
		}
	}
	return out
}

// memberOf returns the definition of a JSON property, nil if the type has none.
func (t *table) memberOf(n fhir.Node) *member {
	start, end := n.KeySpan()
	if m := t.members[string(n.Doc().Source()[start+1:end-1])]; m != nil {
		return m
	}
	return t.members[n.Key()] // the name may be written with escapes
}

// expand appends the items of a JSON property: of an array each element.
func (r *run) expand(v, x fhir.Node, m *member, el *elem, out []item) []item {
	if !v.Valid() && !x.Valid() {
		return out
	}
	base := item{typ: m.typ, tab: r.e.tableOf(m), name: el.name, idx: -1, choice: el.choice, path: el.path}
	if v.Kind() != fhir.Array && x.Kind() != fhir.Array {
		base.n, base.x = v, x
		return append(out, r.typed(base, m))
	}
	cv, cx := v.First(), x.First()
	for i := 0; cv.Valid() || cx.Valid(); i++ {
		it := base
		it.idx = i
		if cv.Kind() != fhir.Null {
			it.n = cv
		}
		if cx.Kind() != fhir.Null {
			it.x = cx
		}
		out = append(out, r.typed(it, m))
		cv, cx = cv.Next(), cx.Next()
	}
	return out
}

// typed gives an item that holds any resource its own type.
func (r *run) typed(it item, m *member) item {
	if m.resource {
		it.typ = it.n.Get("resourceType").Text()
		it.tab = r.e.table(it.typ)
	}
	return it
}

// list returns an empty list of items, to be given back to lists.
func (r *run) list() []item {
	if n := len(r.lists); n > 0 {
		l := r.lists[n-1]
		r.lists = r.lists[:n-1]
		return l
	}
	return make([]item, 0, 8)
}

// newItem returns a cleared item that lives until freeItem: items are handed to
// closures, and would otherwise each be allocated.
func (r *run) newItem() *item {
	if r.itemsUsed == len(r.items) {
		r.items = append(r.items, new(item))
	}
	it := r.items[r.itemsUsed]
	r.itemsUsed++
	*it = item{}
	return it
}

func (r *run) freeItem() { r.itemsUsed-- }

// step is one step of the expression of the element in hand.
type step struct {
	name   string
	idx    int
	ofType string
	note   string
}

func (r *run) push(it *item) {
	s := step{name: it.name, idx: it.idx}
	if it.choice {
		s.ofType = it.typ
	}
	r.steps = append(r.steps, s)
}

func (r *run) pop() { r.steps = r.steps[:len(r.steps)-1] }

// expression is the FHIRPath of the element in hand.
func (r *run) expression() string {
	var b strings.Builder
	for i, s := range r.steps {
		if i > 0 {
			b.WriteByte('.')
		}
		s.append(&b)
	}
	return b.String()
}

func (s step) append(b *strings.Builder) {
	b.WriteString(s.name)
	if s.idx >= 0 {
		b.WriteByte('[')
		b.WriteString(itoa(s.idx))
		b.WriteByte(']')
	}
	if s.ofType != "" {
		b.WriteString(".ofType(")
		b.WriteString(s.ofType)
		b.WriteByte(')')
	}
}
