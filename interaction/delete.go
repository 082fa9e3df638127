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

// delete ends a resource: it keeps its history (R4 http.html#delete). What is
// not there, or deleted already, is answered like a success. With criteria in
// the place of an id all matches are deleted, up to a ceiling, or none
// (http.html#3.1.0.7.1).
func (s *Service) delete(ctx context.Context, session *store.Session, req *Request) (*Response, error) {
	if req.ID == "" {
		return s.deleteWhere(ctx, session, req)
	}
	if err := s.onlyParams(req); err != nil {
		return nil, err
	}
	var changes []store.Change
	err := settle(ctx, session, []string{req.Type + "/" + req.ID}, func(st txStore) error {
		old, err := st.Read(ctx, req.Type, req.ID)
		if err != nil {
			return err
		}
		if err := req.mayReplace(old); err != nil {
			return err
		}
		if changes = nil; old == nil || old.Deleted() {
			return nil
		}
		change, err := s.deletion(ctx, session.Scope(), old)
		if err != nil {
			return err
		}
		changes = []store.Change{change}
		return st.Write(ctx, changes)
	})
	if err != nil {
		return nil, err
	}
	return deleted(req, changes), nil
}

// deletion is the change that deletes a resource.
func (s *Service) deletion(ctx context.Context, scope authz.Scope, old *store.Resource) (store.Change, error) {
	if err := s.giveWay(ctx, scope, old, fhir.Node{}); err != nil {
		return store.Change{}, err
	}
	return store.Change{Op: store.OpDelete, Old: old, Type: old.Type, ID: old.ID, Version: old.Version + 1, LastUpdated: s.db.Time(old), Labels: old.Labels}, nil
}

// giveWay asks whether a stored resource may give way to next, the zero Node for
// a deletion. A caller without the right is not told: the store refuses it.
func (s *Service) giveWay(ctx context.Context, scope authz.Scope, old *store.Resource, next fhir.Node) error {
	if s.cfg.Replaceable == nil || old == nil || old.Deleted() || scope.MaySteer(old.Type, old.Labels) != nil {
		return nil
	}
	return s.cfg.Replaceable(ctx, old, next)
}

// deleteWhere is the conditional delete.
func (s *Service) deleteWhere(ctx context.Context, session *store.Session, req *Request) (*Response, error) {
	if s.cfg.DeleteLimit < 0 {
		return nil, noConditionalDelete()
	}
	c, err := s.criteria(req, req.Type, req.Query)
	if err != nil {
		return nil, err
	}
	var changes []store.Change
	err = session.InTx(ctx, func(tx *store.Tx) error {
		if err := tx.Lock(ctx, []string{c.lock}); err != nil {
			return err
		}
		changes, err = s.deletions(ctx, tx, session.Scope(), req, c)
		if err != nil || len(changes) == 0 {
			return err
		}
		return tx.Write(ctx, changes)
	})
	if err != nil {
		return nil, conflict(err)
	}
	return deleted(req, changes), nil
}

// deletions are the changes of a conditional delete.
func (s *Service) deletions(ctx context.Context, r reader, scope authz.Scope, req *Request, c *criteria) ([]store.Change, error) {
	matches, err := r.Match(ctx, c.query, s.cfg.DeleteLimit+1)
	if err != nil {
		return nil, err
	}
	if len(matches) > s.cfg.DeleteLimit {
		return nil, tooMany(s.cfg.DeleteLimit)
	}
	changes := make([]store.Change, 0, len(matches))
	for _, m := range matches {
		if err := req.mayReplace(m); err != nil {
			return nil, err
		}
		change, err := s.deletion(ctx, scope, m)
		if err != nil {
			return nil, err
		}
		changes = append(changes, change)
	}
	return changes, nil
}

// deleted answers a delete: 204, or 200 with an outcome where the client wants
// one.
func deleted(req *Request, changes []store.Change) *Response {
	resp := &Response{Status: http.StatusNoContent}
	if len(changes) == 1 {
		resp.Version, resp.LastModified = strconv.Itoa(changes[0].Version), changes[0].LastUpdated
	}
	if req.Prefer.Return == "OperationOutcome" {
		resp.Status = http.StatusOK
		resp.Issues = []fhir.Issue{{Severity: fhir.SeverityInformation, Code: fhir.CodeInformational,
			Diagnostics: fmt.Sprintf("%d resources were deleted", len(changes))}}
	}
	for i := range changes {
		c := &changes[i]
		resp.Entries = append(resp.Entries, Entry{Kind: Delete, Type: c.Type, ID: c.ID, Version: strconv.Itoa(c.Version), Status: resp.Status})
	}
	return resp
}

func tooMany(limit int) error {
	return fhir.Errorf(412, fhir.CodeMultiple, "the criteria match more than %d resources, which is the most that one request may delete; nothing was deleted", limit)
}

func noConditionalDelete() error {
	e := fhir.Errorf(405, fhir.CodeNotSupported, "conditional delete is switched off; delete by id")
	e.Allow = []string{"GET", "HEAD", "POST", "PUT", "PATCH"}
	return e
}
