package fhirpath

import (
	"strings"

	"ingle/fhir"
	"ingle/fhirpath/syntax"
)

// fhirFunctions are those that FHIR adds (R4, FHIRPath, 2.9.1), comparable(),
// and the keys of SQL on FHIR.
var fhirFunctions = map[string]function{
	"extension": {1, 1, compileExtension},
	"hasValue": condition(func(_ *evaluation, _ *syntax.Call, src []Value) (tri, error) {
		if len(src) != 1 {
			return no, nil
		}
		_, ok := src[0].System()
		return triOf(ok), nil
	}),
	"getValue": onAll(func(shape) shape { return shape{} }, func(_ *evaluation, _ *syntax.Call, src, out []Value) ([]Value, error) {
		if len(src) == 1 {
			if v, ok := src[0].System(); ok {
				return append(out, v), nil
			}
		}
		return out, nil
	}),
	"resolve":    {0, 0, compileResolve},
	"memberOf":   onItem(1, 1, systemShape(KindBoolean), memberOf),
	"subsumes":   onItem(1, 1, systemShape(KindBoolean), subsumes(false)),
	"subsumedBy": onItem(1, 1, systemShape(KindBoolean), subsumes(true)),
	"conformsTo": onItem(1, 1, systemShape(KindBoolean), conformsTo),
	"htmlChecks": onItem(0, 0, systemShape(KindBoolean), func(ev *evaluation, n *syntax.Call, v Value, _ []Value) (Value, bool, error) {
		s, ok, err := v.asString(ev, n)
		if err != nil || !ok {
			return Value{}, false, err
		}
		return Boolean(narrativeFault(s) == ""), true, ev.step(1 + len(s)/16)
	}),
	"checkModifiers": {1, 100, compileCheckModifiers},
	"comparable": onItem(1, 1, systemShape(KindBoolean), func(ev *evaluation, n *syntax.Call, v Value, args []Value) (Value, bool, error) {
		p, ok := v.Quantity()
		q, ok2 := args[0].Quantity()
		return Boolean(ok && ok2 && comparable(p.unit(), q.unit())), true, nil
	}),
	"getResourceKey": onItem(0, 0, systemShape(KindString), func(_ *evaluation, _ *syntax.Call, v Value, _ []Value) (Value, bool, error) {
		id := v.node.Get("id")
		if v.kind != KindElement || id.Kind() != fhir.String {
			return Value{}, false, nil
		}
		return String(text(id)), true, nil
	}),
	"getReferenceKey": {0, 1, compileReferenceKey},
}

// compileExtension compiles extension(url).
func compileExtension(c *compiler, n *syntax.Call, of code, in shape) (code, error) {
	args, err := c.args(n, in)
	if err != nil {
		return code{}, err
	}
	url := args[0]
	return c.fromMany(n, shapeOf(c.types.model("Extension")), func(ev *evaluation, f *frame, in, out []Value) ([]Value, error) {
		want, ok, err := url.str(ev, f, f.this, n)
		if err != nil || !ok {
			return out, err
		}
		src, err := of.collect(ev, f, in)
		if err != nil {
			return out, err
		}
		for i := range src {
			before := len(out)
			out = src[i].appendMember("extension", out)
			kept := out[:before]
			for _, x := range out[before:] {
				if u := x.node.Get("url"); u.Kind() == fhir.String && text(u) == want {
					kept = append(kept, x)
				}
			}
			out = kept
		}
		of.drop(ev, src)
		return out, ev.step(1 + len(src))
	}), nil
}

// compileCheckModifiers compiles checkModifiers(url, …): the focus, or an error
// if it has a modifier extension that is not among the given ones.
func compileCheckModifiers(c *compiler, n *syntax.Call, of code, in shape) (code, error) {
	args, err := c.args(n, in)
	if err != nil {
		return code{}, err
	}
	return c.fromMany(n, of.shape, func(ev *evaluation, f *frame, in, out []Value) ([]Value, error) {
		known := map[string]bool{}
		for i := range args {
			s, ok, err := args[i].str(ev, f, f.this, n)
			if err != nil {
				return out, err
			}
			known[s] = ok
		}
		before := len(out)
		out, err := of.many(ev, f, in, out)
		if err != nil {
			return out, err
		}
		for _, v := range out[before:] {
			for _, x := range v.appendMember("modifierExtension", nil) {
				if u := x.node.Get("url").Text(); !known[u] {
					return out, fail(ev, n, "there is a modifier extension that is not understood")
				}
			}
		}
		return out, ev.step(1 + len(out) - before)
	}), nil
}

func memberOf(ev *evaluation, n *syntax.Call, v Value, args []Value) (Value, bool, error) {
	url, ok, err := args[0].asString(ev, n)
	if err != nil || !ok || ev.env.MemberOf == nil {
		return Value{}, false, err
	}
	in, known, err := ev.env.MemberOf(ev.ctx, v, url)
	return Boolean(in), known && err == nil, err
}

func subsumes(reverse bool) func(ev *evaluation, n *syntax.Call, v Value, args []Value) (Value, bool, error) {
	return func(ev *evaluation, n *syntax.Call, v Value, args []Value) (Value, bool, error) {
		a, b := v, args[0]
		if reverse {
			a, b = b, a
		}
		if equivalentValues(a, b) {
			return Boolean(true), true, nil
		}
		if ev.env.Subsumes == nil {
			return Value{}, false, nil
		}
		yes, known, err := ev.env.Subsumes(ev.ctx, a, b)
		return Boolean(yes), known && err == nil, err
	}
}

const structureDefinition = "http://hl7.org/fhir/StructureDefinition/"

func conformsTo(ev *evaluation, n *syntax.Call, v Value, args []Value) (Value, bool, error) {
	url, ok, err := args[0].asString(ev, n)
	if err != nil || !ok {
		return Value{}, false, err
	}
	if ev.env.ConformsTo != nil {
		yes, err := ev.env.ConformsTo(ev.ctx, v, url)
		return Boolean(yes), err == nil, err
	}
	canonical, _, _ := strings.Cut(url, "|")
	if name, ok := strings.CutPrefix(canonical, structureDefinition); ok && v.kind == KindElement {
		if m := v.typ.lang.model(name); m != nil {
			return Boolean(v.typ.isA(name)), true, nil
		}
	}
	return Value{}, false, fail(ev, n, "the profile %s is not known", clip(url))
}

// compileResolve compiles resolve(): the resources that references name; what
// cannot be found is left out.
func compileResolve(c *compiler, n *syntax.Call, of code, _ shape) (code, error) {
	stubs := c.stubs
	return c.fromMany(n, shape{unordered: of.shape.unordered}, func(ev *evaluation, f *frame, in, out []Value) ([]Value, error) {
		src, err := of.collect(ev, f, in)
		if err != nil {
			return out, err
		}
		for i := range src {
			v, ok, err := ev.resolve(src[i], stubs)
			if err != nil {
				return out, err
			}
			if ok {
				out = append(out, v)
			}
			if err := ev.step(10); err != nil {
				return out, err
			}
		}
		of.drop(ev, src)
		return out, nil
	}), nil
}

func (ev *evaluation) resolve(v Value, stubs bool) (Value, bool, error) {
	ref := v
	if v.kind == KindElement && !v.typ.isPrimitive() {
		if v.typ.name != "Reference" {
			return Value{}, false, nil
		}
		n := v.node.Get("reference")
		if n.Kind() != fhir.String {
			if t := v.node.Get("type"); stubs && t.Kind() == fhir.String {
				return v.typ.lang.stub(text(t))
			}
			return Value{}, false, nil
		}
		ref = String(text(n))
	}
	s, ok := ref.System()
	if !ok || s.kind != KindString || s.str == "" {
		return Value{}, false, nil
	}
	lang := ev.expr.types
	if id, fragment := strings.CutPrefix(s.str, "#"); fragment {
		r, ok := ev.contained(lang, v, id)
		return r, ok, nil
	}
	if r, ok := ev.bundled(lang, v, s.str); ok {
		return r, true, nil
	}
	if stubs {
		return lang.stubReference(s.str)
	}
	if ev.env.Resolve == nil {
		return Value{}, false, nil
	}
	n, err := ev.env.Resolve(ev.ctx, s.str)
	if err != nil || !n.Valid() {
		return Value{}, false, err
	}
	return lang.resource(n, nil), true, nil
}

// root returns the resource at the top of the document that v is in, as the
// caller named it or as the document has it.
func (ev *evaluation) outermost(lang *types, v Value) (Value, bool) {
	if r := ev.container(true); r.kind == KindElement {
		return r, true
	}
	n := v.node
	if !n.Valid() {
		n = v.ext
	}
	if !n.Valid() && len(ev.focus) == 1 {
		n = ev.focus[0].node
	}
	if !n.Valid() {
		return Value{}, false
	}
	return lang.resource(n.Doc().Root(), nil), true
}

// contained finds a contained resource; "#" alone is its container.
func (ev *evaluation) contained(lang *types, v Value, id string) (Value, bool) {
	for _, r := range [...]Value{ev.env.Resource, ev.env.RootResource} {
		if found, ok := containedIn(lang, r, id); ok {
			return found, true
		}
	}
	r, ok := ev.outermost(lang, v)
	if !ok {
		return Value{}, false
	}
	return containedIn(lang, r, id)
}

func containedIn(lang *types, r Value, id string) (Value, bool) {
	if r.kind != KindElement {
		return Value{}, false
	}
	if id == "" {
		return r, true
	}
	for c := r.node.Get("contained").First(); c.Valid(); c = c.Next() {
		if n := c.Get("id"); n.Kind() == fhir.String && text(n) == id {
			return lang.resource(c, nil), true
		}
	}
	return Value{}, false
}

// bundled finds an entry of the Bundle that v is in by its fullUrl, or for a
// relative reference by the end of it (Bundle, 2.36.4: resolving references).
func (ev *evaluation) bundled(lang *types, v Value, ref string) (Value, bool) {
	r, ok := ev.outermost(lang, v)
	if !ok || r.typ.name != "Bundle" {
		return Value{}, false
	}
	absolute := strings.Contains(ref, ":")
	for e := r.node.Get("entry").First(); e.Valid(); e = e.Next() {
		res := e.Get("resource")
		full := e.Get("fullUrl")
		if !res.Valid() || full.Kind() != fhir.String {
			continue
		}
		if u := text(full); u == ref || !absolute && strings.HasSuffix(u, "/"+ref) {
			return lang.resource(res, nil), true
		}
	}
	return Value{}, false
}

// stub is a resource of which only the type is known.
func (t *types) stub(name string) (Value, bool, error) {
	m := t.model(name)
	if m == nil || m.def == nil || m.def.Kind != fhir.TypeResource {
		return Value{}, false, nil
	}
	return Value{kind: KindElement, typ: m}, true, nil
}

func (t *types) stubReference(ref string) (Value, bool, error) {
	ref, _, _ = strings.Cut(ref, "/_history/")
	parts := strings.Split(ref, "/")
	if len(parts) < 2 {
		return Value{}, false, nil
	}
	return t.stub(parts[len(parts)-2])
}

// compileReferenceKey compiles getReferenceKey([type]): the key of the resource
// that a Reference names, the same as its getResourceKey().
func compileReferenceKey(c *compiler, n *syntax.Call, of code, _ shape) (code, error) {
	want := ""
	if len(n.Args) == 1 {
		name, ok := syntax.AsTypeName(n.Args[0])
		if !ok {
			return code{}, c.fault(n, "getReferenceKey() takes the name of a resource type")
		}
		if _, err := c.typeSpec(name); err != nil {
			return code{}, err
		}
		want = name.Name
	}
	return c.fromMany(n, systemShape(KindString), func(ev *evaluation, f *frame, in, out []Value) ([]Value, error) {
		v, ok, err := of.one(ev, f, in, n)
		if err != nil || !ok {
			return out, err
		}
		ref := v.node.Get("reference")
		if v.kind != KindElement || ref.Kind() != fhir.String {
			return out, nil
		}
		s, _, _ := strings.Cut(text(ref), "/_history/")
		parts := strings.Split(s, "/")
		if len(parts) < 2 || want != "" && parts[len(parts)-2] != want {
			return out, nil
		}
		return append(out, String(parts[len(parts)-1])), nil
	}), nil
}
