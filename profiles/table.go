package profiles

import (
	"strings"
	"sync/atomic"

	"ingle/fhir"
)

// table is a compiled base type: a resource, a data type or a backbone element
// inside one. Immutable but for what is filled in lazily.
type table struct {
	name       string // "Patient", "HumanName", "Patient.contact"
	base       string // the type it specializes, "" for none
	resource   bool
	domain     bool // has contained, text, extension
	members    map[string]*member
	byName     map[string]*elem
	elems      []*elem
	required   []*elem
	invariants []*invariant // of the type's root element, without those checked natively
	keys       map[string]bool
	structure  *structure
}

// elem is one element of a base type.
type elem struct {
	index      int
	name       string // "value" for value[x]
	path       string // "Observation.value[x]", where it is defined
	min, max   int
	array      bool
	choice     bool
	def        *element
	variants   []*member
	binding    *bound
	invariants []*invariant
	keys       map[string]bool // keys of the element's constraints, the type's included
	checks     []check         // limits and fixed values of the base definition
}

// member is one JSON property of a base type: "birthDate", "_birthDate",
// "valueQuantity".
type member struct {
	json      string
	elem      *elem
	typ       string // FHIR type name, or the path for a backbone element
	primitive bool
	ext       bool     // "_birthDate"
	resource  bool     // any resource: contained, entry.resource
	allowed   []string // resource types that a reference may be to; nil for any
	profiles  []string
	sub       atomic.Pointer[table] // of a complex type, on first use
	backbone  *table
}

// tableOf returns the table of a member's type; nil if it has none.
func (e *engine) tableOf(m *member) *table {
	if m.backbone != nil {
		return m.backbone
	}
	if t := m.sub.Load(); t != nil {
		return t
	}
	if m.primitive || m.resource {
		return nil
	}
	t := e.table(m.typ)
	if t != nil {
		m.sub.Store(t)
	}
	return t
}

// table returns the table of a resource or data type by name, compiling it on
// first use; nil if there is no such type.
func (e *engine) table(name string) *table {
	if t, ok := e.coreTables.Load(name); ok {
		return t.(*table)
	}
	if a := e.reg.defs.Added(name); a != nil {
		return e.addedTable(a)
	}
	if t, ok := e.tables.Load(name); ok {
		return t.(*table)
	}
	url := sdPrefix + name
	if e.lacks("StructureDefinition", url) {
		return nil
	}
	s, err := e.structure(url)
	if err != nil || s == nil {
		return nil
	}
	t := e.compileTable(s)
	if t == nil {
		return nil
	}
	tables := &e.tables
	if _, ok := e.reg.defs.CanonicalOf("StructureDefinition", url); ok {
		tables = &e.coreTables
	}
	actual, _ := tables.LoadOrStore(name, t)
	return actual.(*table)
}

// typeURL is the canonical URL of the definition of a type.
func (e *engine) typeURL(name string) string {
	if a := e.reg.defs.Added(name); a != nil {
		return a.URL
	}
	return sdPrefix + name
}

// addedTable returns the table of an added resource type, from the definition
// that adds it: the registry may know others of that URL, one that is abstract.
func (e *engine) addedTable(a *fhir.AddedType) *table {
	if t, ok := e.added.Load(a); ok {
		return t.(*table)
	}
	doc, err := fhir.Parse(a.Definition, limits)
	if err != nil {
		return nil
	}
	s, err := readStructure(doc)
	if err != nil {
		return nil
	}
	t := e.compileTable(s)
	if t == nil {
		return nil
	}
	actual, _ := e.added.LoadOrStore(a, t)
	return actual.(*table)
}

// compileTable compiles the definition of a type; nil if it is of none that has
// elements.
func (e *engine) compileTable(s *structure) *table {
	if s.isProfile() || s.kind == "primitive-type" || len(s.snapshot) == 0 {
		return nil
	}
	built := map[string]*table{}
	t := e.buildTable(s, buildTree(s.snapshot), built)
	t.resource = s.kind == "resource"
	t.domain = t.byName["contained"] != nil
	t.base = strings.TrimPrefix(s.base, sdPrefix)
	linkContent(built)
	return t
}

// buildTable compiles one level of a definition and what is nested in it.
func (e *engine) buildTable(s *structure, node *tree, built map[string]*table) *table {
	t := &table{name: node.el.path, members: map[string]*member{}, byName: map[string]*elem{}, keys: map[string]bool{}, structure: s}
	built[node.el.path] = t
	for _, c := range node.el.constraints {
		t.keys[c.key] = true
		if inv := e.invariant(c, s); inv != nil {
			t.invariants = append(t.invariants, inv)
		}
	}
	for _, child := range node.children {
		e.addElem(s, t, child, built)
	}
	return t
}

func (e *engine) addElem(s *structure, t *table, node *tree, built map[string]*table) {
	def := node.el
	el := &elem{index: len(t.elems), name: strings.TrimSuffix(def.last(), "[x]"), path: def.path, min: def.min, max: def.max,
		array: def.max != 1 && def.max != 0, choice: strings.HasSuffix(def.path, "[x]"), def: def, keys: map[string]bool{}}
	t.elems = append(t.elems, el)
	t.byName[el.name] = el
	if el.min > 0 {
		t.required = append(t.required, el)
	}
	// The constraints of a backbone element belong to the element; those of a
	// data type to its own table, so the copies in the snapshot are left out.
	var typeKeys map[string]bool
	if len(def.types) == 1 && !isPrimitive(def.types[0].code) && len(node.children) == 0 {
		typeKeys = e.rootKeys(def.types[0].code)
	}
	for _, c := range def.constraints {
		el.keys[c.key] = true
		if typeKeys[c.key] || len(node.children) > 0 {
			continue
		}
		if inv := e.invariant(c, s); inv != nil {
			el.invariants = append(el.invariants, inv)
		}
	}
	if b := def.binding; b != nil && b.valueSet != "" && (b.strength == "required" || b.strength == "extensible" || b.max != "") {
		el.binding = e.bound(b, s)
	}
	el.checks = e.valueChecks(def, nil, s)
	if node.el.contentRef != "" {
		e.addMember(t, el, &member{json: el.name, typ: def.contentRef})
		return
	}
	for _, dt := range def.types {
		m := &member{json: el.name, typ: dt.code, allowed: e.targetTypes(dt.targets), profiles: dt.profiles}
		if el.choice {
			m.json += strings.ToUpper(dt.code[:1]) + dt.code[1:]
		}
		if el.name == "id" && s.kind == "resource" && strings.Count(def.path, ".") == 1 {
			m.typ = "id" // the definitions say "string" (R4 erratum), Resource.id is an id
		}
		switch {
		case len(node.children) > 0:
			m.backbone = e.buildTable(s, node, built)
			m.typ = def.path
		case isPrimitive(dt.code):
			m.primitive = true
		case dt.code == "Resource" || dt.code == "DomainResource" || e.reg.defs.IsResourceType(dt.code):
			m.resource = true
		}
		e.addMember(t, el, m)
		if m.primitive && m.typ != "xhtml" {
			x := &member{json: "_" + m.json, elem: el, typ: m.typ, ext: true}
			t.members[x.json] = x
		}
	}
}

func (e *engine) addMember(t *table, el *elem, m *member) {
	m.elem = el
	t.members[m.json] = m
	el.variants = append(el.variants, m)
}

// linkContent gives elements with a contentReference the table of the element
// that they refer to.
func linkContent(built map[string]*table) {
	for _, t := range built {
		for _, el := range t.elems {
			if el.def.contentRef == "" {
				continue
			}
			for _, m := range el.variants {
				m.backbone = built[el.def.contentRef]
			}
		}
	}
}

// rootKeys returns the keys of the constraints on the root of a data type. It
// reads the definition without compiling the type's table, which may refer back.
func (e *engine) rootKeys(typ string) map[string]bool {
	if k, ok := e.typeKeys.Load(typ); ok {
		return k.(map[string]bool)
	}
	keys := map[string]bool{}
	if s, _ := e.structure(sdPrefix + typ); s != nil && len(s.snapshot) > 0 {
		for _, c := range s.snapshot[0].constraints {
			keys[c.key] = true
		}
	}
	e.typeKeys.Store(typ, keys)
	return keys
}

// isA tells whether a type is another one or specializes it.
func (e *engine) isA(typ, want string) bool {
	for range 8 {
		if typ == want {
			return true
		}
		s, _ := e.structure(sdPrefix + typ)
		if s == nil || s.base == "" || s.isProfile() {
			return false
		}
		typ = strings.TrimPrefix(s.base, sdPrefix)
	}
	return false
}
