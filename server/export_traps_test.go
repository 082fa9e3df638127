package server_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"ingle/authz"
)

// TestExportTraps asks for exports in ways that were not thought of.
func TestExportTraps(t *testing.T) {
	t.Parallel()
	s, as, _ := withPolicies(t, map[string]authz.Policy{
		"discreet": {Resources: map[string]authz.Rule{"Observation": {Criteria: []string{"status:not=preliminary"}}, "*": {}}},
		"nameless": {Resources: map[string]authz.Rule{"Patient": {Hidden: []string{"name"}}, "*": {}}},
	})
	all, discreet, nameless := as("all"), as("discreet"), as("nameless")
	ward(t, s, all...)
	place := kickOff(t, s, "/$export?_type=Patient,Observation", all...)
	m := listed(t, s, place, all...)
	since := url.QueryEscape(m.TransactionTime)

	// what a deleted resource was like is not asked any more, and what it was not neither
	s.Get("/Observation/oq", discreet...).Is(404)
	for _, id := range []string{"op", "oq"} {
		s.Delete("/Observation/"+id, all...).Is(200, 204)
	}
	s.Get("/Observation/oq", discreet...).Is(404)
	if got, _ := exported(t, s, "/$export?_since="+since, discreet...); got != "" {
		t.Errorf("deletions of what was never seen: %s", got)
	}
	s.Get("/Observation/_history?_count=0", discreet...).Is(200).Lacks("oq")

	// a Bundle holds no files, and begins nothing that nobody could find
	file := strings.TrimPrefix(m.Output[0].URL, s.Base+"/")
	async := append(all, "Prefer", "respond-async")
	for _, target := range []string{file, strings.TrimPrefix(place, s.Base+"/"), "$export"} {
		bundle := `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"` + target + `"}}]}`
		if a := s.Post("", bundle, async...).Is(200); a.Text("entry.0.response.status") != "400 Bad Request" {
			t.Errorf("%s in a batch: %s", target, a.Body)
		}
		s.Post("", strings.Replace(bundle, "batch", "transaction", 1), async...).Is(400)
	}
	if a := s.Post("", `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Patient?_id=p"}}]}`, async...).Is(200); a.Text("entry.0.resource.type") != "searchset" {
		t.Errorf("a search in a batch: %s", a.Body)
	}

	// HEAD begins nothing
	if h := s.Do("HEAD", "/$export", "", async...).Is(400); h.Header.Get("Content-Location") != "" {
		t.Errorf("%v", h.Header)
	}
	s.Do("HEAD", "/Patient", "", async...).Is(200)

	// names that no request has
	for _, name := range []string{"%00", "%ff", "x%00/1", "%ff/1", "x/%00", "x/99999999999999999999"} {
		s.Get("/_async/"+name, all...).Is(404)
	}
	s.Delete("/_async/%00", all...).Is(404)

	// what is hidden is refused in every filter, however many types a chain leads to
	for _, filter := range []string{
		"Observation?subject.name=x", "List?item.name=x", "List?item.name:missing=true", "Observation?subject.family:exact=x", "List?_filter=item.name eq x",
		"Observation?_filter=subject[gender eq male].name eq y", "List?_filter=not (item.name eq x)", "Composition?entry.subject.name=x", "Group?_has:List:item:item.name=x",
	} {
		s.Get("/$export?_typeFilter="+url.QueryEscape(filter), append(nameless, "Prefer", "respond-async")...).Is(403)
	}

	// of parameters there are not without number
	many := strings.Repeat(`{"name":"x"},`, 100_000) + `{"name":"x"}`
	s.Post("/$export", `{"resourceType":"Parameters","parameter":[`+many+`]}`, append(all, "Prefer", "respond-async, handling=lenient")...).Is(400).Has("parameters")
	s.Post("/$export", fmt.Sprintf(`{"resourceType":"Parameters","parameter":[{"name":"_type","valueString":"%s"}]}`, strings.Repeat("Pateint,", 20_000)), append(all, "Prefer", "respond-async, handling=lenient")...).Is(400).Has("parameters")
}
