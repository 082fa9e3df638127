package fhirpath

import "slices"

// shape is what is known of a collection before evaluation: the types its
// items may have, if that is known, and whether their order means something.
type shape struct {
	known     bool
	models    []*model
	kinds     uint16 // bit per Kind of System type
	unordered bool
}

var emptyShape = shape{known: true}

func shapeOf(models ...*model) shape { return shape{known: true, models: models} }

func systemShape(kinds ...Kind) shape {
	s := shape{known: true}
	for _, k := range kinds {
		s.kinds |= 1 << k
	}
	return s
}

// maxShape bounds the types that are kept apart; beyond it nothing is known.
const maxShape = 64

func (s shape) union(t shape) shape {
	out := shape{known: s.known && t.known, unordered: s.unordered || t.unordered, kinds: s.kinds | t.kinds}
	if !out.known {
		return shape{unordered: out.unordered}
	}
	out.models = slices.Clone(s.models)
	for _, m := range t.models {
		if !slices.Contains(out.models, m) {
			out.models = append(out.models, m)
		}
	}
	if len(out.models) > maxShape {
		return shape{unordered: out.unordered}
	}
	return out
}

// member is the shape of an element of the items; ok is false if none of the
// possible types has such an element.
func (s shape) member(name string) (out shape, ok bool) {
	out.unordered = s.unordered
	if !s.known {
		return out, true
	}
	out.known = true
	for _, m := range s.models {
		if m.isPrimitive() {
			switch name {
			case "value":
				out.kinds |= 1 << m.system
				ok = true
			case "id", "extension":
				if f := m.lang.model("Element").field(name); f != nil {
					out, ok = out.union(shapeOf(f.typ)), true
				}
			}
			continue
		}
		if m.def == nil || m.name == "Resource" || m.name == "DomainResource" {
			// What stands where any resource may stand is seen at evaluation.
			if f := m.field(name); f == nil {
				return shape{unordered: s.unordered}, true
			}
		}
		f := m.field(name)
		if f == nil {
			continue
		}
		ok = true
		if !f.choice {
			out = out.union(shapeOf(f.typ))
			continue
		}
		for _, t := range f.def.Types {
			if tm := m.lang.model(t.Code); tm != nil {
				out.models = append(slices.Clone(out.models), tm)
			}
		}
	}
	if s.kinds&(1<<KindTypeInfo) != 0 && (name == "name" || name == "namespace") {
		out.kinds |= 1 << KindString
		ok = true
	}
	// The empty collection has every element, all of them empty.
	return out, ok || len(s.models) == 0 && s.kinds == 0
}
