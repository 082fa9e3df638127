package profiles

import (
	"fmt"
	"strings"

	"ingle/fhir"
)

// profile is a compiled profile: what it says beyond its base type.
type profile struct {
	url       string
	cite      string // canonical URL with version, for issues
	typ       string
	root      *rules
	modifier  bool // a modifier extension
	structure *structure
}

// rules are what a profile says of one element beyond the base type. name is
// the element's name, "" for the root and for slices.
type rules struct {
	name     string
	id       string // as in the profile, for messages: "Patient.extension:race"
	cite     string
	min, max int // notGiven where the base says the same
	checks   []check
	children []*rules
	sliced   *slicedRules
	again    *tree // contentReference: the rules of another element, compiled once all are
	content  *rules
}

// slicedRules is the slicing of an element.
type slicedRules struct {
	id       string
	cite     string
	ordered  bool
	rules    string
	by       string // the discriminators, for messages
	slices   []*slice
	fallback *rules // the slice @default: what fits no other one
}

type slice struct {
	name    string
	min     int
	max     int
	matches []matcher
	rules   *rules // nil where the slice says nothing more
}

// matcher tells whether an item belongs to a slice.
type matcher func(r *run, it *item) bool

func (ru *rules) empty() bool {
	return ru == nil || ru.min == notGiven && ru.max == notGiven && len(ru.checks) == 0 && len(ru.children) == 0 && ru.sliced == nil && ru.again == nil
}

// compiler turns one profile into rules.
type compiler struct {
	e       *engine
	s       *structure
	root    *tree
	byID    map[string]*tree
	linked  map[*tree]*rules
	pending []*rules
}

func (e *engine) compileProfile(s *structure) (*profile, error) {
	root := buildTree(s.snapshot)
	if root == nil {
		return nil, fmt.Errorf("profiles: %s has no snapshot and none could be made", s.url)
	}
	c := &compiler{e: e, s: s, root: root, byID: map[string]*tree{}, linked: map[*tree]*rules{}}
	c.index(root)
	p := &profile{url: s.url, cite: s.canonical(), typ: s.typ, structure: s}
	t := e.table(s.typ)
	var base *baseElement
	if t != nil {
		base = &baseElement{tab: t, keys: t.keys, min: 0, max: unbounded}
	} else if !isPrimitive(s.typ) {
		return nil, fmt.Errorf("profiles: %s constrains %q, which is not a known type", s.url, s.typ)
	}
	p.root = c.rules(root, base, true)
	for len(c.pending) > 0 {
		ru := c.pending[len(c.pending)-1]
		c.pending = c.pending[:len(c.pending)-1]
		if ru.content = c.linked[ru.again]; ru.content == nil {
			ru.content = c.rules(ru.again, nil, false)
		}
	}
	if p.root == nil {
		p.root = &rules{min: notGiven, max: notGiven}
	}
	if s.typ == "Extension" {
		p.modifier = root.el.modifier
	}
	return p, nil
}

func (c *compiler) index(t *tree) {
	if t.el.id != "" {
		c.byID[t.el.id] = t
	}
	if _, ok := c.byID[t.el.path]; !ok {
		c.byID[t.el.path] = t
	}
	for _, s := range t.slices {
		c.index(s)
	}
	for _, k := range t.children {
		c.index(k)
	}
}

// baseElement is what the base type says of an element, nil if it is not known
// (the element is of an open choice of types).
type baseElement struct {
	el       *elem
	tab      *table // table of the element's own children
	keys     map[string]bool
	min, max int
}

// childOf returns what the base says of a child.
func (c *compiler) childOf(b *baseElement, name string) *baseElement {
	if b == nil || b.tab == nil {
		return nil
	}
	el := b.tab.byName[name]
	if el == nil {
		return nil
	}
	out := &baseElement{el: el, keys: el.keys, min: el.min, max: el.max}
	if len(el.variants) == 1 && !el.variants[0].primitive && !el.variants[0].resource {
		out.tab = c.e.tableOf(el.variants[0])
	}
	return out
}

// rules compiles one element; nil if the profile says nothing beyond the base.
func (c *compiler) rules(t *tree, base *baseElement, isRoot bool) *rules {
	def := t.el
	ru := &rules{id: idOf(def), cite: c.s.canonical(), min: notGiven, max: notGiven}
	if !isRoot {
		ru.name = strings.TrimSuffix(def.last(), "[x]")
		if def.min > 0 && (base == nil || def.min > base.min) {
			ru.min = def.min
		}
		if def.max != notGiven && def.max != unbounded && (base == nil || base.max == unbounded || def.max < base.max) {
			ru.max = def.max
		}
	}
	if t.sliceOf == nil && !isRoot || isRoot {
		c.linked[t] = ru
	}
	c.elementChecks(ru, t, base, isRoot)
	if def.contentRef != "" && len(t.children) == 0 {
		if target := c.byID[def.contentRef]; target != nil && target != t && c.says(target) {
			ru.again = target
			c.pending = append(c.pending, ru)
		}
	}
	child := c.narrowed(t, base)
	for _, k := range t.children {
		if isPrimitive(typeOf(t)) && (k.el.last() == "value" || k.el.last() == "id") {
			continue
		}
		c.addChild(ru, k, child)
	}
	if t.sliceOf == nil && (len(t.slices) > 0 || def.slicing != nil && def.slicing.rules == "closed") {
		ru.sliced = c.slicing(t, base)
	} else if t.sliceOf != nil && len(t.slices) > 0 {
		ru.sliced = c.slicing(t, base)
	}
	if ru.empty() {
		return nil
	}
	return ru
}

// says tells whether a profile says anything of an element or below it; used
// for elements that refer to the content of another.
func (c *compiler) says(t *tree) bool {
	if ru, ok := c.linked[t]; ok {
		return ru != nil
	}
	return true
}

// narrowed returns the base for the children of an element: where the profile
// leaves one type of several, that type.
func (c *compiler) narrowed(t *tree, base *baseElement) *baseElement {
	if base != nil && base.tab != nil {
		return base
	}
	if len(t.el.types) != 1 {
		return nil
	}
	tab := c.e.table(t.el.types[0].code)
	if tab == nil {
		return nil
	}
	return &baseElement{tab: tab, keys: tab.keys, min: 0, max: unbounded}
}

func typeOf(t *tree) string {
	if len(t.el.types) == 1 {
		return t.el.types[0].code
	}
	return ""
}

func idOf(e *element) string {
	if e.id != "" {
		return e.id
	}
	if e.sliceName != "" {
		return e.path + ":" + e.sliceName
	}
	return e.path
}

// addChild compiles a child element into its parent's rules. A child that names
// one type of a choice ("valueQuantity") is a slice of the choice.
func (c *compiler) addChild(parent *rules, k *tree, base *baseElement) {
	name := strings.TrimSuffix(k.el.last(), "[x]")
	b := c.childOf(base, name)
	if b == nil && base != nil && base.tab != nil {
		if m := base.tab.members[name]; m != nil && m.elem.choice && !m.ext {
			c.addTypeSlice(parent, k, m)
			return
		}
	}
	if ru := c.rules(k, b, false); ru != nil {
		parent.children = append(parent.children, ru)
	}
}

func (c *compiler) addTypeSlice(parent *rules, k *tree, m *member) {
	name := m.elem.name
	var of *rules
	for _, ru := range parent.children {
		if ru.name == name {
			of = ru
		}
	}
	if of == nil {
		of = &rules{name: name, id: m.elem.path, cite: c.s.canonical(), min: notGiven, max: notGiven}
		parent.children = append(parent.children, of)
	}
	if of.sliced == nil {
		of.sliced = &slicedRules{id: m.elem.path, cite: of.cite, rules: "open", by: "the type"}
	}
	var tb *baseElement
	if t := c.e.table(m.typ); t != nil {
		tb = &baseElement{tab: t, keys: t.keys, min: 0, max: 1}
	}
	ru := c.rules(k, tb, false)
	typ := m.typ
	of.sliced.slices = append(of.sliced.slices, &slice{name: m.json, min: k.el.min, max: k.el.max, rules: sliceRules(ru),
		matches: []matcher{func(_ *run, it *item) bool { return it.typ == typ }}})
}

// sliceRules are an element's rules without its cardinality, which the slicing
// checks.
func sliceRules(ru *rules) *rules {
	if ru == nil {
		return nil
	}
	ru.name, ru.min, ru.max = "", notGiven, notGiven
	if ru.empty() {
		return nil
	}
	return ru
}

// elementChecks compiles what a definition says of the element itself.
func (c *compiler) elementChecks(ru *rules, t *tree, base *baseElement, isRoot bool) {
	def := t.el
	var baseDef *element
	if base != nil && base.el != nil {
		baseDef = base.el.def
	}
	ru.checks = append(ru.checks, c.e.valueChecks(def, baseDef, c.s)...)
	if !isRoot {
		c.typeChecks(ru, def, baseDef)
	}
	if b := def.binding; b != nil && b.valueSet != "" && (b.strength == "required" || b.strength == "extensible" || b.max != "") {
		if baseDef == nil || baseDef.binding == nil || *baseDef.binding != *b {
			bd := c.e.bound(b, c.s)
			ru.checks = append(ru.checks, func(r *run, it *item) { r.bindingRule(bd, it) })
		}
	}
	var typeKeys map[string]bool
	if len(def.types) == 1 && !isPrimitive(def.types[0].code) {
		typeKeys = c.e.rootKeys(def.types[0].code)
	}
	for _, con := range def.constraints {
		if base != nil && base.keys[con.key] || typeKeys[con.key] {
			continue
		}
		if inv := c.e.invariant(con, c.s); inv != nil {
			ru.checks = append(ru.checks, func(r *run, it *item) { r.check(inv, it) })
		}
	}
}

// typeChecks compiles a narrower choice of types, type profiles and reference
// targets.
func (c *compiler) typeChecks(ru *rules, def, baseDef *element) {
	if len(def.types) == 0 {
		return
	}
	cite := c.s.canonical()
	if baseDef != nil && len(baseDef.types) > len(def.types) {
		allowed := map[string]bool{}
		var names []string
		for _, t := range def.types {
			allowed[t.code] = true
			names = append(names, t.code)
		}
		path := def.path
		ru.checks = append(ru.checks, func(r *run, it *item) {
			if !allowed[it.typ] && it.typ != "" && !resourceAllowed(allowed, it) {
				r.fail(it.at(), fhir.CodeStructure, cite, "%s is of type %s here, but the profile allows only %s", path, it.typ, oneOf(names))
			}
		})
	}
	if len(def.types) == 1 && len(baseDefTypes(baseDef)) == 1 && baseDef.types[0].code != def.types[0].code {
		want := def.types[0].code // an entry's resource narrowed to one type
		if want != "Resource" && c.e.reg.defs.IsResourceType(want) {
			ru.checks = append(ru.checks, func(r *run, it *item) {
				if it.typ != want {
					r.fail(it.at(), fhir.CodeStructure, cite, "the resource is a %s, but the profile asks for a %s", it.typ, want)
				}
			})
		}
	}
	for _, t := range def.types {
		bt := sameType(baseDef, t.code)
		if t.code == "Reference" || t.code == "CodeableReference" {
			c.referenceChecks(ru, t, bt)
			continue
		}
		if len(t.profiles) > 0 && t.code != "Extension" && (bt == nil || !sameTexts(t.profiles, bt.profiles)) {
			code, urls := t.code, t.profiles
			ru.checks = append(ru.checks, func(r *run, it *item) {
				if it.typ == code || code == "Resource" || code == "Quantity" && it.tab != nil && r.e.isA(it.typ, code) {
					r.typeProfiles(it, urls)
				}
			})
		}
	}
}

func resourceAllowed(allowed map[string]bool, it *item) bool {
	return it.tab != nil && it.tab.resource && (allowed["Resource"] || allowed["DomainResource"])
}

func baseDefTypes(e *element) []elementType {
	if e == nil {
		return nil
	}
	return e.types
}

func sameType(e *element, code string) *elementType {
	if e == nil {
		return nil
	}
	for i := range e.types {
		if e.types[i].code == code {
			return &e.types[i]
		}
	}
	return nil
}

func sameTexts(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// referenceChecks compiles the targets of a reference that a profile narrows.
func (c *compiler) referenceChecks(ru *rules, t elementType, base *elementType) {
	cite := c.s.canonical()
	if len(t.targets) > 0 && (base == nil || !sameTexts(t.targets, base.targets)) {
		targets, allowed, profiled := t.targets, c.e.targetTypes(t.targets), !onlyBase(t.targets)
		ru.checks = append(ru.checks, func(r *run, it *item) {
			if it.typ == "Reference" {
				if allowed != nil {
					r.referenceTarget(it, allowed, cite)
				}
				if profiled {
					r.targetProfiles(it, targets, cite)
				}
			}
		})
	}
	if len(t.aggregation) > 0 && (base == nil || !sameTexts(t.aggregation, base.aggregation)) {
		modes := t.aggregation
		ru.checks = append(ru.checks, func(r *run, it *item) {
			if it.typ == "Reference" {
				r.aggregation(it, modes, cite)
			}
		})
	}
	if t.versioning == "specific" || t.versioning == "independent" {
		want := t.versioning == "specific"
		ru.checks = append(ru.checks, func(r *run, it *item) {
			ref := it.n.Get("reference")
			if ref.Valid() && !strings.HasPrefix(ref.Text(), "#") && strings.Contains(ref.Text(), "/_history/") != want {
				r.fail(ref, fhir.CodeValue, cite, "the reference must be version-%s", t.versioning)
			}
		})
	}
}

// aggregation: contained, referenced, bundled.
func (r *run) aggregation(it *item, modes []string, cite string) {
	ref := it.n.Get("reference")
	if ref.Kind() != fhir.String {
		return
	}
	mode := "referenced"
	if strings.HasPrefix(ref.Text(), "#") {
		mode = "contained"
	} else if r.inBundle(ref.Text()).Valid() {
		mode = "bundled"
	}
	for _, m := range modes {
		if m == mode || m == "referenced" && mode == "bundled" {
			return
		}
	}
	r.fail(ref, fhir.CodeStructure, cite, "the reference is %s, but the profile asks that it be %s", mode, oneOf(modes))
}
