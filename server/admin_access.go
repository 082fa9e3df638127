package server

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"ingle/authz"
	"ingle/fhir"
	"ingle/store"
)

// AccessAdministration answers questions about authorization:
//
//	GET  /admin/authz/explain?principal=&reference=&method=   why somebody may or may not
//	POST /admin/authz/preview?principal=&reference=&method=   the same under other grants: {"user":<mapping>,"client":<mapping>}
//	POST /admin/authz/drop?principal=                         forget what Arborist said of somebody, or of all
//
// The resource is read as the administrator may see it.
func AccessAdministration(resolver *authz.Resolver, db *store.DB) Administration {
	a := &accessAdministration{resolver, db}
	return Administration{
		"/admin/authz/explain": {http.MethodGet: a.explain},
		"/admin/authz/preview": {http.MethodPost: a.preview},
		"/admin/authz/drop":    {http.MethodPost: a.drop},
	}
}

type accessAdministration struct {
	resolver *authz.Resolver
	db       *store.DB
}

func (a *accessAdministration) drop(r *http.Request, _ authz.Scope) (any, error) {
	principal := r.URL.Query().Get("principal")
	exchangeOf(r).deed.concerns(slog.String("subject", principal))
	if principal == "" {
		a.resolver.DropAll()
	} else if !a.resolver.Drop(principal) {
		return nil, fhir.Errorf(http.StatusBadRequest, fhir.CodeValue, `%q is not a principal that Arborist is asked about; expected "user:name", "client:id" or "anonymous"`, principal)
	}
	return nil, nil
}

func (a *accessAdministration) explain(r *http.Request, caller authz.Scope) (any, error) {
	principal := r.URL.Query().Get("principal")
	exchangeOf(r).deed.concerns(slog.String("subject", principal))
	who, err := a.resolver.Lookup(r.Context(), principal)
	if err != nil {
		return nil, err
	}
	return a.why(r, caller, who)
}

// maxPreview bounds the grants that a preview brings.
const maxPreview = 4 << 20

func (a *accessAdministration) preview(r *http.Request, caller authz.Scope) (any, error) {
	principal := r.URL.Query().Get("principal")
	exchangeOf(r).deed.concerns(slog.String("subject", principal))
	var in struct{ User, Client json.RawMessage }
	if err := json.NewDecoder(io.LimitReader(r.Body, maxPreview)).Decode(&in); err != nil {
		return nil, fhir.Errorf(http.StatusBadRequest, fhir.CodeStructure, `the grants are sent as {"user":{…},"client":{…}}, each as Arborist's /auth/mapping answers`)
	}
	who, err := a.resolver.Preview(principal, in.User, in.Client)
	if err != nil {
		return nil, err
	}
	return a.why(r, caller, who)
}

// why tells why somebody may or may not do what the query asks about.
func (a *accessAdministration) why(r *http.Request, caller, who authz.Scope) (any, error) {
	q := r.URL.Query()
	m, ok := map[string]authz.Method{"": authz.Read, "read": authz.Read, "create": authz.Create, "update": authz.Update, "delete": authz.Delete, "search": authz.Search}[q.Get("method")]
	if !ok {
		return nil, fhir.Errorf(http.StatusBadRequest, fhir.CodeValue, "method is read, search, create, update or delete, not %q", q.Get("method"))
	}
	typ, id, ok := strings.Cut(q.Get("reference"), "/")
	if !ok || !fhir.ValidID(id) {
		return nil, fhir.Errorf(http.StatusBadRequest, fhir.CodeValue, "reference is Type/id, not %q", q.Get("reference"))
	}
	exchangeOf(r).deed.concerns(slog.String("reference", typ+"/"+id), slog.String("method", m.String()))
	res, err := a.db.As(caller).Read(r.Context(), typ, id)
	if err != nil {
		return nil, err
	}
	if res == nil {
		return nil, fhir.Errorf(http.StatusNotFound, fhir.CodeNotFound, "%s/%s is not known", typ, id)
	}
	return who.Explain(m, typ, res.Labels), nil
}
