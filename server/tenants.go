package server

import (
	"net/http"
	"strings"

	"ingle/fhir"
)

// Tenants are servers of their own, each on its own database, below a FHIR base:
// "{base}/{name}". They share nothing with each other but the listener.
type Tenants struct {
	// Header names a tenant, too: a request to the FHIR base with it is one to the
	// tenant's. "Name:part" is the value of part in "part=value;other=value". ""
	// for none.
	Header string
	Named  map[string]http.Handler
}

// defaultTenant is how a header can name the server that the tenants stand beside.
const defaultTenant = "default"

// tenants sends the requests to the tenants' servers that are theirs.
func (s *Server) tenants(next http.Handler) http.Handler {
	t := s.cfg.Tenants
	if t == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest, below := strings.CutPrefix(r.URL.EscapedPath(), s.cfg.BasePath+"/")
		byPath, _, _ := strings.Cut(rest, "/")
		if !below || t.Named[byPath] == nil {
			byPath = ""
		}
		byHeader, err := t.header(r.Header)
		switch {
		case err != nil:
		case byHeader == "" && byPath == "":
			next.ServeHTTP(w, r)
			return
		case byHeader == "":
			t.Named[byPath].ServeHTTP(w, r)
			return
		case byHeader == defaultTenant && byPath == "":
			next.ServeHTTP(w, r)
			return
		case t.Named[byHeader] == nil && byHeader != defaultTenant:
			err = fhir.Errorf(http.StatusBadRequest, fhir.CodeInvalid, "the header %s does not name a tenant of this server", t.Header)
		case byPath != "" && byPath != byHeader:
			err = fhir.Errorf(http.StatusBadRequest, fhir.CodeInvalid, "the path and the header %s name different tenants", t.Header)
		case byPath == "" && s.below(r.URL.EscapedPath()):
			r = r.Clone(r.Context())
			base := s.cfg.BasePath
			r.URL.Path = base + "/" + byHeader + r.URL.Path[len(base):]
			if r.URL.RawPath != "" {
				r.URL.RawPath = base + "/" + byHeader + r.URL.RawPath[len(base):]
			}
			fallthrough
		default:
			t.Named[byHeader].ServeHTTP(w, r)
			return
		}
		s.guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.refuse(w, r, err) })).ServeHTTP(w, r)
	})
}

// header is the tenant that a request's header names, "" for none.
func (t *Tenants) header(h http.Header) (string, error) {
	if t.Header == "" {
		return "", nil
	}
	name, part, inside := strings.Cut(t.Header, ":")
	values := h.Values(name)
	if len(values) > 1 {
		return "", fhir.Errorf(http.StatusBadRequest, fhir.CodeInvalid, "the header %s is there more than once", name)
	}
	if len(values) == 0 {
		return "", nil
	}
	if !inside {
		return strings.TrimSpace(values[0]), nil
	}
	found := ""
	for piece := range strings.SplitSeq(values[0], ";") {
		if key, value, ok := strings.Cut(piece, "="); ok && strings.TrimSpace(key) == part {
			found = strings.TrimSpace(value)
		}
	}
	return found, nil
}
