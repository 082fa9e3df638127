package search

import (
	"slices"
	"strings"

	"ingle/fhir"
)

// shaping are the parameters that say what an answer looks like, not which
// resources match.
var shaping = []string{"_sort", "_count", "_include", "_revinclude", "_summary", "_total", "_elements", "_contained", "_containedType", "_type", "_explain",
	"_format", "_pretty", "_cursor", "_maxresults"}

// Filters tells whether a parameter says which resources match.
func Filters(name string) bool {
	base, _, _ := strings.Cut(name, ":")
	return !slices.Contains(shaping, base)
}

// Matching writes a SELECT of the rids of all resources that a query matches,
// without order, for a condition rid IN (…). Arguments are added to args.
func (r *Registry) Matching(q *Query, src Source, args *Args) (sql string, err error) {
	if q.contained != "" {
		return "", fhir.Errorf(400, fhir.CodeNotSupported, "_contained has no place here")
	}
	c := &compilation{r: r, q: q, src: src, args: *args}
	arms := c.drivers(q.plan(), false)
	parts := make([]string, len(arms))
	for i, a := range arms {
		parts[i] = "SELECT " + a.at.rid + " AS rid FROM " + a.from + " WHERE " + and(a.where)
	}
	*args = c.args
	return strings.Join(parts, "\nUNION ALL\n"), nil
}
