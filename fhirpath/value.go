package fhirpath

import (
	"strconv"
	"unsafe"

	"github.com/cockroachdb/apd/v3"

	"ingle/fhir"
)

// Kind tells what a Value is.
type Kind uint8

// The kinds of Value: an element or resource in a document, or one of the
// types of the System namespace.
const (
	KindNone Kind = iota
	KindElement
	KindBoolean
	KindString
	KindInteger
	KindDecimal
	KindDate
	KindDateTime
	KindTime
	KindQuantity
	KindTypeInfo // what type() returns
)

func (k Kind) String() string {
	return [...]string{"nothing", "an element", "Boolean", "String", "Integer", "Decimal", "Date", "DateTime", "Time", "Quantity", "TypeInfo"}[k]
}

// Value is one item of a collection: an element of a document (a resource, a
// complex or a primitive element) or a value that was computed. It is a small
// value to be copied freely. A primitive element is one Value made of two
// nodes, the value and the object with its id and extensions ("birthDate" and
// "_birthDate" in JSON); either may be absent.
type Value struct {
	kind Kind
	n    int64 // Boolean (0 or 1), Integer
	str  string
	node fhir.Node // the value; the zero Node or JSON null where there is none
	ext  fhir.Node // the object with id and extension of a primitive element
	typ  *model    // of an element
	ref  any       // *apd.Decimal, *Temporal, *Quantity, *typeInfo
}

// Collection is an ordered list of values. It never holds an empty one.
type Collection []Value

// Quantity is a number with a unit.
type Quantity struct {
	Value *apd.Decimal
	Unit  string // UCUM code, or the word of a calendar duration in the singular
	// Calendar tells that the unit is a calendar duration (1 year), which is
	// not the same as the UCUM unit ('a') for units longer than weeks.
	Calendar bool
}

func (q *Quantity) String() string {
	if q.Calendar {
		s := q.Value.Text('f') + " " + q.Unit
		if !q.Value.Negative && q.Value.Cmp(one) != 0 {
			s += "s"
		}
		return s
	}
	return q.Value.Text('f') + " '" + q.Unit + "'"
}

// Boolean makes a System.Boolean.
func Boolean(b bool) Value {
	if b {
		return Value{kind: KindBoolean, n: 1}
	}
	return Value{kind: KindBoolean}
}

// String makes a System.String.
func String(s string) Value { return Value{kind: KindString, str: s} }

// Integer makes a System.Integer.
func Integer(n int64) Value { return Value{kind: KindInteger, n: n} }

// Decimal makes a System.Decimal. d must not be changed afterwards.
func Decimal(d *apd.Decimal) Value { return Value{kind: KindDecimal, ref: d} }

// Date makes a System.Date from YYYY, YYYY-MM or YYYY-MM-DD.
func Date(text string) (v Value, ok bool) {
	t, ok := parseDate(text)
	return Value{kind: KindDate, ref: t}, ok
}

// DateTime makes a System.DateTime from a date, or a date and time with or
// without a zone.
func DateTime(text string) (v Value, ok bool) {
	t, ok := parseDateTime(text)
	return Value{kind: KindDateTime, ref: t}, ok
}

func quantity(d *apd.Decimal, unit string, calendar bool) Value {
	return Value{kind: KindQuantity, ref: &Quantity{d, unit, calendar}}
}

// Kind returns the kind of the value.
func (v Value) Kind() Kind { return v.kind }

// Node returns the node of an element: the zero Node for a computed value and
// for a primitive that has only extensions.
func (v Value) Node() fhir.Node { return v.node }

// Extra returns the object with id and extensions of a primitive element
// ("_birthDate"), the zero Node if there is none.
func (v Value) Extra() fhir.Node { return v.ext }

// TypeName returns the name of the value's type: "HumanName", "code",
// "Patient.contact", or that of a System type.
func (v Value) TypeName() string {
	if v.kind == KindElement {
		return v.typ.name
	}
	return v.kind.String()
}

// IsPrimitive tells whether the value is a System value or a primitive element.
func (v Value) IsPrimitive() bool {
	return v.kind != KindElement || v.typ.system != KindNone && v.typ.system != KindQuantity
}

// System returns the value of a primitive element as a System value, and a
// System value as it is. ok is false for complex elements, for primitives
// without a value, and for text that is not of the element's type.
func (v Value) System() (sys Value, ok bool) {
	if v.kind != KindElement {
		return v, v.kind != KindNone
	}
	switch v.typ.system {
	case KindNone, KindQuantity:
		return Value{}, false
	}
	return v.primitive()
}

// text is the text of a primitive node without copying it. The bytes of a
// document never change.
func text(n fhir.Node) string {
	return bytesText(n.Bytes())
}

func (v Value) primitive() (Value, bool) {
	kind := v.node.Kind()
	if kind == fhir.Invalid || kind == fhir.Null || kind == fhir.Object || kind == fhir.Array {
		return Value{}, false
	}
	s := text(v.node)
	switch v.typ.system {
	case KindString:
		if kind != fhir.String {
			return Value{}, false
		}
		return Value{kind: KindString, str: s}, true
	case KindBoolean:
		if kind != fhir.Bool {
			return Value{}, false
		}
		return Boolean(s == "true"), true
	case KindInteger:
		n, err := strconv.ParseInt(s, 10, 64)
		return Value{kind: KindInteger, n: n}, err == nil && kind == fhir.Number
	case KindDecimal:
		d, _, err := apd.NewFromString(s)
		return Value{kind: KindDecimal, ref: d}, err == nil && kind == fhir.Number
	case KindDate:
		t, ok := parseDate(s)
		return Value{kind: KindDate, ref: t}, ok && kind == fhir.String
	case KindDateTime:
		t, ok := parseDateTime(s)
		return Value{kind: KindDateTime, ref: t}, ok && kind == fhir.String
	case KindTime:
		t, ok := parseTime(s)
		return Value{kind: KindTime, ref: t}, ok && kind == fhir.String
	}
	return Value{}, false
}

// scalar is System that also turns a FHIR Quantity into a System.Quantity.
// A complex element stays as it is.
func (v Value) scalar() (Value, bool) {
	if v.kind != KindElement {
		return v, true
	}
	switch v.typ.system {
	case KindNone:
		return v, true
	case KindQuantity:
		if q, ok := v.fhirQuantity(); ok {
			return q, true
		}
		return v, true
	}
	return v.primitive()
}

// fhirQuantity reads a FHIR Quantity whose unit is a UCUM code (or that has no
// unit, which is the unit 1). One with a comparator stands for a range and has
// no single value.
func (v Value) fhirQuantity() (Value, bool) {
	num := v.node.Get("value")
	if num.Kind() != fhir.Number || v.node.Get("comparator").Valid() {
		return Value{}, false
	}
	code := v.node.Get("code")
	system := v.node.Get("system")
	unit := ""
	switch {
	case code.Kind() == fhir.String && system.Kind() == fhir.String && text(system) == ucumSystem:
		unit = text(code)
	case !code.Valid() && !system.Valid() && !v.node.Get("unit").Valid():
		unit = "1"
	default:
		return Value{}, false
	}
	d, _, err := apd.NewFromString(text(num))
	if err != nil {
		return Value{}, false
	}
	return quantity(d, unit, false), true
}

const ucumSystem = "http://unitsofmeasure.org"

// Bool returns the value of a Boolean or boolean element.
func (v Value) Bool() (b, ok bool) {
	if v.kind == KindBoolean {
		return v.n != 0, true
	}
	if v.kind == KindElement && v.typ.system == KindBoolean && v.node.Kind() == fhir.Bool {
		return text(v.node) == "true", true
	}
	return false, false
}

// Text returns the text of a String or of any primitive element as it is
// written in the document.
func (v Value) Text() (s string, ok bool) {
	if v.kind == KindElement {
		switch v.node.Kind() {
		case fhir.String, fhir.Number, fhir.Bool:
			return v.node.Text(), true
		}
		return "", false
	}
	return v.String(), true
}

// Int returns the value of an Integer or an element of an integer type.
func (v Value) Int() (n int64, ok bool) {
	s, ok := v.System()
	return s.n, ok && s.kind == KindInteger
}

// Dec returns the value of a Decimal or Integer, or of an element of such a
// type. It must not be changed.
func (v Value) Dec() (d *apd.Decimal, ok bool) {
	s, ok := v.System()
	if !ok {
		return nil, false
	}
	return s.decimal()
}

// Quantity returns a System.Quantity or an element of type Quantity with a UCUM
// unit.
func (v Value) Quantity() (q *Quantity, ok bool) {
	s, _ := v.scalar()
	q, ok = s.ref.(*Quantity)
	return q, ok
}

// String returns the value in the form of FHIRPath's toString(); the JSON text
// of a complex element.
func (v Value) String() string {
	switch v.kind {
	case KindElement:
		if s, ok := v.System(); ok {
			return s.String()
		}
		return string(v.node.Raw())
	case KindBoolean:
		return strconv.FormatBool(v.n != 0)
	case KindString:
		return v.str
	case KindInteger:
		return strconv.FormatInt(v.n, 10)
	}
	switch r := v.ref.(type) {
	case *apd.Decimal:
		return r.Text('f')
	case *Temporal:
		return r.text
	case *Quantity:
		return r.String()
	case *typeInfo:
		return r.namespace + "." + r.name
	}
	return ""
}

// decimal returns an Integer or Decimal as a decimal.
func (v Value) decimal() (*apd.Decimal, bool) {
	switch v.kind {
	case KindInteger:
		return apd.New(v.n, 0), true
	case KindDecimal:
		return v.ref.(*apd.Decimal), true
	}
	return nil, false
}

func (v Value) temporal() *Temporal { return v.ref.(*Temporal) }
func (v Value) quantity() *Quantity { return v.ref.(*Quantity) }

func bytesText(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
