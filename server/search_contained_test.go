package server_test

import (
	"slices"
	"testing"

	"ingle/server/servertest"
)

// Contained resources are returned by what contains them or by themselves (R4
// search.html#contained), on pages, and no conditional interaction meets them.
func TestSearchContained(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	s.Put("/Medication/med", `{"resourceType":"Medication","id":"med","code":{"coding":[{"system":"http://codes","code":"abc"}]}}`).Is(201)
	request := `{"resourceType":"MedicationRequest","id":"23","status":"active","intent":"order","subject":{"display":"x"},"contained":[
		{"resourceType":"Medication","id":"m1","code":{"coding":[{"system":"http://codes","code":"abc"}]},"amount":{"numerator":{"value":1.50},"denominator":{"value":1e2}}},
		{"resourceType":"Medication","id":"m2","code":{"coding":[{"system":"http://codes","code":"abc"}]},"ingredient":[{"itemReference":{"reference":"#m1"}}]}],
		"medicationReference":{"reference":"#m2"}}`
	s.Put("/MedicationRequest/23", request).Is(201)

	if a := s.Get("/Medication?code=abc").Is(200); !slices.Equal(a.IDs("match"), []string{"Medication/med"}) || a.Text("total") != "1" {
		t.Errorf("contained ones are no matches: %s", a.Body)
	}
	if a := s.Get("/MedicationRequest?medication.code=abc").Is(200); !slices.Equal(a.IDs("match"), []string{"MedicationRequest/23"}) {
		t.Errorf("a chain goes into them: %s", a.Body)
	}
	a := s.Get("/Medication?code=abc&_contained=true").Is(200)
	if a.Text("total") != "1" || a.Text("entry.0.fullUrl") != s.Base+"/MedicationRequest/23" || a.Text("entry.0.search.mode") != "match" {
		t.Errorf("containers: %s", a.Body)
	}
	a = s.Get("/Medication?code=abc&_contained=true&_containedType=contained").Is(200)
	if a.Text("total") != "2" || a.Text("entry.0.fullUrl") != s.Base+"/MedicationRequest/23#m1" || a.Text("entry.0.resource.id") != "m1" || a.Text("entry.1.fullUrl") != s.Base+"/MedicationRequest/23#m2" {
		t.Errorf("by themselves: %s", a.Body)
	}
	a.Has(`1.50`).Has(`1e2`) // as they were sent
	var urls []string
	for next := s.Base + "/Medication?code=abc&_contained=both&_containedType=contained&_count=1&_total=accurate"; next != ""; next = a.Link("next") {
		a = s.Get(next).Is(200)
		if a.Text("total") != "3" {
			t.Errorf("%s", a.Body)
		}
		urls = append(urls, a.Text("entry.0.fullUrl")[len(s.Base):])
	}
	if !slices.Equal(urls, []string{"/MedicationRequest/23#m1", "/MedicationRequest/23#m2", "/Medication/med"}) {
		t.Errorf("pages: %v", urls)
	}
	if a := s.Get("/Medication?_contained=both&_summary=count").Is(200); a.Text("total") != "2" {
		t.Errorf("the total of both: %s", a.Body)
	}
	s.Get("/Medication?_contained=some").Is(400).Has("false, true and both")

	// a conditional interaction is about resources
	s.Put("/Medication?code=abc&_contained=true", `{"resourceType":"Medication"}`).Is(400).Has("_contained")
	s.Delete("/Medication?code=abc&_contained=true").Is(400)
	s.Delete("/Medication?code=abc").Is(204)
	s.Get("/MedicationRequest/23").Is(200)
	s.Delete("/MedicationRequest/23").Is(204)
	if a := s.Get("/Medication?_contained=true&_summary=count").Is(200); a.Text("total") != "0" {
		t.Errorf("with what contained them they are gone: %s", a.Body)
	}
}
