package fhir

import "iter"

// Canonical returns a definition by canonical URL, with or without "|version":
// a StructureDefinition, ValueSet, CodeSystem, ConceptMap, OperationDefinition,
// SearchParameter, CompartmentDefinition or NamingSystem as compact JSON
// without prose. Where a value set and a code system share a URL the value set
// wins; use CanonicalOf to choose. The bytes belong to the caller.
func (d *Definitions) Canonical(url string) ([]byte, bool) { return d.canon.get(d, "", url) }

// CanonicalOf is Canonical for one resource type.
func (d *Definitions) CanonicalOf(resourceType, url string) ([]byte, bool) {
	return d.canon.get(d, resourceType, url)
}

// Each walks over the definitions of one resource type ("" for all) in the
// order of their URLs: canonical URL and JSON. The bytes are shared and must not
// be changed or kept.
func (d *Definitions) Each(resourceType string) iter.Seq2[string, []byte] {
	return d.canon.each(d, resourceType)
}
