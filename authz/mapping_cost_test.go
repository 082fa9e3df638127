package authz

import (
	"fmt"
	"testing"
	"time"

	"ingle/authz/arboristtest"
)

// TestMappingCost: to read and collapse a mapping of 5,000 paths, and to tell
// which of 5,000 labels it covers, takes less than the call that fetched it
// from Arborist.
func TestMappingCost(t *testing.T) {
	if testing.Short() {
		t.Skip("to make 5,000 paths in Arborist takes a while")
	}
	const paths = 5000
	is := arboristtest.NewIssuer(t)
	server := arboristtest.Start(t, is)
	p := arboristtest.Policies{Roles: map[string][]string{"reader": {"fhir:read"}}, Users: map[string][]string{"many": nil}}
	var resources []string
	for i := range paths / 100 {
		program := fmt.Sprintf("/programs/p%02d", i)
		var projects []map[string]any
		for j := range 100 {
			projects = append(projects, map[string]any{"name": fmt.Sprintf("x%02d", j)})
			resources = append(resources, fmt.Sprintf("%s/projects/x%02d", program, j))
		}
		server.Must(t, "POST", "/resource?p", map[string]any{"path": program + "/projects", "subresources": projects})
	}
	p.Policies = []arboristtest.Policy{{ID: "all", Resources: resources, Roles: []string{"reader"}}}
	p.Users["many"] = []string{"all"}
	server.Apply(t, p)

	cfg, err := Config{Mode: ModeArborist, Issuers: []Issuer{{Issuer: is.URL, AnyAudience: true}}, Arborist: Arborist{URL: server.URL}}.complete()
	if err != nil {
		t.Fatal(err)
	}
	best := func(f func()) time.Duration {
		least := time.Hour
		for range 7 {
			start := time.Now()
			f()
			least = min(least, time.Since(start))
		}
		return least
	}
	var raw []byte
	call := best(func() { raw = server.Must(t, "POST", "/auth/mapping", map[string]any{"username": "many"}) })
	var g grantSet
	parse := best(func() {
		if g, err = parseMapping(raw, &cfg.Arborist, "user:many"); err != nil {
			t.Fatal(err)
		}
	})
	if len(g.roots[Read]) != paths {
		t.Fatalf("%d roots", len(g.roots[Read]))
	}
	grant := g.grants(false)[Read]
	expand := best(func() {
		for _, r := range resources {
			if !grant.AllowsPaths([]string{r}) {
				t.Fatal(r)
			}
		}
	})
	t.Logf("call %v, collapse %v, expand %v", call, parse, expand)
	if parse+expand >= call {
		t.Errorf("collapse %v and expand %v take longer than the call, %v", parse, expand, call)
	}
}
