package interaction

import (
	"context"
	"net/http"

	"ingle/fhir"
	"ingle/profiles"
	"ingle/store"
)

// ValidateOperation is $validate (R4 resource-operation-validate.html), at all
// levels.
func ValidateOperation(v *profiles.Validator) *Operation {
	return &Operation{
		Name: "validate", Definition: "http://hl7.org/fhir/OperationDefinition/Resource-validate", System: true, Type: true, Instance: true,
		Do: func(ctx context.Context, session *store.Session, req *Request) (*Response, error) {
			call := profiles.Call{Type: req.Type, ID: req.ID, Stored: storedDoc(session, req), Around: around(session, req, v.Registry().Definitions())}
			for _, kv := range req.Query {
				switch kv.Name {
				case "mode":
					call.Mode = kv.Value
				case "profile":
					call.Profiles = append(call.Profiles, kv.Value)
				default:
					return nil, fhir.Errorf(http.StatusBadRequest, fhir.CodeNotSupported, "$validate has no parameter %q", printable(kv.Name))
				}
			}
			var err error
			if call.Body, err = bodyDoc(req); err != nil {
				return nil, err
			}
			issues, err := v.Operate(ctx, call)
			if err != nil {
				return nil, err
			}
			return Outcome(http.StatusOK, issues...), nil
		},
	}
}

// SnapshotOperation is StructureDefinition/$snapshot
// (R4 structuredefinition-operation-snapshot.html).
func SnapshotOperation(v *profiles.Validator) *Operation {
	return &Operation{
		Name: "snapshot", Definition: "http://hl7.org/fhir/OperationDefinition/StructureDefinition-snapshot",
		Types: []string{"StructureDefinition"}, Type: true, Instance: true,
		Do: func(ctx context.Context, session *store.Session, req *Request) (*Response, error) {
			call := profiles.SnapshotCall{}
			if req.ID != "" {
				call.Stored = storedDoc(session, req)
			}
			for _, kv := range req.Query {
				if kv.Name != "url" {
					return nil, fhir.Errorf(http.StatusBadRequest, fhir.CodeNotSupported, "$snapshot has no parameter %q", printable(kv.Name))
				}
				call.URL = kv.Value
			}
			var err error
			if call.Body, err = bodyDoc(req); err != nil {
				return nil, err
			}
			body, err := v.OperateSnapshot(ctx, call)
			if err != nil {
				return nil, err
			}
			return &Response{Status: http.StatusOK, Body: body}, nil
		},
	}
}

// bodyDoc parses the body of an operation, nil if there is none.
func bodyDoc(req *Request) (*fhir.Doc, error) {
	if len(req.Body) == 0 {
		return nil, nil
	}
	return fhir.Parse(req.Body, fhir.Limits{})
}

// storedDoc reads the instance that an operation is called on, as the caller
// may see it.
func storedDoc(session *store.Session, req *Request) func(context.Context) (*fhir.Doc, error) {
	return func(ctx context.Context) (*fhir.Doc, error) { return readDoc(ctx, session, req.Type, req.ID) }
}

func readDoc(ctx context.Context, session *store.Session, typ, id string) (*fhir.Doc, error) {
	res, err := session.Read(ctx, typ, id)
	if err != nil || res == nil || res.Deleted() {
		return nil, err
	}
	return fhir.Parse(res.Body, fhir.Limits{})
}
