package profiles

import (
	"bytes"
	"strings"

	"ingle/fhir"
)

// maxDepth bounds the nesting of elements; documents nest less (fhir.Limits).
const maxDepth = 128

// resource validates a resource against the definition of its type, and then
// against the profiles it must follow. The step to it is already pushed.
func (r *run) resource(it *item, contained bool) {
	n := it.n
	if n.Kind() != fhir.Object {
		r.fail(n, fhir.CodeStructure, "", "a resource is an object, not %s", n.Kind())
		return
	}
	rt := n.Get("resourceType")
	if !rt.Valid() {
		r.fail(n, fhir.CodeStructure, "", "the resource has no resourceType")
		return
	}
	if rt.Kind() != fhir.String || it.tab == nil || !it.tab.resource || it.tab.structure.abstract {
		name := clip(rt.Raw())
		if rt.Kind() == fhir.String {
			name = clip(rt.Bytes())
		}
		r.fail(rt, fhir.CodeStructure, "", "%s is not a resource type of FHIR %s", name, r.e.reg.defs.Version())
		return
	}
	r.resources = append(r.resources, *it)
	r.object(it)
	if r.opts.Format {
		r.resources = r.resources[:len(r.resources)-1]
		return
	}
	if it.tab.domain {
		r.domainRules(it)
	}
	if it.typ == "Bundle" {
		r.bundleRules(it)
	}
	r.conformance(it)
	r.claims(it, contained)
	r.resources = r.resources[:len(r.resources)-1]
}

// object validates a complex element against its base type.
func (r *run) object(it *item) {
	if r.full || r.depth >= maxDepth {
		return
	}
	r.depth++
	defer func() { r.depth-- }()
	t := it.tab
	var seen [4]uint64
	src := it.n.Doc().Source()
	filled := false
	for c := it.n.First(); c.Valid(); c = c.Next() {
		start, end := c.KeySpan()
		m := t.members[string(src[start+1:end-1])]
		if m == nil {
			if m = t.members[c.Key()]; m == nil {
				if t.resource && c.KeyIs("resourceType") {
					continue
				}
				r.unknown(it, c)
				filled = true
				continue
			}
		}
		el := m.elem
		bit := uint64(1) << (el.index & 63)
		if word := &seen[el.index>>6]; *word&bit == 0 {
			*word |= bit
		} else if el.choice {
			r.choiceOnce(it, m, c)
		}
		if el.index != 0 || el.name != "id" {
			filled = true
		}
		if m.ext {
			r.extra(it, m, c)
		} else {
			r.property(it, m, c)
		}
		if r.full {
			return
		}
	}
	if !filled && !t.resource {
		r.fail(it.n, fhir.CodeStructure, rule(t.structure, "ele-1"), "an element must have a value or children (ele-1); leave it out instead")
	}
	if r.opts.Format {
		return
	}
	for _, el := range t.required {
		if seen[el.index>>6]&(1<<(el.index&63)) == 0 {
			r.fail(it.n, fhir.CodeRequired, t.structure.canonical(), "%s is required (%s) but missing%s", el.path, cardinality(el.min, el.max), variantsHint(el))
		}
	}
	switch {
	case t.name == "Reference":
		r.referenceRules(it)
	case t.name == "Identifier" && r.v.cfg.AustralianIdentifiers:
		r.australianIdentifier(it)
	}
	for _, inv := range t.invariants {
		r.check(inv, it)
	}
}

// unknown reports a JSON property that the type does not have.
func (r *run) unknown(it *item, c fhir.Node) {
	key := c.Key()
	hint := ""
	if el := it.tab.byName[key]; el != nil && el.choice {
		hint = "; as " + key + "[x] has a choice of types, its name tells the type: " + variantNames(el)
	} else if near := nearest(key, it.tab); near != "" {
		hint = "; is '" + near + "' meant?"
	}
	if key == "resourceType" {
		hint = "; only resources have it"
	}
	r.fail(c, fhir.CodeStructure, it.tab.structure.canonical(), "the property %s is not known for %s%s", clip(key), it.tab.name, hint)
}

// choiceOnce reports a choice element that is given in two types.
func (r *run) choiceOnce(it *item, m *member, c fhir.Node) {
	name := strings.TrimPrefix(m.json, "_")
	for o := it.n.First(); o.Valid() && o.Index() != c.Index(); o = o.Next() {
		if om := it.tab.memberOf(o); om != nil && om.elem == m.elem && strings.TrimPrefix(om.json, "_") != name {
			r.fail(c, fhir.CodeStructure, it.tab.structure.canonical(), "%s may have one type only, but '%s' stands beside '%s'", m.elem.path, name, strings.TrimPrefix(om.json, "_"))
			return
		}
	}
}

// property validates a JSON property: one value or an array of them.
func (r *run) property(parent *item, m *member, n fhir.Node) {
	el := m.elem
	child := r.newItem()
	defer r.freeItem()
	child.typ, child.name, child.idx, child.choice, child.path = m.typ, el.name, -1, el.choice, el.path
	if !m.primitive && !m.resource {
		child.tab = r.e.tableOf(m)
	}
	if !el.array {
		child.n = n
		r.push(child)
		if n.Kind() == fhir.Array {
			r.fail(n, fhir.CodeStructure, parent.tab.structure.canonical(), "%s is a single value, not an array", el.path)
		} else {
			r.value(parent, m, child)
		}
		r.pop()
		return
	}
	if n.Kind() != fhir.Array {
		r.push(child)
		r.fail(n, fhir.CodeStructure, parent.tab.structure.canonical(), "%s may repeat, so it is written as an array, not as %s", el.path, n.Kind())
		r.pop()
		return
	}
	if n.Len() == 0 {
		r.push(child)
		r.fail(n, fhir.CodeStructure, "", "an array may not be empty; leave the property out instead")
		r.pop()
		return
	}
	if el.max > 1 && n.Len() > el.max {
		r.push(child)
		r.fail(n, fhir.CodeStructure, parent.tab.structure.canonical(), "%s occurs %d times, at most %d are allowed", el.path, n.Len(), el.max)
		r.pop()
	}
	i := 0
	var extras fhir.Node // of "_name", in step once a null has been met
	holes := false
	for c := n.First(); c.Valid(); c = c.Next() {
		child.n, child.x, child.idx = c, fhir.Node{}, i
		r.push(child)
		if c.Kind() == fhir.Null && m.primitive {
			if !holes {
				holes = true
				extras = parent.n.Get("_" + m.json).First()
				for range i {
					extras = extras.Next()
				}
			}
			if extras.Kind() != fhir.Object {
				r.fail(c, fhir.CodeStructure, "", "null stands for a value that has only extensions, but '_%s' has none at this place", m.json)
			}
		} else {
			r.value(parent, m, child)
		}
		r.pop()
		i++
		if holes {
			extras = extras.Next()
		}
		if r.full {
			return
		}
	}
}

// value validates one value of an element.
func (r *run) value(parent *item, m *member, it *item) {
	n := it.n
	switch {
	case m.primitive:
		if fault := checkFormat(m.typ, n); fault != "" {
			r.fail(n, formatCode(m.typ, n), parent.tab.structure.canonical(), "%s", fault)
			return
		}
		if r.opts.Format {
			return
		}
		if m.typ == "xhtml" {
			r.narrative(it)
		}
		if m.elem.name == "data" && parent.tab.name == "Attachment" {
			r.attachmentSize(parent, n)
		}
	case n.Kind() != fhir.Object:
		r.fail(n, fhir.CodeStructure, parent.tab.structure.canonical(), "%s is of type %s, so it is an object, not %s", m.elem.path, m.typ, n.Kind())
		return
	case m.resource:
		it.typ = n.Get("resourceType").Text()
		it.tab = r.e.table(it.typ)
		r.steps[len(r.steps)-1].note = it.typ
		r.resource(it, m.elem.name == "contained")
	case it.tab == nil:
		r.fail(n, fhir.CodeException, "", "the definition of the type %s is not available", m.typ)
		return
	default:
		r.object(it)
		if r.opts.Format {
			return
		}
		switch m.typ {
		case "Extension":
			r.extension(parent, it, m.elem.name == "modifierExtension")
		case "Reference":
			if m.allowed != nil {
				r.referenceTarget(it, m.allowed, parent.tab.structure.canonical())
			}
		case "Coding":
			r.codingRules(it)
		}
		if len(m.profiles) > 0 && m.typ != "Extension" {
			r.typeProfiles(it, m.profiles)
		}
	}
	el := m.elem
	if el.binding != nil {
		r.bindingRule(el.binding, it)
	}
	for _, c := range el.checks {
		c(r, it)
	}
	for _, inv := range el.invariants {
		r.check(inv, it)
	}
}

// extra validates "_name", the ids and extensions of a primitive.
func (r *run) extra(parent *item, m *member, n fhir.Node) {
	el := m.elem
	t := r.e.table("Element")
	plain := parent.tab.members[m.json[1:]]
	v := parent.n.Get(plain.json)
	child := r.newItem()
	defer r.freeItem()
	child.typ, child.name, child.idx, child.choice, child.path = plain.typ, el.name, -1, el.choice, el.path
	one := func(x, value fhir.Node) {
		child.n, child.x = value, x
		r.push(child)
		defer r.pop()
		if x.Kind() != fhir.Object {
			r.fail(x, fhir.CodeStructure, "", "'%s' holds id and extensions of '%s', so it is an object, not %s", m.json, plain.json, x.Kind())
			return
		}
		holder := item{n: x, typ: "Element", tab: t}
		if t != nil {
			r.elementExtras(&holder, child, value.Valid() && value.Kind() != fhir.Null)
		}
		if b := el.binding; b != nil && !r.opts.Format && b.strength == "required" && (!value.Valid() || value.Kind() == fhir.Null) {
			r.fail(x, fhir.CodeCodeInvalid, b.cite, "no code is given, and one from the required value set %s is needed%s", b.valueSet, r.choices(b, ""))
		}
	}
	if !el.array {
		one(n, v)
		return
	}
	if n.Kind() != fhir.Array || n.Len() == 0 {
		r.push(child)
		r.fail(n, fhir.CodeStructure, "", "'%s' is an array of one element or more, as '%s' is", m.json, plain.json)
		r.pop()
		return
	}
	cv := v.First()
	i := 0
	for c := n.First(); c.Valid(); c = c.Next() {
		child.idx = i
		if c.Kind() == fhir.Null {
			if !cv.Valid() || cv.Kind() == fhir.Null {
				child.n, child.x = fhir.Node{}, fhir.Node{}
				r.push(child)
				r.fail(c, fhir.CodeStructure, "", "neither '%s' nor '%s' has a value at this place", plain.json, m.json)
				r.pop()
			}
		} else {
			one(c, cv)
		}
		cv = cv.Next()
		i++
	}
}

// elementExtras validates the object under "_name"; owner is the primitive.
func (r *run) elementExtras(holder, owner *item, hasValue bool) {
	filled := hasValue
	for c := holder.n.First(); c.Valid(); c = c.Next() {
		m := holder.tab.memberOf(c)
		if m == nil {
			r.unknown(holder, c)
			filled = true
			continue
		}
		if m.elem.name == "extension" {
			filled = true
		}
		if m.ext {
			r.extra(holder, m, c)
		} else {
			r.propertyOf(holder, owner, m, c)
		}
	}
	if !filled {
		r.fail(holder.n, fhir.CodeStructure, rule(holder.tab.structure, "ele-1"), "an element must have a value or children (ele-1); leave it out instead")
	}
}

// propertyOf is property with the primitive that owns the extensions in view,
// which the contexts of extensions are about.
func (r *run) propertyOf(holder, owner *item, m *member, n fhir.Node) {
	saved := r.owner
	r.owner = owner
	r.property(holder, m, n)
	r.owner = saved
}

func formatCode(typ string, n fhir.Node) string {
	switch n.Kind() {
	case fhir.Object, fhir.Array, fhir.Null:
		return fhir.CodeStructure
	}
	want := fhir.String
	switch typ {
	case "boolean":
		want = fhir.Bool
	case "integer", "unsignedInt", "positiveInt", "decimal", "integer64":
		want = fhir.Number
	}
	if n.Kind() != want {
		return fhir.CodeStructure
	}
	return fhir.CodeValue
}

// attachmentSize: Attachment.size is the size of the content.
func (r *run) attachmentSize(parent *item, data fhir.Node) {
	size := parent.n.Get("size")
	if size.Kind() != fhir.Number {
		return
	}
	if got := itoa(base64Size(data.Bytes())); !bytes.Equal(size.Bytes(), []byte(got)) {
		top := r.steps[len(r.steps)-1]
		r.pop()
		r.fail(size, fhir.CodeValue, parent.tab.structure.canonical(), "the stated size is %s bytes, the content in data has %s", size.Text(), got)
		r.steps = append(r.steps, top)
	}
}

func cardinality(lo, hi int) string {
	if hi == unbounded {
		return itoa(lo) + "..*"
	}
	return itoa(lo) + ".." + itoa(hi)
}

func variantsHint(el *elem) string {
	if !el.choice {
		return ""
	}
	return "; give one of " + variantNames(el)
}

func variantNames(el *elem) string {
	var names []string
	for i, m := range el.variants {
		if i == 12 {
			names = append(names, "…")
			break
		}
		names = append(names, m.json)
	}
	return strings.Join(names, ", ")
}

// nearest returns the element name that a misspelt one probably means, "" if
// none is near: equal but for case, or one edit away.
func nearest(key string, t *table) string {
	for _, el := range t.elems {
		for _, m := range el.variants {
			if strings.EqualFold(m.json, key) || oneEdit(m.json, key) {
				return m.json
			}
		}
	}
	return ""
}

// oneEdit tells whether two words differ by one insertion, deletion or
// replacement.
func oneEdit(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 || len(b) < 3 {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) == len(b) {
		return i < len(a) && a[i+1:] == b[i+1:]
	}
	return a[i:] == b[i+1:]
}

// rule names a constraint of a definition as an issue's source.
func rule(s *structure, key string) string {
	if s == nil {
		return key
	}
	return s.canonical() + "#" + key
}
