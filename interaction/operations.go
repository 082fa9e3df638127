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

// Register adds an operation. It panics if the name is taken at one of its levels
// for one of its types: the wiring is wrong. It must not be called once requests are
// served.
func (s *Service) Register(op *Operation) {
	for _, o := range s.operations[op.Name] {
		same := o.Types == nil || op.Types == nil || slices.ContainsFunc(o.Types, op.of)
		if o.System && op.System || same && (o.Type && op.Type || o.Instance && op.Instance) {
			panic("interaction: operation $" + op.Name + " is registered twice")
		}
	}
	s.operations[op.Name] = append(s.operations[op.Name], op)
}

// operation returns the operation of that name at the level of the request.
func (s *Service) operation(name string, req *Request) *Operation {
	for _, op := range s.operations[name] {
		switch {
		case req.Type == "" && op.System,
			req.Type != "" && req.ID == "" && op.Type && op.of(req.Type),
			req.Type != "" && req.ID != "" && op.Instance && op.of(req.Type):
			return op
		}
	}
	return nil
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
