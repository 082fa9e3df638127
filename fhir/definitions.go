package fhir

import (
	"slices"
	"sync"
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
// terminology resources by canonical URL. Definitions are immutable and safe
// for concurrent use. Nothing is decompressed before it is asked for.
type Definitions struct {
	embedded Embedded
	numbers  func() map[string]int16
	types    typeSet
	search   searchSet
	canon    canonicalSet
}

// NewDefinitions wraps embedded data; it does no work.
func NewDefinitions(e Embedded) *Definitions {
	d := &Definitions{embedded: e}
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

// ResourceTypes returns the names of the concrete resource types, sorted.
func (d *Definitions) ResourceTypes() []string { return slices.Clone(d.embedded.ResourceTypes) }

// IsResourceType tells whether name is a concrete resource type.
func (d *Definitions) IsResourceType(name string) bool { return d.numbers()[name] != 0 }

// TypeNumber returns the number under which databases know a concrete resource
// type of this version, 0 if there is none.
func (d *Definitions) TypeNumber(resourceType string) int16 { return d.numbers()[resourceType] }

// TypeName returns the resource type with the given number, "" if this version
// has none.
func (d *Definitions) TypeName(number int16) string {
	if number <= 0 || int(number) >= len(typeNumbers) {
		return ""
	}
	name := typeNumbers[number]
	if d.numbers()[name] != number {
		return ""
	}
	return name
}
