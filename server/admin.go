package server

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"ingle/authz"
	"ingle/fhir"
	"ingle/interaction"
)

// Administration is what administrators may ask, by path (below "/admin/") and
// method. It answers with what is sent as JSON, or nil for 204.
type Administration map[string]map[string]func(r *http.Request, caller authz.Scope) (any, error)

// Administrators answers administrators, and nobody else, at the paths of all of
// these. It is for Config.Wrap.
func Administrators(resolver *authz.Resolver, all ...Administration) func(http.Handler) http.Handler {
	routes := Administration{}
	for _, a := range all {
		maps.Copy(routes, a)
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			methods, there := routes[r.URL.Path]
			if !there {
				next.ServeHTTP(w, r)
				return
			}
			x := exchangeOf(r)
			x.path, x.deed = r.URL.Path, newDeed(r.Method)
			var out any
			caller, err := administrator(resolver, r)
			if paced := x.pace(w, x.principal); paced != nil {
				err = paced
			}
			if err == nil {
				if answer := methods[r.Method]; answer != nil {
					out, err = answer(r, caller)
				} else {
					e := fhir.Errorf(http.StatusMethodNotAllowed, fhir.CodeNotSupported, "%s is not supported here", r.Method)
					e.Allow = slices.Sorted(maps.Keys(methods))
					err = e
				}
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
