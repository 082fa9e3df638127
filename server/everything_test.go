package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"ingle/server/servertest"
)

// A record: two encounters, what happened in them and who did it; and another patient's.
const record = `{"resourceType":"Bundle","type":"transaction","entry":[` +
	`{"request":{"method":"PUT","url":"Organization/parent"},"resource":{"resourceType":"Organization","id":"parent","name":"P"}},` +
	`{"request":{"method":"PUT","url":"Organization/o"},"resource":{"resourceType":"Organization","id":"o","name":"O","partOf":{"reference":"Organization/parent"}}},` +
	`{"request":{"method":"PUT","url":"Organization/other"},"resource":{"resourceType":"Organization","id":"other","name":"X"}},` +
	`{"request":{"method":"PUT","url":"Practitioner/d"},"resource":{"resourceType":"Practitioner","id":"d"}},` +
	`{"request":{"method":"PUT","url":"Medication/m"},"resource":{"resourceType":"Medication","id":"m"}},` +
	`{"request":{"method":"PUT","url":"Patient/p"},"resource":{"resourceType":"Patient","id":"p","birthDate":"1950-01-01","managingOrganization":{"reference":"Organization/o"},"link":[{"type":"seealso","other":{"reference":"Patient/q"}}]}},` +
	`{"request":{"method":"PUT","url":"Patient/q"},"resource":{"resourceType":"Patient","id":"q","managingOrganization":{"reference":"Organization/other"}}},` +
	`{"request":{"method":"PUT","url":"Encounter/old"},"resource":{"resourceType":"Encounter","id":"old","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/p"},"period":{"start":"2001-02-01","end":"2001-03-01"}}},` +
	`{"request":{"method":"PUT","url":"Encounter/new"},"resource":{"resourceType":"Encounter","id":"new","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/p"},"period":{"start":"2020-02-01"}}},` +
	`{"request":{"method":"PUT","url":"Observation/old"},"resource":{"resourceType":"Observation","id":"old","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p"},"encounter":{"reference":"Encounter/old"},"performer":[{"reference":"Practitioner/d"}],"effectiveDateTime":"2001-02-03"}},` +
	`{"request":{"method":"PUT","url":"Observation/undated"},"resource":{"resourceType":"Observation","id":"undated","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p"}}},` +
	`{"request":{"method":"PUT","url":"Observation/q"},"resource":{"resourceType":"Observation","id":"q","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/q"},"effectiveDateTime":"2001-02-03"}},` +
	`{"request":{"method":"PUT","url":"MedicationRequest/r"},"resource":{"resourceType":"MedicationRequest","id":"r","status":"active","intent":"order","authoredOn":"2020-02-02","subject":{"reference":"Patient/p"},"medicationReference":{"reference":"Medication/m"}}}]}`

// refs are what the pages of a search hold, sorted; includes have a plus sign.
func refs(t *testing.T, s *servertest.Server, a *servertest.Answer, headers ...string) string {
	t.Helper()
	var out []string
	for {
		a.Is(200)
		for i := 0; a.Text(fmt.Sprintf("entry.%d.resource.resourceType", i)) != ""; i++ {
			at := fmt.Sprintf("entry.%d.", i)
			ref := a.Text(at+"resource.resourceType") + "/" + a.Text(at+"resource.id")
			if a.Text(at+"search.mode") == "include" {
				ref += "+"
			}
			out = append(out, ref)
		}
		next := a.Link("next")
		if next == "" {
			break
		}
		a = s.Get(next, headers...)
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), " ")
}

func TestEverything(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{})
	s.Post("", record).Is(200)
	for query, want := range map[string]string{
		"":                              "Encounter/new Encounter/old Medication/m+ MedicationRequest/r Observation/old Observation/undated Organization/o+ Organization/parent+ Patient/p Practitioner/d+",
		"?_count=2":                     "Encounter/new Encounter/old Medication/m+ MedicationRequest/r Observation/old Observation/undated Organization/o+ Organization/parent+ Patient/p Practitioner/d+",
		"?start=2001-03-02":             "Encounter/new Medication/m+ MedicationRequest/r Observation/undated Organization/o+ Organization/parent+ Patient/p",
		"?end=2001-02":                  "Encounter/old Observation/old Observation/undated Organization/o+ Organization/parent+ Patient/p Practitioner/d+",
		"?start=2001-02-04&end=2001-12": "Encounter/old Observation/undated Organization/o+ Organization/parent+ Patient/p",
		"?_type=Observation,Patient":    "Observation/old Observation/undated Patient/p",
		"?_since=2999-01-01T00:00:00Z":  "",
		"?_since=2000-01-01T00:00:00Z&_type=Encounter&start=2020": "Encounter/new",
	} {
		if got := refs(t, s, s.Get("/Patient/p/$everything"+query)); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	if got := refs(t, s, s.Get("/Encounter/old/$everything")); got != "Encounter/old Observation/old Patient/p+ Practitioner/d+" {
		t.Errorf("of an Encounter: %s", got)
	}
	// by POST the parameters stand in no link
	a := s.Post("/Patient/p/$everything", `{"resourceType":"Parameters","parameter":[{"name":"start","valueDate":"2020"},{"name":"_count","valueInteger":1}]}`)
	if next := a.Is(200).Link("next"); strings.Contains(next, "start") || !strings.Contains(next, "_cursor=") {
		t.Errorf("the next link is %s", next)
	}
	if got := refs(t, s, a); got != "Encounter/new Medication/m+ MedicationRequest/r Observation/undated Organization/o+ Organization/parent+ Patient/p" {
		t.Errorf("by POST: %s", got)
	}
	for path, diagnostics := range map[string]string{
		"/Patient/p/$everything?start=20":                "start=20: a date is expected",
		"/Patient/p/$everything?_since=2020":             "_since",
		"/Patient/p/$everything?_type=Practitioner":      "Practitioner is not in the Patient compartment",
		"/Patient/p/$everything?_type=Nothing":           "is not a resource type",
		"/Patient/p/$everything?code=x":                  "has no parameter",
		"/Patient/p/$everything?_include=*":              "has no parameter",
		"/Patient/p/$everything?_count=x":                "_count=x",
		"/Patient/$everything":                           "call Patient/[id]/$everything",
		"/Patient/p/$everything?_cursor=abc&start=20201": "",
	} {
		s.Get(path).Is(400).Has(diagnostics)
	}
	s.Post("/Patient/p/$everything", `{"resourceType":"Patient"}`).Is(400).Has("Parameters")
	s.Get("/Patient/none/$everything").Is(404)
	s.Get("/Observation/old/$everything").Is(404)
	s.Delete("/Observation/old").Is(204)
	s.Delete("/Patient/none/$everything").Is(405)
}

// Nobody gets more of a record than he may see.
func TestEverythingUnderLabels(t *testing.T) {
	t.Parallel()
	s, as := withUsers(t, map[string][]string{"ann": {"a"}, "bob": {"b"}, "root": {"all"}})
	put := func(ref, path, rest string) {
		typ, id, _ := strings.Cut(ref, "/")
		s.Put("/"+ref, `{"resourceType":"`+typ+`","id":"`+id+`","meta":{"security":[{"system":"urn:gen3:authz","code":"`+path+`"}]}`+rest+`}`, as("root")...).Is(201)
	}
	put("Practitioner/a", "/programs/a", "")
	put("Practitioner/b", "/programs/b", "")
	put("Patient/p", "/programs/a", `,"generalPractitioner":[{"reference":"Practitioner/a"},{"reference":"Practitioner/b"}]`)
	put("Observation/a", "/programs/a", `,"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p"}`)
	put("Observation/b", "/programs/b", `,"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p"},"performer":[{"reference":"Practitioner/a"}]`)
	for name, want := range map[string]string{"root": "Observation/a Observation/b Patient/p Practitioner/a+ Practitioner/b+", "ann": "Observation/a Patient/p Practitioner/a+"} {
		if got := refs(t, s, s.Get("/Patient/p/$everything?_count=1", as(name)...), as(name)...); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	hidden, missing := s.Get("/Patient/p/$everything", as("bob")...).Is(404), s.Get("/Patient/x/$everything", as("bob")...).Is(404)
	if hidden.Text("issue.0.code") != missing.Text("issue.0.code") {
		t.Errorf("%s\n%s", hidden.Body, missing.Body)
	}
	next := s.Get("/Patient/p/$everything?_count=1", as("ann")...).Is(200).Link("next")
	s.Get(next, as("root")...).Is(400)
}
