package fhirpath

import (
	"errors"
	"math"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"ingle/fhir/ucum"
	"ingle/fhirpath/syntax"
)

// arithmetic compiles * / div mod + - &.
func (c *compiler) arithmetic(n *syntax.Binary, l, r code) code {
	s := shape{}
	if n.Op == "&" {
		s = systemShape(KindString)
	}
	return c.fromMany(n, s, func(ev *evaluation, f *frame, in, out []Value) ([]Value, error) {
		if err := ev.step(1); err != nil {
			return out, err
		}
		a, okA, err := l.one(ev, f, in, n)
		if err != nil {
			return out, err
		}
		b, okB, err := r.one(ev, f, in, n)
		if err != nil {
			return out, err
		}
		if n.Op == "&" {
			v, err := ev.concatenate(n, a, okA, b, okB)
			return append(out, v), err
		}
		if !okA || !okB {
			return out, nil
		}
		x, okX := a.scalar()
		y, okY := b.scalar()
		if !okX || !okY {
			return out, nil
		}
		v, ok, err := calculate(n.Op, x, y)
		switch {
		case errors.Is(err, errOperands):
			return out, fail(ev, n, "the operator %s has no meaning between %s and %s", n.Op, describe(a), describe(b))
		case err != nil:
			return out, fail(ev, n, "%v", err)
		case ok:
			out = append(out, v)
		}
		if ok && v.kind == KindString && len(v.str) > ev.maxText {
			return out, ev.tooLong(n)
		}
		return out, nil
	})
}

func (ev *evaluation) tooLong(at syntax.Node) error {
	return wrapLimit(fail(ev, at, "a string has more than %d bytes", ev.maxText))
}

// concatenate is &: empty counts as the empty string.
func (ev *evaluation) concatenate(at syntax.Node, a Value, okA bool, b Value, okB bool) (Value, error) {
	var parts [2]string
	for i, p := range [...]struct {
		v  Value
		ok bool
	}{{a, okA}, {b, okB}} {
		if !p.ok {
			continue
		}
		s, _, err := p.v.asString(ev, at)
		if err != nil {
			return Value{}, err
		}
		parts[i] = s
	}
	if len(parts[0])+len(parts[1]) > ev.maxText {
		return Value{}, ev.tooLong(at)
	}
	return String(parts[0] + parts[1]), ev.step(1 + (len(parts[0])+len(parts[1]))/64)
}

var errOperands = errors.New("the operator has no meaning between these types")

// calculate applies an arithmetic operator; ok is false where the result is
// empty: division by zero, overflow, units that do not go together.
func calculate(op string, x, y Value) (v Value, ok bool, err error) {
	switch {
	case x.kind == KindInteger && y.kind == KindInteger:
		return calculateIntegers(op, x.n, y.n)
	case x.kind == KindString && y.kind == KindString && op == "+":
		return String(x.str + y.str), true, nil
	case isDate(x.kind) || x.kind == KindTime:
		if y.kind == KindQuantity && (op == "+" || op == "-") {
			return addDuration(x, y.quantity(), op == "-")
		}
		return v, false, errOperands
	case x.kind == KindQuantity || y.kind == KindQuantity:
		return calculateQuantities(op, x, y)
	}
	a, okA := x.decimal()
	b, okB := y.decimal()
	if !okA || !okB {
		return v, false, errOperands
	}
	d, ok := calculateDecimals(op, a, b)
	if ok && op == "div" {
		n, err := d.Int64()
		v, ok = integerResult(n)
		return v, ok && err == nil, nil
	}
	return Decimal(d), ok, nil
}

func calculateIntegers(op string, a, b int64) (v Value, ok bool, err error) {
	switch op {
	case "+":
		v, ok = integerResult(a + b)
	case "-":
		v, ok = integerResult(a - b)
	case "*":
		if a > math.MaxInt32 || a < math.MinInt32 || b > math.MaxInt32 || b < math.MinInt32 {
			return v, false, nil
		}
		v, ok = integerResult(a * b)
	case "/":
		d, ok := calculateDecimals("/", apd.New(a, 0), apd.New(b, 0))
		return Decimal(d), ok, nil
	case "div":
		if b == 0 {
			return v, false, nil
		}
		v, ok = integerResult(a / b)
	case "mod":
		if b == 0 {
			return v, false, nil
		}
		v, ok = integerResult(a % b)
	}
	return v, ok, nil
}

func calculateDecimals(op string, a, b *apd.Decimal) (*apd.Decimal, bool) {
	var r apd.Decimal
	var err error
	switch op {
	case "+":
		_, err = exact.Add(&r, a, b)
	case "-":
		_, err = exact.Sub(&r, a, b)
	case "*":
		_, err = exact.Mul(&r, a, b)
	default:
		if b.IsZero() {
			return nil, false
		}
		switch op {
		case "/":
			if _, err = rounding.Quo(&r, a, b); err == nil {
				plain(&r)
			}
		case "div":
			_, err = exact.QuoInteger(&r, a, b)
		case "mod":
			_, err = exact.Rem(&r, a, b)
		}
	}
	return &r, err == nil && r.Form == apd.Finite
}

func calculateQuantities(op string, x, y Value) (v Value, ok bool, err error) {
	p, okP := x.toQuantity()
	q, okQ := y.toQuantity()
	if !okP || !okQ {
		return v, false, errOperands
	}
	switch op {
	case "+", "-":
		return addQuantities(op, p, q)
	case "*", "/":
		if q.Value.IsZero() && op == "/" {
			return v, false, nil
		}
		// A number scales a quantity in its own unit.
		if x.kind != KindQuantity && op == "*" {
			d, ok := calculateDecimals(op, p.Value, q.Value)
			return quantity(d, q.Unit, q.Calendar), ok, nil
		}
		if y.kind != KindQuantity {
			d, ok := calculateDecimals(op, p.Value, q.Value)
			return quantity(d, p.Unit, p.Calendar), ok, nil
		}
		d, unit, err := ucum.Product(p.Value, p.unit(), q.Value, q.unit(), op == "/")
		return quantity(d, unit, false), err == nil, nil
	}
	return v, false, errOperands
}

// addQuantities adds in the finer of the two units.
func addQuantities(op string, p, q *Quantity) (v Value, ok bool, err error) {
	unit, calendar := p.Unit, p.Calendar
	a, b := p.Value, q.Value
	if p.Unit != q.Unit || p.Calendar != q.Calendar {
		_, mp := p.months()
		_, mq := q.months()
		if mp || mq {
			if !mp || !mq {
				return v, false, nil
			}
			a, _ = p.months()
			b, _ = q.months()
			unit, calendar = "month", true
		} else {
			c, ok := ucum.Compare(one, p.unit(), one, q.unit())
			if !ok {
				return v, false, nil
			}
			var err error
			if c > 0 {
				unit, calendar = q.Unit, q.Calendar
				a, err = ucum.Convert(a, p.unit(), q.unit())
			} else {
				b, err = ucum.Convert(b, q.unit(), p.unit())
			}
			if err != nil {
				return v, false, nil
			}
		}
	}
	d, ok := calculateDecimals(op, a, b)
	return quantity(d, unit, calendar), ok, nil
}

// addDuration moves a date or time by a duration. UCUM's units are taken up to
// weeks; a and mo are no calendar durations (N1, 6.6.7).
func addDuration(x Value, q *Quantity, subtract bool) (v Value, ok bool, err error) {
	unit := q.Unit
	if !q.Calendar {
		word, known := ucumCalendar[unit]
		if !known {
			word, known = syntax.CalendarUnit(unit) // 1 'month'
		} else if long(word) {
			return v, false, errors.New("a date moves by calendar years and months (1 year), not by the fixed time of the UCUM units 'a' and 'mo'")
		}
		if !known {
			return v, false, errors.New("a date or time moves by a duration only, and the unit '" + clip(unit) + "' is none")
		}
		unit = word
	}
	if x.kind == KindTime && (unit == "day" || unit == "week" || long(unit)) {
		return v, false, errors.New("a time of day moves by hours or less")
	}
	n, nanos, ok := split(q.Value, unit)
	if !ok {
		return v, false, nil
	}
	if subtract {
		n, nanos = -n, -nanos
	}
	t, ok := x.temporal().add(x.kind, n, nanos, unit)
	return Value{kind: x.kind, ref: t}, ok, nil
}

func clip(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}

// split takes the whole units of a duration, and of seconds also the fraction;
// of other units the fraction is ignored (N1, 6.6.7).
func split(d *apd.Decimal, unit string) (n, nanos int64, ok bool) {
	var whole, fraction apd.Decimal
	d.Modf(&whole, &fraction)
	n, err := whole.Int64()
	if err != nil {
		return 0, 0, false
	}
	if unit == "second" && !fraction.IsZero() {
		var scaled apd.Decimal
		if _, err := exact.Mul(&scaled, &fraction, apd.New(1_000_000_000, 0)); err == nil {
			if r, ok := roundTo(&scaled, 0, apd.RoundDown); ok {
				nanos, _ = r.Int64()
			}
		}
	}
	return n, nanos, true
}
