package fhirpath

import (
	"slices"
	"strings"

	"ingle/fhirpath/syntax"
)

// function compiles a call. of is what stands before the dot, or the focus.
type function struct {
	min, max int // arguments
	compile  func(c *compiler, n *syntax.Call, of code, in shape) (code, error)
}

// functions is filled by the files that hold them, once: the table and the
// functions in it refer to each other.
var functions map[string]function

func init() {
	functions = map[string]function{}
	for _, group := range []map[string]function{
		existenceFunctions, filterFunctions, subsetFunctions, conversionFunctions,
		stringFunctions, mathFunctions, utilityFunctions, fhirFunctions, definitionFunctions,
	} {
		for name, f := range group {
			functions[name] = f
		}
	}
}

// Functions returns the names of all functions, sorted.
func Functions() []string {
	names := make([]string, 0, len(functions))
	for name := range functions {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (c *compiler) call(n *syntax.Call, in shape) (code, error) {
	fn, ok := functions[n.Name]
	if !ok {
		return code{}, c.fault(n, "the function %s() is not known%s", n.Name, nearestFunction(n.Name))
	}
	if len(n.Args) < fn.min || len(n.Args) > fn.max {
		return code{}, c.fault(n, "%s() takes %s, there are %d", n.Name, arguments(fn.min, fn.max), len(n.Args))
	}
	of, err := c.of(n.Of, in)
	if err != nil {
		return code{}, err
	}
	return fn.compile(c, n, of, in)
}

func arguments(lo, hi int) string {
	word := [...]string{"no arguments", "one argument", "two arguments", "three arguments"}
	switch {
	case hi > 3:
		return "one argument or more"
	case lo == hi:
		return word[lo]
	case lo == 0:
		return "at most " + word[hi]
	}
	return word[lo] + " or " + strings.TrimSuffix(strings.TrimSuffix(word[hi], " arguments"), " argument")
}

// nearestFunction finds a name that differs only in case.
func nearestFunction(name string) string {
	for _, f := range Functions() {
		if strings.EqualFold(f, name) {
			return "; there is " + f + "()"
		}
	}
	return ""
}

// args compiles arguments that are evaluated once, on the focus of the whole
// expression.
func (c *compiler) args(n *syntax.Call, in shape) ([]code, error) {
	out := make([]code, len(n.Args))
	for i, a := range n.Args {
		k, err := c.scoped(a, in)
		if err != nil {
			return nil, err
		}
		out[i] = k
	}
	return out, nil
}

// onItem makes a function that maps one value and its arguments, none of which
// may be a collection, to at most one value; it is empty where one of them is.
func onItem(lo, hi int, result shape, apply func(ev *evaluation, n *syntax.Call, v Value, args []Value) (Value, bool, error)) function {
	return function{lo, hi, func(c *compiler, n *syntax.Call, of code, in shape) (code, error) {
		args, err := c.args(n, in)
		if err != nil {
			return code{}, err
		}
		return c.fromMany(n, result, func(ev *evaluation, f *frame, in, out []Value) ([]Value, error) {
			v, ok, err := of.one(ev, f, in, n)
			if err != nil {
				return out, err
			}
			var buffer [3]Value
			vals := buffer[:0]
			for i := range args {
				a, okA, err := args[i].one(ev, f, f.this, n)
				if err != nil {
					return out, err
				}
				ok = ok && okA
				vals = append(vals, a)
			}
			if !ok {
				return out, ev.step(1)
			}
			r, ok, err := apply(ev, n, v, vals)
			if err != nil || !ok {
				return out, err
			}
			if r.kind == KindString && len(r.str) > ev.maxText {
				return out, ev.tooLong(n)
			}
			return append(out, r), ev.step(1)
		}), nil
	}}
}

// onAll makes a function of a whole collection without arguments.
func onAll(result func(shape) shape, apply func(ev *evaluation, n *syntax.Call, src, out []Value) ([]Value, error)) function {
	return function{0, 0, func(c *compiler, n *syntax.Call, of code, _ shape) (code, error) {
		return c.fromMany(n, result(of.shape), func(ev *evaluation, f *frame, in, out []Value) ([]Value, error) {
			src, err := of.collect(ev, f, in)
			if err != nil {
				return out, err
			}
			if err := ev.step(1 + len(src)); err != nil {
				return out, err
			}
			out, err = apply(ev, n, src, out)
			of.drop(ev, src)
			return out, err
		}), nil
	}}
}

// condition makes a function of a whole collection that answers true, false or
// nothing.
func condition(apply func(ev *evaluation, n *syntax.Call, src []Value) (tri, error)) function {
	return function{0, 0, func(c *compiler, n *syntax.Call, of code, _ shape) (code, error) {
		return c.fromTruth(func(ev *evaluation, f *frame, in []Value) (tri, error) {
			src, err := of.collect(ev, f, in)
			if err != nil {
				return unknown, err
			}
			t, err := apply(ev, n, src)
			of.drop(ev, src)
			if err == nil {
				err = ev.step(1)
			}
			return t, err
		}), nil
	}}
}

func same(s shape) shape { return s }

func always(kinds ...Kind) func(shape) shape {
	s := systemShape(kinds...)
	return func(shape) shape { return s }
}
