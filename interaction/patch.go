package interaction

import (
	"context"
	"encoding/base64"
	"net/http"

	"ingle/fhir"
	"ingle/profiles"
	"ingle/store"
)

// Media types of a patch.
const (
	jsonPatchType = "application/json-patch+json"
	xmlPatchType  = "application/xml-patch+xml"
)

// patch changes the current version by operations (R4 http.html#patch): JSON
// Patch, or FHIRPath Patch in a Parameters resource. With criteria in the place
// of an id it goes to the only match; none is a 404.
func (s *Service) patch(ctx context.Context, session *store.Session, req *Request) (*Response, error) {
	p, err := s.patchOf(req)
	if err != nil {
		return nil, err
	}
	if req.ID == "" {
		return s.patchWhere(ctx, session, req, p)
	}
	if err := s.onlyParams(req); err != nil {
		return nil, err
	}
	var resp *Response
	err = settle(ctx, session, []string{req.Type + "/" + req.ID}, func(st txStore) error {
		old, err := st.Read(ctx, req.Type, req.ID)
		if err != nil {
			return err
		}
		resp, err = s.patchOne(ctx, session, st, req, p, old)
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// patchOne applies a patch to the current version and stores what comes of it.
func (s *Service) patchOne(ctx context.Context, session *store.Session, st txStore, req *Request, p *patchDoc, old *store.Resource) (*Response, error) {
	change, notes, err := s.patched(ctx, writerOf(session, req), req, p, old, s.around(st, req))
	if err != nil {
		return nil, err
	}
	return s.written(req, http.StatusOK, &change, notes), st.Write(ctx, []store.Change{change})
}

// patchWhere is the conditional patch.
func (s *Service) patchWhere(ctx context.Context, session *store.Session, req *Request, p *patchDoc) (*Response, error) {
	c, err := s.criteria(req, req.Type, req.Query)
	if err != nil {
		return nil, err
	}
	var resp *Response
	err = c.alone(ctx, session, func(tx *store.Tx, match *store.Resource) error {
		if match == nil {
			return fhir.Errorf(404, fhir.CodeNotFound, "no %s matches the criteria", req.Type)
		}
		resp, err = s.patchOne(ctx, session, tx, req, p, match)
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// patchDoc is a patch that was read.
type patchDoc struct {
	doc      *fhir.Doc
	fhirPath bool
}

// patchOf reads the patch of a request. In a Bundle it comes as a Binary that
// holds a JSON Patch, or as Parameters (R4 http.html#patch, #transaction).
func (s *Service) patchOf(req *Request) (*patchDoc, error) {
	switch req.ContentType {
	case jsonPatchType:
	case xmlPatchType:
		return nil, fhir.Errorf(415, fhir.CodeNotSupported, "XML Patch is not supported; send %s, or FHIRPath Patch as application/fhir+json", jsonPatchType)
	case "application/json", "application/fhir+json", "":
	default:
		return nil, fhir.Errorf(415, fhir.CodeNotSupported, "a patch of type %q is not supported; send %s, or FHIRPath Patch as application/fhir+json", printable(req.ContentType), jsonPatchType)
	}
	if len(req.Body) == 0 {
		return nil, fhir.Errorf(400, fhir.CodeRequired, "the request has no body; a patch is expected")
	}
	doc, err := fhir.Parse(req.Body, s.cfg.Limits)
	if err != nil {
		return nil, err
	}
	root := doc.Root()
	if req.ContentType == jsonPatchType {
		return &patchDoc{doc: doc}, nil
	}
	switch root.Get("resourceType").Text() {
	case "Parameters":
		if _, err := s.format.Validate(context.Background(), root, profiles.Around{}); err != nil {
			return nil, err
		}
		return &patchDoc{doc: doc, fhirPath: true}, nil
	case "Binary":
		if t := root.Get("contentType").Text(); t != jsonPatchType {
			return nil, fhir.Errorf(415, fhir.CodeNotSupported, "the Binary of a patch has the contentType %s, not %q", jsonPatchType, printable(t)).At("Binary.contentType")
		}
		src, err := base64.StdEncoding.DecodeString(root.Get("data").Text())
		if err != nil {
			return nil, fhir.Errorf(400, fhir.CodeValue, "the data of the Binary is not base64").At("Binary.data")
		}
		if doc, err = fhir.Parse(src, s.cfg.Limits); err != nil {
			return nil, err
		}
		return &patchDoc{doc: doc}, nil
	}
	return nil, fhir.Errorf(415, fhir.CodeNotSupported, "a patch is a JSON Patch document of type %s or a Parameters resource of type application/fhir+json", jsonPatchType)
}

// patched makes the change that a patch does to the current version.
func (s *Service) patched(ctx context.Context, w writer, req *Request, p *patchDoc, old *store.Resource, around profiles.Around) (store.Change, []fhir.Issue, error) {
	if old == nil {
		return store.Change{}, nil, unknown(req.Type, req.ID)
	}
	if old.Deleted() {
		return store.Change{}, nil, fhir.Errorf(410, fhir.CodeDeleted, "%s was deleted; it cannot be patched", old.Reference())
	}
	if err := req.mayReplace(old); err != nil {
		return store.Change{}, nil, err
	}
	doc, err := fhir.Parse(old.Body, s.limits(old.Type))
	if err != nil {
		return store.Change{}, nil, fhir.Errorf(413, fhir.CodeTooLong, "the stored resource is beyond the limits of a patch").Because(err)
	}
	var out []byte
	if p.fhirPath {
		out, err = fhirPathPatch(ctx, s.cfg.Definitions, doc, p.doc, s.limits(old.Type))
	} else if out, err = jsonPatch(doc, p.doc, s.limits(old.Type)); err == nil {
		out, err = withoutEmpty(out)
	}
	if err != nil {
		return store.Change{}, nil, err
	}
	d, err := s.draft(ctx, old.Type, out, around)
	if err != nil {
		if fe := fhir.AsError(err); fe != nil { // lines and columns would be of a document that the client does not know
			for i := range fe.Issues {
				fe.Issues[i].Line, fe.Issues[i].Col = 0, 0
				fe.Issues[i].Diagnostics = "after the patch: " + fe.Issues[i].Diagnostics
			}
			fe.Status = max(fe.Status, 422)
		}
		return store.Change{}, nil, err
	}
	if id := d.bodyID(); id != old.ID {
		return store.Change{}, nil, fhir.Errorf(422, fhir.CodeBusinessRule, "a patch may not change the id").At(old.Type + ".id")
	}
	change, err := s.version(w, d, store.OpPatch, old.ID, old)
	if err == nil {
		err = s.giveWay(ctx, w.scope, old, d.doc.Root())
	}
	return change, d.notes, err
}
