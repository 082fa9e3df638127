package interaction

import (
	"context"
	"net/http"

	"ingle/fhir"
	"ingle/search"
	"ingle/store"
)

// everythingOperations are $everything of a Patient and of an Encounter (R4
// patient-operation-everything.html, encounter-operation-everything.html).
func (s *Service) everythingOperations() []*Operation {
	const definition = "http://hl7.org/fhir/OperationDefinition/"
	const what = "The compartment, and what it refers to outside of it, page by page."
	return []*Operation{
		{Name: "everything", Definition: definition + "Patient-everything", Type: true, Instance: true, Types: []string{"Patient"}, Do: s.everything, Documentation: what + " Without an id: that of the patient in the token's context."},
		{Name: "everything", Definition: definition + "Encounter-everything", Instance: true, Types: []string{"Encounter"}, Do: s.everything, Documentation: what},
	}
}

// everything answers with a search for a whole record (search.Request.Record), as far
// as the caller may see it. POST brings the parameters in a Parameters resource.
func (s *Service) everything(ctx context.Context, session *store.Session, req *Request) (*Response, error) {
	id := req.ID
	if id == "" {
		if id = session.Scope().Patient(); id == "" {
			return nil, fhir.Errorf(http.StatusBadRequest, fhir.CodeRequired, "whose record is asked for: call %s/[id]/$everything; without an id it is that of the patient in the token's context", req.Type)
		}
	}
	about, err := session.Read(ctx, req.Type, id)
	switch {
	case err != nil:
		return nil, err
	case about == nil:
		return nil, unknown(req.Type, id)
	case about.Deleted():
		return gone(about), nil
	}
	params, err := bodyParams(req, nil)
	if err != nil {
		return nil, err
	}
	if params != nil {
		whole := *req
		whole.AddForm(params)
		req = &whole
	}
	asked, err := s.understandAt(ctx, session, session.Scope().Principal(), req, operationPath(req), search.Request{Compartment: req.Type, CompartmentID: id, Record: true})
	if err != nil {
		return nil, err
	}
	return s.runSearch(ctx, session, asked)
}
