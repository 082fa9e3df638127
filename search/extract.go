package search

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"ingle/fhir"
)

// extraction is one walk over one resource.
type extraction struct {
	r    *Registry
	t    *typeIndex
	doc  *fhir.Doc
	root fhir.Node // the resource, which may be contained in that of doc
	mark string    // in front of all words: containedMark or nothing
	rows Rows
	// suffixes counts the rows of strings that begin inside a part; they do not
	// take part in sorting. They are marked by Raw and by this flag in parallel.
	suffix    []bool
	absent    []*Param // presence parameters whose element was not met
	wordBytes int
	wordsFull bool // further words are left out
	// the last canonical form computed: several parameters ask for the same one
	lastUnit, lastValue string
	lastCanonical       string
	lastCanonicalUnit   int64
}

// IndexRows takes the index rows out of one resource, by its resourceType. A
// value that does not fit its type (a date that is none) has no rows: to refuse
// it is validation's task. The error is a *fhir.Error for an unknown type.
func (r *Registry) IndexRows(doc *fhir.Doc) (*Rows, error) {
	name := doc.Root().Get("resourceType").Text()
	t := r.index(name)
	if t == nil {
		return nil, fhir.Errorf(400, fhir.CodeStructure, "%q is not a resource type of FHIR %s", name, r.defs.Version()).At("resourceType")
	}
	x := &extraction{r: r, t: t, doc: doc, root: doc.Root()}
	if err := x.contained(); err != nil {
		return nil, err
	}
	x.all()
	return &x.rows, nil
}

// all takes all rows of the resource.
func (x *extraction) all() {
	x.absent = x.t.presence
	x.value(x.t.tree, x.root)
	for _, p := range x.absent {
		x.code(p, "false", "boolean")
	}
	for _, f := range x.t.beyond {
		x.evaluate(f)
	}
	if x.t.self != 0 {
		x.identity(x.t.self)
	}
	if x.r.fullText {
		x.allText(x.root)
		x.finishWords()
	}
	x.finish()
}

// leaf takes the rows of one value for one parameter.
func (x *extraction) leaf(l *leaf, n fhir.Node) {
	if l.presence {
		if i := slices.Index(x.absent, l.p); i >= 0 {
			x.absent = append(slices.Clone(x.absent[:i]), x.absent[i+1:]...)
		}
		if n.Kind() == fhir.Bool {
			x.code(l.p, n.Text(), "boolean")
		} else {
			x.code(l.p, "true", "boolean")
		}
		return
	}
	if l.parts != nil {
		x.composite(l.p, l.parts, n)
		return
	}
	switch l.p.Type {
	case "token":
		x.token(l.p, l.typ, n)
	case "reference":
		x.reference(l.p, l.typ, l.is, n)
	case "date":
		if lo, hi, ok := dateRange(l.typ, n); ok {
			x.date(l.p.key, lo, hi)
		}
	case "string":
		if l.part {
			x.parts(l.p.key, n)
		} else {
			x.text(l.p.key, l.typ, n)
		}
	case "uri":
		x.uri(l.p.key, l.typ, n)
	case "quantity":
		x.quantity(l.p.key, l.p.ucum, l.typ, n)
	case "number":
		x.number(l.p.key, l.typ, n)
	case "special":
		x.special(l.p, l.typ, n)
	}
}

// finish makes the rows distinct and marks those that _sort uses.
func (x *extraction) finish() {
	r := &x.rows
	slices.SortFunc(r.Tokens, func(a, b TokenRow) int { return cmp.Or(cmp.Compare(a.H, b.H), cmp.Compare(a.P, b.P)) })
	r.Tokens = slices.Compact(r.Tokens)
	slices.SortFunc(r.Coded, func(a, b CodedToken) int { return cmp.Or(cmp.Compare(a.H, b.H), cmp.Compare(a.P, b.P)) })
	r.Coded = slices.Compact(r.Coded)
	slices.SortStableFunc(r.Refs, func(a, b RefRow) int { return cmp.Or(cmp.Compare(a.P, b.P), cmp.Compare(a.RK, b.RK)) })
	r.Refs = slices.CompactFunc(r.Refs, func(a, b RefRow) bool { return a.P == b.P && a.RK == b.RK })
	finishDates(r)
	x.finishStrings()
	finishQuantities(r)
}

func finishDates(r *Rows) {
	slices.SortFunc(r.Dates, func(a, b DateRow) int {
		return cmp.Or(cmp.Compare(a.K, b.K), cmp.Compare(a.Lo, b.Lo), cmp.Compare(a.Hi, b.Hi))
	})
	r.Dates = slices.Compact(r.Dates)
	for i := range r.Dates { // in the order of K and Lo
		d := &r.Dates[i]
		d.SMin = i == 0 || r.Dates[i-1].K != d.K
		d.SMax = i == len(r.Dates)-1 || r.Dates[i+1].K != d.K
	}
}

func (x *extraction) finishStrings() {
	r := &x.rows
	order := make([]int, len(r.Strings))
	for i := range order {
		order[i] = i
	}
	compare := func(a, b int) int {
		s, t := &r.Strings[a], &r.Strings[b]
		if s.K != t.K {
			return cmp.Compare(s.K, t.K)
		}
		return cmp.Or(cmp.Compare(s.K, t.K), boolCompare(x.suffix[a], x.suffix[b]), strings.Compare(s.Val, t.Val),
			strings.Compare(deref(s.Whole), deref(t.Whole)), strings.Compare(deref(s.Raw), deref(t.Raw)))
	}
	slices.SortFunc(order, compare)
	out := make([]StringRow, 0, len(order))
	lastWhole := -1 // the last row of the same key that is no suffix
	for i, at := range order {
		if i > 0 && compare(order[i-1], at) == 0 {
			continue
		}
		row := r.Strings[at]
		if !x.suffix[at] {
			row.SMin = lastWhole < 0 || out[lastWhole].K != row.K
			row.SMax = true
			if !row.SMin {
				out[lastWhole].SMax = false
			}
			lastWhole = len(out)
		}
		out = append(out, row)
	}
	r.Strings = out
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func finishQuantities(r *Rows) {
	slices.SortFunc(r.Quantities, func(a, b QuantityRow) int {
		if a.K != b.K { // nearly always: numbers are not read for it
			return cmp.Compare(a.K, b.K)
		}
		return cmp.Or(compareDecimals(a.Lo, b.Lo), compareDecimals(a.Hi, b.Hi),
			cmp.Compare(a.Unit, b.Unit), cmp.Compare(a.UText, b.UText), cmp.Compare(a.Sys, b.Sys))
	})
	r.Quantities = slices.CompactFunc(r.Quantities, func(a, b QuantityRow) bool {
		return a.K == b.K && a.Unit == b.Unit && a.UText == b.UText && a.Sys == b.Sys &&
			compareDecimals(a.Lo, b.Lo) == 0 && compareDecimals(a.Hi, b.Hi) == 0
	})
	for i := range r.Quantities {
		q := &r.Quantities[i]
		q.SMin = i == 0 || r.Quantities[i-1].K != q.K
		q.SMax = i == len(r.Quantities)-1 || r.Quantities[i+1].K != q.K
	}
}

// compareDecimals compares decimal texts, "-Infinity" and "Infinity" among them.
func compareDecimals(a, b string) int {
	if a == b {
		return 0
	}
	var x, y apd.Decimal
	if _, _, err := x.SetString(a); err != nil {
		return strings.Compare(a, b)
	}
	if _, _, err := y.SetString(b); err != nil {
		return strings.Compare(a, b)
	}
	return x.Cmp(&y)
}

// text returns the content of a string member, "" where it is absent or not a
// string.
func text(n fhir.Node, name string) string {
	if v := n.Get(name); v.Kind() == fhir.String {
		return v.Text()
	}
	return ""
}

// isString tells whether the value is the given text.
func isString(n fhir.Node, s string) bool {
	return n.Kind() == fhir.String && bytes.Equal(n.Bytes(), []byte(s))
}
