package interaction

import (
	"context"
	"slices"

	"ingle/store"
)

// Operation is an extended operation (R4 operations.html): a value that the
// wiring registers. Its name is resolved only where a level says so; anywhere
// else it is a 404, never an id.
type Operation struct {
	Name       string // without "$"
	Definition string // canonical URL of its OperationDefinition

	System, Type, Instance bool     // the levels at which it may be called
	Types                  []string // resource types of the type and instance levels; nil for all
	AffectsState           bool     // POST only
	Documentation          string   // for the CapabilityStatement, "" for none

	// Do runs it. A *fhir.Error becomes an OperationOutcome.
	Do func(ctx context.Context, session *store.Session, req *Request) (*Response, error)
}

// Register adds an operation. It panics if the name is taken: the wiring is
// wrong. It must not be called once requests are served.
func (s *Service) Register(op *Operation) {
	if s.operations[op.Name] != nil {
		panic("interaction: operation $" + op.Name + " is registered twice")
	}
	s.operations[op.Name] = op
}

// operation returns the operation of that name at the level of the request.
func (s *Service) operation(name string, req *Request) *Operation {
	op := s.operations[name]
	if op == nil {
		return nil
	}
	ok := false
	switch {
	case req.Type == "":
		ok = op.System
	case req.ID == "":
		ok = op.Type && op.of(req.Type)
	default:
		ok = op.Instance && op.of(req.Type)
	}
	if !ok {
		return nil
	}
	return op
}

// operate runs an operation, which goes by the request for how unknown parameters
// are handled.
func (s *Service) operate(ctx context.Context, session *store.Session, req *Request) (*Response, error) {
	if req.Prefer.Handling == "" && s.cfg.Lenient {
		settled := *req
		settled.Prefer.Handling = "lenient"
		req = &settled
	}
	return req.Operation.Do(ctx, session, req)
}

func (op *Operation) of(resourceType string) bool {
	return op.Types == nil || slices.Contains(op.Types, resourceType)
}
