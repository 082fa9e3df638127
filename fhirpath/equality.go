package fhirpath

import (
	"strings"
	"unicode"

	"github.com/cockroachdb/apd/v3"

	"ingle/fhir"
)

// equalValues is = for two items (N1, 6.1.1); unknown where precision, zone or
// unit leaves it open.
func equalValues(a, b Value) tri {
	if a.kind == KindElement && b.kind == KindElement {
		if a.node == b.node && a.ext == b.ext && (a.node.Valid() || a.ext.Valid() || a.typ == b.typ) {
			return yes
		}
		if a.typ.system == KindString && b.typ.system == KindString && a.node.Kind() == fhir.String && b.node.Kind() == fhir.String {
			return triOf(text(a.node) == text(b.node))
		}
	}
	x, okx := a.scalar()
	y, oky := b.scalar()
	if !okx || !oky { // a primitive without a value
		if !okx && !oky && a.kind == KindElement && b.kind == KindElement {
			return triOf(equalNodes(a.ext, b.ext, a.typ.lang.model("Element"), 0))
		}
		return no
	}
	if x.kind == KindElement || y.kind == KindElement {
		if x.kind != y.kind {
			return no
		}
		return triOf(equalComplex(a, b))
	}
	return equalSystem(x, y)
}

func equalSystem(x, y Value) tri {
	switch {
	case x.kind == KindInteger && y.kind == KindInteger, x.kind == KindBoolean && y.kind == KindBoolean:
		return triOf(x.n == y.n)
	case x.kind == KindString && y.kind == KindString:
		return triOf(x.str == y.str)
	case x.kind == KindQuantity || y.kind == KindQuantity:
		p, ok := x.toQuantity()
		q, ok2 := y.toQuantity()
		if !ok || !ok2 {
			return no
		}
		return equalQuantity(p, q)
	case x.kind == KindTypeInfo && y.kind == KindTypeInfo:
		return triOf(*x.ref.(*typeInfo) == *y.ref.(*typeInfo))
	}
	if d, ok := x.decimal(); ok {
		e, ok := y.decimal()
		return triOf(ok && d.Cmp(e) == 0)
	}
	if isDate(x.kind) && isDate(y.kind) || x.kind == KindTime && y.kind == KindTime {
		c, ok := compareTemporal(x.temporal(), y.temporal())
		if !ok {
			return unknown
		}
		return triOf(c == 0)
	}
	return no
}

func isDate(k Kind) bool { return k == KindDate || k == KindDateTime }

// toQuantity is the implicit conversion of numbers to a Quantity with unit 1.
func (v Value) toQuantity() (*Quantity, bool) {
	if v.kind == KindQuantity {
		return v.quantity(), true
	}
	if d, ok := v.decimal(); ok {
		return &Quantity{Value: d, Unit: "1"}, true
	}
	return nil, false
}

// equalComplex compares two complex elements by their content.
func equalComplex(a, b Value) bool {
	if a.typ != b.typ && !(a.typ.system == KindQuantity && b.typ.system == KindQuantity) {
		return false
	}
	return equalNodes(a.node, b.node, a.typ, 0)
}

// equalNodes compares two JSON values of a type: members in any order, items
// in order, decimals by value and dates by moment.
func equalNodes(a, b fhir.Node, m *model, depth int) bool {
	if a == b {
		return true
	}
	if a.Kind() != b.Kind() || depth > 70 {
		return false
	}
	switch a.Kind() {
	case fhir.Object:
		if a.Len() != b.Len() {
			return false
		}
		for c := a.First(); c.Valid(); c = c.Next() {
			k := key(c)
			d := b.Get(k)
			if !d.Valid() || !equalNodes(c, d, m.member(k, c), depth+1) {
				return false
			}
		}
		return true
	case fhir.Array:
		if a.Len() != b.Len() {
			return false
		}
		x, y := a.First(), b.First()
		for x.Valid() {
			if !equalNodes(x, y, m, depth+1) {
				return false
			}
			x, y = x.Next(), y.Next()
		}
		return true
	}
	if m != nil && m.prim {
		x, ok := Value{kind: KindElement, node: a, typ: m}.primitive()
		y, ok2 := Value{kind: KindElement, node: b, typ: m}.primitive()
		if ok && ok2 {
			return equalSystem(x, y) == yes
		}
	}
	return text(a) == text(b)
}

// member is the type of a JSON member, nil if it is not known.
func (m *model) member(name string, n fhir.Node) *model {
	if m == nil || m.def == nil {
		return nil
	}
	m.load()
	name, extra := strings.CutPrefix(name, "_")
	got := m.members[name]
	switch {
	case got.field == nil:
		return nil
	case extra:
		return m.lang.model("Element")
	}
	t := got.typ
	if t.def != nil && t.def.Kind == fhir.TypeResource && n.Kind() == fhir.Object {
		return m.lang.resource(n, t).typ
	}
	return t
}

// equalCollections is = for two collections: the same items in the same order.
func equalCollections(a, b []Value) tri {
	if len(a) == 0 || len(b) == 0 {
		return unknown
	}
	if len(a) != len(b) {
		return no
	}
	result := yes
	for i := range a {
		switch equalValues(a[i], b[i]) {
		case no:
			return no
		case unknown:
			result = unknown
		}
	}
	return result
}

// equivalentValues is ~ for two items (N1, 6.1.2).
func equivalentValues(a, b Value) bool {
	x, okx := a.scalar()
	y, oky := b.scalar()
	if !okx || !oky {
		return okx == oky && equalValues(a, b) == yes
	}
	if x.kind == KindElement || y.kind == KindElement {
		if x.kind != y.kind {
			return false
		}
		return equivalentComplex(x, y)
	}
	switch {
	case x.kind == KindString && y.kind == KindString:
		return normalize(x.str) == normalize(y.str)
	case x.kind == KindQuantity || y.kind == KindQuantity:
		p, ok := x.toQuantity()
		q, ok2 := y.toQuantity()
		return ok && ok2 && equivalentQuantity(p, q)
	case isDate(x.kind) && isDate(y.kind) || x.kind == KindTime && y.kind == KindTime:
		return equivalentTemporal(x.temporal(), y.temporal())
	}
	if d, ok := x.decimal(); ok {
		e, ok := y.decimal()
		return ok && equivalentDecimal(d, e)
	}
	return equalSystem(x, y) == yes
}

// equivalentComplex compares elements without regard to the order of items.
// Codings are equivalent by system and code, CodeableConcepts if they have a
// Coding in common (FHIR R4, FHIRPath, 2.9.3).
func equivalentComplex(a, b Value) bool {
	if a.typ.name == "Coding" && b.typ.name == "Coding" {
		return text(a.node.Get("code")) == text(b.node.Get("code")) && text(a.node.Get("system")) == text(b.node.Get("system"))
	}
	if a.typ.name == "CodeableConcept" && b.typ.name == "CodeableConcept" {
		x, y := a.appendMember("coding", nil), b.appendMember("coding", nil)
		for i := range x {
			for j := range y {
				if equivalentComplex(x[i], y[j]) {
					return true
				}
			}
		}
		if len(x) > 0 || len(y) > 0 {
			return false
		}
	}
	if a.typ != b.typ && !(a.typ.system == KindQuantity && b.typ.system == KindQuantity) {
		return false
	}
	return equivalentCollections(a.equivalenceParts(), b.equivalenceParts(), func() error { return nil }) == yes
}

// equivalenceParts are the children but for id and the narrative of a resource.
func (v Value) equivalenceParts() []Value {
	all := v.appendChildren(nil)
	kept := all[:0]
	for _, c := range all {
		if c.node.Valid() && key(c.node) == "id" {
			continue
		}
		kept = append(kept, c)
	}
	return kept
}

// equivalentCollections is ~ for two collections: the same items in any order.
func equivalentCollections(a, b []Value, step func() error) tri {
	if len(a) != len(b) {
		return no
	}
	used := make([]bool, len(b))
outer:
	for i := range a {
		for j := range b {
			if used[j] {
				continue
			}
			if step() != nil {
				return unknown
			}
			if equivalentValues(a[i], b[j]) {
				used[j] = true
				continue outer
			}
		}
		return no
	}
	return yes
}

// normalize folds case and runs of white space, as ~ does for strings.
func normalize(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(s), unicode.IsSpace), " ")
}

// compareValues orders two values; ok is false where that is open. comparable
// is false where their types have no order between them.
func compareValues(a, b Value) (c int, ok, comparable bool) {
	x, okx := a.scalar()
	y, oky := b.scalar()
	if !okx || !oky {
		return 0, false, true
	}
	switch {
	case x.kind == KindInteger && y.kind == KindInteger:
		return int(sign(x.n - y.n)), true, true
	case x.kind == KindString && y.kind == KindString:
		return strings.Compare(x.str, y.str), true, true
	case isDate(x.kind) && isDate(y.kind), x.kind == KindTime && y.kind == KindTime:
		c, ok := compareTemporal(x.temporal(), y.temporal())
		return c, ok, true
	case (x.kind == KindQuantity || y.kind == KindQuantity) && !(x.isQuantity() && y.isQuantity() && x.kind != y.kind):
		p, okp := x.toQuantity()
		q, okq := y.toQuantity()
		if !okp || !okq {
			return 0, false, false
		}
		c, ok := compareQuantity(p, q)
		return c, ok, true
	}
	if x.isQuantity() && y.isQuantity() {
		return compareForeign(x, y)
	}
	var d, e *apd.Decimal
	if d, ok = x.decimal(); ok {
		if e, ok = y.decimal(); ok {
			return d.Cmp(e), true, true
		}
	}
	return 0, false, false
}

func sign(n int64) int64 {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

// isQuantity tells whether the value is a quantity of either namespace.
func (v Value) isQuantity() bool {
	return v.kind == KindQuantity || v.kind == KindElement && v.typ.system == KindQuantity
}

// compareForeign orders FHIR quantities whose units are not of UCUM: they
// compare only if they have the same unit.
func compareForeign(x, y Value) (c int, ok, comparable bool) {
	if x.kind != KindElement || y.kind != KindElement {
		return 0, false, true
	}
	for _, name := range [...]string{"system", "code"} {
		if text(x.node.Get(name)) != text(y.node.Get(name)) {
			return 0, false, true
		}
	}
	if !x.node.Get("code").Valid() && text(x.node.Get("unit")) != text(y.node.Get("unit")) {
		return 0, false, true
	}
	if x.node.Get("comparator").Valid() || y.node.Get("comparator").Valid() {
		return 0, false, true
	}
	a, okA := x.typ.lang.number(x.node.Get("value"))
	b, okB := x.typ.lang.number(y.node.Get("value"))
	if !okA || !okB {
		return 0, false, true
	}
	return a.Cmp(b), true, true
}

// number reads a JSON number as a decimal.
func (t *types) number(n fhir.Node) (*apd.Decimal, bool) {
	v, ok := Value{kind: KindElement, node: n, typ: t.model("decimal")}.primitive()
	if !ok {
		return nil, false
	}
	return v.decimal()
}
