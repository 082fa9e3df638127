package interaction

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"ingle/authz"
	"ingle/fhir"
	"ingle/store"
)

// ReindexOperation is $reindex, an operation of Ingle's own for administrators:
// it takes the index rows out of stored resources again, of all types, of one
// type or of one resource, while everything goes on. It answers 202, or 200 for
// one resource, which is done at once; with the parameter job it tells how far
// that one is.
func ReindexOperation(db *store.DB) *Operation {
	return &Operation{
		Name: "reindex", Definition: "urn:ingle:OperationDefinition:reindex", System: true, Type: true, Instance: true,
		AffectsState:  true,
		Documentation: "Takes the index rows out of stored resources again; for administrators.",
		Do: func(ctx context.Context, session *store.Session, req *Request) (*Response, error) {
			if !session.Scope().Admin() {
				return nil, fhir.Errorf(http.StatusForbidden, fhir.CodeForbidden, "$reindex is for administrators")
			}
			work := db.As(authz.System("reindex"))
			if number, ok := req.param("job"); ok {
				return reindexState(ctx, work, number)
			}
			if req.ID != "" {
				if err := work.ReindexOne(ctx, req.Type, req.ID); err != nil {
					return nil, err
				}
				return Outcome(http.StatusOK, information("%s/%s is indexed anew", req.Type, req.ID)), nil
			}
			var types []string
			if req.Type != "" {
				types = []string{req.Type}
			}
			id, err := work.StartReindex(ctx, "$reindex "+req.Type, types, 0)
			if err != nil {
				return nil, err
			}
			return Outcome(http.StatusAccepted, information("job %d indexes anew; $reindex?job=%d tells how far it is", id, id)), nil
		},
	}
}

func reindexState(ctx context.Context, work *store.Session, number string) (*Response, error) {
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return nil, fhir.Errorf(http.StatusBadRequest, fhir.CodeValue, "job is a number, not %q", printable(number))
	}
	job, err := work.ReindexJob(ctx, id)
	if err != nil {
		return nil, err
	}
	if job == nil {
		return nil, fhir.Errorf(http.StatusNotFound, fhir.CodeNotFound, "there is no job %d", id)
	}
	status := http.StatusOK
	if job.State == "waiting" || job.State == "running" {
		status = http.StatusAccepted
	}
	resp := Outcome(status, information("job %d is %s; resources so far: %d; %d %% of the way", job.ID, job.State, job.Done, job.Percent))
	if job.Message != "" {
		resp.Issues = append(resp.Issues, fhir.Issue{Severity: fhir.SeverityWarning, Code: fhir.CodeException, Diagnostics: "what went wrong the last time: " + job.Message})
	}
	return resp, nil
}

func information(format string, args ...any) fhir.Issue {
	return fhir.Issue{Severity: fhir.SeverityInformation, Code: fhir.CodeInformational, Diagnostics: fmt.Sprintf(format, args...)}
}
