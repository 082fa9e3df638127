package fhirpath

import (
	"ingle/fhirpath/syntax"
)

// typeInfo is what type() returns.
type typeInfo struct{ namespace, name string }

func (v Value) appendTypeInfo(name string, out []Value) []Value {
	t := v.ref.(*typeInfo)
	switch name {
	case "namespace":
		return append(out, String(t.namespace))
	case "name":
		return append(out, String(t.name))
	}
	return out
}

// info returns the type of a value as reflection shows it.
func (v Value) info() *typeInfo {
	if v.kind == KindElement {
		return &typeInfo{"FHIR", v.typ.name}
	}
	return &typeInfo{"System", v.kind.String()}
}

// typeSpec is a type that values are tested for.
type typeSpec struct {
	model  *model // of the FHIR namespace, or nil
	system Kind   // of the System namespace, or KindNone
	any    bool   // System.Any
}

var systemTypes = map[string]Kind{
	"Boolean": KindBoolean, "String": KindString, "Integer": KindInteger, "Decimal": KindDecimal,
	"Date": KindDate, "DateTime": KindDateTime, "Time": KindTime, "Quantity": KindQuantity, "TypeInfo": KindTypeInfo,
}

// typeSpec resolves a name: FHIR's types go before those of System where the
// namespace is not given; Quantity is both.
func (c *compiler) typeSpec(t syntax.TypeName) (typeSpec, error) {
	var s typeSpec
	if t.Namespace != "System" {
		s.model = c.types.model(t.Name)
	}
	if t.Namespace != "FHIR" {
		s.system = systemTypes[t.Name]
		s.any = t.Name == "Any"
	}
	if t.Namespace == "System" { // a type that System does not have is no error: no value is of it
		return s, nil
	}
	if s.model == nil && s.system == KindNone && !s.any || t.Namespace != "" && t.Namespace != "FHIR" {
		return s, syntax.NewError(c.expr, t.At, "the type %s is not known", t)
	}
	return s, nil
}

// is tells whether the value is of the type or one that derives from it.
func (s typeSpec) is(v Value) bool {
	if s.any {
		return true
	}
	if v.kind != KindElement {
		return s.system != KindNone && v.kind == s.system
	}
	return s.model != nil && v.typ.isA(s.model.name)
}

// as tells whether the value may be taken as the type: a primitive only as its
// own type (a code is no string here), anything else also as what it derives
// from.
func (s typeSpec) as(v Value) bool {
	if v.kind == KindElement && v.typ.isPrimitive() && s.model != nil {
		return v.typ == s.model
	}
	return s.is(v)
}

func (s typeSpec) shape() shape {
	out := shape{known: !s.any}
	if s.model != nil {
		out.models = []*model{s.model}
	}
	if s.system != KindNone {
		out.kinds = 1 << s.system
	}
	return out
}

// typeTest compiles x is T and x as T.
func (c *compiler) typeTest(n *syntax.TypeTest, in shape) (code, error) {
	x, err := c.node(n.X, in)
	if err != nil {
		return code{}, err
	}
	spec, err := c.typeSpec(n.Type)
	if err != nil {
		return code{}, err
	}
	if n.Op == "is" {
		return c.is(n, x, spec), nil
	}
	return c.as(n, x, spec), nil
}

func (c *compiler) is(n syntax.Node, x code, spec typeSpec) code {
	return c.fromTruth(func(ev *evaluation, f *frame, in []Value) (tri, error) {
		v, ok, err := x.one(ev, f, in, n)
		if err != nil || !ok {
			return unknown, err
		}
		return triOf(spec.is(v)), ev.step(1)
	})
}

func (c *compiler) as(n syntax.Node, x code, spec typeSpec) code {
	single := c.oneAs
	return c.fromMany(n, spec.shape(), func(ev *evaluation, f *frame, in, out []Value) ([]Value, error) {
		src, err := x.collect(ev, f, in)
		if err != nil {
			return out, err
		}
		if len(src) > 1 && single {
			return out, fail(ev, n, "as needs one value before it, there are %d; ofType() filters several", len(src))
		}
		for i := range src {
			if spec.as(src[i]) {
				out = append(out, src[i])
			}
		}
		x.drop(ev, src)
		return out, ev.step(1)
	})
}

// typeFunction compiles is(T), as(T) and ofType(T).
func typeFunction(make func(c *compiler, n *syntax.Call, of code, spec typeSpec) code) function {
	return function{1, 1, func(c *compiler, n *syntax.Call, of code, _ shape) (code, error) {
		name, ok := syntax.AsTypeName(n.Args[0])
		if !ok {
			return code{}, c.fault(n.Args[0], "%s() takes the name of a type", n.Name)
		}
		spec, err := c.typeSpec(name)
		if err != nil {
			return code{}, err
		}
		return make(c, n, of, spec), nil
	}}
}

func ofType(c *compiler, n *syntax.Call, of code, spec typeSpec) code {
	s := spec.shape()
	s.unordered = of.shape.unordered
	return c.fromMany(n, s, func(ev *evaluation, f *frame, in, out []Value) ([]Value, error) {
		src, err := of.collect(ev, f, in)
		if err != nil {
			return out, err
		}
		for i := range src {
			if spec.as(src[i]) {
				out = append(out, src[i])
			}
		}
		of.drop(ev, src)
		return out, ev.step(1 + len(src))
	})
}
