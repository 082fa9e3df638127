package fhirpath

import (
	"cmp"

	"github.com/cockroachdb/apd/v3"

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
