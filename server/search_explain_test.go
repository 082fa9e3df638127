package server_test

import (
	"slices"
	"strings"
	"testing"

	"ingle/server/servertest"
	"ingle/store"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	people(t, s, 5)
	a := s.Get("/Patient?family=family1&_explain=true").Is(200)
	if len(a.IDs("match")) != 2 || len(a.IDs("outcome")) != 1 {
		t.Errorf("%s", a.Body)
	}
	a.Has("SQL of the page").Has("Plan of the page").Has("idx_string").Has("rows, planned").Has("jit = off")
	for _, hidden := range []string{"family1", "total:"} {
		if strings.Contains(string(a.Body[strings.Index(string(a.Body), "OperationOutcome"):]), hidden) {
			t.Errorf("%q is told: %s", hidden, a.Body)
		}
	}
	s.Get("/Patient?family=family1&_total=accurate&_explain=true").Is(200).Has("Plan of the total")
	s.Get("/Patient?family=family1&_summary=count&_explain=true").Is(200).Has("Plan of the total")
	s.Post("/Patient/_search", "family=family1&_explain=true", "Content-Type", "application/x-www-form-urlencoded").Is(200).Has("Plan of the page")
	if a := s.Get("/Patient?_explain=false").Is(200); len(a.IDs("outcome")) != 0 {
		t.Errorf("%s", a.Body)
	}
	s.Get("/Patient?_explain=please").Is(400)
	s.Delete("/Patient?family=family1&_explain=true").Is(400)

	users, as := withUsers(t, map[string][]string{"ann": {"a"}})
	users.Get("/Patient?_explain=true", as("ann")...).Is(403)
}

// TestPlannerSettings proves that PostgreSQL's planner settings can stand in the
// database URL: they hold in the searches.
func TestPlannerSettings(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{Store: func(o *store.Options) {
		separator := "?"
		if strings.Contains(o.URL, "?") {
			separator = "&"
		}
		o.URL += separator + "join_collapse_limit=16&from_collapse_limit=12"
	}})
	a := s.Get("/Patient?_explain=true").Is(200)
	if !slices.Equal(a.IDs("outcome"), []string{"OperationOutcome/"}) {
		t.Errorf("%s", a.Body)
	}
	a.Has("join_collapse_limit = 16").Has("from_collapse_limit = 12")
}
