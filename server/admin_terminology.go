package server

import (
	"net/http"

	"ingle/authz"
	"ingle/fhir"
	"ingle/terminology"
)

// TerminologyAdministration tells administrators how far the preparation of the
// stored code systems and value sets is at this server. It is for Config.Wrap:
//
//	GET /admin/terminology   {"count":{<state>:n},"content":[…]}, each a terminology.Prepared
func TerminologyAdministration(resolver *authz.Resolver, p *terminology.Preparation) func(http.Handler) http.Handler {
	const path = "/admin/terminology"
	return administrators(resolver, path, func(r *http.Request, _ authz.Scope) (any, error) {
		if r.URL.Path != path {
			return nil, fhir.Errorf(http.StatusNotFound, fhir.CodeNotFound, "there is nothing at this path; %s tells all", path)
		}
		if r.Method != http.MethodGet {
			e := fhir.Errorf(http.StatusMethodNotAllowed, fhir.CodeNotSupported, "the state of terminology is asked by GET")
			e.Allow = []string{http.MethodGet}
			return nil, e
		}
		content, err := p.List(r.Context())
		if err != nil {
			return nil, err
		}
		count := map[terminology.PreparationState]int{}
		for i := range content {
			count[content[i].State]++
		}
		return map[string]any{"count": count, "content": content}, nil
	})
}
