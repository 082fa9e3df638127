package fhirpath

import (
	"ingle/fhir"
	"ingle/fhir/r4"
	"ingle/fhirpath/syntax"
)

// Error is a fault with its place in the expression: of its syntax, of its
// meaning, or of its application to values that it cannot deal with.
type Error = syntax.Error

// Option changes how an expression is compiled.
type Option func(*compiler)

// WithDefinitions compiles for the types of another version than R4.
func WithDefinitions(d *fhir.Definitions) Option {
	return func(c *compiler) { c.types = typesOf(d) }
}

// Checked compiles for a focus of the given type ("Patient", "HumanName",
// "Patient.contact") and refuses names of elements that the types along the
// way do not have.
func Checked(focusType string) Option {
	return func(c *compiler) { c.strict, c.focusType = true, focusType }
}

// CheckOrder refuses functions that depend on the order of items where the
// order is not defined: children().first().
func CheckOrder() Option { return func(c *compiler) { c.checkOrder = true } }

// Strict compiles as N1 has it where the invariants and search parameters of R4
// were written otherwise: "as" is refused on several items. Without it "as"
// filters them, as in %resource.descendants().as(canonical) of dom-3.
func Strict() Option { return func(c *compiler) { c.oneAs = true } }

// ForSearch compiles as the search parameters of FHIR are meant: where a reference cannot be resolved resolve() still answers
// with its type, as far as the reference tells it, so that "resolve() is
// Patient" needs no look-up.
func ForSearch() Option { return func(c *compiler) { c.stubs = true } }

// Expr is a compiled expression. It is immutable and safe for concurrent use.
type Expr struct {
	text  string
	tree  syntax.Node
	code  code
	types *types
}

// Compile compiles an expression. Its errors are *Error.
func Compile(expr string, opts ...Option) (*Expr, error) {
	tree, err := syntax.Parse(expr)
	if err != nil {
		return nil, err
	}
	c := &compiler{expr: expr}
	for _, o := range opts {
		o(c)
	}
	if c.types == nil {
		c.types = typesOf(r4.Definitions())
	}
	focus := shape{}
	if c.focusType != "" {
		m := c.types.model(c.focusType)
		if m == nil {
			return nil, syntax.NewError(expr, 0, "the type of the focus, %s, is not known", c.focusType)
		}
		focus = shapeOf(m)
	}
	c.focus = focus
	out, err := c.node(tree, focus)
	if err != nil {
		return nil, err
	}
	return &Expr{text: expr, tree: tree, code: out, types: c.types}, nil
}

// MustCompile is Compile for expressions that are part of the program.
func MustCompile(expr string, opts ...Option) *Expr {
	e, err := Compile(expr, opts...)
	if err != nil {
		panic(err)
	}
	return e
}

// String returns the expression as it was written.
func (e *Expr) String() string { return e.text }

// Tree returns the parsed expression. It must not be changed.
func (e *Expr) Tree() syntax.Node { return e.tree }

// Resource makes a Value of a resource node of R4, its type taken from
// resourceType. A resource of unknown type is a plain Resource.
func Resource(n fhir.Node) Value { return ResourceIn(r4.Definitions(), n) }

// ResourceIn is Resource for the types of other definitions, those that the
// expression is compiled for.
func ResourceIn(d *fhir.Definitions, n fhir.Node) Value { return typesOf(d).resource(n, nil) }

// Element makes a Value of an element of the given type of R4: its node and, for
// a primitive, the object with its id and extensions (the zero Node if there is
// none). ok is false if there is no such type.
func Element(n, extra fhir.Node, typeName string) (v Value, ok bool) {
	return ElementIn(r4.Definitions(), n, extra, typeName)
}

// ElementIn is Element for the types of other definitions.
func ElementIn(d *fhir.Definitions, n, extra fhir.Node, typeName string) (v Value, ok bool) {
	m := typesOf(d).model(typeName)
	if m == nil {
		return Value{}, false
	}
	if m.def != nil && m.def.Kind == fhir.TypeResource {
		return m.lang.resource(n, m), true
	}
	return Value{kind: KindElement, node: n, ext: extra, typ: m}, true
}

// op appends its result for the focus in to out.
type op func(ev *evaluation, f *frame, in, out []Value) ([]Value, error)

// tri is the truth of a condition in three-valued logic.
type tri int8

const (
	unknown tri = iota // the empty collection
	no
	yes
)

func triOf(b bool) tri {
	if b {
		return yes
	}
	return no
}

func (t tri) append(out []Value) []Value {
	switch t {
	case yes:
		return append(out, Boolean(true))
	case no:
		return append(out, Boolean(false))
	}
	return out
}

// test is an op as a condition: its result by the singleton rule (N1, 4.5).
type test func(ev *evaluation, f *frame, in []Value) (tri, error)

// code is a compiled part of an expression. Both forms are always there.
type code struct {
	many  op
	truth test
	shape shape
	// source tells that many only hands on the focus.
	source bool
	// number, if not nil, is the result of code that always yields one Integer.
	number func(ev *evaluation, f *frame, in []Value) (int64, error)
	// constant is the value of a literal.
	constant *Value
}

// compiler holds what is known while an expression is compiled.
type compiler struct {
	expr       string
	types      *types
	strict     bool
	checkOrder bool
	oneAs      bool // as takes one item only
	stubs      bool // resolve() may answer with a type alone
	focusType  string
	focus      shape
	defined    []string // names of defineVariable in scope
}

func (c *compiler) fault(n syntax.Node, format string, args ...any) error {
	return syntax.NewError(c.expr, n.Pos(), format, args...)
}

// fail makes an error of evaluation at a place of the expression.
func fail(ev *evaluation, at syntax.Node, format string, args ...any) error {
	return syntax.NewError(ev.expr.text, at.Pos(), format, args...)
}

// fromMany completes code that has only its collection form.
func (c *compiler) fromMany(at syntax.Node, s shape, many op) code {
	return code{many: many, shape: s, truth: func(ev *evaluation, f *frame, in []Value) (tri, error) {
		out, err := many(ev, f, in, ev.get())
		if err != nil {
			return unknown, err
		}
		t, ok := truthOf(out)
		n := len(out)
		ev.put(out)
		if !ok {
			return unknown, fail(ev, at, "a condition needs one value, there are %d", n)
		}
		return t, nil
	}}
}

// truthOf is the singleton rule for conditions: one item that is not a Boolean
// counts as true.
func truthOf(values []Value) (t tri, ok bool) {
	switch len(values) {
	case 0:
		return unknown, true
	case 1:
		if b, ok := values[0].Bool(); ok {
			return triOf(b), true
		}
		if v := &values[0]; v.kind == KindElement && v.typ.system == KindBoolean {
			return unknown, true // a boolean element that has only extensions
		}
		return yes, true
	}
	return unknown, false
}

// fromTruth completes code that has only its form as a condition.
func (c *compiler) fromTruth(truth test) code {
	return code{truth: truth, shape: systemShape(KindBoolean), many: func(ev *evaluation, f *frame, in, out []Value) ([]Value, error) {
		t, err := truth(ev, f, in)
		if err != nil {
			return out, err
		}
		return t.append(out), nil
	}}
}

// node compiles a part; in is the shape of the focus.
func (c *compiler) node(n syntax.Node, in shape) (code, error) {
	switch n := n.(type) {
	case *syntax.Literal:
		return c.literal(n)
	case *syntax.Empty:
		return c.fromMany(n, emptyShape, func(_ *evaluation, _ *frame, _, out []Value) ([]Value, error) { return out, nil }), nil
	case *syntax.Variable:
		return c.variable(n)
	case *syntax.Context:
		return c.context(n, in)
	case *syntax.Member:
		return c.member(n, in)
	case *syntax.Call:
		return c.call(n, in)
	case *syntax.Index:
		return c.index(n, in)
	case *syntax.Unary:
		return c.unary(n, in)
	case *syntax.Binary:
		return c.binary(n, in)
	case *syntax.TypeTest:
		return c.typeTest(n, in)
	}
	return code{}, c.fault(n, "this has no meaning here")
}

// of compiles what stands before the dot; for nil that is the focus.
func (c *compiler) of(n syntax.Node, in shape) (code, error) {
	if n == nil {
		return code{source: true, shape: in, many: func(_ *evaluation, _ *frame, in, out []Value) ([]Value, error) {
			return append(out, in...), nil
		}}, nil
	}
	return c.node(n, in)
}

// collect evaluates code to a collection that may be read until it is given to
// drop. The focus itself is handed on without copying.
func (k *code) collect(ev *evaluation, f *frame, in []Value) ([]Value, error) {
	if k.source {
		return in, nil
	}
	return k.many(ev, f, in, ev.get())
}

func (k *code) drop(ev *evaluation, s []Value) {
	if !k.source {
		ev.put(s)
	}
}

// one evaluates code that must yield at most one value. ok is false if it
// yields none.
func (k *code) one(ev *evaluation, f *frame, in []Value, at syntax.Node) (v Value, ok bool, err error) {
	if k.constant != nil {
		return *k.constant, true, nil
	}
	s, err := k.collect(ev, f, in)
	if err != nil {
		return v, false, err
	}
	n := len(s)
	if n == 1 {
		v = s[0]
	}
	k.drop(ev, s)
	if n > 1 {
		return v, false, fail(ev, at, "one value is needed here, there are %d", n)
	}
	return v, n == 1, nil
}
