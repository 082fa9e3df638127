package interaction

import (
	"context"
	"net/http"
	"strconv"

	"ingle/fhir"
	"ingle/store"
)

// read answers with the current version (R4 http.html#read): 304 where the
// client has it already, 404 if there never was one that the caller may see,
// 410 after its deletion.
func (s *Service) read(ctx context.Context, r reader, req *Request) (*Response, error) {
	part, err := s.subset(req)
	if err != nil {
		return nil, err
	}
	res, err := r.Read(ctx, req.Type, req.ID)
	if err != nil {
		return nil, err
	}
	if res == nil {
		return nil, unknown(req.Type, req.ID)
	}
	if res.Deleted() {
		return gone(res), nil
	}
	return s.answer(req, res, part)
}

// vread answers with one version (R4 http.html#vread).
func (s *Service) vread(ctx context.Context, r reader, req *Request) (*Response, error) {
	part, err := s.subset(req)
	if err != nil {
		return nil, err
	}
	version, err := strconv.Atoi(req.Version)
	if err != nil || version < 1 || strconv.Itoa(version) != req.Version || version > 1<<31-1 {
		return nil, noVersion(req)
	}
	res, err := r.VRead(ctx, req.Type, req.ID, version)
	if err != nil {
		return nil, err
	}
	if res == nil {
		return nil, noVersion(req)
	}
	if res.Deleted() {
		return gone(res), nil
	}
	return s.answer(req, res, part)
}

func (s *Service) answer(req *Request, res *store.Resource, part *subset) (*Response, error) {
	resp := found(res)
	if req.unchanged(res) {
		resp.Status, resp.Body = http.StatusNotModified, nil
		return resp, nil
	}
	if req.Raw && req.Type == "Binary" {
		return s.rawBinary(resp)
	}
	if part != nil {
		b, err := part.of(res.Body)
		if err != nil {
			return nil, err
		}
		resp.Body = b
	}
	return resp, nil
}

func unknown(typ, id string) error {
	return fhir.Errorf(404, fhir.CodeNotFound, "%s/%s is not known", typ, id)
}

func noVersion(req *Request) error {
	return fhir.Errorf(404, fhir.CodeNotFound, "%s/%s has no version %q", req.Type, req.ID, printable(req.Version))
}

// gone is the answer where the current or the asked version is a deletion.
func gone(res *store.Resource) *Response {
	return &Response{Status: http.StatusGone, Version: strconv.Itoa(res.Version), LastModified: res.LastUpdated,
		Issues: []fhir.Issue{{Severity: fhir.SeverityError, Code: fhir.CodeDeleted,
			Diagnostics: res.Reference() + " was deleted at " + instant(res.LastUpdated) + "; its versions are in its _history"}}}
}
