package interaction

import (
	"context"

	"ingle/fhir"
	"ingle/profiles"
	"ingle/store"
)

// Validator checks a resource before it is stored, with its positions in the
// document it stands in. It returns what is to be said of one that may be
// stored; what may not is a *fhir.Error.
type Validator interface {
	Validate(ctx context.Context, resource fhir.Node, around profiles.Around) ([]fhir.Issue, error)
}

// baseValidator is a Validator that knows nothing but FHIR itself.
func baseValidator(defs *fhir.Definitions, mode profiles.Mode) (Validator, error) {
	v, err := profiles.New(profiles.NewRegistry(defs), profiles.Config{Mode: mode}, nil)
	if err != nil {
		return nil, err
	}
	return v.Gate(), nil
}

// check validates a resource in whatever document it stands. It returns what
// does not keep it from being stored.
func (s *Service) check(ctx context.Context, typ string, n fhir.Node, around profiles.Around) ([]fhir.Issue, error) {
	if n.Kind() == fhir.Object {
		if name := n.Get("resourceType"); name.Kind() == fhir.String && name.Text() != typ && s.cfg.Definitions.IsResourceType(name.Text()) {
			return nil, fhir.Errorf(400, fhir.CodeInvalid, "the resource is a %s, but a %s is expected here", name.Text(), typ).AtNode(name)
		}
	}
	return s.cfg.Validator.Validate(ctx, n, around)
}

// readsAll is a Session, or a Tx where one is open: a second connection inside
// of it could wait for the first for ever.
type readsAll interface {
	ReadAll(ctx context.Context, refs []string) (map[string]*store.Resource, error)
}

// around gives validation what is around the resources of a request: what their
// references lead to, as the caller may see it; r may be nil, then nothing is
// read.
func (s *Service) around(r readsAll, req *Request) profiles.Around {
	return around(r, req, s.cfg.Definitions)
}

func around(r readsAll, req *Request, defs *fhir.Definitions) profiles.Around {
	out := profiles.Around{Project: req.ResourcePath}
	if r == nil {
		return out
	}
	read := func(ctx context.Context, refs []string) (map[string][]byte, error) {
		found, err := r.ReadAll(ctx, refs)
		if err != nil {
			return nil, err
		}
		bodies := make(map[string][]byte, len(found))
		for ref, res := range found {
			if !res.Deleted() {
				bodies[ref] = res.Body
			}
		}
		return bodies, nil
	}
	out.Stored = profiles.NewStored(read, []string{req.BaseURL}, defs.IsResourceType)
	return out
}
