package fhirpath

import (
	"strings"

	"github.com/cockroachdb/apd/v3"

	"ingle/fhir/ucum"
	"ingle/fhirpath/syntax"
)

// calendar durations by word, and the UCUM units they are comparable with
// (N1, 4.1.8). Of these only seconds to weeks are the same.
var calendarUCUM = map[string]string{
	"year": "a", "month": "mo", "week": "wk", "day": "d", "hour": "h",
	"minute": "min", "second": "s", "millisecond": "ms",
}

var ucumCalendar = map[string]string{
	"a": "year", "mo": "month", "wk": "week", "d": "day", "h": "hour",
	"min": "minute", "s": "second", "ms": "millisecond",
}

// long tells units whose calendar duration is no fixed time.
func long(word string) bool { return word == "year" || word == "month" }

// unit returns the UCUM code to compute with.
func (q *Quantity) unit() string {
	if q.Calendar {
		return calendarUCUM[q.Unit]
	}
	return q.Unit
}

// months returns a calendar duration of years or months in months.
func (q *Quantity) months() (*apd.Decimal, bool) {
	if !q.Calendar || !long(q.Unit) {
		return nil, false
	}
	if q.Unit == "month" {
		return q.Value, true
	}
	var r apd.Decimal
	if _, err := exact.Mul(&r, q.Value, apd.New(12, 0)); err != nil {
		return nil, false
	}
	return &r, true
}

// compareQuantity orders two quantities; ok is false where their units do not
// compare. A calendar year or month compares only with its like (a calendar
// year with 12 calendar months), not with the UCUM units a and mo.
func compareQuantity(a, b *Quantity) (c int, ok bool) {
	x, okx := a.months()
	y, oky := b.months()
	if okx || oky {
		if okx && oky {
			return x.Cmp(y), true
		}
		return 0, false
	}
	return ucum.Compare(a.Value, a.unit(), b.Value, b.unit())
}

func equalQuantity(a, b *Quantity) tri {
	if c, ok := compareQuantity(a, b); ok {
		return triOf(c == 0)
	}
	return unknown // other dimensions, or a calendar and a definite duration above weeks
}

func comparable(a, b string) bool {
	u, err := ucum.Parse(a)
	if err != nil {
		return false
	}
	v, err := ucum.Parse(b)
	return err == nil && u.Comparable(v)
}

func isUnit(code string) bool {
	_, err := ucum.Parse(code)
	return err == nil
}

// equivalentQuantity is ~: the values are equal when the finer one is rounded
// to the unit and the decimal places of the other; a calendar duration is
// equivalent to the UCUM unit of its name.
func equivalentQuantity(a, b *Quantity) bool {
	x, y := a.unit(), b.unit()
	if x == y {
		return equivalentDecimal(a.Value, b.Value)
	}
	inY, err := ucum.Convert(a.Value, x, y)
	if err != nil {
		return false
	}
	if inY.Cmp(b.Value) == 0 {
		return true
	}
	inX, err := ucum.Convert(b.Value, y, x)
	if err != nil {
		return false
	}
	// Compare in the coarser unit, where its value has the fewer digits.
	if _, ok := ucum.Compare(one, x, one, y); ok {
		if c, _ := ucum.Compare(one, x, one, y); c > 0 {
			return equivalentTo(a.Value, inX)
		}
	}
	return equivalentTo(b.Value, inY)
}

// equivalentTo rounds a converted value to the places of the written one.
func equivalentTo(written, converted *apd.Decimal) bool {
	r, ok := roundTo(converted, places(written), apd.RoundHalfUp)
	return ok && r.Cmp(written) == 0
}

// parseQuantity reads the text form of a Quantity: 4, 4.5 'mg', 1 day.
func parseQuantity(s string) (Value, bool) {
	number, rest, _ := strings.Cut(s, " ")
	if i := strings.IndexByte(s, '\''); i >= 0 && (len(number) > i || rest == "") {
		number, rest = s[:i], s[i:]
	}
	d, ok := plainDecimal(number)
	if !ok {
		return Value{}, false
	}
	rest = strings.TrimSpace(rest)
	if rest == "" {
		return quantity(d, "1", false), true
	}
	if len(rest) >= 3 && rest[0] == '\'' && rest[len(rest)-1] == '\'' {
		unit := rest[1 : len(rest)-1]
		if !isUnit(unit) {
			return Value{}, false
		}
		return quantity(d, unit, false), true
	}
	if unit, ok := syntax.CalendarUnit(rest); ok {
		return quantity(d, unit, true), true
	}
	return Value{}, false
}

// plainDecimal reads [+-]digits[.digits].
func plainDecimal(s string) (*apd.Decimal, bool) {
	t := strings.TrimLeft(s, "+-")
	if len(s)-len(t) > 1 {
		return nil, false
	}
	whole, fraction, point := strings.Cut(t, ".")
	if whole == "" || point && fraction == "" || strings.Trim(whole, "0123456789") != "" || strings.Trim(fraction, "0123456789") != "" {
		return nil, false
	}
	return decimalText(s)
}
