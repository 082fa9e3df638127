package store

import (
	"context"
	"fmt"
	"slices"

	"ingle/authz"
	"ingle/authz/redact"
	"ingle/fhir"
	"ingle/search"
)

// Elements that a policy hides from a caller are hidden here, where bodies leave
// the database and come to it, so that no interaction can forget it. A search may
// not ask for them either (mayAsk), and what is stored of them outlives the
// caller's updates (keepHidden).

// hide takes out of a body what the caller may not see.
func (r *reader) hide(res *Resource) error {
	hidden := r.scope.Hidden()
	if hidden == nil || res.Body == nil {
		return nil
	}
	seen, err := hidden.Remove(res.Body)
	if err != nil {
		return fmt.Errorf("hide elements of %s: %w", res.Type, err)
	}
	if len(seen) != len(res.Body) {
		res.whole, res.Body = res.Body, seen
	}
	return nil
}

// stored is the body as it is stored.
func (r *Resource) stored() []byte {
	if r.whole != nil {
		return r.whole
	}
	return r.Body
}

// keepHidden returns the changes with what is hidden from the caller in the
// versions that they replace. Its errors are *fhir.Error with status 403.
func (r *reader) keepHidden(changes []Change) ([]Change, error) {
	hidden := r.scope.Hidden()
	if hidden == nil {
		return changes, nil
	}
	changes = slices.Clone(changes)
	for i := range changes {
		c := &changes[i]
		if c.Op == OpDelete {
			continue
		}
		var stored []byte
		if c.Old != nil {
			stored = c.Old.stored()
		}
		sent, err := fhir.Parse(c.Body, storedLimits)
		if err != nil {
			return nil, fmt.Errorf("restore hidden elements of %s: %w", c.Type, err)
		}
		body, err := hidden.Restore(sent, stored)
		if err != nil {
			return nil, err
		}
		if len(body) == len(c.Body) {
			continue
		}
		c.Body = body
		doc, err := fhir.Parse(body, storedLimits)
		if err != nil {
			return nil, fmt.Errorf("restore hidden elements of %s: %w", c.Type, err)
		}
		if c.Rows, err = r.db.reg.IndexRows(doc); err != nil {
			return nil, fmt.Errorf("restore hidden elements of %s: %w", c.Type, err)
		}
	}
	return changes, nil
}

// hiddenReferences are the reference parameters that rest on hidden elements. No
// search may ask for them; whether something is referred to is asked besides.
func (r *reader) hiddenReferences() (out []int32) {
	hidden := r.scope.Hidden()
	if hidden == nil {
		return nil
	}
	for _, typ := range hidden.Types() {
		touches := func(path string) bool { return hidden.Touches(typ, path) }
		for _, sp := range r.db.reg.Params(typ) {
			if sp.Type == "reference" && slices.ContainsFunc(sp.Elements(), touches) {
				out = append(out, int32(sp.ID))
			}
		}
	}
	return out
}

// searchable is what the caller may reach by searches, if it may ask them.
func (r *reader) searchable(ctx context.Context, queries ...*search.Query) (*visible, error) {
	for _, q := range queries {
		if err := r.mayAsk(q); err != nil {
			return nil, err
		}
	}
	return r.visible(ctx, authz.Search)
}

// mayAsk refuses a search that rests on an element that the caller does not see:
// its matches, or their order, would tell of it.
func (r *reader) mayAsk(q *search.Query) error {
	u, why := restsOn(r.scope.Hidden(), q.Uses())
	if why == "" {
		return nil
	}
	return fhir.Errorf(403, fhir.CodeForbidden, "%s: the search parameter %s of %s %s that the access policy hides from you", u.Parameter, u.Code, u.Type, why)
}

// restsOn finds the first use of what is hidden, and says what it does; "" for none.
func restsOn(hidden *redact.Fields, uses []search.Use) (u search.Use, why string) {
	if hidden == nil {
		return u, ""
	}
	for _, u := range uses {
		if slices.ContainsFunc(u.Elements, func(path string) bool { return hidden.Touches(u.Type, path) }) {
			return u, "looks at elements"
		}
		if u.Anywhere { // the words of any resource may repeat what is hidden of another
			return u, "may look at elements"
		}
	}
	return u, ""
}
