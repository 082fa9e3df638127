package interaction

import (
	"context"
	"slices"
	"strings"

	"ingle/fhir"
	"ingle/search"
	"ingle/store"
)

// criteria are the search of a conditional interaction.
type criteria struct {
	query *search.Query
	// lock is what two requests with the same criteria have in common.
	lock string
}

// criteria parses the search of a conditional interaction on a type. It is
// always strict: what is not understood must not match more than was meant.
func (s *Service) criteria(req *Request, typ string, params []search.KV) (*criteria, error) {
	var kept []search.KV
	for _, p := range params {
		switch p.Name {
		case "_format", "_pretty":
		case "_count", "_sort", "_include", "_revinclude", "_summary", "_elements", "_total", "_contained", "_containedType", "_explain", cursorParam:
			return nil, fhir.Errorf(400, fhir.CodeInvalid, "%s has no place in the criteria of a conditional interaction", p.Name)
		default:
			if p.Value == "" {
				return nil, fhir.Errorf(400, fhir.CodeInvalid, "the search parameter %q has no value", p.Name)
			}
			kept = append(kept, p)
		}
	}
	if len(kept) == 0 {
		return nil, fhir.Errorf(412, "incomplete", "a conditional interaction needs search parameters that select the resource")
	}
	q, _, err := s.registry.Parse(search.Request{Type: typ, Params: kept, Strict: true, BaseURLs: req.bases(), Limits: s.cfg.Search})
	if err != nil {
		return nil, err
	}
	return &criteria{query: q, lock: lockOf(typ, kept)}, nil
}

// lockOf spells criteria so that the order of parameters does not matter.
func lockOf(typ string, params []search.KV) string {
	parts := make([]string, len(params))
	for i, p := range params {
		parts[i] = string(AppendQuery(nil, []search.KV{p}))
	}
	slices.Sort(parts)
	return typ + "?" + strings.Join(slices.Compact(parts), "&")
}

// one returns the only match, nil if there is none; more than one is a 412
// (R4 http.html#ccreate, #cond-update).
func (c *criteria) one(ctx context.Context, r reader) (*store.Resource, error) {
	found, err := r.Match(ctx, c.query, 2)
	if err != nil {
		return nil, err
	}
	switch len(found) {
	case 0:
		return nil, nil
	case 1:
		return found[0], nil
	}
	return nil, severalMatches()
}

func severalMatches() error {
	return fhir.Errorf(412, fhir.CodeMultiple, "the criteria are not selective enough: more than one resource matches")
}

// bases are the base URLs under which references are the server's own.
func (r *Request) bases() []string {
	if r.BaseURL == "" {
		return nil
	}
	return []string{r.BaseURL}
}
