package store_test

import (
	"testing"

	"ingle/internal/noninterference"
	"ingle/search"
	"ingle/store"
)

// TestEveryPredicateMatters takes the caller's predicate out of one relation
// after the other: the comparison with the restricted database must notice. It
// does not run in parallel, since the relations are those of all stores.
func TestEveryPredicateMatters(t *testing.T) {
	names := map[search.Relation]string{search.Resource: "resource", store.WithDeleted: "tombstones", store.Superseded: "history", search.Token: "token", search.Ref: "ref",
		search.Date: "date", search.String: "string", search.Quantity: "quantity", search.Text: "text", store.Contained: "contained"}
	for _, rel := range store.Relations() {
		if names[rel] == "" {
			t.Errorf("relation %d is not tried here", rel)
		}
	}
	w := noninterference.NewWorld(t)
	var users []noninterference.User
	for _, u := range noninterference.Users() {
		if u.Name == "half" || u.Name == "category" {
			users = append(users, u)
		}
	}
	pairs := w.Pairs(t, users)
	for _, p := range pairs {
		p.TryReads(1, 50)
		for _, f := range p.Failed {
			t.Fatal(f)
		}
	}
	// the order of an index alone, where rows that are hidden take the places of
	// others; and versions of before a resource was moved to where it is seen
	pointed := map[search.Relation][]string{
		store.Superseded: {"_history?_count=1000", "Observation/_history?_count=1000"},
		search.Date:      {"Observation?_sort=date&_count=3", "Observation?_sort=-date&_count=3", "Encounter?_sort=-date&_count=2"},
		search.Quantity:  {"Observation?_sort=value-quantity&_count=3", "Observation?_sort=-value-quantity&_count=3"},
	}
	for rel, name := range names {
		t.Run(name, func(t *testing.T) {
			defer store.Unscope(rel)()
			for _, p := range pairs {
				p.Failed = nil
				before := p.Asked
				for _, target := range pointed[rel] {
					p.Ask(noninterference.Request{Method: "GET", Target: "/fhir/" + target})
				}
				n := 500
				if rel == search.Text || rel == store.Contained {
					n = 50
				}
				p.TryReads(7, n)
				switch {
				case (rel == search.Text || rel == store.Contained) && len(p.Failed) == 0:
					// Full text is only ever asked of resources that another
					// relation has found, and contained resources only with what
					// contains them: that guards them already.
					// TestFromHoldsThePredicate sees that they have their own.
				case len(p.Failed) == 0:
					t.Errorf("user %q: without its predicate %d requests show no difference", p.User.Name, p.Asked-before)
				default:
					t.Logf("user %q: noticed after %d requests", p.User.Name, p.Asked-before)
				}
			}
		})
	}
}
