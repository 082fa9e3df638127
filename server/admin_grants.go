package server

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"time"

	"ingle/authz"
	"ingle/fhir"
	"ingle/store"
)

// GrantAdministration lets administrators give roles and plans and take them
// away; each takes effect with the principal's next request, on every server:
//
//	GET    /admin/authz/grants[?principal=]                           what was given
//	POST   /admin/authz/grants  {"principal","role"|"plan","expires"}  give, or change when it ends
//	DELETE /admin/authz/grants?principal=&role=|plan=                  take away
func GrantAdministration(resolver *authz.Resolver, grants *store.Grants) Administration {
	g := &grantAdministration{resolver, grants}
	return Administration{"/admin/authz/grants": {http.MethodGet: g.list, http.MethodPost: g.give, http.MethodDelete: g.take}}
}

type grantAdministration struct {
	resolver *authz.Resolver
	grants   *store.Grants
}

// named is what the query names.
func (a *grantAdministration) named(r *http.Request) authz.Given {
	q := r.URL.Query()
	g := authz.Given{Principal: a.resolver.Principal(q.Get("principal")), Role: q.Get("role"), Plan: q.Get("plan")}
	exchangeOf(r).deed.concerns(aboutGrant(g)...)
	return g
}

func (a *grantAdministration) list(r *http.Request, _ authz.Scope) (any, error) {
	list, err := a.grants.List(r.Context(), a.named(r).Principal)
	return map[string]any{"grants": append([]authz.Given{}, list...)}, err
}

func (a *grantAdministration) take(r *http.Request, _ authz.Scope) (any, error) {
	g := a.named(r)
	there, err := a.grants.Delete(r.Context(), g)
	if err == nil && !there {
		err = fhir.Errorf(http.StatusNotFound, fhir.CodeNotFound, "%q has no such role or plan", g.Principal)
	}
	return nil, err
}

func (a *grantAdministration) give(r *http.Request, caller authz.Scope) (any, error) {
	var in struct {
		Principal, Role, Plan string
		Expires               time.Time
	}
	body := json.NewDecoder(io.LimitReader(r.Body, 64<<10))
	body.DisallowUnknownFields()
	if err := body.Decode(&in); err != nil {
		return nil, fhir.Errorf(http.StatusBadRequest, fhir.CodeStructure, `a grant is sent as {"principal":"user:…","role":"…"} or "plan", with "expires" if it is to end: "2027-01-31T00:00:00Z"`).Because(err)
	}
	g := authz.Given{Principal: a.resolver.Principal(in.Principal), Role: in.Role, Plan: in.Plan, Expires: in.Expires, By: caller.Principal()}
	deed := exchangeOf(r).deed
	deed.action = "C"
	deed.concerns(aboutGrant(g)...)
	if !a.resolver.Known(g) {
		return nil, fhir.Errorf(http.StatusUnprocessableEntity, fhir.CodeValue,
			"a grant is of one role or one plan of the configuration, to a principal as the audit trail names it (user:…, client:…, basic:…, cert:…)")
	}
	if !g.Expires.IsZero() && !g.Expires.After(time.Now()) {
		return nil, fhir.Errorf(http.StatusUnprocessableEntity, fhir.CodeValue, "expires is in the past")
	}
	return nil, a.grants.Put(r.Context(), g)
}

// aboutGrant is what the audit trail says of a grant.
func aboutGrant(g authz.Given) []slog.Attr {
	var out []slog.Attr
	for _, a := range []slog.Attr{slog.String("subject", g.Principal), slog.String("role", g.Role), slog.String("plan", g.Plan)} {
		if a.Value.String() != "" {
			out = append(out, a)
		}
	}
	if !g.Expires.IsZero() {
		out = append(out, slog.Time("expires", g.Expires))
	}
	return out
}
