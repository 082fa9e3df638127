// Package interaction holds the RESTful interactions of FHIR R4 and the door to
// its operations, without HTTP: one file for each interaction, operations.go as
// the table of contents of the operations.
//
// Service.Resolve turns a method and a path into a Request, Service.Do runs a
// Request on a store.Session and returns a Response. HTTP requests and the
// entries of Bundles walk the same way.
//
// A resource that comes in stays the client's own bytes: it is parsed into a
// flat index (fhir.Doc), checked, its index rows taken out of it, and its id and
// meta are spliced in. A resource that goes out is the stored text, spliced into
// a Bundle where there is one. Nothing is decoded and encoded again.
package interaction
