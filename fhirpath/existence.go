package fhirpath

import "ingle/fhirpath/syntax"

// existenceFunctions are those of N1, 5.1.
var existenceFunctions = map[string]function{
	"empty":      condition(func(_ *evaluation, _ *syntax.Call, src []Value) (tri, error) { return triOf(len(src) == 0), nil }),
	"exists":     {0, 1, compileExists},
	"all":        {1, 1, compileAll},
	"allTrue":    booleans(yes, func(t tri) bool { return t == no }),
	"allFalse":   booleans(yes, func(t tri) bool { return t == yes }),
	"anyTrue":    booleans(no, func(t tri) bool { return t == yes }),
	"anyFalse":   booleans(no, func(t tri) bool { return t == no }),
	"subsetOf":   subset(false),
	"supersetOf": subset(true),
	"count":      {0, 0, compileCount},
	"distinct": onAll(same, func(ev *evaluation, n *syntax.Call, src, out []Value) ([]Value, error) {
		return ev.unite(n, src, nil, out)
	}),
	"isDistinct": condition(func(ev *evaluation, _ *syntax.Call, src []Value) (tri, error) {
		s := set{items: ev.get()}
		defer func() { ev.put(s.items) }()
		for i := range src {
			found, n := s.has(src[i])
			if err := ev.step(1 + n); err != nil || found {
				return no, err
			}
			s.add(src[i])
		}
		return yes, nil
	}),
	"not": {0, 0, func(c *compiler, n *syntax.Call, of code, _ shape) (code, error) {
		truth := of.truth
		if of.source {
			truth = c.fromMany(n, of.shape, of.many).truth
		}
		return c.fromTruth(func(ev *evaluation, f *frame, in []Value) (tri, error) {
			t, err := truth(ev, f, in)
			return t.not(), err
		}), nil
	}},
}

// booleans makes allTrue() and its kin: start, unless an item turns it over.
func booleans(start tri, turns func(tri) bool) function {
	return condition(func(ev *evaluation, n *syntax.Call, src []Value) (tri, error) {
		t := start
		for i := range src {
			b, ok := src[i].Bool()
			if !ok {
				return unknown, fail(ev, n, "%s() needs Booleans, there is %s", n.Name, describe(src[i]))
			}
			if turns(triOf(b)) {
				t = start.not()
			}
		}
		return t, nil
	})
}

func compileCount(c *compiler, n *syntax.Call, of code, _ shape) (code, error) {
	number := func(ev *evaluation, f *frame, in []Value) (int64, error) {
		src, err := of.collect(ev, f, in)
		if err != nil {
			return 0, err
		}
		k := len(src)
		of.drop(ev, src)
		return int64(k), ev.step(1)
	}
	k := c.fromMany(n, systemShape(KindInteger), func(ev *evaluation, f *frame, in, out []Value) ([]Value, error) {
		k, err := number(ev, f, in)
		return append(out, Integer(k)), err
	})
	k.number = number
	return k, nil
}

func compileExists(c *compiler, n *syntax.Call, of code, _ shape) (code, error) {
	if len(n.Args) == 0 {
		return c.fromTruth(func(ev *evaluation, f *frame, in []Value) (tri, error) {
			src, err := of.collect(ev, f, in)
			if err != nil {
				return unknown, err
			}
			t := triOf(len(src) > 0)
			of.drop(ev, src)
			return t, ev.step(1)
		}), nil
	}
	return c.quantifier(n, of, yes)
}

func compileAll(c *compiler, n *syntax.Call, of code, _ shape) (code, error) {
	return c.quantifier(n, of, no)
}

// quantifier compiles exists(criteria) and all(criteria): it ends at the first
// item that is decisive.
func (c *compiler) quantifier(n *syntax.Call, of code, decisive tri) (code, error) {
	crit, err := c.scoped(n.Args[0], of.shape)
	if err != nil {
		return code{}, err
	}
	return c.fromTruth(func(ev *evaluation, f *frame, in []Value) (tri, error) {
		src, err := of.collect(ev, f, in)
		if err != nil {
			return unknown, err
		}
		g := ev.nested(f)
		g.inLoop = true
		result := decisive.not()
		for i := range src {
			g.this, g.index = src[i:i+1], i
			t, err := crit.truth(ev, g, g.this)
			if err != nil {
				return unknown, err
			}
			if (t == yes) == (decisive == yes) {
				result = decisive
				break
			}
		}
		ev.leave(g)
		of.drop(ev, src)
		return result, ev.step(1)
	}), nil
}

// subset makes subsetOf() and supersetOf().
func subset(super bool) function {
	return function{1, 1, func(c *compiler, n *syntax.Call, of code, in shape) (code, error) {
		args, err := c.args(n, in)
		if err != nil {
			return code{}, err
		}
		other := args[0]
		return c.fromTruth(func(ev *evaluation, f *frame, in []Value) (tri, error) {
			a, err := of.collect(ev, f, in)
			if err != nil {
				return unknown, err
			}
			b, err := other.collect(ev, f, f.this)
			if err != nil {
				return unknown, err
			}
			small, large := a, b
			if super {
				small, large = b, a
			}
			t, err := ev.contains(large, small)
			of.drop(ev, a)
			other.drop(ev, b)
			return t, err
		}), nil
	}}
}

// contains tells whether each of small is in large.
func (ev *evaluation) contains(large, small []Value) (tri, error) {
	s := set{items: ev.get()}
	defer func() { ev.put(s.items) }()
	if err := s.addNew(ev, large); err != nil {
		return unknown, err
	}
	for i := range small {
		found, n := s.has(small[i])
		if err := ev.step(1 + n); err != nil || !found {
			return no, err
		}
	}
	return yes, nil
}
