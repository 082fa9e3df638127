package profiles

import (
	"strings"

	"ingle/fhir"
)

// rename makes the elements of a type those of one that specializes it.
func (g *generator) rename(from, to string) {
	g.byID = map[string]*snap{}
	for _, s := range g.out {
		s.id, s.path = to+strings.TrimPrefix(s.id, from), to+strings.TrimPrefix(s.path, from)
		g.byID[s.id] = s
	}
}

// define brings one element of a type's differential into its snapshot: one that
// the type inherits, or a new one. It returns what is wrong, "" if nothing is.
func (g *generator) define(d fhir.Node) string {
	path, id := d.Get("path").Text(), d.Get("id").Text()
	if id == "" {
		id = path
	}
	if s := g.byID[id]; s != nil {
		g.update(s, d)
		return ""
	}
	cut := strings.LastIndexByte(id, '.')
	if cut < 0 || g.byID[id[:cut]] == nil {
		return path + ": there is no element around it"
	}
	if len(g.out) > maxElements {
		return "the snapshot has too many elements"
	}
	s := snapOf(d)
	s.props["base"] = []byte(`{"path":` + string(fhir.AppendString(nil, path)) + `,"min":` + orText(d.Get("min"), "0") + `,"max":` + orText(d.Get("max"), `"*"`) + `}`)
	g.insert(g.end(g.byID[id[:cut]]), s)
	if codes := typeCodes(s); len(codes) == 1 && (codes[0] == "BackboneElement" || codes[0] == "Element") {
		return g.unfold(s)
	}
	return ""
}

func orText(n fhir.Node, otherwise string) string {
	if n.Valid() {
		return string(n.Raw())
	}
	return otherwise
}

// ResourceType returns the resource type that a StructureDefinition adds to those
// of FHIR, without its number: of kind resource it specializes Resource or
// DomainResource. nil: it adds none. Its errors are *fhir.Error with status 422:
// the type cannot be had.
func (v *Validator) ResourceType(n fhir.Node) (*fhir.AddedType, error) {
	e, defs := v.current(), v.reg.defs
	name, url := n.Get("type").Text(), n.Get("url").Text()
	if n.Get("kind").Text() != "resource" || n.Get("derivation").Text() != "specialization" || n.Get("abstract").Text() == "true" ||
		url == sdPrefix+name && defs.Type(name) != nil && defs.Added(name) == nil {
		return nil, nil
	}
	fail := func(at, format string, args ...any) error {
		return fhir.Errorf(422, fhir.CodeBusinessRule, format, args...).At("StructureDefinition." + at)
	}
	switch base := n.Get("baseDefinition").Text(); {
	case !typeName(name):
		return nil, fail("type", "%q cannot be the name of a resource type: a capital letter and at most 63 letters and digits", clip(name))
	case defs.Type(name) != nil && defs.Added(name) == nil:
		return nil, fail("type", "%s is a type of FHIR %s itself", name, defs.Version())
	case base != sdPrefix+"DomainResource" && base != sdPrefix+"Resource":
		return nil, fail("baseDefinition", "a resource type specializes %sDomainResource or Resource", sdPrefix)
	}
	src := n.Raw()
	if n.Get("snapshot").Get("element").Len() == 0 {
		made, faults, err := e.generate(n, nil)
		if err != nil {
			return nil, fail("differential", "%v", err)
		}
		if len(faults) > 0 {
			return nil, fail("differential", "%s", faults[0])
		}
		src = made
	}
	doc, err := fhir.Parse(src, limits)
	if err != nil {
		return nil, err
	}
	s, err := readStructure(doc)
	if err != nil {
		return nil, err
	}
	root := buildTree(s.snapshot)
	if root.el.path != name {
		return nil, fail("snapshot", "the first element must be %s, not %s", name, clip(root.el.path))
	}
	b := &typeBuilder{defs: defs}
	b.build(root, strings.TrimPrefix(s.base, sdPrefix), fhir.TypeResource)
	b.check()
	if b.fault != "" {
		return nil, fail("snapshot", "%s", b.fault)
	}
	return &fhir.AddedType{Name: name, Definition: src, URL: url, Version: s.version, Types: b.types}, nil
}

// typeName tells whether a text can be the name of a resource type.
func typeName(s string) bool {
	if s == "" || len(s) > 64 || s[0] < 'A' || s[0] > 'Z' {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') }) < 0
}

// typeBuilder turns a snapshot into types.
type typeBuilder struct {
	defs  *fhir.Definitions
	types []*fhir.Type
	fault string
}

func (b *typeBuilder) build(t *tree, base string, kind fhir.TypeKind) {
	typ := &fhir.Type{Name: t.el.path, Base: base, Kind: kind}
	b.types = append(b.types, typ)
	inherited := b.defs.Type(base)
	if inherited == nil {
		b.fault = "the element " + clip(t.el.path) + " has elements and not one type that is known"
		return
	}
	for _, k := range t.children {
		f := b.field(k, inherited)
		f.Order = len(typ.Fields)
		if len(f.Types) == 0 {
			b.fault = "the element " + clip(k.el.path) + " has no type"
		}
		typ.Fields = append(typ.Fields, f)
	}
}

// check tells whether all types of elements are known.
func (b *typeBuilder) check() {
	own := map[string]bool{"xhtml": true}
	for _, t := range b.types {
		own[t.Name] = true
	}
	for _, t := range b.types {
		for _, f := range t.Fields {
			for _, ref := range f.Types {
				if !own[ref.Code] && b.defs.Type(ref.Code) == nil {
					b.fault = "the element " + clip(t.Name+"."+f.Name) + " is of the type " + clip(ref.Code) + ", which is not known"
				}
			}
		}
	}
}

// field makes a field of an element, as the inherited type has it where it is
// its.
func (b *typeBuilder) field(k *tree, inherited *fhir.Type) fhir.Field {
	el := k.el
	name := strings.TrimSuffix(el.last(), "[x]")
	if f := inherited.Field(name); f != nil {
		return *f
	}
	f := fhir.Field{Name: name, Choice: strings.HasSuffix(el.path, "[x]"), Min: max(el.min, 0), Max: el.max, Modifier: el.modifier,
		Summary: el.node.Get("isSummary").Text() == "true", Origin: el.path}
	if el.max == notGiven {
		f.Max = 1
	}
	if el.max == unbounded {
		f.Max = fhir.Unbounded
	}
	if el.binding != nil {
		f.Binding = &fhir.Binding{Strength: el.binding.strength, ValueSet: el.binding.valueSet}
	}
	switch {
	case el.contentRef != "":
		f.Types = []fhir.TypeRef{{Code: el.contentRef}}
	case len(k.children) > 0:
		f.Types = []fhir.TypeRef{{Code: el.path}}
		b.build(k, typeOf(k), fhir.TypeBackbone)
	default:
		for _, dt := range el.types {
			ref := fhir.TypeRef{Code: dt.code, Profiles: dt.profiles}
			for _, target := range dt.targets {
				if to, ok := strings.CutPrefix(target, sdPrefix); ok && to != "Resource" {
					ref.Targets = append(ref.Targets, to)
				} else {
					ref.Targets = nil
					break
				}
			}
			f.Types = append(f.Types, ref)
		}
	}
	return f
}
