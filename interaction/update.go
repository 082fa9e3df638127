package interaction

import (
	"context"
	"net/http"
	"strconv"

	"ingle/fhir"
	"ingle/store"
)

// update stores a new version under a given id (R4 http.html#update), with
// criteria in the place of the id under the id of the only match
// (http.html#cond-update). An id that is new is created where the server allows
// it.
func (s *Service) update(ctx context.Context, session *store.Session, req *Request) (*Response, error) {
	body, err := s.body(req)
	if err != nil {
		return nil, err
	}
	d, err := s.draft(ctx, req.Type, body, s.around(session, req))
	if err != nil {
		return nil, err
	}
	if subsetted(d.doc.Root()) {
		return nil, incomplete(req.Type)
	}
	if req.ID == "" {
		return s.updateWhere(ctx, session, req, d)
	}
	if err := s.onlyParams(req); err != nil {
		return nil, err
	}
	if err := namesID(d.doc.Root(), req.Type, req.ID); err != nil {
		return nil, err
	}
	var resp *Response
	err = settle(ctx, session, []string{req.Type + "/" + req.ID}, func(st txStore) error {
		old, err := st.Read(ctx, req.Type, req.ID)
		if err != nil {
			return err
		}
		if resp = s.notModified(req, old); resp != nil {
			return nil
		}
		change, status, err := s.replacement(ctx, writerOf(session, req), req, d, req.ID, old)
		if err != nil {
			return err
		}
		resp = s.written(req, status, &change, d.notes)
		return st.Write(ctx, []store.Change{change})
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// replacement decides what a PUT does to the current version.
func (s *Service) replacement(ctx context.Context, w writer, req *Request, d *draft, id string, old *store.Resource) (store.Change, int, error) {
	if err := req.mayReplace(old); err != nil {
		return store.Change{}, 0, err
	}
	status := http.StatusOK
	if old == nil || old.Deleted() {
		status = http.StatusCreated
	}
	if old == nil {
		if err := s.mayCreate(req.Type, id); err != nil {
			return store.Change{}, 0, err
		}
	}
	change, err := s.version(w, d, store.OpUpdate, id, old)
	if err == nil {
		err = s.giveWay(ctx, w.scope, old, d.doc.Root())
	}
	return change, status, err
}

// notModified answers a PUT that is meant only for a resource that is not there
// yet, where the server is set to do so by 304; nil for any other.
func (s *Service) notModified(req *Request, old *store.Resource) *Response {
	if !s.cfg.NotModifiedOnPut || req.IfNoneMatch == "" || !etagMatches(req.IfNoneMatch, old) {
		return nil
	}
	return &Response{Status: http.StatusNotModified, Version: strconv.Itoa(old.Version), LastModified: old.LastUpdated, result: reference{old.Type, old.ID}}
}

// updateWhere is the conditional update.
func (s *Service) updateWhere(ctx context.Context, session *store.Session, req *Request, d *draft) (*Response, error) {
	c, err := s.criteria(req, req.Type, req.Query)
	if err != nil {
		return nil, err
	}
	var resp *Response
	err = c.alone(ctx, session, func(tx *store.Tx, match *store.Resource) error {
		id, old, err := s.target(ctx, tx, req.Type, d.doc.Root(), match)
		if err != nil {
			return err
		}
		if id == "" {
			if err := req.mayReplace(nil); err != nil {
				return err
			}
			change, err := s.version(writerOf(session, req), d, store.OpCreate, newID(), nil)
			if err != nil {
				return err
			}
			resp = s.written(req, http.StatusCreated, &change, d.notes)
			return tx.Write(ctx, []store.Change{change})
		}
		if resp = s.notModified(req, old); resp != nil {
			return nil
		}
		change, status, err := s.replacement(ctx, writerOf(session, req), req, d, id, old)
		if err != nil {
			return err
		}
		resp = s.written(req, status, &change, d.notes)
		return tx.Write(ctx, []store.Change{change})
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// target tells which resource a conditional update goes to: the match; without
// one the id in the body, if that is still free; else "" for a new id.
func (s *Service) target(ctx context.Context, r reader, typ string, resource fhir.Node, match *store.Resource) (id string, old *store.Resource, err error) {
	id = resource.Get("id").Text()
	switch {
	case match != nil && id != "" && id != match.ID:
		return "", nil, fhir.Errorf(400, fhir.CodeInvalid, "the criteria match %s, but the resource's id is %q", match.Reference(), id).At(typ + ".id")
	case match != nil:
		return match.ID, match, nil
	case id == "":
		return "", nil, nil
	}
	if old, err = r.Read(ctx, typ, id); err != nil {
		return "", nil, err
	}
	if old != nil && !old.Deleted() {
		return "", nil, fhir.Errorf(409, fhir.CodeConflict, "the criteria match nothing, but %s/%s, which the resource's id names, exists", typ, id).At(typ + ".id")
	}
	return id, old, nil
}

// namesID checks that the body of a PUT names the id of its URL.
func namesID(resource fhir.Node, typ, id string) error {
	n := resource.Get("id")
	switch {
	case !n.Valid():
		return fhir.Errorf(400, fhir.CodeRequired, "the resource has no id; a PUT to %s/%s needs \"id\": %q", typ, id, id).At(typ + ".id")
	case n.Text() != id:
		return fhir.Errorf(400, fhir.CodeInvalid, "the resource's id is %q, but the URL says %q", printable(n.Text()), id).At(typ + ".id").AtNode(n)
	}
	return nil
}

func incomplete(typ string) error {
	return fhir.Errorf(422, fhir.CodeBusinessRule, "the resource is tagged SUBSETTED: it lacks elements, and to store it would lose them").At(typ + ".meta.tag")
}

func locationOf(r *store.Resource) string {
	return r.Reference() + "/_history/" + strconv.Itoa(r.Version)
}
