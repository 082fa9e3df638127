package interaction

import (
	"context"
	"net/http"
	"strings"

	"ingle/fhir"
	"ingle/profiles"
	"ingle/search"
	"ingle/store"
)

// ValidateStoredOperation is $validate-stored, an operation of Ingle's own: it
// validates what is stored, as far as the caller may see it, of all types, of
// those that _type lists, or of the type in the URL, against the profiles that
// resources claim, or against those of the parameter profile. It is answered
// later (R4 async.html): 202 and a place, where the report will be
// (profiles.Survey).
func (s *Service) ValidateStoredOperation(v *profiles.Validator) *Operation {
	return &Operation{
		Name: "validate-stored", Definition: "urn:ingle:OperationDefinition:validate-stored", System: true, Type: true,
		Documentation: "Validates what is stored and counts by profile; answered at the URL in Content-Location.",
		Do: func(ctx context.Context, session *store.Session, req *Request) (*Response, error) {
			types := s.cfg.Definitions.ResourceTypes()
			if req.Type != "" {
				types = []string{req.Type}
			}
			var urls []string
			for _, kv := range req.Query {
				switch {
				case kv.Name == "profile":
					if !v.Knows(kv.Value) {
						return nil, fhir.Errorf(http.StatusNotFound, fhir.CodeNotFound, "the profile %q is not known here", printable(kv.Value))
					}
					urls = append(urls, kv.Value)
				case kv.Name == "_type" && req.Type == "":
					types = strings.Split(kv.Value, ",")
					for _, t := range types {
						if !s.cfg.Definitions.IsResourceType(t) {
							return nil, fhir.Errorf(http.StatusBadRequest, fhir.CodeValue, "%q is not a resource type of FHIR R4", printable(t))
						}
					}
				default:
					return nil, fhir.Errorf(http.StatusBadRequest, fhir.CodeNotSupported, "$validate-stored has no parameter %q", printable(kv.Name))
				}
			}
			return s.respondLater(ctx, session, req, func(ctx context.Context, tx *store.Tx) (*Response, error) {
				survey := v.Survey(urls, s.around(tx, req))
				for _, t := range types {
					if err := s.survey(ctx, tx, t, survey); err != nil {
						return nil, err
					}
				}
				return &Response{Status: http.StatusOK, Body: survey.Report()}, nil
			})
		},
	}
}

// survey validates all resources of a type that the reader may see.
func (s *Service) survey(ctx context.Context, r reader, typ string, survey *profiles.Survey) error {
	const page = 200
	q, _, err := s.registry.Parse(search.Request{Type: typ, Limits: search.Limits{Count: page, MaxCount: page}})
	if err != nil {
		return err
	}
	for {
		found, err := r.Search(ctx, q)
		if err != nil {
			return err
		}
		for i := range found.Matches {
			m := &found.Matches[i]
			doc, err := fhir.Parse(m.Body, s.limits(typ))
			if err != nil {
				return err
			}
			survey.Add(ctx, locationOf(&m.Resource), doc)
			q.Cursor = &search.Cursor{Keys: m.Keys, RID: m.RID}
		}
		if !found.More || len(found.Matches) == 0 {
			return ctx.Err()
		}
	}
}
