package server

import (
	"net/http"

	"ingle/authz"
	"ingle/terminology"
)

// TerminologyAdministration tells administrators how far the preparation of the
// stored code systems and value sets is at this server:
//
//	GET /admin/terminology   {"count":{<state>:n},"content":[…]}, each a terminology.Prepared
func TerminologyAdministration(p *terminology.Preparation) Administration {
	return Administration{"/admin/terminology": {http.MethodGet: func(r *http.Request, _ authz.Scope) (any, error) {
		content, err := p.List(r.Context())
		if err != nil {
			return nil, err
		}
		count := map[terminology.PreparationState]int{}
		for i := range content {
			count[content[i].State]++
		}
		return map[string]any{"count": count, "content": content}, nil
	}}}
}
