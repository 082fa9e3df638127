package fhirpath

import (
	"strings"
	"sync/atomic"

	"ingle/fhir"
	"ingle/fhirpath/syntax"
)

func (c *compiler) literal(n *syntax.Literal) (code, error) {
	v, err := c.literalValue(n)
	if err != nil {
		return code{}, err
	}
	t, _ := truthOf([]Value{v})
	var number func(*evaluation, *frame, []Value) (int64, error)
	if v.kind == KindInteger {
		number = func(*evaluation, *frame, []Value) (int64, error) { return v.n, nil }
	}
	return code{
		constant: &v,
		number:   number,
		shape:    systemShape(v.kind),
		many:     func(_ *evaluation, _ *frame, _, out []Value) ([]Value, error) { return append(out, v), nil },
		truth:    func(*evaluation, *frame, []Value) (tri, error) { return t, nil },
	}, nil
}

func (c *compiler) literalValue(n *syntax.Literal) (Value, error) {
	switch n.Kind {
	case syntax.Boolean:
		return Boolean(n.Text == "true"), nil
	case syntax.String:
		return String(n.Text), nil
	case syntax.Integer:
		if v, ok := integerText(n.Text); ok {
			return v, nil
		}
		return Value{}, c.fault(n, "the Integer %s is beyond 2147483647; write it with a fraction (.0) for a Decimal", n.Text)
	case syntax.Decimal:
		if d, ok := decimalText(n.Text); ok {
			return Decimal(d), nil
		}
		return Value{}, c.fault(n, "the number %s cannot be read", n.Text)
	case syntax.Quantity:
		d, ok := decimalText(n.Text)
		if !ok {
			return Value{}, c.fault(n, "the number %s cannot be read", n.Text)
		}
		return quantity(d, n.Unit, n.Calendar), nil
	}
	v, ok := temporalLiteral(n)
	if !ok {
		return v, c.fault(n, "%s is not a date or time that exists", n.Text)
	}
	return v, nil
}

// variable compiles %name.
func (c *compiler) variable(n *syntax.Variable) (code, error) {
	name := n.Name
	constant := func(s string) code {
		v := String(s)
		k := c.fromMany(n, systemShape(KindString), func(_ *evaluation, _ *frame, _, out []Value) ([]Value, error) { return append(out, v), nil })
		k.constant = &v
		return k
	}
	for _, d := range c.defined {
		if d == name {
			return c.fromMany(n, shape{}, func(ev *evaluation, f *frame, _, out []Value) ([]Value, error) {
				for v := f.vars; v != nil; v = v.next {
					if v.name == name {
						return append(out, v.values...), nil
					}
				}
				return out, fail(ev, n, "%%%s is not defined here", name)
			}), nil
		}
	}
	switch name {
	case "ucum":
		return constant(ucumSystem), nil
	case "sct":
		return constant("http://snomed.info/sct"), nil
	case "loinc":
		return constant("http://loinc.org"), nil
	case "context":
		return c.fromMany(n, c.focus, func(ev *evaluation, _ *frame, _, out []Value) ([]Value, error) {
			return append(out, ev.focus...), nil
		}), nil
	case "resource", "rootResource":
		return c.fromMany(n, shape{}, func(ev *evaluation, _ *frame, _, out []Value) ([]Value, error) {
			if v := ev.container(name == "rootResource"); v.kind != KindNone {
				return append(out, v), nil
			}
			if len(ev.focus) == 0 || ev.focus[0].kind != KindElement {
				return out, nil
			}
			if def := ev.focus[0].typ.def; name == "resource" && def != nil && def.Kind == fhir.TypeResource {
				return append(out, ev.focus[0]), nil
			}
			v, ok := ev.outermost(c.types, ev.focus[0])
			if ok {
				out = append(out, v)
			}
			return out, nil
		}), nil
	}
	if vs, ok := strings.CutPrefix(name, "vs-"); ok {
		return constant("http://hl7.org/fhir/ValueSet/" + vs), nil
	}
	if ext, ok := strings.CutPrefix(name, "ext-"); ok {
		return constant("http://hl7.org/fhir/StructureDefinition/" + ext), nil
	}
	return c.fromMany(n, shape{}, func(ev *evaluation, _ *frame, _, out []Value) ([]Value, error) {
		if values, ok := ev.env.Variables[name]; ok {
			return append(out, values...), nil
		}
		return out, fail(ev, n, "%%%s is not known", name)
	}), nil
}

// container returns %resource or %rootResource as the caller gave it.
func (ev *evaluation) container(root bool) Value {
	if root && ev.env.RootResource.kind != KindNone {
		return ev.env.RootResource
	}
	return ev.env.Resource
}

// context compiles $this, $index and $total.
func (c *compiler) context(n *syntax.Context, in shape) (code, error) {
	switch n.Name {
	case "this":
		return c.fromMany(n, in, func(_ *evaluation, f *frame, _, out []Value) ([]Value, error) { return append(out, f.this...), nil }), nil
	case "index":
		return c.fromMany(n, systemShape(KindInteger), func(ev *evaluation, f *frame, _, out []Value) ([]Value, error) {
			if !f.inLoop {
				return out, fail(ev, n, "$index has a meaning only inside functions that go through a collection")
			}
			return append(out, Integer(int64(f.index))), nil
		}), nil
	}
	return c.fromMany(n, shape{}, func(ev *evaluation, f *frame, _, out []Value) ([]Value, error) {
		if !f.inTotal {
			return out, fail(ev, n, "$total has a meaning only inside aggregate()")
		}
		return append(out, f.total...), nil
	}), nil
}

// member compiles a step to an element. At the beginning of a path the name of
// a type stands for the focus, if it is of that type (N1, 5.1).
func (c *compiler) member(n *syntax.Member, in shape) (code, error) {
	if n.Of == nil {
		if m := c.types.model(n.Name); m != nil && n.Name[0] >= 'A' && n.Name[0] <= 'Z' {
			return c.typeStep(n, in, m)
		}
	}
	of, err := c.of(n.Of, in)
	if err != nil {
		return code{}, err
	}
	s, ok := of.shape.member(n.Name)
	if !ok && c.strict {
		return code{}, c.fault(n, "%s has no element %s", of.shape.names(), n.Name)
	}
	name := n.Name
	// The elements that a step meets are mostly of one type; the last one's
	// field is remembered.
	type last struct {
		typ   *model
		field *field
	}
	var memo atomic.Pointer[last]
	return c.fromMany(n, s, func(ev *evaluation, f *frame, in, out []Value) ([]Value, error) {
		src, err := of.collect(ev, f, in)
		if err != nil {
			return out, err
		}
		before := len(out)
		known := memo.Load()
		for i := range src {
			v := &src[i]
			if v.kind != KindElement || v.typ.prim {
				out = v.appendMember(name, out)
				continue
			}
			if known == nil || known.typ != v.typ {
				known = &last{v.typ, v.typ.field(name)}
				memo.Store(known)
			}
			if known.field != nil && v.node.Kind() == fhir.Object {
				out = v.appendField(known.field, out)
			}
		}
		of.drop(ev, src)
		if len(out) > ev.values {
			return out, ev.tooMany(n)
		}
		return out, ev.step(1 + len(out) - before)
	}), nil
}

func (ev *evaluation) tooMany(at syntax.Node) error {
	return wrapLimit(fail(ev, at, "a collection has more than %d values", ev.values))
}

// typeStep compiles the name of a type at the beginning of a path.
func (c *compiler) typeStep(n *syntax.Member, in shape, m *model) (code, error) {
	name := n.Name
	s := shapeOf(m)
	if in.known {
		s = shape{known: true}
		for _, has := range in.models {
			switch {
			case has.isA(name):
				s.models = append(s.models, has)
			case m.isA(has.name):
				s.models = append(s.models, m)
			}
		}
		if c.strict && len(s.models) == 0 {
			return code{}, c.fault(n, "the focus is %s, not %s", in.names(), name)
		}
	}
	return c.fromMany(n, s, func(ev *evaluation, _ *frame, in, out []Value) ([]Value, error) {
		for i := range in {
			if v := &in[i]; v.kind == KindElement && v.typ.isA(name) {
				out = append(out, *v)
			}
		}
		return out, ev.step(1)
	}), nil
}

// names lists the types of a shape for messages.
func (s shape) names() string {
	var b strings.Builder
	for i, m := range s.models {
		if i > 0 {
			b.WriteString(", ")
		}
		if i == 5 {
			b.WriteString("…")
			break
		}
		b.WriteString(m.name)
	}
	for k := KindBoolean; k <= KindTypeInfo; k++ {
		if s.kinds&(1<<k) != 0 {
			if b.Len() > 0 {
				b.WriteString(", ")
			}
			b.WriteString("System." + k.String())
		}
	}
	if b.Len() == 0 {
		return "the empty collection"
	}
	return b.String()
}

// index compiles of[at].
func (c *compiler) index(n *syntax.Index, in shape) (code, error) {
	of, err := c.node(n.Of, in)
	if err != nil {
		return code{}, err
	}
	if c.checkOrder && of.shape.unordered {
		return code{}, c.fault(n, "the order of the items is not defined, so that none can be picked by its place")
	}
	at, err := c.scoped(n.At, in)
	if err != nil {
		return code{}, err
	}
	return c.fromMany(n, of.shape, func(ev *evaluation, f *frame, in, out []Value) ([]Value, error) {
		i, ok, err := at.integer(ev, f, f.this, n)
		if err != nil || !ok {
			return out, err
		}
		src, err := of.collect(ev, f, in)
		if err != nil {
			return out, err
		}
		if i >= 0 && i < int64(len(src)) {
			out = append(out, src[i])
		}
		of.drop(ev, src)
		return out, ev.step(1)
	}), nil
}

// integer evaluates code that must yield at most one Integer.
func (k *code) integer(ev *evaluation, f *frame, in []Value, at syntax.Node) (n int64, ok bool, err error) {
	v, ok, err := k.one(ev, f, in, at)
	if err != nil || !ok {
		return 0, false, err
	}
	s, ok := v.System()
	if !ok || s.kind != KindInteger {
		return 0, false, fail(ev, at, "an Integer is needed here, there is %s", describe(v))
	}
	return s.n, true, nil
}

// str evaluates code that must yield at most one String.
func (k *code) str(ev *evaluation, f *frame, in []Value, at syntax.Node) (s string, ok bool, err error) {
	v, ok, err := k.one(ev, f, in, at)
	if err != nil || !ok {
		return "", false, err
	}
	return v.asString(ev, at)
}

// asString reads a value that must be a String. The other primitives convert
// to String only where FHIR says that they are strings; dates do as well, as
// invariants of R4 apply matches() and length() to them.
func (v Value) asString(ev *evaluation, at syntax.Node) (string, bool, error) {
	s, ok := v.System()
	if !ok {
		if v.kind == KindElement && v.typ.isPrimitive() {
			return "", false, nil // only extensions
		}
		return "", false, fail(ev, at, "a String is needed here, there is %s", describe(v))
	}
	if v.kind == KindElement {
		switch s.kind {
		case KindDate, KindDateTime, KindTime:
			return s.String(), true, nil
		}
	}
	if s.kind != KindString {
		return "", false, fail(ev, at, "a String is needed here, there is %s", describe(v))
	}
	return s.str, true, nil
}

// describe names the type of a value for messages; never its content.
func describe(v Value) string {
	if v.kind == KindElement {
		return "an element of type " + v.typ.name
	}
	return "a System." + v.kind.String()
}

// scoped compiles a part in which variables may be defined that are not seen
// outside it.
func (c *compiler) scoped(n syntax.Node, in shape) (code, error) {
	before := len(c.defined)
	k, err := c.node(n, in)
	if len(c.defined) == before {
		return k, err
	}
	c.defined = c.defined[:before]
	many, truth := k.many, k.truth
	k.many = func(ev *evaluation, f *frame, in, out []Value) ([]Value, error) {
		vars := f.vars
		out, err := many(ev, f, in, out)
		f.vars = vars
		return out, err
	}
	k.truth = func(ev *evaluation, f *frame, in []Value) (tri, error) {
		vars := f.vars
		t, err := truth(ev, f, in)
		f.vars = vars
		return t, err
	}
	return k, err
}

func wrapLimit(err error) error { return &limited{err} }

// limited is an error that has ErrLimit underneath.
type limited struct{ error }

func (l *limited) Unwrap() []error { return []error{l.error, ErrLimit} }
