package search

import (
	"slices"
	"strings"

	"ingle/fhir"
)

// node is a place in the tree of a resource type: what lies below it that some
// parameter wants, and the parameters that want the value itself.
type node struct {
	typ    string
	kids   map[string]*node // by JSON name
	first  *node            // for the first value of an array only: [0]
	wheres []*whereNode
	leaves []leaf
}

// whereNode is entered where the element's member key holds the value.
type whereNode struct {
	key, val string
	node     *node
}

// leaf gives a value to a parameter.
type leaf struct {
	p        *Param
	typ      string // FHIR type of the value
	is       string // where(resolve() is Type)
	presence bool
	part     bool         // of a name or address
	parts    []*component // of a composite
}

// jsonStep is a step whose choice of data type is made.
type jsonStep struct {
	key                string
	whereKey, whereVal string
	index              int
}

// jsonPath is a branch whose choices are made: the names of JSON members down
// to a value of one type.
type jsonPath struct {
	steps  []jsonStep
	typ    string
	is     string
	single bool // no element on the way repeats
	field  *fhir.Field
	part   bool // a part of a name or address
	root   bool // begins at the resource and not at the element
}

// expand lists the JSON paths of a branch that begins at a type. It fails for
// what only FHIRPath can follow.
func (r *Registry) expand(typ string, steps []step) ([]jsonPath, error) {
	var out []jsonPath
	var walk func(typ string, steps []step, at jsonPath) error
	walk = func(typ string, steps []step, at jsonPath) error {
		if len(steps) == 0 {
			at.typ = typ
			at.steps = slices.Clone(at.steps)
			out = append(out, at)
			return nil
		}
		s := steps[0]
		t := r.defs.Type(typ)
		if t == nil || t.Kind == fhir.TypePrimitive || s.is != "" && len(steps) > 1 {
			return errNotPlain
		}
		f := t.Field(s.name)
		if f == nil {
			return errNotPlain
		}
		for _, ref := range f.Types {
			if s.as != "" && !strings.EqualFold(s.as, ref.Code) && !strings.EqualFold(s.as, "SimpleQuantity") {
				continue
			}
			if ref.Code == "Resource" && len(steps) > 1 {
				return errNotPlain
			}
			key := s.name
			if f.Choice {
				key += strings.ToUpper(ref.Code[:1]) + ref.Code[1:]
			}
			next := at
			next.steps = append(slices.Clone(at.steps), jsonStep{key, s.whereKey, s.whereVal, s.index})
			next.single = at.single && (f.Max == 1 || s.index == 0)
			next.is, next.field = s.is, f
			next.part = typ == "HumanName" || typ == "Address"
			if err := walk(ref.Code, steps[1:], next); err != nil {
				return err
			}
		}
		return nil
	}
	err := walk(typ, steps, jsonPath{single: true})
	return out, err
}

// plant puts the paths of a parameter into the tree of a type. Expressions
// beyond plain paths are left to FHIRPath. A parameter that cannot be compiled
// finds nothing; those of users are checked before they get here.
func (r *Registry) plant(t *typeIndex, p *Param) { _ = r.tryPlant(t, p) }

func (r *Registry) tryPlant(t *typeIndex, p *Param) error {
	if p.Definition.Expression == "" {
		return nil
	}
	branches, err := parseExpression(p.Definition.Expression, false)
	if p.Type == "composite" {
		if err != nil {
			return err
		}
		return r.plantComposite(t, p, branches)
	}
	if err != nil {
		return r.plantFHIRPath(t, p)
	}
	var targets []string
	elements := map[string]bool{}
	p.single = true
	var mine []branch
	var all [][]jsonPath
	for _, b := range branches {
		if b.root != t.name && b.root != "Resource" && b.root != "DomainResource" {
			continue
		}
		paths, err := r.expand(t.name, b.steps)
		if err != nil {
			return r.plantFHIRPath(t, p)
		}
		mine, all = append(mine, b), append(all, paths)
	}
	for i, b := range mine { // all of them can be planted
		paths := all[i]
		element := pathOf(b.steps...)
		elements[element] = true
		p.elements = append(p.elements, element)
		for _, jp := range paths {
			p.single = p.single && jp.single
			p.learn(jp)
			if b.presence {
				p.hasCode, p.inDict, p.hasExact = true, true, false
			}
			targets = append(targets, r.targetsOf(p, jp)...)
			t.tree.add(jp, leaf{p: p, typ: jp.typ, is: jp.is, presence: b.presence, part: jp.part})
			place := jp.place()
			if b.presence {
				place += "?"
			}
			p.places = append(p.places, place)
		}
		if b.presence && !slices.Contains(t.presence, p) {
			t.presence = append(t.presence, p)
		}
	}
	if len(elements) != 1 || !p.oneRow() {
		p.single = false
	}
	slices.Sort(targets)
	p.Targets = slices.Compact(targets)
	return nil
}

// oneRow tells that a value of the parameter makes one row, not several.
func (p *Param) oneRow() bool {
	switch p.Type {
	case "date", "number":
		return true
	case "token":
		return !p.hasCoding && !p.hasIdent
	}
	return false
}

// targetsOf returns the types that a reference may point to.
func (r *Registry) targetsOf(p *Param, jp jsonPath) []string {
	if p.Type != "reference" {
		return nil
	}
	if jp.is != "" {
		return []string{jp.is}
	}
	var allowed []string
	for _, ref := range jp.field.Types {
		if ref.Code == jp.typ {
			allowed = ref.Targets
		}
	}
	known := slices.DeleteFunc(slices.Clone(p.Definition.Target), func(t string) bool { return !r.defs.IsResourceType(t) })
	if len(allowed) == 0 || slices.Contains(allowed, "Resource") {
		for _, t := range r.defs.ResourceTypes() {
			if p.Definition.AnyTarget && r.defs.Added(t) != nil {
				known = append(known, t)
			}
		}
		return known
	}
	both := slices.DeleteFunc(slices.Clone(known), func(t string) bool { return !slices.Contains(allowed, t) })
	if len(both) == 0 {
		return slices.DeleteFunc(slices.Clone(allowed), func(t string) bool { return !r.defs.IsResourceType(t) })
	}
	return both
}

// learn notes what kind of values a parameter has.
func (p *Param) learn(jp jsonPath) {
	p.indexed = true
	switch jp.typ {
	case "canonical":
		p.canonical, p.hasExact = true, true
	case "Coding", "CodeableConcept":
		p.hasCoding, p.inDict = true, true
	case "Identifier", "ContactPoint":
		p.hasIdent = true
	case "code", "boolean":
		p.hasCode, p.inDict = true, true
		if jp.field != nil && jp.field.Binding != nil && jp.typ == "code" {
			p.valueSets = append(p.valueSets, jp.field.Binding.ValueSet)
		}
	case "string", "markdown":
		p.hasCode = true
	default:
		p.hasExact = true
	}
}

// add puts a leaf at the end of a path.
func (n *node) add(jp jsonPath, l leaf) {
	at := n
	for _, s := range jp.steps {
		if at.kids == nil {
			at.kids = map[string]*node{}
		}
		kid := at.kids[s.key]
		if kid == nil {
			kid = &node{}
			at.kids[s.key] = kid
		}
		if s.index == 0 {
			if kid.first == nil {
				kid.first = &node{}
			}
			kid = kid.first
		}
		if s.whereKey != "" {
			i := slices.IndexFunc(kid.wheres, func(w *whereNode) bool { return w.key == s.whereKey && w.val == s.whereVal })
			if i < 0 {
				i = len(kid.wheres)
				kid.wheres = append(kid.wheres, &whereNode{s.whereKey, s.whereVal, &node{}})
			}
			kid = kid.wheres[i].node
		}
		at = kid
	}
	at.leaves = append(at.leaves, l)
}

// walk visits the elements below n that the tree wants. An array is its values.
func (x *extraction) walk(t *node, n fhir.Node) {
	if n.Kind() == fhir.Array {
		if t.first != nil {
			x.walk(t.first, n.First())
		}
		if len(t.leaves) == 0 && t.kids == nil && t.wheres == nil {
			return
		}
		for c := n.First(); c.Valid(); c = c.Next() {
			x.value(t, c)
		}
		return
	}
	if t.first != nil {
		x.walk(t.first, n)
	}
	x.value(t, n)
}

func (x *extraction) value(t *node, n fhir.Node) {
	if n.Kind() == fhir.Null { // a gap in an array of primitives
		return
	}
	for i := range t.leaves {
		x.leaf(&t.leaves[i], n)
	}
	if n.Kind() != fhir.Object {
		return
	}
	for _, w := range t.wheres {
		if v := n.Get(w.key); v.Valid() && string(v.Bytes()) == w.val {
			x.value(w.node, n)
		}
	}
	if t.kids == nil {
		return
	}
	src := n.Doc().Source()
	for c := n.First(); c.Valid(); c = c.Next() {
		start, end := c.KeySpan()
		kid := t.kids[string(src[start+1:end-1])]
		if kid != nil {
			x.walk(kid, c)
		}
	}
}

// each visits the values at a path below n: what walk does, for one path.
func (jp *jsonPath) each(n fhir.Node, visit func(fhir.Node)) { eachStep(jp.steps, n, visit) }

func eachStep(steps []jsonStep, n fhir.Node, visit func(fhir.Node)) {
	if len(steps) == 0 {
		visit(n)
		return
	}
	s := steps[0]
	one := func(v fhir.Node) {
		if v.Kind() == fhir.Null || s.whereKey != "" && string(v.Get(s.whereKey).Bytes()) != s.whereVal {
			return
		}
		eachStep(steps[1:], v, visit)
	}
	v := n.Get(s.key)
	if !v.Valid() {
		return
	}
	if v.Kind() != fhir.Array {
		one(v)
		return
	}
	for c := v.First(); c.Valid(); c = c.Next() {
		one(c)
		if s.index == 0 {
			return
		}
	}
}
