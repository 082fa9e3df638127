package server_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"ingle/fhir"
	"ingle/interaction"
	"ingle/search"
	"ingle/server/servertest"
)

func people(t *testing.T, s *servertest.Server, n int) {
	t.Helper()
	var entries []string
	for i := range n {
		entries = append(entries, entryOf("", fmt.Sprintf(`{"resourceType":"Patient","id":"p%03d","name":[{"family":"Family%d"}],"birthDate":"19%02d-01-01"}`, i, i%3, i%7+10), "PUT", fmt.Sprintf("Patient/p%03d", i)))
	}
	s.Post("", transaction(entries...)).Is(200)
}

func TestSearchBundle(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	people(t, s, 3)
	s.Put("/Observation/o", `{"resourceType":"Observation","id":"o","status":"final","code":{"text":"c"},"subject":{"reference":"Patient/p001"}}`).Is(201)
	a := s.Get("/Patient?family=family1&_revinclude=Observation:subject").Is(200)
	if a.Text("type") != "searchset" || a.Text("total") != "1" || a.Text("entry.0.fullUrl") != s.Base+"/Patient/p001" {
		t.Errorf("%s", a.Body)
	}
	if got := a.IDs("match"); !slices.Equal(got, []string{"Patient/p001"}) {
		t.Errorf("matches %v", got)
	}
	if got := a.IDs("include"); !slices.Equal(got, []string{"Observation/o"}) {
		t.Errorf("includes %v", got)
	}
	if got := a.Link("self"); got != s.Base+"/Patient?family=family1&_revinclude=Observation:subject" {
		t.Errorf("self %s", got)
	}
	empty := s.Get("/Patient?family=none").Is(200)
	if empty.Root().Get("entry").Valid() || empty.Text("total") != "0" {
		t.Errorf("an empty Bundle has no entry: %s", empty.Body)
	}
	// the same by POST, whose parameters appear nowhere
	p := s.Post("/Patient/_search", "family=family1", "Content-Type", "application/x-www-form-urlencoded").Is(200)
	if !slices.Equal(p.IDs("match"), []string{"Patient/p001"}) || strings.Contains(p.Link("self"), "family1") {
		t.Errorf("%s", p.Body)
	}
	if again := s.Get(p.Link("self")).Is(200); !slices.Equal(again.IDs("match"), []string{"Patient/p001"}) {
		t.Errorf("self of a POST: %s", again.Body)
	}
	if both := s.Post("/Patient/_search?family=family1", "_id=p002", "Content-Type", "application/x-www-form-urlencoded").Is(200); both.Text("total") != "0" {
		t.Errorf("URL and form together: %s", both.Body)
	}
	s.Post("/Patient/_search", `{}`).Is(415)
	s.Post("/Patient/_search", "").Is(200)
	s.Post("/_search", "_type=Patient,Observation&_count=2", "Content-Type", "application/x-www-form-urlencoded").Is(200)
	if a := s.Get("/?_type=Patient,Observation").Is(200); len(a.IDs("match")) != 4 {
		t.Errorf("system: %v", a.IDs(""))
	}
	if a := s.Get("/Patient/p001/Observation").Is(200); !slices.Equal(a.IDs("match"), []string{"Observation/o"}) || a.Link("self") != s.Base+"/Patient/p001/Observation" {
		t.Errorf("compartment: %s", a.Body)
	}
	if a := s.Get("/Patient/p002/Observation").Is(200); len(a.IDs("match")) != 0 {
		t.Errorf("compartment: %s", a.Body)
	}
	if a := s.Get("/Patient/p001/*").Is(200); !slices.Contains(a.IDs("match"), "Observation/o") {
		t.Errorf("compartment: %v", a.IDs(""))
	}
	s.Post("/Patient/p001/Observation/_search", "status=final", "Content-Type", "application/x-www-form-urlencoded").Is(200).Has("Observation/o")
}

func TestHandling(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	people(t, s, 2)
	s.Get("/Patient?colour=red").Is(400)
	s.Get("/Patient?colour=red", "Prefer", "handling=strict").Is(400)
	a := s.Get("/Patient?colour=red&_id=p001", "Prefer", "handling=lenient").Is(200)
	if a.Link("self") != s.Base+"/Patient?_id=p001" || len(a.IDs("match")) != 1 || !slices.Equal(a.IDs("outcome"), []string{"OperationOutcome/"}) {
		t.Errorf("%s", a.Body)
	}
	a.Has("colour")
	if a := s.Get("/Patient?_count=5000").Is(200); len(a.IDs("outcome")) != 1 {
		t.Errorf("a capped _count is not said: %s", a.Body)
	}
	if a := s.Get("/Patient?_count=1&_total=estimate").Is(200); a.Text("total") == "" {
		t.Errorf("%s", a.Body)
	}
	if a := s.Get("/Patient?_count=1").Is(200); a.Root().Get("total").Valid() {
		t.Errorf("a total that was not asked for: %s", a.Body)
	}
	if a := s.Get("/Patient?_count=1&_total=accurate").Is(200); a.Text("total") != "2" {
		t.Errorf("%s", a.Body)
	}
	if a := s.Get("/Patient?_count=0").Is(200); a.Text("total") != "2" || a.Root().Get("entry").Valid() {
		t.Errorf("%s", a.Body)
	}
	lenient := servertest.Start(t, servertest.Options{Interaction: func(c *interaction.Config) { c.Lenient = true }})
	lenient.Get("/Patient?colour=red").Is(200)
	lenient.Get("/Patient?colour=red", "Prefer", "handling=strict").Is(400)
}

// walk follows links from a page and returns the ids, page by page.
func walk(t *testing.T, s *servertest.Server, target, relation string) [][]string {
	t.Helper()
	var pages [][]string
	for target != "" {
		a := s.Get(target).Is(200)
		pages = append(pages, a.IDs("match"))
		target = a.Link(relation)
		if len(pages) > 100 {
			t.Fatal("the pages do not end")
		}
	}
	return pages
}

func TestPaging(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	people(t, s, 23)
	for _, query := range []string{"?_count=5", "?_sort=birthdate&_count=5", "?_sort=-birthdate,family&_count=4", "?_sort=family&_count=1", "?_sort=-_id&_count=7", "?_sort=_lastUpdated&_count=5"} {
		all := s.Get("/Patient" + strings.ReplaceAll(query, "_count=", "_count=1000&_tag:not=") + "x").Is(200).IDs("match")
		pages := walk(t, s, "/Patient"+query, "next")
		if got := slices.Concat(pages...); !slices.Equal(got, all) {
			t.Errorf("%s: forward\n got %v\nwant %v", query, got, all)
		}
		// to the end and back
		target, last := "/Patient"+query, ""
		for target != "" {
			last = target
			target = s.Get(target).Is(200).Link("next")
		}
		back := walk(t, s, last, "previous")
		slices.Reverse(back)
		if got := slices.Concat(back...); !slices.Equal(got, all) {
			t.Errorf("%s: back\n got %v\nwant %v", query, got, all)
		}
	}
	// a page does not move when others are added before it
	first := s.Get("/Patient?_count=5").Is(200)
	s.Post("/Patient", `{"resourceType":"Patient"}`).Is(201)
	second := s.Get(first.Link("next")).Is(200)
	if got := slices.Concat(first.IDs("match"), second.IDs("match")); len(slices.Compact(slices.Sorted(slices.Values(got)))) != 10 || len(got) != 10 {
		t.Errorf("pages after an insert: %v", got)
	}
	if f := s.Get(second.Link("first")).Is(200); f.Link("previous") != "" || len(f.IDs("match")) != 5 {
		t.Errorf("first: %s", f.Body)
	}
	if again := s.Get(second.Link("self")).Is(200); !slices.Equal(again.IDs("match"), second.IDs("match")) {
		t.Errorf("self of page 2: %v", again.IDs("match"))
	}
}

func TestCursors(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	people(t, s, 12)
	next := s.Get("/Patient?family=family1&_count=2&_sort=family").Is(200).Link("next")
	u, err := url.Parse(next)
	if err != nil {
		t.Fatal(err)
	}
	cursor := u.Query().Get("_cursor")
	if cursor == "" || strings.Contains(next, "Family1") {
		t.Fatalf("next %s", next)
	}
	s.Get(next).Is(200)
	for name, target := range map[string]string{
		"another query":     strings.Replace(next, "family1", "family2", 1),
		"another count":     strings.Replace(next, "_count=2", "_count=3", 1),
		"another type":      strings.Replace(next, "/Patient", "/Practitioner", 1),
		"no query":          "/Patient?_cursor=" + cursor,
		"changed":           strings.Replace(next, cursor, cursor[:len(cursor)-2]+"AA", 1),
		"cut":               strings.Replace(next, cursor, cursor[:10], 1),
		"not base64":        strings.Replace(next, cursor, "!!", 1),
		"empty":             strings.Replace(next, cursor, "", 1),
		"of a history":      "/Patient/_history?_cursor=" + cursor,
		"in a conditional":  "",
		"longer than a URL": "/Patient?_cursor=" + strings.Repeat("A", 15000),
	} {
		if target == "" {
			s.Delete("/Patient?family=family1&_cursor=" + cursor).Is(400)
			continue
		}
		if a := s.Get(target).Is(400); !strings.Contains(string(a.Body), "page link") {
			t.Errorf("%s: %s", name, a.Body)
		}
	}
	// of a POST: the link holds the query, sealed
	post := s.Post("/Patient/_search", "family=family1&_count=2", "Content-Type", "application/x-www-form-urlencoded").Is(200)
	link := post.Link("next")
	if strings.Contains(link, "family") || link == "" {
		t.Fatalf("next of a POST: %s", link)
	}
	second := s.Get(link).Is(200)
	if len(second.IDs("match")) != 2 || strings.Contains(second.Link("self")+second.Link("previous")+second.Link("first"), "family") {
		t.Errorf("page 2 of a POST: %s", second.Body)
	}
	if got := append(post.IDs("match"), second.IDs("match")...); len(got) != 4 || second.Link("next") != "" {
		t.Errorf("%v", got)
	}
	s.Get(strings.Replace(link, "/Patient?", "/Practitioner?", 1)).Is(400)
	// what is about the encoding goes along
	if l := s.Get("/Patient?_count=2&_pretty=true&_format=json").Is(200).Link("next"); !strings.Contains(l, "_pretty=true") || !strings.Contains(l, "_format=json") {
		t.Errorf("next %s", l)
	}
}

// The faults of other servers, named in the design.
func TestKnownFaults(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	for i := range 3 {
		s.Put(fmt.Sprintf("/Patient/w%d", i), fmt.Sprintf(`{"resourceType":"Patient","id":"w%d","name":[{"family":"%s"}]}`, i, []string{"A%B", "A_B", "AxB"}[i])).Is(201)
	}
	// % and _ are no wildcards
	for value, want := range map[string][]string{"A%25B": {"Patient/w0"}, "A_B": {"Patient/w1"}, "A%25": {"Patient/w0"}} {
		if got := s.Get("/Patient?family=" + value).Is(200).IDs("match"); !slices.Equal(got, want) {
			t.Errorf("family=%s found %v, want %v", value, got, want)
		}
		if got := s.Get("/Patient?family:contains=" + value).Is(200).IDs("match"); !slices.Equal(got, want) {
			t.Errorf("family:contains=%s found %v, want %v", value, got, want)
		}
	}
	// unknown modifiers are not an empty 200
	s.Get("/Patient?family:soundex=x").Is(400)
	s.Get("/Patient?gender:exact=male").Is(400)
	// unknown types are not stored
	s.Post("/Foo", `{"resourceType":"Foo"}`).Is(404)
	s.Post("/Patient", `{"resourceType":"Foo"}`).Is(400)
	// _revinclude looks at its parameter
	s.Put("/Observation/subject", `{"resourceType":"Observation","id":"subject","status":"final","code":{"text":"c"},"subject":{"reference":"Patient/w0"}}`).Is(201)
	s.Put("/Observation/performer", `{"resourceType":"Observation","id":"performer","status":"final","code":{"text":"c"},"performer":[{"reference":"Patient/w0"}]}`).Is(201)
	if got := s.Get("/Patient?_id=w0&_revinclude=Observation:performer").Is(200).IDs("include"); !slices.Equal(got, []string{"Observation/performer"}) {
		t.Errorf("_revinclude: %v", got)
	}
	s.Get("/Patient?_revinclude=Observation:colour").Is(400)
	s.Get("/Patient?_include=Patient:colour").Is(400)
	// a search is no id
	s.Get("/Patient/$docref").Is(404)
}

// What a page includes beyond the ceiling is reached by its links.
func TestManyIncludes(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{Interaction: func(c *interaction.Config) { c.Search.Includes = 4 }})
	people(t, s, 3)
	var entries, want []string
	for i := range 23 {
		id := fmt.Sprintf("o%02d", i)
		entries = append(entries, entryOf("", fmt.Sprintf(`{"resourceType":"Observation","id":"%s","status":"final","code":{"text":"c"},"subject":{"reference":"Patient/p%03d"}}`, id, i%3), "PUT", "Observation/"+id))
		want = append(want, "Observation/"+id)
	}
	s.Post("", transaction(entries...)).Is(200)
	for _, query := range []string{"_count=2", "", "_sort=birthdate&_count=1", "_sort=-family&_count=2"} {
		var matches, includes []string
		pages := 0
		for target := "/Patient?_revinclude=Observation:subject&" + query; target != ""; pages++ {
			a := s.Get(target).Is(200)
			matches, includes = append(matches, a.IDs("match")...), append(includes, a.IDs("include")...)
			if n := len(a.IDs("include")); n > 4 || n == 4 && len(a.IDs("outcome")) == 0 && len(includes) < 23 && pages == 0 {
				t.Errorf("%s: page %d: %s", query, pages, a.Body)
			}
			if again := s.Get(a.Link("self")).Is(200); !slices.Equal(again.IDs(""), a.IDs("")) {
				t.Errorf("%s: self of page %d: %v, not %v", query, pages, again.IDs(""), a.IDs(""))
			}
			target = a.Link("next")
		}
		slices.Sort(includes)
		slices.Sort(matches)
		if !slices.Equal(includes, want) || !slices.Equal(matches, []string{"Patient/p000", "Patient/p001", "Patient/p002"}) || pages < 6 {
			t.Errorf("%s: %d pages with %v and %v", query, pages, matches, includes)
		}
	}
}

// A resource whose words are not all indexed is stored, and the answer says so.
func TestManyWords(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{Interaction: func(c *interaction.Config) { c.Registry.EnableFullText() }})
	var b strings.Builder
	for i := range 80_000 { // in one string at most 1 MB
		fmt.Fprintf(&b, "word%06d ", i)
	}
	put := func(id, words string) *servertest.Answer {
		return s.Put("/DocumentReference/"+id, `{"resourceType":"DocumentReference","id":"`+id+`","status":"current","description":"`+words+`","content":[{"attachment":{"title":"x"}}]}`,
			"Prefer", "return=OperationOutcome").Is(201)
	}
	put("many", b.String()).Has("the first of them")
	if a := put("few", "hello"); strings.Contains(string(a.Body), "the first of them") {
		t.Errorf("%s", a.Body)
	}
	s.Get("/DocumentReference?_content=word000001&_elements=id").Is(200).Has("DocumentReference/many")
}

// A search parameter that users add is in the CapabilityStatement from the moment
// it can be searched by, and until it is taken away.
func TestCapabilitiesFollowParameters(t *testing.T) {
	t.Parallel()
	var reg *search.Registry
	s := servertest.Start(t, servertest.Options{Interaction: func(c *interaction.Config) { reg = c.Registry }})
	def := &fhir.SearchParam{URL: "http://example.org/sp/nick", Code: "nick", Type: "string", Base: []string{"Patient"}, Expression: "Patient.name.given"}
	listed := func(state string, want bool) {
		t.Helper()
		if got := strings.Contains(string(s.Get("/metadata").Is(200).Body), `"nick"`); got != want {
			t.Errorf("%s: listed is %v", state, got)
		}
	}
	listed("unknown", false)
	for _, state := range []search.State{search.Building, search.Active} {
		if err := reg.Add(def, state); err != nil {
			t.Fatal(err)
		}
		listed(state.String(), state == search.Active)
	}
	reg.Remove(def.URL)
	listed("removed", false)
}

// A reference with a version is followed to the resource as it is now; where that
// is another version, the page says so.
func TestSearchVersions(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	s.Put("/Patient/p", `{"resourceType":"Patient","id":"p","name":[{"family":"A"}]}`).Is(201)
	s.Put("/Observation/o", `{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p/_history/1"}}`).Is(201)
	says := func(query string, want bool) {
		t.Helper()
		a := s.Get("/Observation?_id=o" + query).Is(200).Has("Observation/o")
		if got := strings.Contains(string(a.Body), "go to the resource as it is now"); got != want {
			t.Errorf("%s: %s", query, a.Body)
		}
	}
	says("&_include=Observation:subject", false)
	s.Put("/Patient/p", `{"resourceType":"Patient","id":"p","name":[{"family":"B"}]}`).Is(200)
	says("&_include=Observation:subject", true)
	says("&subject:Patient.name=b", true)
	says("", false)
}
