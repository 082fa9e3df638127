package search

import "ingle/fhir"

// Condition writes the parameters of a search as one SQL condition on a
// resource of the type, whose rid is the given expression: what SMART scopes
// with search parameters ask of each row. Parameters that shape a result have
// no meaning here and are refused like unknown ones. Arguments are added to args.
// uses are what it rests on.
func (r *Registry) Condition(resourceType string, params []KV, src Source, rid string, args *Args) (sql string, uses []Use, err error) {
	q, _, err := r.Parse(Request{Type: resourceType, Params: params, Strict: true})
	if err != nil {
		return "", nil, err
	}
	if q.contained != "" {
		return "", nil, fhir.Errorf(400, fhir.CodeNotSupported, "_contained is no condition on a resource")
	}
	c := &compilation{r: r, q: q, src: src, args: *args}
	parts := make([]string, len(q.conds))
	for i, k := range q.conds {
		parts[i] = c.probe(k, row{rid: rid}, false)
	}
	*args = c.args
	return and(parts...), q.Uses(), nil
}
