// Package redact takes elements out of resources for those who may not see
// them, and puts them back when such a caller writes a resource.
//
// Hidden are the elements that are named, by resource type, wherever a resource
// of the type stands: by itself, contained, in a Bundle. What repeats them goes
// along: every narrative, wherever one stands, and in references to a resource of
// such a type what names it beside the reference itself (display, and identifier
// where the type's identifier is hidden). In what no definition tells of, all goes
// that has the names of these.
//
// Nothing that a caller is told depends on hidden content: what may be written
// is decided by what the caller sees.
package redact

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"ingle/fhir"
)

// Fields are the elements that are hidden, by resource type. It does not change.
type Fields struct {
	defs  *fhir.Definitions
	types map[string]tree
}

// tree are the elements below one, by name; one without any below is hidden itself.
type tree map[string]tree

// steering are types that a server itself works by: what they hold shows in its answers.
var steering = []string{"CodeSystem", "ConceptMap", "SearchParameter", "StructureDefinition", "ValueSet"}

// New reads paths of elements below their resource types ("name", "contact.name",
// "value" for value[x]). A path may not be unknown, mandatory in its parent (what
// is left must still be a resource), or part of what every resource is handled by:
// id, meta, contained.
func New(defs *fhir.Definitions, paths map[string][]string) (*Fields, error) {
	f := &Fields{defs: defs, types: map[string]tree{}}
	for typ, list := range paths {
		if len(list) == 0 {
			continue
		}
		if !defs.IsResourceType(typ) {
			return nil, fmt.Errorf("%q is not a resource type", typ)
		}
		if slices.Contains(steering, typ) {
			return nil, fmt.Errorf("%s: the server works by such resources, so that parts of them cannot be hidden; restrict who reads them instead", typ)
		}
		f.types[typ] = tree{}
		for _, path := range list {
			if err := f.add(typ, strings.Split(strings.TrimPrefix(path, typ+"."), ".")); err != nil {
				return nil, fmt.Errorf("%s.%s: %w", typ, strings.TrimPrefix(path, typ+"."), err)
			}
		}
	}
	return f, nil
}

func (f *Fields) add(typ string, names []string) error {
	at, t := f.types[typ], f.defs.Type(typ)
	for i, name := range names {
		var field *fhir.Field
		if t != nil {
			field = t.Field(strings.TrimSuffix(name, "[x]"))
		}
		switch {
		case field == nil:
			return fmt.Errorf("there is no element %q", name)
		case i == 0 && slices.Contains([]string{"id", "meta", "contained", "implicitRules"}, name):
			return fmt.Errorf("%s cannot be hidden", name)
		case i == len(names)-1 && field.Min > 0:
			return fmt.Errorf("%s is mandatory; hide what holds it", name)
		case i < len(names)-1 && (len(field.Types) != 1 || field.Types[0].Code == "Resource"):
			return fmt.Errorf("%s may be of several types; hide it as a whole", name)
		}
		if i == len(names)-1 {
			at[field.Name] = nil
			return nil
		}
		below, there := at[field.Name]
		if there && below == nil {
			return nil // all of it is hidden
		}
		if below == nil {
			below = tree{}
			at[field.Name] = below
		}
		at, t = below, f.defs.Type(field.Types[0].Code)
	}
	return nil
}

// Join is what either hides; nil hides nothing.
func Join(a, b *Fields) *Fields {
	switch {
	case a == nil || a == b:
		return b
	case b == nil:
		return a
	}
	out := &Fields{defs: a.defs, types: map[string]tree{}}
	for _, f := range []*Fields{a, b} {
		for typ, t := range f.types {
			out.types[typ] = joined(out.types[typ], t)
		}
	}
	return out
}

func joined(a, b tree) tree {
	out := tree{}
	for _, t := range []tree{a, b} {
		for name, below := range t {
			have, there := out[name]
			switch {
			case below == nil || there && have == nil:
				out[name] = nil
			default:
				out[name] = joined(have, below)
			}
		}
	}
	return out
}

// Of lists the paths that are hidden in a type, sorted.
func (f *Fields) Of(resourceType string) []string {
	var out []string
	var walk func(t tree, prefix string)
	walk = func(t tree, prefix string) {
		for name, below := range t {
			if below == nil {
				out = append(out, prefix+name)
			} else {
				walk(below, prefix+name+".")
			}
		}
	}
	walk(f.types[resourceType], "")
	slices.Sort(out)
	return out
}

// Touches tells whether an element of a type is hidden, or a part of it, or what
// it is part of, or whether it repeats what is hidden.
func (f *Fields) Touches(resourceType, path string) bool {
	names := strings.Split(path, ".")
	return f.types[resourceType].touches(names) || f.repeats(f.defs.Type(resourceType), names)
}

func (t tree) touches(names []string) bool {
	if t == nil {
		return false
	}
	for _, name := range names {
		below, there := t[name]
		if !there {
			return false
		}
		if below == nil {
			return true
		}
		t = below
	}
	return true
}

// repeats tells whether a path leads to a narrative, or to what a reference says
// of a resource of which something is hidden.
func (f *Fields) repeats(t *fhir.Type, names []string) bool {
	if t == nil || len(names) == 0 {
		return false
	}
	field := t.Field(names[0])
	if field == nil {
		return false
	}
	for _, x := range field.Types {
		switch {
		case x.Code == "Narrative":
			return true
		case x.Code == "Reference" && len(names) > 1:
			display, identifier := f.repeated(x.Targets)
			if display && names[1] == "display" || identifier && names[1] == "identifier" {
				return true
			}
		}
		if f.repeats(f.defs.Type(x.Code), names[1:]) {
			return true
		}
	}
	return false
}

// Types are the resource types of which something is hidden, sorted.
func (f *Fields) Types() []string { return slices.Sorted(maps.Keys(f.types)) }

// repeated tells which parts of a reference to one of these types, nil for any,
// repeat what is hidden.
func (f *Fields) repeated(targets []string) (display, identifier bool) {
	for typ, t := range f.types {
		among := func(target string) bool { return target == typ || !f.defs.IsResourceType(target) }
		if len(t) == 0 || targets != nil && !slices.ContainsFunc(targets, among) {
			continue
		}
		display = true
		if below, there := t["identifier"]; there && below == nil {
			identifier = true
		}
	}
	return display, identifier
}

// targets are the types that a reference may lead to, nil for any. in is the
// resource that it stands in, which is not contained itself. Where the reference
// does not name a type, its element does; what the writer says in
// Reference.type is not believed against that.
func (f *Fields) targets(ref, in fhir.Node, field *fhir.Field) []string {
	r := fhir.ParseReference(ref.Get("reference").Text(), nil, f.defs.IsResourceType)
	if r.Form == fhir.RefFragment {
		r.Type = contained(in, r.Fragment)
	}
	if r.Type != "" {
		return []string{r.Type}
	}
	var out []string
	for _, t := range field.Types {
		if t.Code != "Reference" {
			continue
		}
		if t.Targets == nil {
			return nil
		}
		out = append(out, t.Targets...)
	}
	if typ := ref.Get("type").Text(); typ != "" && out != nil {
		out = append(out, strings.TrimPrefix(typ, "http://hl7.org/fhir/StructureDefinition/"))
	}
	return out
}

// contained is the type of a contained resource, or of what contains it ("").
func contained(in fhir.Node, id string) string {
	if id == "" {
		return in.Get("resourceType").Text()
	}
	for n := in.Get("contained").First(); n.Valid(); n = n.Next() {
		if n.Get("id").Text() == id {
			return n.Get("resourceType").Text()
		}
	}
	return ""
}
