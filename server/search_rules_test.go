package server_test

import (
	"slices"
	"strings"
	"testing"

	"ingle/fhir"
	"ingle/interaction"
	"ingle/search"
	"ingle/server/servertest"
)

// What the rules of a type do not let searches use is refused, and is not in the
// CapabilityStatement.
func TestSearchRules(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{Interaction: func(c *interaction.Config) {
		c.Registry.Restrict(map[string]search.Rules{
			"Patient":     {Params: []string{"family"}, Includes: []string{"Patient:organization"}, RevIncludes: []string{}},
			"Observation": {Combinations: [][]string{{"patient"}, {"code", "date"}}},
		})
	}})
	s.Get("/Patient?birthdate=2000").Is(400)
	s.Get("/Patient?family=a&_include=Patient:link").Is(400)
	s.Get("/Observation?code=x").Is(400).Has("patient; code and date")
	s.Get("/Observation?patient=p").Is(200)
	told := map[string]fhir.Node{}
	for r := s.Get("/metadata").Is(200).Root().Get("rest").First().Get("resource").First(); r.Valid(); r = r.Next() {
		told[r.Get("type").Text()] = r
	}
	var params []string
	for p := told["Patient"].Get("searchParam").First(); p.Valid(); p = p.Next() {
		if name := p.Get("name").Text(); !strings.HasPrefix(name, "_") {
			params = append(params, name)
		}
	}
	if !slices.Equal(params, []string{"family"}) || string(told["Patient"].Get("searchInclude").Raw()) != `["Patient:organization"]` || told["Patient"].Get("searchRevInclude").Valid() {
		t.Errorf("Patient: %v %s %s", params, told["Patient"].Get("searchInclude").Raw(), told["Patient"].Get("searchRevInclude").Raw())
	}
	if doc := told["Observation"].Get("documentation").Text(); !strings.Contains(doc, "patient; code and date") {
		t.Errorf("Observation: %q", doc)
	}
	if told["Condition"].Get("documentation").Valid() || !told["Condition"].Get("searchRevInclude").Valid() {
		t.Error("a type without rules is told otherwise")
	}
}
