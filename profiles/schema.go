package profiles

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// schemaEntry is a StructureDefinition as a JSON Schema.
type schemaEntry struct {
	get func() (*schema, error)
}

type schema struct {
	source   []byte
	compiled *jsonschema.Schema
	cite     string
}

// Schema returns a StructureDefinition as a JSON Schema (draft 2020-12): what a
// schema can say of it. It says the names, kinds and formats of properties,
// cardinalities, choices of types, fixed values and patterns, and the number of
// extensions by their URL. It leaves to the closures what it cannot say:
// invariants, bindings, references, slices told apart by anything but an
// extension's URL, and the content of nested resources.
func (v *Validator) Schema(canonical string) ([]byte, error) {
	s, err := v.current().schema(canonical)
	if err != nil {
		return nil, err
	}
	return s.source, nil
}

func (e *engine) schema(canonical string) (*schema, error) {
	if v, ok := e.schemas.Load(canonical); ok {
		return v.(*schemaEntry).get()
	}
	s, err := e.structure(canonical)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, fmt.Errorf("%s: %w", canonical, errUnknownProfile)
	}
	entry := &schemaEntry{get: sync.OnceValues(func() (*schema, error) { return e.compileSchema(s) })}
	v, _ := e.schemas.LoadOrStore(canonical, entry)
	return v.(*schemaEntry).get()
}

// object is a JSON object of a schema.
type object = map[string]any

// compileSchema writes the schema for export, with all types inside, and
// compiles it out of parts: the types are compiled once for all schemas.
func (e *engine) compileSchema(s *structure) (*schema, error) {
	t := e.table(s.typ)
	if t == nil {
		return nil, fmt.Errorf("profiles: %s: there is no schema for the type %q", s.url, s.typ)
	}
	b := &schemaBuilder{e: e, defs: object{}, whole: true}
	root := object{"$schema": draft, "$id": s.url, "title": s.name, "$ref": b.ref(t)}
	b.constrain(root, s, t)
	root["$defs"] = b.defs
	src, err := json.Marshal(root)
	if err != nil {
		return nil, fmt.Errorf("profiles: the schema of %s: %w", s.url, err)
	}
	compiled, err := e.compiler.compile(e, s, t)
	if err != nil {
		return nil, fmt.Errorf("profiles: the schema of %s: %w", s.url, err)
	}
	return &schema{source: src, compiled: compiled, cite: s.cite}, nil
}

const draft = "https://json-schema.org/draft/2020-12/schema"

// constrain adds what a profile says beyond its type.
func (b *schemaBuilder) constrain(root object, s *structure, t *table) {
	if !s.isProfile() {
		return
	}
	if tree := buildTree(s.snapshot); tree != nil {
		if own := b.profile(tree, t); len(own) > 0 {
			root["allOf"] = []any{own}
		}
	}
}

// schemaCompiler compiles schemas that refer to one another by URL. It is not
// safe for concurrent use by itself.
type schemaCompiler struct {
	mu sync.Mutex
	c  *jsonschema.Compiler
}

func (sc *schemaCompiler) compile(e *engine, s *structure, t *table) (*jsonschema.Schema, error) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	if sc.c == nil {
		sc.c = jsonschema.NewCompiler()
		sc.c.UseLoader(typeLoader{e})
	}
	if !s.isProfile() {
		return sc.c.Compile(sdPrefix + t.name)
	}
	b := &schemaBuilder{e: e, defs: object{}}
	root := object{"$schema": draft, "$ref": b.ref(t)}
	b.constrain(root, s, t)
	doc, err := decoded(root)
	if err != nil {
		return nil, err
	}
	if err := sc.c.AddResource(s.cite, doc); err != nil {
		return nil, err
	}
	return sc.c.Compile(s.cite)
}

// typeLoader gives the compiler the schemas of base types, and nothing else:
// nothing is ever fetched.
type typeLoader struct{ e *engine }

func (l typeLoader) Load(url string) (any, error) {
	name, ok := strings.CutPrefix(url, sdPrefix)
	if !ok {
		return nil, fmt.Errorf("the schema refers to %s, which is not part of it", url)
	}
	if isPrimitive(name) {
		return decoded(primitiveSchema(name))
	}
	t := l.e.table(name)
	if t == nil {
		return nil, fmt.Errorf("the type %s is not known", name)
	}
	b := &schemaBuilder{e: l.e, defs: object{}, of: name}
	root := b.base(t)
	root["$schema"] = draft
	root["$defs"] = b.defs
	return decoded(root)
}

// decoded is a schema as the compiler wants it: as decoded from JSON.
func decoded(o object) (any, error) {
	src, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(src))
}

// schemaBuilder collects the definitions of types that a schema refers to.
type schemaBuilder struct {
	e     *engine
	defs  object
	whole bool   // types are put into the schema itself
	of    string // the type whose schema it is
}

// ref returns the reference to the definition of a type, made on first use.
func (b *schemaBuilder) ref(t *table) string {
	if !b.whole {
		if t.name == b.of {
			return "#"
		}
		if !strings.Contains(t.name, ".") {
			return sdPrefix + t.name
		}
	}
	if _, ok := b.defs[t.name]; !ok {
		b.defs[t.name] = object{} // the type may refer to itself
		b.defs[t.name] = b.base(t)
	}
	return "#/$defs/" + strings.ReplaceAll(t.name, "/", "~1")
}

func (b *schemaBuilder) primitive(typ string) string {
	if !b.whole {
		return sdPrefix + typ
	}
	if _, ok := b.defs[typ]; !ok {
		b.defs[typ] = primitiveSchema(typ)
	}
	return "#/$defs/" + typ
}

// base is the schema of a base type.
func (b *schemaBuilder) base(t *table) object {
	props := object{}
	var rules []any
	for _, el := range t.elems {
		var names []any
		for _, m := range el.variants {
			props[m.json] = b.member(m)
			names = append(names, object{"required": []any{m.json}})
			if t.members["_"+m.json] != nil {
				names = append(names, object{"required": []any{"_" + m.json}})
				x := object{"$ref": b.element()}
				if el.array {
					x = object{"type": "array", "minItems": 1, "items": object{"anyOf": []any{object{"type": "null"}, x}}}
				}
				props["_"+m.json] = x
			}
		}
		switch {
		case el.choice && el.min > 0:
			rules = append(rules, object{"oneOf": b.variants(el, t)})
		case el.choice:
			rules = append(rules, object{"oneOf": append(b.variants(el, t), object{"not": object{"anyOf": names}})})
		case el.min > 0:
			rules = append(rules, object{"anyOf": names})
		}
	}
	if t.resource {
		props["resourceType"] = object{"const": t.name}
		rules = append(rules, object{"required": []any{"resourceType"}})
	}
	out := object{"type": "object", "minProperties": 1, "properties": props, "additionalProperties": false}
	if len(rules) > 0 {
		out["allOf"] = rules
	}
	return out
}

func (b *schemaBuilder) element() string {
	if t := b.e.table("Element"); t != nil {
		return b.ref(t)
	}
	return "#"
}

// variants is one alternative for each type of a choice: the value, its
// extensions, or both.
func (b *schemaBuilder) variants(el *elem, t *table) []any {
	var out []any
	for _, m := range el.variants {
		if t.members["_"+m.json] != nil {
			out = append(out, object{"anyOf": []any{object{"required": []any{m.json}}, object{"required": []any{"_" + m.json}}}})
		} else {
			out = append(out, object{"required": []any{m.json}})
		}
	}
	return out
}

func (b *schemaBuilder) member(m *member) object {
	var one object
	switch {
	case m.resource:
		one = object{"type": "object", "required": []any{"resourceType"}}
	case m.primitive:
		one = object{"$ref": b.primitive(m.typ)}
	default:
		t := b.e.tableOf(m)
		if t == nil {
			return object{}
		}
		one = object{"$ref": b.ref(t)}
	}
	if !m.elem.array {
		return one
	}
	if m.primitive {
		one = object{"anyOf": []any{object{"type": "null"}, one}}
	}
	out := object{"type": "array", "minItems": 1, "items": one}
	if m.elem.max > 1 {
		out["maxItems"] = m.elem.max
	}
	return out
}
