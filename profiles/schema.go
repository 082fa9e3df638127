package profiles

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"ingle/fhir"
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

// Formats of primitive types (R4 datatypes.html).
const (
	datePattern = `([0-9]([0-9]([0-9][1-9]|[1-9]0)|[1-9]00)|[1-9]000)(-(0[1-9]|1[0-2])(-(0[1-9]|[1-2][0-9]|3[0-1]))?)?`
	timePattern = `([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?`
	zonePattern = `(Z|(\+|-)((0[0-9]|1[0-3]):[0-5][0-9]|14:00))`
)

func primitiveSchema(typ string) object {
	pattern := func(p string) object { return object{"type": "string", "pattern": "^(" + p + ")$"} }
	switch typ {
	case "boolean":
		return object{"type": "boolean"}
	case "decimal":
		return object{"type": "number"}
	case "integer":
		return object{"type": "integer", "minimum": -1 << 31, "maximum": 1<<31 - 1}
	case "unsignedInt":
		return object{"type": "integer", "minimum": 0, "maximum": 1<<31 - 1}
	case "positiveInt":
		return object{"type": "integer", "minimum": 1, "maximum": 1<<31 - 1}
	case "date":
		return pattern(datePattern)
	case "dateTime":
		return pattern(strings.TrimSuffix(datePattern, ")?)?") + `(T` + timePattern + zonePattern + `)?)?)?`)
	case "instant":
		return pattern(`[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[1-2][0-9]|3[0-1])T` + timePattern + zonePattern)
	case "time":
		return pattern(timePattern)
	case "id":
		return pattern(`[A-Za-z0-9\-\.]{1,64}`)
	case "code":
		return pattern(`[^\s]+( [^\s]+)*`)
	case "uri", "url", "canonical":
		return pattern(`[^\x00-\x20]+`)
	case "oid":
		return pattern(`urn:oid:[0-2](\.(0|[1-9][0-9]*))+`)
	case "uuid":
		return pattern(`urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	}
	return object{"type": "string", "minLength": 1}
}

// profile is the schema of what a profile says of an element of a base type
// with the given table, beyond that type.
func (b *schemaBuilder) profile(t *tree, tab *table) object {
	props := object{}
	var rules []any
	for _, k := range t.children {
		el := tab.byName[strings.TrimSuffix(k.el.last(), "[x]")]
		if el == nil {
			continue
		}
		allowed := map[string]bool{}
		for _, dt := range k.el.types {
			allowed[dt.code] = true
		}
		var names []any
		for _, m := range el.variants {
			if el.choice && len(allowed) > 0 && !allowed[m.typ] || k.el.max == 0 {
				props[m.json] = false
				if tab.members["_"+m.json] != nil {
					props["_"+m.json] = false
				}
				continue
			}
			names = append(names, object{"required": []any{m.json}})
			if tab.members["_"+m.json] != nil {
				names = append(names, object{"required": []any{"_" + m.json}})
			}
			if own := b.narrow(k, el, m); len(own) > 0 {
				props[m.json] = own
			}
		}
		if k.el.min > 0 && el.min == 0 && len(names) > 0 {
			rules = append(rules, object{"anyOf": names})
		}
	}
	out := object{}
	if len(props) > 0 {
		out["properties"] = props
	}
	if len(rules) > 0 {
		out["allOf"] = rules
	}
	return out
}

// narrow is what a profile says of one JSON property.
func (b *schemaBuilder) narrow(k *tree, el *elem, m *member) object {
	one := object{}
	if f := k.el.fixed; f.Valid() {
		one["const"] = plain(f)
	}
	if p := k.el.pattern; p.Valid() {
		one = merge(one, patternSchema(p))
	}
	if !m.primitive && !m.resource && len(k.children) > 0 {
		if t := b.e.tableOf(m); t != nil {
			one = merge(one, b.profile(k, t))
		}
	}
	if !el.array {
		return one
	}
	out := object{}
	if len(one) > 0 {
		if m.primitive {
			one = object{"anyOf": []any{object{"type": "null"}, one}}
		}
		out["items"] = one
	}
	if k.el.min > 1 {
		out["minItems"] = k.el.min
	}
	if k.el.max > 0 && (el.max == unbounded || k.el.max < el.max) {
		out["maxItems"] = k.el.max
	}
	if el.name == "extension" || el.name == "modifierExtension" {
		out = merge(out, b.extensions(k))
	}
	return out
}

// extensions counts the extensions of a profile by their URLs.
func (b *schemaBuilder) extensions(k *tree) object {
	var rules []any
	c := &compiler{e: b.e}
	for _, s := range k.slices {
		url := c.extensionURL(s)
		if url == "" || s.el.min <= 0 && s.el.max == unbounded {
			continue
		}
		rule := object{"contains": object{"properties": object{"url": object{"const": url}}, "required": []any{"url"}}, "minContains": max(s.el.min, 0)}
		if s.el.max != unbounded && s.el.max != notGiven {
			rule["maxContains"] = s.el.max
		}
		rules = append(rules, rule)
	}
	if len(rules) == 0 {
		return nil
	}
	return object{"allOf": rules}
}

func merge(a, b object) object {
	if len(a) == 0 {
		return b
	}
	if len(b) == 0 {
		return a
	}
	for k := range a {
		if _, clash := b[k]; clash {
			return object{"allOf": []any{a, b}}
		}
	}
	for k, v := range b {
		a[k] = v
	}
	return a
}

// patternSchema is the schema of values that hold a pattern.
func patternSchema(p fhir.Node) object {
	switch p.Kind() {
	case fhir.Object:
		props := object{}
		var required []any
		for m := p.First(); m.Valid(); m = m.Next() {
			props[m.Key()] = patternSchema(m)
			required = append(required, m.Key())
		}
		return object{"type": "object", "properties": props, "required": required}
	case fhir.Array:
		var rules []any
		for c := p.First(); c.Valid(); c = c.Next() {
			rules = append(rules, object{"contains": patternSchema(c)})
		}
		return object{"type": "array", "allOf": rules}
	}
	return object{"const": plain(p)}
}

// plain is a JSON value as encoding/json would decode it, with exact numbers.
func plain(n fhir.Node) any {
	switch n.Kind() {
	case fhir.Object:
		out := make(map[string]any, n.Len())
		for m := n.First(); m.Valid(); m = m.Next() {
			out[m.Key()] = plain(m)
		}
		return out
	case fhir.Array:
		out := make([]any, 0, n.Len())
		for c := n.First(); c.Valid(); c = c.Next() {
			out = append(out, plain(c))
		}
		return out
	case fhir.String:
		return n.Text()
	case fhir.Number:
		return json.Number(n.Text())
	case fhir.Bool:
		return n.Text() == "true"
	}
	return nil
}

// finding is what a schema says against a resource.
type finding struct {
	at      fhir.Node
	path    []string // JSON names and indexes from the resource
	message string
}

var printer = message.NewPrinter(language.English)

// against validates a resource with a schema; findings are the deepest ones.
func (s *schema) against(n fhir.Node) []finding {
	err := s.compiled.Validate(plain(n))
	if err == nil {
		return nil
	}
	var ve *jsonschema.ValidationError
	if !errors.As(err, &ve) {
		return []finding{{at: n, message: err.Error()}}
	}
	var out []finding
	var walk func(e *jsonschema.ValidationError)
	walk = func(e *jsonschema.ValidationError) {
		if len(e.Causes) == 0 {
			at := n
			for _, step := range e.InstanceLocation {
				at = stepInto(at, step)
			}
			out = append(out, finding{at, e.InstanceLocation, e.ErrorKind.LocalizedString(printer)})
			return
		}
		for _, c := range e.Causes {
			walk(c)
		}
	}
	walk(ve)
	sort.SliceStable(out, func(i, j int) bool { return out[i].at.Index() < out[j].at.Index() })
	return out
}

func stepInto(n fhir.Node, step string) fhir.Node {
	if n.Kind() == fhir.Object {
		return n.Get(step)
	}
	i, err := strconv.Atoi(step)
	if err != nil {
		return fhir.Node{}
	}
	c := n.First()
	for ; i > 0 && c.Valid(); i-- {
		c = c.Next()
	}
	return c
}

// schemaPass validates a resource with the JSON Schema of its type and of the
// profiles it follows, before the closures. What both find is told once, by the
// closures, which know more: the pass adds findings inside elements that have
// no error of their own.
func (r *run) schemaPass(it *item, canonicals []string) []finding {
	var out []finding
	for _, c := range canonicals {
		s, err := r.e.schema(c)
		if err != nil {
			continue
		}
		out = append(out, s.against(it.n)...)
	}
	return out
}

// schemasFor are the definitions whose schemas a resource is held against: its
// type's, and the profiles that are asked for or else claimed.
func (r *run) schemasFor(it *item) []string {
	out := []string{sdPrefix + it.typ}
	list := r.opts.Profiles
	if list == nil {
		rules := r.v.cfg.rules(it.typ)
		for c := it.n.Get("meta").Get("profile").First(); c.Valid(); c = c.Next() {
			list = append(list, r.withVersion(c.Text(), rules))
		}
	}
	for _, url := range list {
		if s, err := r.e.structure(url); err == nil && s != nil && s.typ == it.typ && s.isProfile() {
			out = append(out, url)
		}
	}
	return out
}

// addFindings reports those findings of the schemas that no error of the
// closures is about: none on the element, around it or inside it.
func (r *run) addFindings(it *item, list []finding) {
	if len(list) == 0 || HasErrors(r.issues) {
		return
	}
	for _, f := range list {
		steps := r.steps
		r.steps = append([]step(nil), r.steps...)
		r.steps = append(r.steps, r.pathSteps(it, f.path)...)
		r.fail(f.at, fhir.CodeStructure, "", "the JSON Schema of the definition does not allow this: %s", f.message)
		r.steps = steps
	}
}

// pathSteps turns JSON names and indexes into steps of an expression.
func (r *run) pathSteps(it *item, path []string) []step {
	var out []step
	t, n := it.tab, it.n
	for _, p := range path {
		if n.Kind() == fhir.Array {
			if i, err := strconv.Atoi(p); err == nil && len(out) > 0 {
				out[len(out)-1].idx = i
			}
			n = stepInto(n, p)
			continue
		}
		s := step{name: strings.TrimPrefix(p, "_"), idx: -1}
		if t != nil {
			if m := t.members[p]; m != nil {
				s.name = m.elem.name
				if m.elem.choice {
					s.ofType = m.typ
				}
				t = r.e.tableOf(m)
			}
		}
		out = append(out, s)
		n = stepInto(n, p)
	}
	return out
}
