package search

import (
	"ingle/fhir"
)

// A Registry knows the search parameters of every resource type. It compiles
// them when a type is first used and is safe for concurrent use.
type Registry struct {
	defs *fhir.Definitions
}

// NewRegistry returns a registry of the search parameters in the definitions.
func NewRegistry(defs *fhir.Definitions) *Registry { return &Registry{defs: defs} }

// Param is one search parameter of one resource type.
type Param struct {
	ID         ParamID
	Code       string
	Type       string // number, date, string, token, reference, composite, quantity, uri, special
	URL        string // canonical URL of the definition
	Definition *fhir.SearchParam
	Targets    []string // resource types a reference may point to
}

// Params returns the search parameters of a resource type ("" for those that
// every type has), sorted by code. The slice must not be changed.
func (r *Registry) Params(resourceType string) []*Param { return nil }

// Param returns one search parameter of a resource type, nil if there is none.
func (r *Registry) Param(resourceType, code string) *Param { return nil }

// IndexRows takes the index rows out of one resource, by its resourceType.
func (r *Registry) IndexRows(doc *fhir.Doc) (*Rows, error)                           { return nil, nil }
func (r *Registry) Parse(req Request) (*Query, []fhir.Issue, error)                  { return nil, nil, nil }
func (r *Registry) Compile(q *Query, src Source) (*Statement, error)                 { return nil, nil }
func (r *Registry) CompileCount(q *Query, src Source) (*Statement, error)            { return nil, nil }
func (r *Registry) CompileMatch(q *Query, src Source, limit int) (*Statement, error) { return nil, nil }

type term struct{}
type include struct{}
type sorter struct{}
