package fhirpath

import (
	"math"
	"strconv"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"ingle/fhir/ucum"
	"ingle/fhirpath/syntax"
)

// conversionFunctions are those of N1, 5.5, and the operators of types as
// functions.
var conversionFunctions = func() map[string]function {
	m := map[string]function{
		"is":     typeFunction(func(c *compiler, n *syntax.Call, of code, spec typeSpec) code { return c.is(n, of, spec) }),
		"as":     typeFunction(func(c *compiler, n *syntax.Call, of code, spec typeSpec) code { return c.as(n, of, spec) }),
		"ofType": typeFunction(ofType),
		"type": onAll(always(KindTypeInfo), func(_ *evaluation, _ *syntax.Call, src, out []Value) ([]Value, error) {
			for i := range src {
				out = append(out, Value{kind: KindTypeInfo, ref: src[i].info()})
			}
			return out, nil
		}),
		"toQuantity":         onItem0or1(KindQuantity, quantityIn),
		"convertsToQuantity": onItem0or1(KindBoolean, func(v Value, unit string) (Value, bool) { _, ok := quantityIn(v, unit); return Boolean(ok), true }),
	}
	for name, to := range map[string]struct {
		kind    Kind
		convert func(Value) (Value, bool)
	}{
		"Boolean": {KindBoolean, toBoolean}, "Integer": {KindInteger, toInteger}, "Decimal": {KindDecimal, toDecimal},
		"String": {KindString, toString}, "Date": {KindDate, toDate}, "DateTime": {KindDateTime, toDateTime}, "Time": {KindTime, toTime},
	} {
		m["to"+name] = onItem(0, 0, systemShape(to.kind), func(_ *evaluation, _ *syntax.Call, v Value, _ []Value) (Value, bool, error) {
			s, ok := v.scalar()
			if !ok || s.kind == KindElement {
				return Value{}, false, nil
			}
			r, ok := to.convert(s)
			return r, ok, nil
		})
		m["convertsTo"+name] = onItem(0, 0, systemShape(KindBoolean), func(_ *evaluation, _ *syntax.Call, v Value, _ []Value) (Value, bool, error) {
			s, ok := v.scalar()
			if !ok {
				return Value{}, false, nil
			}
			if s.kind == KindElement {
				return Boolean(false), true, nil
			}
			_, ok = to.convert(s)
			return Boolean(ok), true, nil
		})
	}
	return m
}()

// onItem0or1 makes toQuantity([unit]) and convertsToQuantity([unit]).
func onItem0or1(kind Kind, convert func(v Value, unit string) (Value, bool)) function {
	return onItem(0, 1, systemShape(kind), func(ev *evaluation, n *syntax.Call, v Value, args []Value) (Value, bool, error) {
		s, ok := v.scalar()
		if !ok {
			return Value{}, false, nil
		}
		unit := ""
		if len(args) == 1 {
			var err error
			if unit, ok, err = args[0].asString(ev, n); err != nil || !ok {
				return Value{}, false, err
			}
		}
		r, ok := convert(s, unit)
		return r, ok, nil
	})
}

func quantityIn(v Value, unit string) (Value, bool) {
	q, ok := toQuantity(v)
	if !ok || unit == "" {
		return q, ok
	}
	from := q.quantity()
	to := &Quantity{Value: one, Unit: unit}
	if word, ok := syntax.CalendarUnit(unit); ok {
		to.Unit, to.Calendar = word, true
	}
	if (long(from.Unit) || long(to.Unit)) && from.Calendar != to.Calendar {
		return q, false
	}
	d, err := ucum.Convert(from.Value, from.unit(), to.unit())
	if err != nil {
		return q, false
	}
	return quantity(d, to.Unit, to.Calendar), true
}

func toQuantity(v Value) (Value, bool) {
	switch v.kind {
	case KindQuantity:
		return v, true
	case KindBoolean:
		return quantity(apd.New(v.n, 0), "1", false), true
	case KindInteger, KindDecimal:
		d, _ := v.decimal()
		return quantity(d, "1", false), true
	case KindString:
		return parseQuantity(v.str)
	}
	return Value{}, false
}

func toBoolean(v Value) (Value, bool) {
	switch v.kind {
	case KindBoolean:
		return v, true
	case KindInteger:
		return Boolean(v.n == 1), v.n == 0 || v.n == 1
	case KindDecimal:
		d := v.ref.(*apd.Decimal)
		switch {
		case d.Cmp(one) == 0:
			return Boolean(true), true
		case d.IsZero():
			return Boolean(false), true
		}
	case KindString:
		switch strings.ToLower(v.str) {
		case "true", "t", "yes", "y", "1", "1.0":
			return Boolean(true), true
		case "false", "f", "no", "n", "0", "0.0":
			return Boolean(false), true
		}
	}
	return Value{}, false
}

func toInteger(v Value) (Value, bool) {
	switch v.kind {
	case KindInteger:
		return v, true
	case KindBoolean:
		return Integer(v.n), true
	case KindString:
		s := strings.TrimPrefix(v.str, "+")
		if strings.HasPrefix(s, "+") || s != v.str && strings.HasPrefix(s, "-") {
			return Value{}, false
		}
		n, err := strconv.ParseInt(s, 10, 64)
		return Integer(n), err == nil && n >= math.MinInt32 && n <= math.MaxInt32
	}
	return Value{}, false
}

func toDecimal(v Value) (Value, bool) {
	switch v.kind {
	case KindDecimal:
		return v, true
	case KindInteger, KindBoolean:
		return Decimal(apd.New(v.n, 0)), true
	case KindString:
		d, ok := plainDecimal(v.str)
		return Decimal(d), ok
	}
	return Value{}, false
}

func toString(v Value) (Value, bool) {
	return String(v.String()), v.kind != KindTypeInfo
}

func toDate(v Value) (Value, bool) {
	switch v.kind {
	case KindDate:
		return v, true
	case KindDateTime:
		t := *v.temporal()
		t.prec = min(t.prec, precDay)
		t.zoned, t.zone = false, 0
		t.hour, t.minute, t.second, t.nano = 0, 0, 0, 0
		t.format(KindDate)
		return Value{kind: KindDate, ref: &t}, true
	case KindString:
		return Date(v.str)
	}
	return Value{}, false
}

func toDateTime(v Value) (Value, bool) {
	switch v.kind {
	case KindDateTime:
		return v, true
	case KindDate:
		return Value{kind: KindDateTime, ref: v.ref}, true
	case KindString:
		return DateTime(v.str)
	}
	return Value{}, false
}

func toTime(v Value) (Value, bool) {
	switch v.kind {
	case KindTime:
		return v, true
	case KindString:
		t, ok := parseTime(strings.TrimPrefix(v.str, "T"))
		return Value{kind: KindTime, ref: t}, ok
	}
	return Value{}, false
}
