package fhir

import (
	"slices"
	"strings"
	"sync/atomic"
)

// FirstAdded is the least number of an added resource type. Below it are the
// numbers of FHIR's own (typeNumbers).
const FirstAdded = 20_000

// AddedType is a resource type that FHIR does not have: a StructureDefinition of
// kind resource specializes Resource or DomainResource.
type AddedType struct {
	Name   string
	Number int16 // under which the database knows it, from FirstAdded
	// Definition is the StructureDefinition that adds it, with a snapshot; it may
	// not be the only one of its canonical URL.
	Definition   []byte
	URL, Version string // the definition's
	// Types are the type and the backbone elements in it. Without any the type is
	// not there now: only what its number means is known.
	Types []*Type
}

// addedTypes are the resource types of one moment beyond those of FHIR.
type addedTypes struct {
	active  map[string]*AddedType
	numbers map[int16]string
	types   map[string]*Type
	names   []string // all resource types, FHIR's too, sorted
}

// Extensible returns the same definitions, to which resource types may be added.
func (d *Definitions) Extensible() *Definitions {
	out := *d
	out.added = new(atomic.Pointer[addedTypes])
	out.SetAdded(nil)
	return &out
}

// SetAdded makes these the resource types beyond those of FHIR, in place of those
// before. The definitions must be Extensible, and keep what they are given.
func (d *Definitions) SetAdded(list []AddedType) {
	next := &addedTypes{active: map[string]*AddedType{}, numbers: map[int16]string{}, types: map[string]*Type{}, names: slices.Clone(d.embedded.ResourceTypes)}
	for i := range list {
		a := &list[i]
		next.numbers[a.Number] = a.Name
		if len(a.Types) == 0 {
			continue
		}
		next.active[a.Name] = a
		next.names = append(next.names, a.Name)
		for _, t := range a.Types {
			if t.fields == nil { // those that were there before are in use
				t.link()
			}
			next.types[t.Name] = t
		}
	}
	slices.Sort(next.names)
	next.names = slices.Clip(next.names)
	d.added.Store(next)
}

// Added returns the resource type of that name which FHIR does not have, nil if
// there is none.
func (d *Definitions) Added(name string) *AddedType {
	if d.added == nil {
		return nil
	}
	return d.added.Load().active[name]
}

// addedType is Type for what is added.
func (d *Definitions) addedType(name string) *Type {
	if d.added == nil {
		return nil
	}
	types := d.added.Load().types
	if t := types[name]; t != nil || !strings.Contains(name, ".") || strings.HasSuffix(name, ".") {
		return t
	}
	return (&typeRoot{types: types}).walk(name)
}
