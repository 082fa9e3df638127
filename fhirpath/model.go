package fhirpath

import (
	"bytes"
	"strings"
	"sync"
	"sync/atomic"

	"ingle/fhir"
)

// model is a FHIR type as the evaluator needs it: which JSON members an
// element name stands for, and which System type a primitive converts to.
type model struct {
	name   string
	def    *fhir.Type // nil for xhtml and for types that are not defined
	lang   *types
	system Kind // of a primitive; KindQuantity for Quantity and its kin
	prim   bool

	once    sync.Once
	ready   atomic.Bool
	fields  map[string]*field
	members map[string]member // by the name in JSON, without "_" before it
}

// member is what a name in JSON stands for.
type member struct {
	field *field
	typ   *model
	extra string // the name of its other part, "" if it has none
}

func memberOfType(f *field, m *model, json string) member {
	out := member{field: f, typ: m}
	if m.prim && m.name != "xhtml" {
		out.extra = "_" + json
	}
	return out
}

// field is one element of a type.
type field struct {
	name    string
	def     *fhir.Field
	choice  bool
	repeats bool
	json    string // the member's name, unless choice
	extra   string // "_" + json for a primitive, else ""
	typ     *model // unless choice
	any     bool   // a resource of any type: its own resourceType tells which
}

// types caches the models of one version's definitions.
type types struct {
	defs  *fhir.Definitions
	cache sync.Map // name → *model
	added sync.Map // *fhir.Type → *model: another definition may come under its name
}

var languages sync.Map // *fhir.Definitions → *types

func typesOf(defs *fhir.Definitions) *types {
	if t, ok := languages.Load(defs); ok {
		return t.(*types)
	}
	t, _ := languages.LoadOrStore(defs, &types{defs: defs})
	return t.(*types)
}

// model returns the model of a type, nil if there is none of that name.
func (t *types) model(name string) *model {
	if m, ok := t.cache.Load(name); ok {
		return m.(*model)
	}
	def := t.defs.Type(name)
	if def == nil && name != "xhtml" {
		return nil
	}
	m := &model{name: name, def: def, lang: t, system: systemKind(name)}
	m.prim = m.system != KindNone
	cache, key := &t.cache, any(name)
	if root, _, _ := strings.Cut(name, "."); t.defs.Added(root) != nil {
		cache, key = &t.added, def
		if m, ok := cache.Load(key); ok {
			return m.(*model)
		}
	}
	if def != nil && def.Name != name { // a backbone element reached by another path
		m = t.model(def.Name)
	}
	if !m.prim && m.isA("Quantity") {
		m.system = KindQuantity
	}
	actual, _ := cache.LoadOrStore(key, m)
	return actual.(*model)
}

// systemKind is the System type that a FHIR primitive converts to (FHIR R4,
// FHIRPath, 2.9.2: using FHIR types in expressions).
func systemKind(name string) Kind {
	switch name {
	case "boolean":
		return KindBoolean
	case "string", "uri", "code", "oid", "id", "uuid", "markdown", "base64Binary", "url", "canonical", "xhtml":
		return KindString
	case "integer", "unsignedInt", "positiveInt":
		return KindInteger
	case "decimal":
		return KindDecimal
	case "date":
		return KindDate
	case "dateTime", "instant":
		return KindDateTime
	case "time":
		return KindTime
	}
	return KindNone
}

func (m *model) isPrimitive() bool { return m.prim }

func (m *model) load() {
	if m.ready.Load() {
		return
	}
	m.once.Do(func() {
		defer m.ready.Store(true)
		if m.def == nil {
			return
		}
		m.fields = make(map[string]*field, len(m.def.Fields))
		m.members = make(map[string]member, len(m.def.Fields))
		for i := range m.def.Fields {
			def := &m.def.Fields[i]
			f := &field{name: def.Name, def: def, choice: def.Choice, repeats: def.Repeats(), json: def.Name}
			if !f.choice && len(def.Types) > 0 {
				f.typ = m.lang.model(def.Types[0].Code)
				if f.typ == nil {
					continue
				}
				if f.typ.isPrimitive() && f.typ.name != "xhtml" {
					f.extra = "_" + f.json
				}
				f.any = f.typ.def != nil && f.typ.def.Kind == fhir.TypeResource
				m.members[f.json] = memberOfType(f, f.typ, f.json)
			}
			if f.choice {
				for _, t := range def.Types {
					name := f.name + strings.ToUpper(t.Code[:1]) + t.Code[1:]
					if tm := m.lang.model(t.Code); tm != nil {
						m.members[name] = memberOfType(f, tm, name)
					}
				}
			}
			m.fields[def.Name] = f
		}
	})
}

func (m *model) field(name string) *field {
	m.load()
	return m.fields[name]
}

// isA tells whether the type is the named one or derives from it.
func (m *model) isA(name string) bool {
	for ; m != nil; m = m.base() {
		if m.name == name {
			return true
		}
	}
	return false
}

func (m *model) base() *model {
	if m.def == nil || m.def.Base == "" {
		return nil
	}
	return m.lang.model(m.def.Base)
}

// resource is the value of a resource node by its resourceType; declared is
// the type to fall back to.
func (t *types) resource(n fhir.Node, declared *model) Value {
	if rt := n.Get("resourceType"); rt.Kind() == fhir.String {
		if m, ok := t.cache.Load(text(rt)); ok {
			return Value{kind: KindElement, node: n, typ: m.(*model)}
		}
		if m := t.model(rt.Text()); m != nil {
			return Value{kind: KindElement, node: n, typ: m}
		}
	}
	if declared == nil {
		declared = t.model("Resource")
	}
	return Value{kind: KindElement, node: n, typ: declared}
}

// appendField appends the values of an element of v to out.
func (v Value) appendField(f *field, out []Value) []Value {
	if f.choice {
		return v.appendChoice(f, out)
	}
	if f.extra == "" {
		if n := v.node.Get(f.json); n.Valid() {
			return v.typ.lang.appendNode(f, f.typ, n, out)
		}
		return out
	}
	var n, ext fhir.Node
	for c := v.node.First(); c.Valid(); c = c.Next() {
		if c.KeyIs(f.json) {
			n = c
			if ext.Valid() {
				break
			}
		} else if c.KeyIs(f.extra) {
			ext = c
			if n.Valid() {
				break
			}
		}
	}
	return appendPrimitive(f.typ, n, ext, out)
}

func (t *types) appendNode(f *field, m *model, n fhir.Node, out []Value) []Value {
	switch n.Kind() {
	case fhir.Array:
		for c := n.First(); c.Valid(); c = c.Next() {
			out = t.appendNode(f, m, c, out)
		}
	case fhir.Null, fhir.Invalid:
	default:
		if f.any {
			return append(out, t.resource(n, m))
		}
		return append(out, Value{kind: KindElement, node: n, typ: m})
	}
	return out
}

// appendPrimitive pairs the values of a primitive element with their ids and
// extensions: in arrays by position, null standing for "none".
func appendPrimitive(m *model, n, ext fhir.Node, out []Value) []Value {
	if n.Kind() != fhir.Array && ext.Kind() != fhir.Array {
		if n.Kind() == fhir.Null {
			n = fhir.Node{}
		}
		if ext.Kind() == fhir.Null {
			ext = fhir.Node{}
		}
		if n.Valid() || ext.Valid() {
			out = append(out, Value{kind: KindElement, node: n, ext: ext, typ: m})
		}
		return out
	}
	a, b := n, ext
	if a.Kind() == fhir.Array {
		a = a.First()
	}
	if b.Kind() == fhir.Array {
		b = b.First()
	}
	for a.Valid() || b.Valid() {
		out = appendPrimitive(m, a, b, out)
		a, b = sibling(a, n), sibling(b, ext)
	}
	return out
}

// sibling moves on in an array; a value outside an array is alone.
func sibling(n, array fhir.Node) fhir.Node {
	if array.Kind() != fhir.Array {
		return fhir.Node{}
	}
	return n.Next()
}

// key returns the member's name without copying it in the usual case.
func key(n fhir.Node) string {
	lo, hi := n.KeySpan()
	if hi-lo < 2 {
		return ""
	}
	b := n.Doc().Source()[lo+1 : hi-1]
	if bytes.IndexByte(b, '\\') >= 0 {
		return n.Key()
	}
	return bytesText(b)
}

// appendChoice appends the values of value[x]: the members valueString,
// valueQuantity …, of which a valid resource has one.
func (v Value) appendChoice(f *field, out []Value) []Value {
	lang := v.typ.lang
	for c := v.node.First(); c.Valid(); c = c.Next() {
		k := key(c)
		name, extra := strings.CutPrefix(k, "_")
		if !strings.HasPrefix(name, f.name) {
			continue
		}
		got := v.typ.members[name]
		if got.field != f {
			continue
		}
		m := got.typ
		switch {
		case !m.isPrimitive():
			if !extra {
				out = lang.appendNode(f, m, c, out)
			}
		case !extra:
			out = appendPrimitive(m, c, v.node.Get(got.extra), out)
		case !v.node.Get(name).Valid():
			out = appendPrimitive(m, fhir.Node{}, c, out)
		}
	}
	return out
}

// appendChildren appends the values of all elements of v in the order of the
// document.
func (v Value) appendChildren(out []Value) []Value {
	if v.kind == KindTypeInfo {
		return append(v.appendTypeInfo("namespace", out), v.appendTypeInfo("name", nil)...)
	}
	if v.kind != KindElement {
		return out
	}
	if v.typ.isPrimitive() {
		return v.appendExtra(out)
	}
	if v.node.Kind() != fhir.Object || v.typ.def == nil {
		return out
	}
	v.typ.load()
	lang, extras := v.typ.lang, -1
	for c := v.node.First(); c.Valid(); c = c.Next() {
		k := key(c)
		name, extra := strings.CutPrefix(k, "_")
		got := v.typ.members[name]
		if got.field == nil {
			continue
		}
		f, m := got.field, got.typ
		switch {
		case !m.isPrimitive():
			if !extra {
				out = lang.appendNode(f, m, c, out)
			}
		case !extra:
			var ext fhir.Node
			if extras < 0 {
				extras = v.extras()
			}
			if got.extra != "" && extras > 0 {
				ext = v.node.Get(got.extra)
			}
			out = appendPrimitive(m, c, ext, out)
		case !v.node.Get(name).Valid():
			out = appendPrimitive(m, fhir.Node{}, c, out)
		}
	}
	return out
}

// extras counts the members that hold ids and extensions of primitives.
func (v Value) extras() (n int) {
	src := v.node.Doc().Source()
	for c := v.node.First(); c.Valid(); c = c.Next() {
		if lo, _ := c.KeySpan(); src[lo+1] == '_' || src[lo+1] == '\\' {
			n++
		}
	}
	return n
}

// appendExtra appends the id and extensions of a primitive element.
func (v Value) appendExtra(out []Value) []Value {
	if v.ext.Kind() != fhir.Object {
		return out
	}
	for _, name := range [...]string{"id", "extension"} {
		out = v.appendExtraField(name, out)
	}
	return out
}

func (v Value) appendExtraField(name string, out []Value) []Value {
	if v.ext.Kind() != fhir.Object {
		return out
	}
	if f := v.typ.lang.model("Element").field(name); f != nil {
		return Value{kind: KindElement, node: v.ext, typ: v.typ.lang.model("Element")}.appendField(f, out)
	}
	return out
}

// appendMember appends the values of the named element of v.
func (v Value) appendMember(name string, out []Value) []Value {
	switch {
	case v.kind == KindTypeInfo:
		return v.appendTypeInfo(name, out)
	case v.kind != KindElement:
		return out
	case v.typ.isPrimitive():
		if name == "value" {
			if s, ok := v.primitive(); ok {
				return append(out, s)
			}
			return out
		}
		return v.appendExtraField(name, out)
	}
	if f := v.typ.field(name); f != nil && v.node.Kind() == fhir.Object {
		return v.appendField(f, out)
	}
	return out
}
