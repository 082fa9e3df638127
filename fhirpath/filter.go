package fhirpath

import (
	"slices"

	"ingle/fhirpath/syntax"
)

// filterFunctions are those of N1, 5.2, with aggregate(), sort() and coalesce().
var filterFunctions = map[string]function{
	"where":     {1, 1, compileWhere},
	"select":    {1, 1, compileSelect},
	"repeat":    {1, 1, compileRepeat(false)},
	"repeatAll": {1, 1, compileRepeat(true)},
	"aggregate": {1, 2, compileAggregate},
	"iif":       {2, 3, compileIif},
	"sort":      {0, 100, compileSort},
	"coalesce":  {1, 100, compileCoalesce},
	"children": onAll(descend, func(ev *evaluation, n *syntax.Call, src, out []Value) ([]Value, error) {
		for i := range src {
			out = src[i].appendChildren(out)
		}
		if len(out) > ev.values {
			return out, ev.tooMany(n)
		}
		return out, ev.step(len(out))
	}),
	"descendants": onAll(descend, func(ev *evaluation, n *syntax.Call, src, out []Value) ([]Value, error) {
		at := len(out)
		for i := range src {
			out = src[i].appendChildren(out)
		}
		for ; at < len(out); at++ {
			out = out[at].appendChildren(out)
			if err := ev.step(1); err != nil {
				return out, err
			}
			if len(out) > ev.values {
				return out, ev.tooMany(n)
			}
		}
		return out, nil
	}),
}

// descend is what is known of children: neither types nor order.
func descend(shape) shape { return shape{unordered: true} }

func compileWhere(c *compiler, n *syntax.Call, of code, _ shape) (code, error) {
	crit, err := c.scoped(n.Args[0], of.shape)
	if err != nil {
		return code{}, err
	}
	return c.fromMany(n, of.shape, func(ev *evaluation, f *frame, in, out []Value) ([]Value, error) {
		src, err := of.collect(ev, f, in)
		if err != nil {
			return out, err
		}
		g := ev.nested(f)
		g.inLoop = true
		for i := range src {
			g.this, g.index = src[i:i+1], i
			t, err := crit.truth(ev, g, g.this)
			if err != nil {
				return out, err
			}
			if t == yes {
				out = append(out, src[i])
			}
		}
		ev.leave(g)
		of.drop(ev, src)
		return out, ev.step(1)
	}), nil
}

func compileSelect(c *compiler, n *syntax.Call, of code, _ shape) (code, error) {
	proj, err := c.scoped(n.Args[0], of.shape)
	if err != nil {
		return code{}, err
	}
	s := proj.shape
	s.unordered = s.unordered || of.shape.unordered
	return c.fromMany(n, s, func(ev *evaluation, f *frame, in, out []Value) ([]Value, error) {
		src, err := of.collect(ev, f, in)
		if err != nil {
			return out, err
		}
		g := ev.nested(f)
		g.inLoop = true
		for i := range src {
			g.this, g.index = src[i:i+1], i
			if out, err = proj.many(ev, g, g.this, out); err != nil {
				return out, err
			}
			if len(out) > ev.values {
				return out, ev.tooMany(n)
			}
		}
		ev.leave(g)
		of.drop(ev, src)
		return out, ev.step(1)
	}), nil
}

// compileRepeat compiles repeat(): the projection of what it yielded before,
// until nothing new comes. repeatAll() does not look for duplicates.
func compileRepeat(all bool) func(*compiler, *syntax.Call, code, shape) (code, error) {
	return func(c *compiler, n *syntax.Call, of code, _ shape) (code, error) {
		// The projection is applied to the input and to its own results.
		proj, err := c.scoped(n.Args[0], of.shape)
		if err != nil {
			return code{}, err
		}
		first := proj.shape
		if proj, err = c.scoped(n.Args[0], shape{}); err != nil {
			return code{}, err
		}
		s := shape{unordered: of.shape.unordered}
		if again, err := c.scoped(n.Args[0], first); err == nil && sameTypes(first, again.shape) {
			s = first
		}
		return c.fromMany(n, s, func(ev *evaluation, f *frame, in, out []Value) ([]Value, error) {
			src, err := of.collect(ev, f, in)
			if err != nil {
				return out, err
			}
			g := ev.nested(f)
			g.inLoop = true
			found := set{items: ev.get()}
			one := func(v []Value, i int) error {
				g.this, g.index = v, i
				s, err := proj.many(ev, g, v, ev.get())
				if err != nil {
					return err
				}
				if all {
					found.items = append(found.items, s...)
					err = ev.step(1 + len(s))
				} else {
					err = found.addNew(ev, s)
				}
				ev.put(s)
				if err == nil && len(found.items) > ev.values {
					err = ev.tooMany(n)
				}
				return err
			}
			for i := range src {
				if err := one(src[i:i+1], i); err != nil {
					return out, err
				}
			}
			var item [1]Value
			for i := 0; i < len(found.items); i++ {
				item[0] = found.items[i] // the set may move while it grows
				if err := one(item[:], i); err != nil {
					return out, err
				}
			}
			ev.leave(g)
			of.drop(ev, src)
			out = append(out, found.items...)
			ev.put(found.items)
			return out, nil
		}), nil
	}
}

func sameTypes(a, b shape) bool {
	if !a.known || !b.known || a.kinds != b.kinds || len(a.models) != len(b.models) {
		return false
	}
	for _, m := range a.models {
		if !slices.Contains(b.models, m) {
			return false
		}
	}
	return true
}

func compileAggregate(c *compiler, n *syntax.Call, of code, in shape) (code, error) {
	body, err := c.scoped(n.Args[0], of.shape)
	if err != nil {
		return code{}, err
	}
	var start code
	if len(n.Args) == 2 {
		if start, err = c.scoped(n.Args[1], in); err != nil {
			return code{}, err
		}
	}
	return c.fromMany(n, shape{}, func(ev *evaluation, f *frame, in, out []Value) ([]Value, error) {
		src, err := of.collect(ev, f, in)
		if err != nil {
			return out, err
		}
		var total []Value
		if start.many != nil {
			if total, err = start.many(ev, f, f.this, nil); err != nil {
				return out, err
			}
		}
		g := ev.nested(f)
		g.inLoop, g.inTotal = true, true
		for i := range src {
			g.this, g.index, g.total = src[i:i+1], i, total
			next, err := body.many(ev, g, g.this, nil)
			if err != nil {
				return out, err
			}
			if total = next; len(total) > ev.values {
				return out, ev.tooMany(n)
			}
		}
		ev.leave(g)
		of.drop(ev, src)
		return append(out, total...), ev.step(1)
	}), nil
}

// compileIif compiles iif(criterion, then [, otherwise]); only the branch that
// is taken is evaluated.
func compileIif(c *compiler, n *syntax.Call, of code, in shape) (code, error) {
	inner := in
	if n.Of != nil {
		inner = of.shape
	}
	crit, err := c.scoped(n.Args[0], inner)
	if err != nil {
		return code{}, err
	}
	if crit.shape.known && crit.shape.kinds&^(1<<KindBoolean) != 0 && crit.shape.kinds&(1<<KindBoolean) == 0 {
		return code{}, c.fault(n.Args[0], "the criterion of iif() must be a Boolean, it is %s", crit.shape.names())
	}
	then, err := c.scoped(n.Args[1], inner)
	if err != nil {
		return code{}, err
	}
	s := then.shape
	var otherwise code
	if len(n.Args) == 3 {
		if otherwise, err = c.scoped(n.Args[2], inner); err != nil {
			return code{}, err
		}
		s = s.union(otherwise.shape)
	}
	return c.fromMany(n, s, func(ev *evaluation, f *frame, in, out []Value) ([]Value, error) {
		g := f
		if n.Of != nil {
			src, err := of.collect(ev, f, in)
			if err != nil {
				return out, err
			}
			if len(src) > 1 {
				return out, fail(ev, n, "iif() needs one value before the dot, there are %d", len(src))
			}
			g = ev.nested(f)
			defer ev.leave(g)
			defer of.drop(ev, src)
			g.this = src
		}
		test, err := crit.many(ev, g, g.this, ev.get())
		if err != nil {
			return out, err
		}
		t, ok := unknown, len(test) <= 1
		if len(test) == 1 {
			var b bool
			b, ok = test[0].Bool()
			t = triOf(b)
		}
		ev.put(test)
		if !ok {
			return out, fail(ev, n.Args[0], "the criterion of iif() must be one Boolean")
		}
		if err := ev.step(1); err != nil {
			return out, err
		}
		switch {
		case t == yes:
			return then.many(ev, g, g.this, out)
		case otherwise.many != nil:
			return otherwise.many(ev, g, g.this, out)
		}
		return out, nil
	}), nil
}

// compileSort compiles sort(key, …). A key that begins with a minus, or is
// followed by desc, sorts downwards; items without a key come first.
func compileSort(c *compiler, n *syntax.Call, of code, in shape) (code, error) {
	type sortKey struct {
		code
		descending bool
	}
	var keys []sortKey
	for _, a := range n.Args {
		k := sortKey{}
		switch x := a.(type) {
		case *syntax.Direction:
			a, k.descending = x.X, x.Descending
		case *syntax.Unary:
			if x.Op == "-" {
				a, k.descending = x.X, true
			}
		}
		var err error
		if k.code, err = c.scoped(a, of.shape); err != nil {
			return code{}, err
		}
		keys = append(keys, k)
	}
	s := of.shape
	s.unordered = false
	return c.fromMany(n, s, func(ev *evaluation, f *frame, in, out []Value) ([]Value, error) {
		src, err := of.collect(ev, f, in)
		if err != nil {
			return out, err
		}
		type row struct {
			item Value
			keys []Value
		}
		rows := make([]row, len(src))
		g := ev.nested(f)
		g.inLoop = true
		for i := range src {
			rows[i].item = src[i]
			g.this, g.index = src[i:i+1], i
			if len(keys) == 0 {
				rows[i].keys = append(rows[i].keys, src[i])
			}
			for k := range keys {
				v, _, err := keys[k].one(ev, g, g.this, n)
				if err != nil {
					return out, err
				}
				rows[i].keys = append(rows[i].keys, v)
			}
		}
		ev.leave(g)
		of.drop(ev, src)
		var fault error
		slices.SortStableFunc(rows, func(a, b row) int {
			if err := ev.step(1); err != nil {
				fault = err
			}
			for i := range a.keys {
				x, y := a.keys[i], b.keys[i]
				if x.kind == KindNone || y.kind == KindNone {
					if x.kind != y.kind {
						return int(sign(int64(x.kind) - int64(y.kind)))
					}
					continue
				}
				d, _, can := compareValues(x, y)
				if !can && fault == nil {
					fault = fail(ev, n, "sort() cannot order %s and %s", describe(x), describe(y))
				}
				if d == 0 {
					continue
				}
				if len(keys) > 0 && keys[i].descending {
					return -d
				}
				return d
			}
			return 0
		})
		for _, r := range rows {
			out = append(out, r.item)
		}
		return out, fault
	}), nil
}

// compileCoalesce compiles coalesce(a, b, …): the first that is not empty.
func compileCoalesce(c *compiler, n *syntax.Call, of code, in shape) (code, error) {
	args, err := c.args(n, in)
	if err != nil {
		return code{}, err
	}
	s := args[0].shape
	for _, a := range args[1:] {
		s = s.union(a.shape)
	}
	return c.fromMany(n, s, func(ev *evaluation, f *frame, _, out []Value) ([]Value, error) {
		before := len(out)
		for i := range args {
			var err error
			if out, err = args[i].many(ev, f, f.this, out); err != nil || len(out) > before {
				return out, err
			}
		}
		return out, nil
	}), nil
}
