package fhir

import (
	"sync"
	"sync/atomic"
)

// Embedded is what a package such as fhir/r4 hands to NewDefinitions: the
// generated literals and the compressed parts. The byte slices are kept and
// must not be changed.
type Embedded struct {
	Version       string   // of FHIR, "4.0.1"
	ResourceTypes []string // the concrete resource types, sorted
	Types         []byte   // types.zst
	Search        []byte   // search.zst: search parameters and compartments
	Index         []byte   // canonical.idx.zst
	Blocks        []byte   // canonical.zst
	Corrections   []SearchCorrection
}

// Definitions are the official definitions of one FHIR version: types and
// their elements, search parameters, compartments, and the conformance and
// terminology resources by canonical URL. Definitions are safe for concurrent
// use and, unless they are Extensible, immutable. Nothing is decompressed before
// it is asked for.
type Definitions struct {
	embedded Embedded
	numbers  func() map[string]int16
	types    *typeSet
	search   *searchSet
	canon    *canonicalSet
	added    *atomic.Pointer[addedTypes] // nil: none can be added
}

// NewDefinitions wraps embedded data; it does no work.
func NewDefinitions(e Embedded) *Definitions {
	d := &Definitions{embedded: e, types: new(typeSet), search: new(searchSet), canon: new(canonicalSet)}
	d.numbers = sync.OnceValue(func() map[string]int16 {
		m := make(map[string]int16, len(e.ResourceTypes))
		for _, name := range e.ResourceTypes {
			if n := typeNumber(name); n != 0 {
				m[name] = n
			}
		}
		return m
	})
	return d
}

// Version returns the version of FHIR, "4.0.1".
func (d *Definitions) Version() string { return d.embedded.Version }

// ResourceTypes returns the names of the concrete resource types, sorted. The
// slice must not be changed.
func (d *Definitions) ResourceTypes() []string {
	if d.added != nil {
		return d.added.Load().names
	}
	return d.embedded.ResourceTypes
}

// IsResourceType tells whether name is a concrete resource type.
func (d *Definitions) IsResourceType(name string) bool { return d.TypeNumber(name) != 0 }

// TypeNumber returns the number under which databases know a concrete resource
// type of this version, 0 if there is none.
func (d *Definitions) TypeNumber(resourceType string) int16 {
	if n := d.numbers()[resourceType]; n != 0 {
		return n
	}
	if a := d.Added(resourceType); a != nil {
		return a.Number
	}
	return 0
}

// TypeName returns the resource type with the given number, "" if this version
// has none. An added type keeps its number when it is gone.
func (d *Definitions) TypeName(number int16) string {
	if number >= FirstAdded && d.added != nil {
		return d.added.Load().numbers[number]
	}
	if number <= 0 || int(number) >= len(typeNumbers) {
		return ""
	}
	name := typeNumbers[number]
	if d.numbers()[name] != number {
		return ""
	}
	return name
}
