package search

import (
	"slices"
	"testing"
)

// TestUses proves that a search tells what it rests on, wherever that stands.
func TestUses(t *testing.T) {
	reg := registry(t)
	reg.EnableFullText()
	for text, want := range map[string]string{
		"Patient?name:exact=x":                                   "name:exact Patient name",
		"Patient?family:missing=true":                            "family:missing Patient name.family",
		"Patient?_sort=-family":                                  "_sort Patient name.family",
		"Observation?subject:Patient.name=x":                     "subject:Patient.name Patient name",
		"Observation?subject:Patient.organization.name=x":        "subject:Patient.organization.name Organization name",
		"Observation?_sort=patient.family":                       "_sort Patient name.family",
		"Patient?_has:Observation:patient:value-quantity=gt1":    "_has:Observation:patient:value-quantity Observation value",
		"Patient?_has:Observation:patient:code=x":                "_has:Observation:patient:code Observation subject",
		"Observation?_filter=subject.name eq x":                  "_filter Patient name",
		"List?_filter=item[name eq x].name eq y":                 "_filter Patient name",
		"Observation?code-value-quantity=a$gt1":                  "code-value-quantity Observation value",
		"Observation?combo-code-value-quantity=a$gt1":            "combo-code-value-quantity Observation component.value",
		"Observation?_include=Observation:subject":               "_include Observation subject",
		"Patient?_revinclude=Observation:*":                      "_revinclude Observation performer",
		"Patient?_list=1":                                        "_list List entry.item",
		"Patient?_content=x":                                     "_content Patient *",
		"Patient?_text=x":                                        "_text Patient *",
		"Observation?subject:identifier=x":                       "subject:identifier Observation subject.identifier",
		"Medication?_contained=true&code=x":                      "code Medication code",
		"Location?near=1|2|3&_sort=near":                         "_sort Location position",
		"Location?near=1|2|3":                                    "near Location position",
		"Patient?deceased=true":                                  "deceased Patient deceased",
		"Condition?onset-date=2020":                              "onset-date Condition onset",
		"Patient?_id=1&_lastUpdated=gt2020&_count=2&_total=none": "",
	} {
		q, _, err := reg.Parse(request(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var got []string
		for _, u := range q.Uses() {
			line := u.Parameter + " " + u.Type + " "
			if u.Anywhere {
				got = append(got, line+"*")
			}
			for _, e := range u.Elements {
				got = append(got, line+e)
			}
		}
		if want == "" && len(got) == 0 || slices.Contains(got, want) {
			continue
		}
		t.Errorf("%s: %q is not among %q", text, want, got)
	}
	req := request("Observation?code=x")
	req.Compartment, req.CompartmentID = "Patient", "1"
	q, _, err := reg.Parse(req)
	if err != nil || !slices.ContainsFunc(q.Uses(), func(u Use) bool {
		return u.Parameter == "the compartment Patient" && slices.Contains(u.Elements, "subject")
	}) {
		t.Errorf("a compartment: %v, %+v", err, q)
	}
}
