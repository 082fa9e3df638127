package fhirpath

import "ingle/fhirpath/syntax"

// subsetFunctions are those of N1, 5.3 and 5.4.
var subsetFunctions = map[string]function{
	"single": onAll(same, func(ev *evaluation, n *syntax.Call, src, out []Value) ([]Value, error) {
		if len(src) > 1 {
			return out, fail(ev, n, "single() needs one value, there are %d", len(src))
		}
		return append(out, src...), nil
	}),
	"first":     slice(0, func(n, _ int) (int, int) { return 0, min(n, 1) }),
	"last":      slice(0, func(n, _ int) (int, int) { return max(n-1, 0), n }),
	"tail":      slice(0, func(n, _ int) (int, int) { return min(1, n), n }),
	"skip":      slice(1, func(n, k int) (int, int) { return min(max(k, 0), n), n }),
	"take":      slice(1, func(n, k int) (int, int) { return 0, min(max(k, 0), n) }),
	"intersect": pair(intersect),
	"exclude":   pair(exclude),
	"union": pair(func(ev *evaluation, n *syntax.Call, a, b, out []Value) ([]Value, error) {
		return ev.unite(n, a, b, out)
	}),
	"combine": pair(func(ev *evaluation, n *syntax.Call, a, b, out []Value) ([]Value, error) {
		if len(a)+len(b) > ev.values {
			return out, ev.tooMany(n)
		}
		return append(append(out, a...), b...), ev.step(len(a) + len(b))
	}),
}

// slice makes a function that picks items by their place; bounds gives from and
// to for n items and the argument.
func slice(args int, bounds func(n, k int) (from, to int)) function {
	return function{args, args, func(c *compiler, n *syntax.Call, of code, in shape) (code, error) {
		if c.checkOrder && of.shape.unordered {
			return code{}, c.fault(n, "the order of the items is not defined, so that %s() has no meaning", n.Name)
		}
		at, err := c.args(n, in)
		if err != nil {
			return code{}, err
		}
		return c.fromMany(n, of.shape, func(ev *evaluation, f *frame, in, out []Value) ([]Value, error) {
			k := int64(0)
			if args == 1 {
				var ok bool
				var err error
				if k, ok, err = at[0].integer(ev, f, f.this, n); err != nil || !ok {
					return out, err
				}
			}
			src, err := of.collect(ev, f, in)
			if err != nil {
				return out, err
			}
			from, to := bounds(len(src), int(min(max(k, -1), int64(len(src)))))
			out = append(out, src[from:to]...)
			of.drop(ev, src)
			return out, ev.step(1 + to - from)
		}), nil
	}}
}

// pair makes a function of two collections.
func pair(apply func(ev *evaluation, n *syntax.Call, a, b, out []Value) ([]Value, error)) function {
	return function{1, 1, func(c *compiler, n *syntax.Call, of code, in shape) (code, error) {
		args, err := c.args(n, in)
		if err != nil {
			return code{}, err
		}
		other := args[0]
		return c.fromMany(n, of.shape.union(other.shape), func(ev *evaluation, f *frame, in, out []Value) ([]Value, error) {
			a, err := of.collect(ev, f, in)
			if err != nil {
				return out, err
			}
			b, err := other.collect(ev, f, f.this)
			if err != nil {
				return out, err
			}
			out, err = apply(ev, n, a, b, out)
			of.drop(ev, a)
			other.drop(ev, b)
			return out, err
		}), nil
	}}
}

// intersect yields what is in both, without duplicates.
func intersect(ev *evaluation, n *syntax.Call, a, b, out []Value) ([]Value, error) {
	s := set{items: ev.get()}
	done := set{items: ev.get()}
	defer func() { ev.put(s.items); ev.put(done.items) }()
	if err := s.addNew(ev, b); err != nil {
		return out, err
	}
	for i := range a {
		found, k := s.has(a[i])
		again, m := done.has(a[i])
		if err := ev.step(1 + k + m); err != nil {
			return out, err
		}
		if found && !again {
			done.add(a[i])
		}
	}
	return append(out, done.items...), nil
}

// exclude yields what is in a and not in b; order and duplicates are kept.
func exclude(ev *evaluation, n *syntax.Call, a, b, out []Value) ([]Value, error) {
	s := set{items: ev.get()}
	defer func() { ev.put(s.items) }()
	if err := s.addNew(ev, b); err != nil {
		return out, err
	}
	for i := range a {
		found, k := s.has(a[i])
		if err := ev.step(1 + k); err != nil {
			return out, err
		}
		if !found {
			out = append(out, a[i])
		}
	}
	return out, nil
}
