package profiles

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"ingle/fhir"
)

// withSnapshot makes the snapshot of a profile or type that has only a
// differential.
func (e *engine) withSnapshot(s *structure, making []string) (*structure, error) {
	if s.derivation == "" || s.base == "" {
		return s, nil
	}
	src, _, err := e.generate(s.node, making)
	if err != nil {
		return nil, err
	}
	doc, err := fhir.Parse(src, limits)
	if err != nil {
		return nil, fmt.Errorf("profiles: the snapshot of %s: %w", s.url, err)
	}
	return readStructure(doc)
}

// generate returns a StructureDefinition with its snapshot made anew out of the
// differential and the base. Faults name elements of the differential that do
// not fit the base and were left out.
// making is as for structureIn.
func (e *engine) generate(n fhir.Node, making []string) (src []byte, faults []string, err error) {
	url, baseURL := n.Get("url").Text(), n.Get("baseDefinition").Text()
	if making == nil {
		cite := url
		if v := n.Get("version").Text(); v != "" {
			cite += "|" + v
		}
		making = []string{cite}
	}
	base, err := e.structureIn(baseURL, making)
	if err != nil {
		return nil, nil, fmt.Errorf("profiles: the base of %s: %w", url, err)
	}
	if base == nil {
		return nil, nil, fmt.Errorf("profiles: the base of %s, %s, is not known", url, baseURL)
	}
	if len(base.snapshot) == 0 {
		return nil, nil, fmt.Errorf("profiles: the base of %s, %s, has no elements", url, baseURL)
	}
	g := &generator{e: e, url: url, making: making, byID: map[string]*snap{}}
	add := g.merge
	for _, el := range base.snapshot {
		g.append(snapOf(el.node))
	}
	if n.Get("derivation").Text() == "specialization" {
		g.rename(base.snapshot[0].path, n.Get("type").Text())
		add = g.define
	}
	for d := n.Get("differential").Get("element").First(); d.Valid(); d = d.Next() {
		if fault := add(d); fault != "" {
			faults = append(faults, fault)
		}
	}
	return g.write(n), faults, nil
}

// differentialFaults tells what in a profile's differential does not fit its
// base.
func (e *engine) differentialFaults(n fhir.Node) []string {
	if base, err := e.structure(n.Get("baseDefinition").Text()); base == nil || err != nil {
		return nil // nothing can be said without the base
	}
	_, faults, err := e.generate(n, nil)
	if err != nil {
		return []string{err.Error()}
	}
	return faults
}

// snap is an element of a snapshot that is being made: its properties as JSON.
type snap struct {
	id, path string
	props    map[string][]byte
	origin   map[string][]byte // props as the base has them, which slices begin with
}

func snapOf(n fhir.Node) *snap {
	s := &snap{id: n.Get("id").Text(), path: n.Get("path").Text(), props: make(map[string][]byte, n.Len())}
	for m := n.First(); m.Valid(); m = m.Next() {
		if k := m.Key(); k != "id" && k != "path" {
			s.props[k] = m.Raw()
		}
	}
	if s.id == "" {
		s.id = s.path
	}
	s.origin = maps.Clone(s.props)
	return s
}

func (s *snap) copyAs(id, path string) *snap {
	return &snap{id: id, path: path, props: maps.Clone(s.props), origin: maps.Clone(s.props)}
}

// node reads a property.
func (s *snap) node(name string) fhir.Node {
	raw := s.props[name]
	if raw == nil {
		return fhir.Node{}
	}
	doc, err := fhir.Parse(raw, fhir.Limits{})
	if err != nil {
		return fhir.Node{}
	}
	return doc.Root()
}

// maxElements bounds a snapshot: each step into a type adds its elements.
const maxElements = 20_000

type generator struct {
	e      *engine
	url    string
	making []string
	out    []*snap
	byID   map[string]*snap
	last   map[string]string // path → id of the last differential element
}

func (g *generator) append(s *snap) {
	g.out = append(g.out, s)
	g.byID[s.id] = s
}

func (g *generator) insert(at int, s ...*snap) {
	g.out = slices.Insert(g.out, at, s...)
	for _, x := range s {
		g.byID[x.id] = x
	}
}

func (g *generator) at(s *snap) int { return slices.Index(g.out, s) }

// end returns the place behind an element, all that is inside it, and its
// slices.
func (g *generator) end(s *snap) int {
	i := g.at(s) + 1
	for i < len(g.out) && within(g.out[i].id, s.id) {
		i++
	}
	return i
}

// within tells whether an id is of an element inside another one, of a slice of
// it, or inside such a slice.
func within(id, of string) bool {
	return len(id) > len(of) && strings.HasPrefix(id, of) && (id[len(of)] == '.' || id[len(of)] == ':' || id[len(of)] == '/')
}

// merge brings one element of the differential into the snapshot; it returns
// what is wrong, "" if nothing is.
func (g *generator) merge(d fhir.Node) string {
	path := d.Get("path").Text()
	if !strings.Contains(path, ".") {
		if len(g.out) > 0 && g.out[0].path == path {
			g.update(g.out[0], d)
		}
		return ""
	}
	segs := g.locate(d)
	segs[0] = segment{g.out[0].path, ""}
	s, fault := g.ensure(segs)
	if fault != "" {
		return path + ": " + fault
	}
	g.typeTemplate(s, d)
	g.update(s, d)
	g.settle(s, d)
	return ""
}

// settle brings what follows from an element in line: a binding stays only where
// a type can be bound, and a required slice of a choice leaves no other type.
func (g *generator) settle(s *snap, d fhir.Node) {
	if s.props["binding"] != nil && !slices.ContainsFunc(typeCodes(s), bindable) {
		delete(s.props, "binding")
	}
	of, _, ok := strings.Cut(s.id, "[x]:")
	if !ok || strings.Contains(s.id[len(of)+4:], ".") || string(s.props["min"]) != "1" || !strings.HasPrefix(d.Get("path").Text(), of) || strings.HasSuffix(d.Get("path").Text(), "[x]") {
		return
	}
	if choice := g.byID[of+"[x]"]; choice != nil && g.end(choice) == g.end(s) {
		choice.props["type"], choice.props["min"] = s.props["type"], s.props["min"]
		choice.props["slicing"] = []byte(`{"discriminator":[{"type":"type","path":"$this"}],"ordered":false,"rules":"closed"}`)
	}
}

// bindable tells whether values of a type can come from a value set.
func bindable(code string) bool {
	switch code {
	case "code", "Coding", "CodeableConcept", "Quantity", "string", "uri", "Duration", "Age", "Count", "Distance", "Money", "url", "canonical", "integer", "date", "Extension", "SimpleQuantity":
		return true
	}
	return false
}

// ensure finds an element by its id; it makes the slice or unfolds the elements
// around it where they are not there yet.
func (g *generator) ensure(segs []segment) (*snap, string) {
	if s := g.byID[joinSegments(segs)]; s != nil {
		return s, ""
	}
	if len(segs) == 1 {
		return nil, "the profile is not on " + segs[0].name
	}
	if len(g.out) > maxElements {
		return nil, fmt.Sprintf("the snapshot has more than %d elements", maxElements)
	}
	parent, fault := g.ensure(segs[:len(segs)-1])
	if fault != "" {
		return nil, fault
	}
	last := segs[len(segs)-1]
	outer := segments(parent.id)
	if last.slice == "" {
		return g.child(parent, outer, last.name)
	}
	of := append(slices.Clone(outer), segment{last.name, ""})
	if cut := strings.LastIndexByte(last.slice, '/'); cut > 0 {
		of[len(of)-1].slice = last.slice[:cut]
	}
	sliced, fault := g.ensure(of)
	if fault != "" {
		return nil, fault
	}
	if sliced.id != joinSegments(of) && strings.Contains(sliced.id, ":") && last.slice == last.name {
		return sliced, "" // valueQuantity:valueQuantity
	}
	return g.newSlice(sliced, last.slice), ""
}

// child finds a child that is not a slice, unfolding the parent if needed.
func (g *generator) child(parent *snap, outer []segment, name string) (*snap, string) {
	if fault := g.unfold(parent); fault != "" {
		return nil, fault
	}
	if s := g.byID[parent.id+"."+name]; s != nil {
		return s, ""
	}
	// One type of a choice: valueQuantity is the slice value[x]:valueQuantity.
	for _, s := range g.out {
		rest, ok := strings.CutPrefix(s.id, parent.id+".")
		if !ok || strings.ContainsAny(rest, ".:") || !strings.HasSuffix(rest, "[x]") {
			continue
		}
		stem := strings.TrimSuffix(rest, "[x]")
		typ, ok := strings.CutPrefix(name, stem)
		if !ok || typ == "" {
			continue
		}
		for _, code := range typeCodes(s) {
			if strings.EqualFold(code[:1], typ[:1]) && code[1:] == typ[1:] {
				if x := g.byID[s.id+":"+name]; x != nil {
					return x, ""
				}
				only := []byte(`[{"code":"` + code + `"}]`)
				if strings.Contains(parent.id, ":") { // inside a slice it narrows the choice
					s.props["type"] = only
					return s, ""
				}
				slice := g.newSlice(s, name)
				slice.props["type"] = only
				return slice, ""
			}
		}
		return nil, fmt.Sprintf("the path must be '%s.%s', not '%s.%s': %s is not one of its types", parent.path, rest, parent.path, name, typ)
	}
	return nil, fmt.Sprintf("%s has no element '%s'", parent.path, name)
}

func typeCodes(s *snap) []string {
	var out []string
	for t := s.node("type").First(); t.Valid(); t = t.Next() {
		if c := readElementType(t).code; c != "" {
			out = append(out, c)
		}
	}
	return out
}

// newSlice makes a slice of an element, behind the slices it has already.
func (g *generator) newSlice(of *snap, name string) *snap {
	id := of.id + ":" + name
	if colon := strings.LastIndexByte(of.id, ':'); colon > strings.LastIndexByte(of.id, '.') {
		id = of.id[:colon+1] + name // a slice of a slice
	}
	s := of.copyAs(id, of.path)
	s.props = maps.Clone(of.origin)
	delete(s.props, "slicing")
	delete(s.props, "mustSupport")
	s.props["sliceName"] = fhir.AppendString(nil, name)
	s.props["min"] = []byte("0")
	if of.props["slicing"] == nil {
		switch {
		case strings.HasSuffix(of.path, ".extension"), strings.HasSuffix(of.path, ".modifierExtension"):
			of.props["slicing"] = []byte(`{"discriminator":[{"type":"value","path":"url"}],"ordered":false,"rules":"open"}`)
		case strings.HasSuffix(of.path, "[x]"):
			of.props["slicing"] = []byte(`{"discriminator":[{"type":"type","path":"$this"}],"ordered":false,"rules":"open"}`)
		}
	}
	g.insert(g.end(of), s)
	return s
}

// unfold gives an element its children: those of the element it is a slice of,
// of the element it refers to, or of its type.
func (g *generator) unfold(s *snap) string {
	i := g.at(s) + 1
	if i < len(g.out) && strings.HasPrefix(g.out[i].id, s.id+".") {
		return ""
	}
	if colon := strings.LastIndexByte(s.id, ':'); colon > strings.LastIndexByte(s.id, '.') {
		if of := s.id[:colon]; g.copyChildren(s, of, g.out) {
			return ""
		}
	}
	if ref := s.node("contentReference").Text(); ref != "" {
		if g.copyChildren(s, ref[strings.LastIndexByte(ref, '#')+1:], g.out) {
			delete(s.props, "contentReference")
			return ""
		}
	}
	types := s.node("type")
	if types.Len() == 0 {
		return fmt.Sprintf("%s has no type that has elements", s.path)
	}
	url := ""
	if types.Len() == 1 {
		t := readElementType(types.First())
		url = sdPrefix + t.code
		if len(t.profiles) == 1 {
			url = t.profiles[0]
		}
	} else {
		url = sdPrefix + "Element"
	}
	def, err := g.e.structureIn(url, g.making)
	if err != nil || def == nil || len(def.snapshot) == 0 {
		if types.Len() == 1 {
			def, err = g.e.structureIn(sdPrefix+readElementType(types.First()).code, g.making)
		}
		if err != nil || def == nil || len(def.snapshot) == 0 {
			return fmt.Sprintf("the type %s of %s is not known", url, s.path)
		}
	}
	from := make([]*snap, len(def.snapshot))
	for i, el := range def.snapshot {
		from[i] = snapOf(el.node)
	}
	if !g.copyChildren(s, from[0].id, from) {
		return fmt.Sprintf("the type %s of %s has no elements", url, s.path)
	}
	return ""
}

// copyChildren copies what is inside the element with the given id to another
// one; it tells whether there was anything.
func (g *generator) copyChildren(to *snap, id string, from []*snap) bool {
	var add []*snap
	path := ""
	for _, s := range from {
		if s.id == id {
			path = s.path
		}
		if rest, ok := strings.CutPrefix(s.id, id+"."); ok && path != "" {
			c := s.copyAs(to.id+"."+rest, to.path+strings.TrimPrefix(s.path, path))
			c.props, c.origin = maps.Clone(s.origin), s.origin
			add = append(add, c)
		}
	}
	if len(add) == 0 {
		return false
	}
	g.insert(g.at(to)+1, add...)
	return true
}

// typeTemplate takes over what a profile on the element's type says of itself:
// an extension's cardinality and meaning.
func (g *generator) typeTemplate(s *snap, d fhir.Node) {
	types := d.Get("type")
	if types.Len() != 1 {
		return
	}
	t := readElementType(types.First())
	if len(t.profiles) != 1 || t.code == "Reference" {
		return
	}
	def, err := g.e.structureIn(t.profiles[0], g.making)
	if err != nil || def == nil || len(def.snapshot) == 0 {
		return
	}
	root := snapOf(def.snapshot[0].node)
	for _, key := range []string{"short", "definition", "comment", "requirements", "alias", "mapping", "isModifier", "isModifierReason"} {
		if v := root.props[key]; v != nil {
			s.props[key] = v
		}
	}
	if t.code != "Extension" {
		return
	}
	if v := root.props["min"]; v != nil && s.props["sliceName"] != nil {
		s.props["min"] = v
	}
	if v := root.props["max"]; v != nil && string(s.props["max"]) == `"*"` {
		s.props["max"] = v
	}
}

// lists are the properties of an element that grow instead of being replaced.
var lists = map[string]string{"alias": "", "condition": "", "constraint": "key", "mapping": "identity", "example": "label"}

// Snapshot returns a StructureDefinition with its snapshot made out of the
// differential. Its errors are *fhir.Error: the definition is none, its base is
// not known, or the differential does not fit the base.
func (v *Validator) Snapshot(doc *fhir.Doc) ([]byte, error) {
	n := doc.Root()
	if n.Get("resourceType").Text() != "StructureDefinition" {
		return nil, fhir.Errorf(400, fhir.CodeInvalid, "a StructureDefinition is needed to make a snapshot of, not a %s", n.Get("resourceType").Text())
	}
	if n.Get("derivation").Text() != "constraint" && n.Get("snapshot").Get("element").Len() > 0 {
		return doc.Source(), nil
	}
	src, faults, err := v.current().generate(n, nil)
	if err != nil {
		return nil, fhir.Errorf(422, fhir.CodeNotFound, "%v", err).At("StructureDefinition.baseDefinition").Because(err)
	}
	if len(faults) > 0 {
		out := &fhir.Error{Status: 422}
		for _, f := range faults {
			out.Issues = append(out.Issues, fhir.Issue{Severity: fhir.SeverityError, Code: fhir.CodeProcessing, Diagnostics: "the snapshot cannot be made: " + f,
				Expression: []string{"StructureDefinition.differential"}})
		}
		return nil, out
	}
	return src, nil
}
