package server

import (
	"encoding/json"
	"io"
	"net/http"
	"time"

	"ingle/authz"
	"ingle/fhir"
	"ingle/store"
)

// GrantAdministration lets administrators give roles and plans and take them
// away; each takes effect with the principal's next request, on every server. It
// is for Config.Wrap:
//
//	GET    /admin/authz/grants[?principal=]                           what was given
//	POST   /admin/authz/grants  {"principal","role"|"plan","expires"}  give, or change when it ends
//	DELETE /admin/authz/grants?principal=&role=|plan=                  take away
func GrantAdministration(resolver *authz.Resolver, grants *store.Grants) func(http.Handler) http.Handler {
	return administrators(resolver, grantsPath, func(r *http.Request, caller authz.Scope) (any, error) {
		q := r.URL.Query()
		switch r.Method {
		case http.MethodGet:
			list, err := grants.List(r.Context(), resolver.Principal(q.Get("principal")))
			return map[string]any{"grants": append([]authz.Given{}, list...)}, err
		case http.MethodPost:
			return give(r, resolver, grants, caller)
		case http.MethodDelete:
			there, err := grants.Delete(r.Context(), authz.Given{Principal: resolver.Principal(q.Get("principal")), Role: q.Get("role"), Plan: q.Get("plan")})
			if err == nil && !there {
				err = fhir.Errorf(http.StatusNotFound, fhir.CodeNotFound, "%q has no such role or plan", q.Get("principal"))
			}
			return nil, err
		}
		e := fhir.Errorf(http.StatusMethodNotAllowed, fhir.CodeNotSupported, "grants are read by GET, given by POST and taken away by DELETE")
		e.Allow = []string{http.MethodGet, http.MethodPost, http.MethodDelete}
		return nil, e
	})
}

const grantsPath = adminPath + "/grants"

func give(r *http.Request, resolver *authz.Resolver, grants *store.Grants, caller authz.Scope) (any, error) {
	var in struct {
		Principal, Role, Plan string
		Expires               time.Time
	}
	body := json.NewDecoder(io.LimitReader(r.Body, 64<<10))
	body.DisallowUnknownFields()
	if err := body.Decode(&in); err != nil {
		return nil, fhir.Errorf(http.StatusBadRequest, fhir.CodeStructure, `a grant is sent as {"principal":"user:…","role":"…"} or "plan", with "expires" if it is to end: "2027-01-31T00:00:00Z"`).Because(err)
	}
	g := authz.Given{Principal: resolver.Principal(in.Principal), Role: in.Role, Plan: in.Plan, Expires: in.Expires, By: caller.Principal()}
	if !resolver.Known(g) {
		return nil, fhir.Errorf(http.StatusUnprocessableEntity, fhir.CodeValue,
			"a grant is of one role or one plan of the configuration, to a principal as the audit trail names it (user:…, client:…, basic:…, cert:…)")
	}
	if !g.Expires.IsZero() && !g.Expires.After(time.Now()) {
		return nil, fhir.Errorf(http.StatusUnprocessableEntity, fhir.CodeValue, "expires is in the past")
	}
	return nil, grants.Put(r.Context(), g)
}
