package fhirpath

import (
	"time"

	"github.com/cockroachdb/apd/v3"

	"ingle/fhirpath/syntax"
)

// utilityFunctions are those of N1, 5.9, with the boundaries, the parts of
// dates, and defineVariable().
var utilityFunctions = map[string]function{
	"trace":          {1, 2, compileTrace},
	"defineVariable": {1, 2, compileDefine},
	"now":            clock(KindDateTime, func(t time.Time) string { return t.Format("2006-01-02T15:04:05.000Z07:00") }),
	"today":          clock(KindDate, func(t time.Time) string { return t.Format("2006-01-02") }),
	"timeOfDay":      clock(KindTime, func(t time.Time) string { return t.Format("15:04:05.000") }),
	"lowBoundary":    onItem(0, 1, shape{}, boundary(false)),
	"highBoundary":   onItem(0, 1, shape{}, boundary(true)),
	"precision": onItem(0, 0, systemShape(KindInteger), func(ev *evaluation, n *syntax.Call, v Value, _ []Value) (Value, bool, error) {
		s, ok := v.scalar()
		if !ok {
			return Value{}, false, nil
		}
		switch s.kind {
		case KindInteger:
			return Integer(0), true, nil
		case KindDecimal:
			return Integer(int64(max(-s.ref.(*apd.Decimal).Exponent, 0))), true, nil
		case KindQuantity:
			return Integer(int64(max(-s.quantity().Value.Exponent, 0))), true, nil
		case KindDate, KindDateTime, KindTime:
			return Integer(int64(s.temporal().digitsPrecision(s.kind))), true, nil
		}
		return Value{}, false, fail(ev, n, "precision() has no meaning for %s", describe(v))
	}),
	"yearOf":        part(precYear, func(t *Temporal) int64 { return int64(t.year) }),
	"monthOf":       part(precMonth, func(t *Temporal) int64 { return int64(t.month) }),
	"dayOf":         part(precDay, func(t *Temporal) int64 { return int64(t.day) }),
	"hourOf":        part(precHour, func(t *Temporal) int64 { return int64(t.hour) }),
	"minuteOf":      part(precMinute, func(t *Temporal) int64 { return int64(t.minute) }),
	"secondOf":      part(precSecond, func(t *Temporal) int64 { return int64(t.second) }),
	"millisecondOf": part(precMilli, func(t *Temporal) int64 { return int64(t.nano) / 1_000_000 }),
}

// part makes a function that picks a part of a date or time, empty where the
// value is less precise.
func part(p precision, pick func(*Temporal) int64) function {
	return onItem(0, 0, systemShape(KindInteger), func(ev *evaluation, n *syntax.Call, v Value, _ []Value) (Value, bool, error) {
		s, ok := v.scalar()
		if !ok {
			return Value{}, false, nil
		}
		if !isDate(s.kind) && s.kind != KindTime {
			return Value{}, false, fail(ev, n, "%s() needs a date or time, there is %s", n.Name, describe(v))
		}
		t := s.temporal()
		return Integer(pick(t)), t.prec >= p && (s.kind != KindTime || p >= precHour), nil
	})
}

// clock makes now(), today() and timeOfDay().
func clock(kind Kind, format func(time.Time) string) function {
	return function{0, 0, func(c *compiler, n *syntax.Call, _ code, _ shape) (code, error) {
		return c.fromMany(n, systemShape(kind), func(ev *evaluation, _ *frame, _, out []Value) ([]Value, error) {
			s := format(ev.time())
			var t *Temporal
			switch kind {
			case KindDate:
				t, _ = parseDate(s)
			case KindTime:
				t, _ = parseTime(s)
			default:
				t, _ = parseDateTime(s)
			}
			return append(out, Value{kind: kind, ref: t}), nil
		}), nil
	}}
}

func compileTrace(c *compiler, n *syntax.Call, of code, in shape) (code, error) {
	name, err := c.scoped(n.Args[0], in)
	if err != nil {
		return code{}, err
	}
	var proj code
	if len(n.Args) == 2 {
		if proj, err = c.scoped(n.Args[1], of.shape); err != nil {
			return code{}, err
		}
	}
	return c.fromMany(n, of.shape, func(ev *evaluation, f *frame, in, out []Value) ([]Value, error) {
		src, err := of.collect(ev, f, in)
		if err != nil {
			return out, err
		}
		defer of.drop(ev, src)
		out = append(out, src...)
		if ev.env.Trace == nil {
			return out, nil
		}
		label, _, err := name.str(ev, f, f.this, n)
		if err != nil {
			return out, err
		}
		shown := append(Collection(nil), src...)
		if proj.many != nil {
			shown = shown[:0]
			g := ev.nested(f)
			g.inLoop = true
			for i := range src {
				g.this, g.index = src[i:i+1], i
				if shown, err = proj.many(ev, g, g.this, shown); err != nil {
					return out, err
				}
			}
			ev.leave(g)
		}
		ev.env.Trace(label, shown)
		return out, nil
	}), nil
}

// compileDefine compiles defineVariable(name [, value]). The name must be a
// constant, so that its uses can be checked when the expression is compiled.
func compileDefine(c *compiler, n *syntax.Call, of code, in shape) (code, error) {
	lit, ok := n.Args[0].(*syntax.Literal)
	if !ok || lit.Kind != syntax.String {
		return code{}, c.fault(n, "the name of a variable is a constant string")
	}
	name := lit.Text
	switch name {
	case "context", "resource", "rootResource", "ucum", "sct", "loinc":
		return code{}, c.fault(n, "%%%s has a meaning already", name)
	}
	for _, d := range c.defined {
		if d == name {
			return code{}, c.fault(n, "%%%s is defined already", name)
		}
	}
	var value code
	if len(n.Args) == 2 {
		var err error
		if value, err = c.scoped(n.Args[1], of.shape); err != nil {
			return code{}, err
		}
	}
	c.defined = append(c.defined, name)
	return c.fromMany(n, of.shape, func(ev *evaluation, f *frame, in, out []Value) ([]Value, error) {
		src, err := of.collect(ev, f, in)
		if err != nil {
			return out, err
		}
		defer of.drop(ev, src)
		v := &variable{name: name, next: f.vars}
		if value.many == nil {
			v.values = append(v.values, src...)
		} else {
			g := ev.nested(f)
			g.this = src
			if v.values, err = value.many(ev, g, src, nil); err != nil {
				return out, err
			}
			ev.leave(g)
		}
		f.vars = v
		return append(out, src...), ev.step(1)
	}), nil
}

// boundary makes lowBoundary() and highBoundary(): the least and the greatest
// value that a number, date or time of limited precision may stand for.
func boundary(high bool) func(ev *evaluation, n *syntax.Call, v Value, args []Value) (Value, bool, error) {
	return func(ev *evaluation, n *syntax.Call, v Value, args []Value) (Value, bool, error) {
		s, ok := v.scalar()
		if !ok {
			return Value{}, false, nil
		}
		digits := -1
		if len(args) == 1 {
			k, ok := args[0].Int()
			if !ok {
				return Value{}, false, fail(ev, n, "%s() takes an Integer, there is %s", n.Name, describe(args[0]))
			}
			if k < 0 || k > 31 {
				return Value{}, false, nil
			}
			digits = int(k)
		}
		switch s.kind {
		case KindInteger, KindDecimal:
			d, _ := s.decimal()
			r, ok := decimalBoundary(d, digits, high)
			return Decimal(r), ok, nil
		case KindQuantity:
			q := s.quantity()
			r, ok := decimalBoundary(q.Value, digits, high)
			return quantity(r, q.Unit, q.Calendar), ok, nil
		case KindDate, KindDateTime, KindTime:
			if digits < 0 {
				digits = map[Kind]int{KindDate: 8, KindDateTime: 17, KindTime: 9}[s.kind]
			}
			t, ok := s.temporal().boundary(s.kind, digits, high)
			return Value{kind: s.kind, ref: t}, ok, nil
		}
		return Value{}, false, fail(ev, n, "%s() has no meaning for %s", n.Name, describe(v))
	}
}

// decimalBoundary is half a unit of the last digit away from the number, given
// to so many decimal places (8 unless told): the bound that lies towards zero
// is cut off, the one away from it is rounded.
func decimalBoundary(d *apd.Decimal, digits int, high bool) (*apd.Decimal, bool) {
	if digits < 0 {
		digits = 8
	}
	exp := min(d.Exponent, 0)
	half := apd.New(5, exp-1)
	var r apd.Decimal
	op := exact.Sub
	if high {
		op = exact.Add
	}
	if _, err := op(&r, d, half); err != nil {
		return nil, false
	}
	mode := apd.RoundHalfUp
	if high == d.Negative {
		mode = apd.RoundDown
	}
	return roundTo(&r, int32(digits), mode)
}
