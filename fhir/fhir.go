// Package fhir knows FHIR R4 (4.0.1) itself and nothing of servers or storage: resources as the bytes that a client sent
// with an index over them (Doc, Node), dates and decimals with their precision, references, the official definitions
// (types and elements, search parameters, compartments, value sets), and the errors that become OperationOutcomes
// (Error, Issue). Package fhir/r4 holds the definitions of this release; other releases get a package beside it.
package fhir
