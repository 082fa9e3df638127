package terminology

import (
	"context"

	"ingle/fhir"
)

// Operation is a terminology operation, free of HTTP and of resources' storage.
type Operation struct {
	Name                   string // without "$"
	Definition             string // canonical of its OperationDefinition
	Types                  []string
	System, Type, Instance bool // the levels at which it may be called
	AffectsState           bool

	// Do answers with a resource as JSON. A *fhir.Error becomes an
	// OperationOutcome.
	Do func(ctx context.Context, src Source, call *Call) ([]byte, error)
}

// Call is one call of an operation.
type Call struct {
	Type  string // the resource type it was called on, "" at the system level
	Owner string // who calls, for $closure: a stable id
	// Lenient leaves parameters out that the operation does not have; else they are
	// refused.
	Lenient bool
	Parameters
}

// Operations lists the operations for the wiring to register.
func (s *Service) Operations() []Operation {
	const def = "http://hl7.org/fhir/OperationDefinition/"
	list := []Operation{
		{Name: "expand", Definition: def + "ValueSet-expand", Types: []string{"ValueSet"}, Type: true, Instance: true,
			Do: func(ctx context.Context, src Source, c *Call) ([]byte, error) {
				return s.Expand(ctx, src, &c.Parameters)
			}},
		{Name: "validate-code", Definition: def + "ValueSet-validate-code", Types: []string{"ValueSet", "CodeSystem"}, Type: true, Instance: true,
			Do: func(ctx context.Context, src Source, c *Call) ([]byte, error) {
				if c.Type == "CodeSystem" {
					return s.ValidateInCodeSystem(ctx, src, &c.Parameters)
				}
				return s.ValidateInValueSet(ctx, src, &c.Parameters)
			}},
		{Name: "batch-validate-code", Definition: "http://hl7.org/fhir/uv/tx-ecosystem/OperationDefinition/ValueSet-batch-validate-code", Types: []string{"ValueSet", "CodeSystem"}, Type: true,
			Do: s.batchValidate},
		{Name: "lookup", Definition: def + "CodeSystem-lookup", Types: []string{"CodeSystem"}, Type: true, Instance: true,
			Do: func(ctx context.Context, src Source, c *Call) ([]byte, error) {
				return s.Lookup(ctx, src, &c.Parameters)
			}},
		{Name: "subsumes", Definition: def + "CodeSystem-subsumes", Types: []string{"CodeSystem"}, Type: true, Instance: true,
			Do: func(ctx context.Context, src Source, c *Call) ([]byte, error) {
				return s.Subsumes(ctx, src, &c.Parameters)
			}},
		{Name: "translate", Definition: def + "ConceptMap-translate", Types: []string{"ConceptMap"}, Type: true, Instance: true,
			Do: func(ctx context.Context, src Source, c *Call) ([]byte, error) {
				return s.Translate(ctx, src, &c.Parameters)
			}},
		{Name: "closure", Definition: def + "ConceptMap-closure", System: true, AffectsState: true,
			Do: func(ctx context.Context, src Source, c *Call) ([]byte, error) {
				if c.Owner == "" {
					return nil, fhir.Errorf(403, fhir.CodeForbidden, "$closure keeps a table for its caller, and this caller has no identity")
				}
				return s.Closure(ctx, src, c.Owner, &c.Parameters)
			}},
	}
	for i, op := range list {
		list[i].Do = func(ctx context.Context, src Source, c *Call) ([]byte, error) {
			if !c.Lenient {
				if err := onlyAccepted(c.List, c.Type, op.Name, ""); err != nil {
					return nil, err
				}
			}
			return op.Do(ctx, src, c)
		}
	}
	return list
}
