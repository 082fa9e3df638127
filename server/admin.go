package server

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"

	"ingle/authz"
	"ingle/fhir"
	"ingle/interaction"
	"ingle/store"
)

// Administration answers the administrators' questions about authorization. It
// is for Config.Wrap:
//
//	GET  /admin/authz/explain?principal=&reference=&method=   why somebody may or may not
//	POST /admin/authz/preview?principal=&reference=&method=   the same under other grants: {"user":<mapping>,"client":<mapping>}
//	POST /admin/authz/drop?principal=                         forget what Arborist said of somebody, or of all
//
// The resource is read as the administrator may see it.
func Administration(resolver *authz.Resolver, db *store.DB) func(http.Handler) http.Handler {
	a := &administration{resolver, db}
	return administrators(resolver, adminPath, a.answer)
}

// administrators answers administrators at a path and below it, with JSON or, where
// answer has nothing to say, with 204.
func administrators(resolver *authz.Resolver, path string, answer func(*http.Request, authz.Scope) (any, error)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != path && !strings.HasPrefix(r.URL.Path, path+"/") {
				next.ServeHTTP(w, r)
				return
			}
			exchangeOf(r).path = path
			var out any
			caller, err := administrator(resolver, r)
			if paced := exchangeOf(r).pace(w, exchangeOf(r).principal); paced != nil {
				err = paced
			}
			if err == nil {
				out, err = answer(r, caller)
			}
			w.Header().Set("Cache-Control", "no-store")
			if err != nil {
				refused(resolver, w, r, err)
				return
			}
			if out == nil {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			e := json.NewEncoder(w)
			e.SetIndent("", "  ")
			_ = e.Encode(out) // the client went away
		})
	}
}

// administrator is the scope of a caller who is one.
func administrator(resolver *authz.Resolver, r *http.Request) (authz.Scope, error) {
	c := authz.Credentials{Authorization: r.Header.Values("Authorization")}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		c.Certificate = r.TLS.VerifiedChains[0][0]
	}
	caller, err := resolver.Resolve(r.Context(), c)
	if err != nil {
		return authz.Scope{}, err
	}
	exchangeOf(r).principal = caller.Principal()
	if !caller.Admin() {
		return authz.Scope{}, fhir.Errorf(http.StatusForbidden, fhir.CodeForbidden, "this is for administrators")
	}
	return caller, nil
}

// adminPath is where administrators' questions stand in the log.
const adminPath = "/admin/authz"

type administration struct {
	resolver *authz.Resolver
	db       *store.DB
}

// maxPreview bounds the grants that a preview brings.
const maxPreview = 4 << 20

func (a *administration) answer(r *http.Request, caller authz.Scope) (out any, err error) {
	q := r.URL.Query()
	name := strings.TrimPrefix(r.URL.Path, adminPath+"/")
	method := map[string]string{"explain": http.MethodGet, "preview": http.MethodPost, "drop": http.MethodPost}[name]
	switch {
	case method == "":
		return nil, fhir.Errorf(http.StatusNotFound, fhir.CodeNotFound, "there is nothing at this path; explain, preview and drop are here")
	case method != r.Method:
		e := fhir.Errorf(http.StatusMethodNotAllowed, fhir.CodeNotSupported, "%s is asked by %s", name, method)
		e.Allow = []string{method}
		return nil, e
	case name == "drop":
		if principal := q.Get("principal"); principal == "" {
			a.resolver.DropAll()
		} else if !a.resolver.Drop(principal) {
			return nil, fhir.Errorf(http.StatusBadRequest, fhir.CodeValue, `%q is not a principal that Arborist is asked about; expected "user:name", "client:id" or "anonymous"`, principal)
		}
		return nil, nil
	}
	var who authz.Scope
	if name == "preview" {
		var in struct{ User, Client json.RawMessage }
		if err := json.NewDecoder(io.LimitReader(r.Body, maxPreview)).Decode(&in); err != nil {
			return nil, fhir.Errorf(http.StatusBadRequest, fhir.CodeStructure, `the grants are sent as {"user":{…},"client":{…}}, each as Arborist's /auth/mapping answers`)
		}
		who, err = a.resolver.Preview(q.Get("principal"), in.User, in.Client)
	} else {
		who, err = a.resolver.Lookup(r.Context(), q.Get("principal"))
	}
	if err != nil {
		return nil, err
	}
	m, ok := map[string]authz.Method{"": authz.Read, "read": authz.Read, "create": authz.Create, "update": authz.Update, "delete": authz.Delete, "search": authz.Search}[q.Get("method")]
	if !ok {
		return nil, fhir.Errorf(http.StatusBadRequest, fhir.CodeValue, "method is read, search, create, update or delete, not %q", q.Get("method"))
	}
	typ, id, ok := strings.Cut(q.Get("reference"), "/")
	if !ok || !fhir.ValidID(id) {
		return nil, fhir.Errorf(http.StatusBadRequest, fhir.CodeValue, "reference is Type/id, not %q", q.Get("reference"))
	}
	res, err := a.db.As(caller).Read(r.Context(), typ, id)
	if err != nil {
		return nil, err
	}
	if res == nil {
		return nil, fhir.Errorf(http.StatusNotFound, fhir.CodeNotFound, "%s/%s is not known", typ, id)
	}
	return who.Explain(m, typ, res.Labels), nil
}

// refused writes an error as an OperationOutcome.
func refused(resolver *authz.Resolver, w http.ResponseWriter, r *http.Request, err error) {
	resp := interaction.Failed(err)
	for _, c := range resolver.Challenges(err) {
		w.Header().Add("WWW-Authenticate", c)
	}
	if len(resp.Allow) > 0 {
		w.Header().Set("Allow", strings.Join(resp.Allow, ", "))
	}
	if resp.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(resp.RetryAfter))
	}
	exchangeOf(r).err = resp.Err
	w.Header().Set("Content-Type", fhirJSON+"; charset=utf-8")
	w.WriteHeader(resp.Status)
	_, _ = w.Write(fhir.AppendOutcome(nil, resp.Issues, exchangeOf(r).id)) // the client went away
}
