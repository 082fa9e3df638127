package interaction

import (
	"context"
	"net/http"

	"ingle/store"
)

// create stores a new resource under an id of the server's choice (R4
// http.html#create). With If-None-Exist it is conditional: one match is
// answered by 200 and changes nothing.
func (s *Service) create(ctx context.Context, session *store.Session, req *Request) (*Response, error) {
	if err := s.onlyParams(req); err != nil {
		return nil, err
	}
	body, err := s.body(req)
	if err != nil {
		return nil, err
	}
	d, err := s.draft(ctx, req.Type, body, s.around(session, req))
	if err != nil {
		return nil, err
	}
	if req.IfNoneExist == "" {
		change, err := s.version(writerOf(session, req), d, store.OpCreate, newID(), nil)
		if err != nil {
			return nil, err
		}
		if err := session.Write(ctx, []store.Change{change}); err != nil {
			return nil, conflict(err)
		}
		return s.written(req, http.StatusCreated, &change, d.notes), nil
	}
	c, err := s.ifNoneExist(req)
	if err != nil {
		return nil, err
	}
	var resp *Response
	err = c.alone(ctx, session, func(tx *store.Tx, match *store.Resource) error {
		if match != nil {
			resp = s.existing(req, match)
			return nil
		}
		change, err := s.version(writerOf(session, req), d, store.OpCreate, newID(), nil)
		if err != nil {
			return err
		}
		resp = s.written(req, http.StatusCreated, &change, d.notes)
		return tx.Write(ctx, []store.Change{change})
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// ifNoneExist parses the header of a conditional create. A leading "Type?" or
// "?" is accepted.
func (s *Service) ifNoneExist(req *Request) (*criteria, error) {
	text := req.IfNoneExist
	if rest, ok := cutPrefixes(text, req.BaseURL+"/", req.Type, "?"); ok {
		text = rest
	}
	params, err := ParseQuery(text)
	if err != nil {
		return nil, err
	}
	return s.criteria(req, req.Type, params)
}

// cutPrefixes removes optional prefixes in order; ok tells whether the last was there.
func cutPrefixes(s string, prefixes ...string) (rest string, ok bool) {
	for _, p := range prefixes {
		if ok = len(s) >= len(p) && s[:len(p)] == p; ok {
			s = s[len(p):]
		}
	}
	return s, ok
}

// existing answers a conditional create that found its resource.
func (s *Service) existing(req *Request, match *store.Resource) *Response {
	resp := found(match)
	resp.Location = locationOf(match)
	resp.Body = nil
	s.prefer(req, resp, match.Body, nil)
	return resp
}
