package interaction

import (
	"context"
	"net/http"

	"ingle/fhir"
	"ingle/search"
	"ingle/store"
	"ingle/terminology"
)

// TerminologySource gives the code systems, value sets and maps that the caller
// of a session may use.
type TerminologySource func(ctx context.Context, session *store.Session) (terminology.Source, error)

// TerminologyOperations are $expand, $validate-code, $lookup, $subsumes,
// $translate and $closure (R4 terminology-service.html).
func TerminologyOperations(t *terminology.Service, source TerminologySource) []*Operation {
	var out []*Operation
	for _, op := range t.Operations() {
		out = append(out, &Operation{
			Name: op.Name, Definition: op.Definition, Types: op.Types, System: op.System, Type: op.Type, Instance: op.Instance,
			AffectsState: op.AffectsState,
			Do: func(ctx context.Context, session *store.Session, req *Request) (*Response, error) {
				call, err := terminologyCall(ctx, session, req)
				if err != nil {
					return nil, err
				}
				src, err := source(ctx, session)
				if err != nil {
					return nil, err
				}
				body, err := op.Do(ctx, src, call)
				if err != nil {
					return nil, err
				}
				return &Response{Status: http.StatusOK, Body: body}, nil
			},
		})
	}
	return out
}

// terminologyCall takes the parameters from the URL and the body.
func terminologyCall(ctx context.Context, session *store.Session, req *Request) (*terminology.Call, error) {
	call := &terminology.Call{Type: req.Type, Owner: session.Scope().Principal(), Lenient: req.Prefer.Handling == "lenient"}
	if len(req.Body) > 0 {
		params, err := terminology.ReadParameters(req.Body)
		if err != nil {
			return nil, err
		}
		call.Parameters = params
	}
	for _, kv := range req.Query {
		call.List = append(call.List, terminology.Parameter{Name: kv.Name, Text: kv.Value})
	}
	call.AcceptLanguage = req.AcceptLanguage
	if req.ID != "" {
		doc, err := readDoc(ctx, session, req.Type, req.ID)
		if err != nil {
			return nil, err
		}
		if doc == nil {
			return nil, fhir.Errorf(http.StatusNotFound, fhir.CodeNotFound, "%s/%s is not known", req.Type, req.ID)
		}
		call.Resource = doc
	}
	return call, nil
}

// codeSets resolves the search modifiers that stand for sets of codes, for one
// request.
type codeSets struct {
	ctx     context.Context
	service *Service
	session *store.Session
}

// codeSets returns nil where there is no terminology service.
func (s *Service) codeSets(ctx context.Context, r reader) search.Terminology {
	if s.cfg.Terminology == nil || s.cfg.TerminologySource == nil {
		return nil
	}
	switch r := r.(type) {
	case *store.Session:
		return codeSets{ctx, s, r}
	case *store.Tx:
		return codeSets{ctx, s, r.Session()}
	}
	return nil
}

// maxInUse is how many codes a large set is narrowed down to. More are left to the
// database to find: reading along many codes at once is no gain.
const maxInUse = 1000

// CodeSet implements search.Terminology. A set that only the database can list is
// narrowed down to the codes that resources hold at all, which are few: they are
// read in order, one beside the other, where a condition on every row would have
// to look at all rows first. The set of not-in is not narrowed: a code that comes
// into use this moment would not be left out.
func (c codeSets) CodeSet(modifier, value string) (*search.CodeSet, error) {
	src, err := c.service.cfg.TerminologySource(c.ctx, c.session)
	if err != nil {
		return nil, err
	}
	set, err := c.service.cfg.Terminology.CodeSet(c.ctx, src, modifier, value)
	if err != nil {
		return nil, err
	}
	out := &search.CodeSet{Where: set.Where}
	if set.Where != nil && modifier != "not-in" {
		codes, ok, err := c.session.CodesInUse(c.ctx, set.Where, maxInUse)
		if err != nil {
			return nil, err
		}
		if ok {
			return &search.CodeSet{Codes: codes}, nil
		}
	}
	for _, code := range set.Codes {
		out.Codes = append(out.Codes, search.Code{System: code.System, Code: code.Code})
	}
	return out, nil
}
