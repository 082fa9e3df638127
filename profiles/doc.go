// Package profiles validates FHIR resources.
//
// A [Registry] holds conformance resources: the official definitions, FHIR
// packages and what clients have posted. A [Validator] compiles
// StructureDefinitions out of it, lazily, into closures over [fhir.Node]:
//
//   - the definition of a base type becomes a table of JSON member names with
//     formats, cardinalities, bindings and invariants. Every resource walks
//     through it once, nested resources included;
//   - a profile becomes the tree of what it says beyond the base type: slices,
//     fixed values, narrower cardinalities, more invariants. A resource walks
//     through the trees of the profiles it claims or is asked to follow, so
//     nothing is reported twice.
//
// What a JSON Schema can say of a StructureDefinition is also compiled to one
// ([Validator.Schema]); docs/decisions tells which of the two runs where.
//
// Every issue names the element by its FHIRPath expression, its line and column
// in the client's own bytes, the rule that is broken and what would be right.
package profiles
