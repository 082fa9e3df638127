package fhirpath

import (
	"cmp"
	"errors"
	"math"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"ingle/fhir/ucum"
	"ingle/fhirpath/syntax"
)

// unary compiles +x and -x.
func (c *compiler) unary(n *syntax.Unary, in shape) (code, error) {
	x, err := c.node(n.X, in)
	if err != nil {
		return code{}, err
	}
	k := c.fromMany(n, x.shape, func(ev *evaluation, f *frame, in, out []Value) ([]Value, error) {
		v, ok, err := x.one(ev, f, in, n)
		if err != nil || !ok {
			return out, err
		}
		s, ok := v.scalar()
		if !ok {
			return out, nil
		}
		if n.Op == "+" {
			if _, num := s.decimal(); num || s.kind == KindQuantity {
				return append(out, s), nil
			}
		} else if neg, ok := s.negate(); ok {
			return append(out, neg), nil
		}
		return out, fail(ev, n, "a sign needs a number, there is %s", describe(v))
	})
	// -5 is a constant like 5.
	if x.constant != nil {
		if neg, ok := x.constant.negate(); ok && n.Op == "-" {
			k.constant = &neg
		}
	}
	return k, nil
}

func (v Value) negate() (Value, bool) {
	switch v.kind {
	case KindInteger:
		return Integer(-v.n), true
	case KindDecimal:
		var r apd.Decimal
		r.Neg(v.ref.(*apd.Decimal))
		return Decimal(&r), true
	case KindQuantity:
		var r apd.Decimal
		q := v.quantity()
		r.Neg(q.Value)
		return quantity(&r, q.Unit, q.Calendar), true
	}
	return Value{}, false
}

// binary compiles an operator between two expressions.
func (c *compiler) binary(n *syntax.Binary, in shape) (code, error) {
	l, err := c.scoped(n.L, in)
	if err != nil {
		return code{}, err
	}
	r, err := c.scoped(n.R, in)
	if err != nil {
		return code{}, err
	}
	switch n.Op {
	case "and", "or", "xor", "implies":
		return c.fromTruth(logic(n.Op, l.truth, r.truth)), nil
	case "|":
		return c.union(n, l, r), nil
	case "=", "!=", "~", "!~":
		return c.fromTruth(c.equality(n, l, r)), nil
	case "<", "<=", ">", ">=":
		return c.fromTruth(c.inequality(n, l, r)), nil
	case "in":
		return c.fromTruth(c.membership(n, l, r)), nil
	case "contains":
		return c.fromTruth(c.membership(n, r, l)), nil
	}
	return c.arithmetic(n, l, r), nil
}

// logic is three-valued logic; the right side is evaluated only if the left one
// leaves the result open (N1, 6.5).
func logic(op string, l, r test) test {
	return func(ev *evaluation, f *frame, in []Value) (tri, error) {
		if err := ev.step(1); err != nil {
			return unknown, err
		}
		a, err := l(ev, f, in)
		if err != nil {
			return unknown, err
		}
		switch {
		case op == "and" && a == no:
			return no, nil
		case op == "or" && a == yes:
			return yes, nil
		case op == "implies" && a == no:
			return yes, nil
		case op == "xor" && a == unknown:
			return unknown, nil
		}
		b, err := r(ev, f, in)
		if err != nil {
			return unknown, err
		}
		switch op {
		case "and":
			if b == no {
				return no, nil
			}
			return min(a, b), nil // yes and yes; else unknown
		case "or":
			if b == yes {
				return yes, nil
			}
			if a == unknown {
				return unknown, nil
			}
			return b, nil
		case "implies":
			if a == yes || b == yes {
				return b, nil
			}
			return unknown, nil
		}
		if b == unknown {
			return unknown, nil
		}
		return triOf(a != b), nil
	}
}

// union compiles l | r: both without duplicates.
func (c *compiler) union(n *syntax.Binary, l, r code) code {
	return c.fromMany(n, l.shape.union(r.shape), func(ev *evaluation, f *frame, in, out []Value) ([]Value, error) {
		a, err := l.collect(ev, f, in)
		if err != nil {
			return out, err
		}
		b, err := r.collect(ev, f, in)
		if err != nil {
			return out, err
		}
		out, err = ev.unite(n, a, b, out)
		l.drop(ev, a)
		r.drop(ev, b)
		return out, err
	})
}

// unite appends the values of a and b without duplicates.
func (ev *evaluation) unite(at syntax.Node, a, b, out []Value) ([]Value, error) {
	if len(a)+len(b) == 1 {
		return append(append(out, a...), b...), nil
	}
	if len(a)+len(b) > ev.values {
		return out, ev.tooMany(at)
	}
	s := set{items: ev.get()}
	defer func() { ev.put(s.items) }()
	if err := s.addNew(ev, a); err != nil {
		return out, err
	}
	if err := s.addNew(ev, b); err != nil {
		return out, err
	}
	return append(out, s.items...), nil
}

// both evaluates two parts that must each yield at most one value.
func both(ev *evaluation, f *frame, in []Value, n syntax.Node, l, r *code) (a, b Value, ok bool, err error) {
	a, okA, err := l.one(ev, f, in, n)
	if err != nil {
		return a, b, false, err
	}
	b, okB, err := r.one(ev, f, in, n)
	return a, b, okA && okB, err
}

// equality compiles = != ~ !~.
func (c *compiler) equality(n *syntax.Binary, l, r code) test {
	negate := n.Op[0] == '!'
	equivalence := n.Op[len(n.Op)-1] == '~'
	if !equivalence && r.constant != nil && r.constant.kind == KindString {
		return stringEquality(n, l, r.constant.str, negate)
	}
	return func(ev *evaluation, f *frame, in []Value) (tri, error) {
		a, err := l.collect(ev, f, in)
		if err != nil {
			return unknown, err
		}
		b, err := r.collect(ev, f, in)
		if err != nil {
			return unknown, err
		}
		if err := ev.step(1 + len(a)); err != nil {
			return unknown, err
		}
		var t tri
		if equivalence {
			t = equivalentCollections(a, b, func() error { err = ev.step(1); return err })
			if err != nil {
				return unknown, err
			}
		} else {
			t = equalCollections(a, b)
		}
		l.drop(ev, a)
		r.drop(ev, b)
		if negate {
			t = t.not()
		}
		return t, nil
	}
}

func (t tri) not() tri {
	switch t {
	case yes:
		return no
	case no:
		return yes
	}
	return unknown
}

// stringEquality is the most frequent comparison: with a constant string.
func stringEquality(n *syntax.Binary, l code, want string, negate bool) test {
	return func(ev *evaluation, f *frame, in []Value) (tri, error) {
		a, err := l.collect(ev, f, in)
		if err != nil {
			return unknown, err
		}
		t := unknown
		switch len(a) {
		case 0:
		case 1:
			t = equalValues(a[0], Value{kind: KindString, str: want})
		default:
			t = no
		}
		l.drop(ev, a)
		if negate {
			t = t.not()
		}
		return t, ev.step(1)
	}
}

// inequality compiles < <= > >=.
func (c *compiler) inequality(n *syntax.Binary, l, r code) test {
	if l.number != nil && r.number != nil {
		return compareNumbers(n.Op, l.number, r.number)
	}
	return func(ev *evaluation, f *frame, in []Value) (tri, error) {
		a, b, ok, err := both(ev, f, in, n, &l, &r)
		if err != nil || !ok {
			return unknown, err
		}
		d, ok, can := compareValues(a, b)
		if !can {
			return unknown, fail(ev, n, "%s and %s have no order between them", describe(a), describe(b))
		}
		if !ok {
			return unknown, ev.step(1)
		}
		return triOf(inOrder(n.Op, d)), ev.step(1)
	}
}

// inOrder applies < <= > >= to the result of a comparison.
func inOrder(op string, d int) bool {
	switch op {
	case "<":
		return d < 0
	case "<=":
		return d <= 0
	case ">":
		return d > 0
	}
	return d >= 0
}

// compareNumbers is the comparison of two parts that always yield an Integer,
// as in children().count() > id.count() of the invariant that all elements have.
func compareNumbers(op string, l, r func(*evaluation, *frame, []Value) (int64, error)) test {
	return func(ev *evaluation, f *frame, in []Value) (tri, error) {
		a, err := l(ev, f, in)
		if err != nil {
			return unknown, err
		}
		b, err := r(ev, f, in)
		if err != nil {
			return unknown, err
		}
		return triOf(inOrder(op, cmp.Compare(a, b))), nil
	}
}

// membership compiles item in list (and list contains item).
func (c *compiler) membership(n *syntax.Binary, item, list code) test {
	return func(ev *evaluation, f *frame, in []Value) (tri, error) {
		v, ok, err := item.one(ev, f, in, n)
		if err != nil || !ok {
			return unknown, err
		}
		src, err := list.collect(ev, f, in)
		if err != nil {
			return unknown, err
		}
		t := no
		for i := range src {
			if equalValues(src[i], v) == yes {
				t = yes
				break
			}
		}
		err = ev.step(1 + len(src))
		list.drop(ev, src)
		return t, err
	}
}

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
