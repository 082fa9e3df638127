package interaction

import (
	"slices"

	"ingle/fhir"
)

// A splice collects changes to the bytes of a document and applies them in one
// pass: whatever is not touched keeps the client's spelling. The changes must
// not overlap.
type splice struct {
	src   []byte
	edits []edit
	grown map[int]bool // offsets of empty objects that a member was added to
	size  int          // by how much the result is longer
}

type edit struct {
	from, to int
	with     []byte
}

func spliceOf(d *fhir.Doc) *splice { return &splice{src: d.Source()} }

func (s *splice) put(from, to int, with []byte) {
	s.edits = append(s.edits, edit{from, to, with})
	s.size += len(with) - (to - from)
}

// replace puts another value in the place of n.
func (s *splice) replace(n fhir.Node, with []byte) {
	from, to := n.Span()
	s.put(from, to, with)
}

// add appends a member to an object.
func (s *splice) add(object fhir.Node, name string, value []byte) {
	from, to := object.Span()
	b := make([]byte, 0, len(name)+len(value)+4)
	at := to - 1
	if object.Len() > 0 || s.grown[from] {
		b = append(b, ',')
	} else {
		if s.grown == nil {
			s.grown = map[int]bool{}
		}
		s.grown[from] = true
	}
	if object.Len() > 0 {
		_, at = last(object).Span()
	}
	b = fhir.AppendString(b, name)
	b = append(b, ':')
	s.put(at, at, append(b, value...))
}

// insert puts an element into an array, before the element that now has the
// index at; at the end if there is none.
func (s *splice) insert(array fhir.Node, at int, value []byte) {
	if n := element(array, at); n.Valid() {
		from, _ := n.Span()
		s.put(from, from, append(slices.Clone(value), ','))
		return
	}
	if array.Len() == 0 {
		_, to := array.Span()
		s.put(to-1, to-1, value)
		return
	}
	_, to := last(array).Span()
	s.put(to, to, append([]byte{','}, value...))
}

// remove takes a member or an element out of its container. No two neighbours
// may be removed by one splice.
func (s *splice) remove(container, n fhir.Node) {
	from, to := whole(n)
	if next := n.Next(); next.Valid() {
		to, _ = whole(next)
	} else if prev := before(container, n); prev.Valid() {
		_, from = prev.Span()
	}
	s.put(from, to, nil)
}

// bytes applies the changes and returns the result; the source stays as it was.
func (s *splice) bytes() []byte { return s.window(0, len(s.src)) }

// whole is the span of a value and, in an object, of its name.
func whole(n fhir.Node) (from, to int) {
	from, to = n.Span()
	if k, end := n.KeySpan(); end != 0 {
		from = k
	}
	return from, to
}

func last(container fhir.Node) fhir.Node {
	n := container.First()
	for next := n.Next(); next.Valid(); next = next.Next() {
		n = next
	}
	return n
}

func before(container, n fhir.Node) fhir.Node {
	prev := fhir.Node{}
	for c := container.First(); c.Valid() && c.Index() != n.Index(); c = c.Next() {
		prev = c
	}
	return prev
}

// element returns an element of an array by its index, from 0.
func element(array fhir.Node, at int) fhir.Node {
	if at < 0 || at >= array.Len() {
		return fhir.Node{}
	}
	n := array.First()
	for ; at > 0; at-- {
		n = n.Next()
	}
	return n
}

// window applies the changes and returns what became of src[from:to], which
// must hold all of them.
func (s *splice) window(from, to int) []byte {
	if len(s.edits) == 0 {
		return s.src[from:to:to]
	}
	slices.SortStableFunc(s.edits, func(a, b edit) int { return a.from - b.from })
	out := make([]byte, 0, to-from+s.size)
	at := from
	for _, e := range s.edits {
		out = append(out, s.src[at:e.from]...)
		out = append(out, e.with...)
		at = e.to
	}
	return append(out, s.src[at:to]...)
}
