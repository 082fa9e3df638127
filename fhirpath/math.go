package fhirpath

import (
	"github.com/cockroachdb/apd/v3"

	"ingle/fhirpath/syntax"
)

// mathFunctions are those of N1, 5.7, and sums of collections.
var mathFunctions = map[string]function{
	"abs": onNumber(func(v Value, d *apd.Decimal) (Value, bool) {
		var r apd.Decimal
		r.Abs(d)
		return v.sameKind(&r)
	}, true),
	"ceiling":  onNumber(func(_ Value, d *apd.Decimal) (Value, bool) { return whole(d, apd.RoundCeiling) }, false),
	"floor":    onNumber(func(_ Value, d *apd.Decimal) (Value, bool) { return whole(d, apd.RoundFloor) }, false),
	"truncate": onNumber(func(_ Value, d *apd.Decimal) (Value, bool) { return whole(d, apd.RoundDown) }, false),
	"exp":      onNumber(func(_ Value, d *apd.Decimal) (Value, bool) { return computed(rounding.Exp, d) }, false),
	"ln":       onNumber(func(_ Value, d *apd.Decimal) (Value, bool) { return logarithm(d) }, false),
	"sqrt":     onNumber(func(_ Value, d *apd.Decimal) (Value, bool) { return root(d) }, false),
	"log":      onItem(1, 1, systemShape(KindDecimal), log),
	"power":    onItem(1, 1, systemShape(KindInteger, KindDecimal), power),
	"round":    onItem(0, 1, systemShape(KindDecimal), round),
	"sum":      totals(func(v []Value) (Value, bool, error) { return fold(v, "+") }),
	"min":      totals(func(v []Value) (Value, bool, error) { return extreme(v, -1) }),
	"max":      totals(func(v []Value) (Value, bool, error) { return extreme(v, 1) }),
	"avg": totals(func(v []Value) (Value, bool, error) {
		sum, ok, err := fold(v, "+")
		if err != nil || !ok {
			return sum, ok, err
		}
		return calculate("/", sum, Decimal(apd.New(int64(len(v)), 0)))
	}),
}

// onNumber makes a function of a number; quantities tells that it takes a
// Quantity as well.
func onNumber(apply func(v Value, d *apd.Decimal) (Value, bool), quantities bool) function {
	return onItem(0, 0, systemShape(KindInteger, KindDecimal), func(ev *evaluation, n *syntax.Call, v Value, _ []Value) (Value, bool, error) {
		s, ok := v.scalar()
		if !ok {
			return Value{}, false, nil
		}
		d, ok := s.decimal()
		if !ok && quantities && s.kind == KindQuantity {
			d, ok = s.quantity().Value, true
		}
		if !ok {
			return Value{}, false, fail(ev, n, "%s() needs a number, there is %s", n.Name, describe(v))
		}
		r, ok := apply(s, d)
		return r, ok, nil
	})
}

// sameKind wraps a number as the kind that v is.
func (v Value) sameKind(d *apd.Decimal) (Value, bool) {
	switch v.kind {
	case KindInteger:
		n, err := d.Int64()
		return Integer(n), err == nil
	case KindQuantity:
		return quantity(d, v.quantity().Unit, v.quantity().Calendar), true
	}
	return Decimal(d), true
}

func whole(d *apd.Decimal, mode apd.Rounder) (Value, bool) {
	r, ok := roundTo(d, 0, mode)
	if !ok {
		return Value{}, false
	}
	n, err := r.Int64()
	if err != nil {
		return Value{}, false
	}
	return integerResult(n)
}

// computed applies a function of apd that has 28 digits.
func computed(f func(d, x *apd.Decimal) (apd.Condition, error), x *apd.Decimal) (Value, bool) {
	var r apd.Decimal
	if c, err := f(&r, x); err != nil || r.Form != apd.Finite || c.Overflow() {
		return Value{}, false
	}
	plain(&r)
	return Decimal(&r), true
}

func logarithm(d *apd.Decimal) (Value, bool) {
	if d.Sign() <= 0 {
		return Value{}, false
	}
	return computed(rounding.Ln, d)
}

func root(d *apd.Decimal) (Value, bool) {
	if d.Sign() < 0 {
		return Value{}, false
	}
	return computed(rounding.Sqrt, d)
}

func numbers(ev *evaluation, n *syntax.Call, v, arg Value) (a, b *apd.Decimal, x, y Value, err error) {
	x, _ = v.System()
	y, _ = arg.System()
	a, okA := x.decimal()
	b, okB := y.decimal()
	if !okA || !okB {
		return nil, nil, x, y, fail(ev, n, "%s() needs numbers, there are %s and %s", n.Name, describe(v), describe(arg))
	}
	return a, b, x, y, nil
}

func log(ev *evaluation, n *syntax.Call, v Value, args []Value) (Value, bool, error) {
	a, base, _, _, err := numbers(ev, n, v, args[0])
	if err != nil {
		return Value{}, false, err
	}
	if a.Sign() <= 0 || base.Sign() <= 0 || base.Cmp(one) == 0 {
		return Value{}, false, nil
	}
	// Two digits more than are kept, so that 100.log(10) is 2.
	wide := *rounding
	wide.Precision += 4
	var x, y, q, r apd.Decimal
	for _, step := range []func() (apd.Condition, error){
		func() (apd.Condition, error) { return wide.Ln(&x, a) },
		func() (apd.Condition, error) { return wide.Ln(&y, base) },
		func() (apd.Condition, error) { return wide.Quo(&q, &x, &y) },
		func() (apd.Condition, error) { return rounding.Round(&r, &q) },
	} {
		if _, err := step(); err != nil {
			return Value{}, false, nil
		}
	}
	plain(&r)
	return Decimal(&r), true, ev.step(100)
}

func power(ev *evaluation, n *syntax.Call, v Value, args []Value) (Value, bool, error) {
	a, b, x, y, err := numbers(ev, n, v, args[0])
	if err != nil {
		return Value{}, false, err
	}
	if b.Exponent > maxExponent || b.Exponent < -maxExponent {
		return Value{}, false, nil
	}
	if lim := apd.New(10_000, 0); b.Cmp(lim) > 0 || b.Cmp(new(apd.Decimal).Neg(lim)) < 0 {
		return Value{}, false, nil
	}
	var r apd.Decimal
	c, err := rounding.Pow(&r, a, b)
	if err != nil || r.Form != apd.Finite || c.Overflow() {
		return Value{}, false, nil // a root of a negative number, or too large
	}
	if x.kind == KindInteger && y.kind == KindInteger && y.n >= 0 {
		n, err := r.Int64()
		if err != nil {
			return Value{}, false, nil
		}
		i, ok := integerResult(n)
		return i, ok, nil
	}
	plain(&r)
	return Decimal(&r), true, ev.step(100)
}

func round(ev *evaluation, n *syntax.Call, v Value, args []Value) (Value, bool, error) {
	s, ok := v.scalar()
	if !ok {
		return Value{}, false, nil
	}
	d, ok := s.decimal()
	if !ok && s.kind == KindQuantity {
		d, ok = s.quantity().Value, true
	}
	if !ok {
		return Value{}, false, fail(ev, n, "round() needs a number, there is %s", describe(v))
	}
	digits := int64(0)
	if len(args) == 1 {
		if digits, ok = args[0].Int(); !ok || digits < 0 {
			return Value{}, false, fail(ev, n, "round() takes the number of decimal places, 0 or more")
		}
	}
	if -int64(d.Exponent) <= digits {
		r, ok := s.sameKind(d)
		return r, ok, nil
	}
	r, ok := roundTo(d, int32(digits), apd.RoundHalfUp)
	if !ok {
		return Value{}, false, nil
	}
	q, ok := s.sameKind(r)
	return q, ok, nil
}

// totals makes a function of all items of a collection; none gives nothing.
func totals(apply func([]Value) (Value, bool, error)) function {
	return onAll(func(shape) shape { return shape{} }, func(ev *evaluation, n *syntax.Call, src, out []Value) ([]Value, error) {
		vals := make([]Value, 0, len(src))
		for i := range src {
			if s, ok := src[i].scalar(); ok {
				vals = append(vals, s)
			}
		}
		if len(vals) == 0 {
			return out, nil
		}
		v, ok, err := apply(vals)
		if err != nil {
			return out, fail(ev, n, "%s() cannot deal with these types: %v", n.Name, err)
		}
		if ok {
			out = append(out, v)
		}
		return out, nil
	})
}

func fold(v []Value, op string) (Value, bool, error) {
	total := v[0]
	for _, x := range v[1:] {
		var ok bool
		var err error
		if total, ok, err = calculate(op, total, x); err != nil || !ok {
			return total, ok, err
		}
	}
	return total, true, nil
}

func extreme(v []Value, want int) (Value, bool, error) {
	best := v[0]
	for _, x := range v[1:] {
		c, ok, can := compareValues(x, best)
		if !can {
			return best, false, errOperands
		}
		if !ok {
			return best, false, nil
		}
		if c == want {
			best = x
		}
	}
	return best, true, nil
}
