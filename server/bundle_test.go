package server_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"ingle/fhir"
	"ingle/interaction"
	"ingle/internal/testdata"
	"ingle/server/servertest"
)

func transaction(entries ...string) string {
	return `{"resourceType":"Bundle","type":"transaction","entry":[` + strings.Join(entries, ",") + `]}`
}

func batch(entries ...string) string {
	return `{"resourceType":"Bundle","type":"batch","entry":[` + strings.Join(entries, ",") + `]}`
}

// entryOf makes an entry; more are further members of request ("ifMatch":"…").
func entryOf(fullURL, resource, method, url string, more ...string) string {
	var b strings.Builder
	b.WriteString("{")
	if fullURL != "" {
		fmt.Fprintf(&b, `"fullUrl":%q,`, fullURL)
	}
	if resource != "" {
		fmt.Fprintf(&b, `"resource":%s,`, resource)
	}
	u, _ := json.Marshal(url)
	fmt.Fprintf(&b, `"request":{"method":%q,"url":%s`, method, u)
	for _, m := range more {
		b.WriteString("," + m)
	}
	b.WriteString("}}")
	return b.String()
}

func TestTransactionReferences(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	a := s.Post("", transaction(
		entryOf("urn:uuid:11111111-1111-4111-8111-111111111111", `{"resourceType":"Encounter","id":"not-kept","status":"finished","class":{"code":"AMB"},"reasonReference":[{"reference":"urn:uuid:22222222-2222-4222-8222-222222222222"}]}`, "POST", "Encounter"),
		entryOf("urn:uuid:22222222-2222-4222-8222-222222222222", `{"resourceType":"Procedure","status":"completed","subject":{"reference":"https://x.org/fhir/Patient/new"},"encounter":{"reference":"urn:uuid:11111111-1111-4111-8111-111111111111"}}`, "POST", "Procedure"),
		entryOf("https://x.org/fhir/Patient/new", `{"resourceType":"Patient","id":"new","link":[{"other":{"reference":"Patient/new"},"type":"seealso"}]}`, "POST", "Patient"),
		entryOf("https://x.org/fhir/Observation/o", `{"resourceType":"Observation","id":"o","status":"final","code":{"text":"c"},"subject":{"reference":"Patient/new"},"focus":[{"reference":"Patient/elsewhere"},{"reference":"#in"},{"reference":"https://other.org/fhir/Patient/9"}],"contained":[{"resourceType":"Basic","id":"in","code":{"text":"x"},"subject":{"reference":"urn:oid:1.2.3"}}],"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><a href=\"https://x.org/fhir/Patient/new\">p</a> <img src='urn:oid:1.2.3'/> <a href=\"#in\">i</a></div>"}}`, "PUT", "Observation/o"),
		entryOf("urn:oid:1.2.3", `{"resourceType":"DocumentReference","status":"current","content":[{"attachment":{"url":"https://x.org/fhir/Patient/new"}}],"identifier":[{"system":"http://s","value":"urn:oid:1.2.3"}]}`, "POST", "DocumentReference"),
	)).Is(200)
	if a.Text("type") != "transaction-response" {
		t.Fatalf("%s", a.Body)
	}
	place := func(i int) string {
		l := a.Text(fmt.Sprintf("entry.%d.response.location", i))
		before, _, _ := strings.Cut(l, "/_history/")
		return before
	}
	encounter, procedure, patient, doc := place(0), place(1), place(2), place(4)
	for i, want := range []string{"Encounter/", "Procedure/", "Patient/", "Observation/o", "DocumentReference/"} {
		if !strings.HasPrefix(place(i), want) || a.Text(fmt.Sprintf("entry.%d.response.status", i)) != "201 Created" || a.Text(fmt.Sprintf("entry.%d.response.etag", i)) != `W/"1"` {
			t.Errorf("entry %d: %s", i, a.Text(fmt.Sprintf("entry.%d.response.location", i)))
		}
	}
	if encounter == "Encounter/not-kept" || patient == "Patient/new" {
		t.Error("a POST kept the client's id")
	}
	for path, want := range map[string][2]string{
		"/" + encounter:       {"reasonReference.0.reference", procedure},
		"/" + procedure:       {"encounter.reference", encounter},
		"/" + patient:         {"link.0.other.reference", patient},
		"/Observation/o":      {"subject.reference", patient},
		"/" + doc:             {"content.0.attachment.url", patient},
		"/" + procedure + "/": {"subject.reference", patient},
	} {
		if got := s.Get(path).Is(200).Text(want[0]); got != want[1] {
			t.Errorf("%s %s is %q, want %q", path, want[0], got, want[1])
		}
	}
	o := s.Get("/Observation/o").Is(200)
	for path, want := range map[string]string{"focus.0.reference": "Patient/elsewhere", "focus.1.reference": "#in", "focus.2.reference": "https://other.org/fhir/Patient/9", "contained.0.subject.reference": doc} {
		if got := o.Text(path); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	if div := o.Text("text.div"); !strings.Contains(div, `href="`+patient+`"`) || !strings.Contains(div, `src='`+doc+`'`) || !strings.Contains(div, `href="#in"`) {
		t.Errorf("narrative: %s", div)
	}
	if got := s.Get("/" + doc).Is(200).Text("identifier.0.value"); got != "urn:oid:1.2.3" {
		t.Errorf("an identifier was rewritten: %s", got)
	}
	// the index knows the rewritten references
	if got := s.Get("/Procedure?encounter=" + encounter).Is(200).IDs("match"); len(got) != 1 || got[0] != procedure {
		t.Errorf("found %v", got)
	}
}

func TestTransactionConditionals(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	const who = `{"resourceType":"Practitioner","identifier":[{"system":"http://npi","value":"1"}]}`
	known := "Practitioner/" + s.Post("/Practitioner", who).Is(201).ID()
	obs := func(performer string) string {
		return `{"resourceType":"Observation","status":"final","code":{"text":"c"},"performer":[{"reference":"` + performer + `"}]}`
	}
	// a reference to a conditional create that finds its resource, and a conditional reference
	a := s.Post("", transaction(
		entryOf("urn:uuid:a", who, "POST", "Practitioner", `"ifNoneExist":"identifier=http://npi|1"`),
		entryOf("", obs("urn:uuid:a"), "POST", "Observation"),
		entryOf("", obs("Practitioner?identifier=http://npi|1"), "POST", "Observation"),
		entryOf("urn:uuid:b", strings.Replace(who, `"1"`, `"2"`, 1), "POST", "Practitioner", `"ifNoneExist":"identifier=http://npi|2"`),
		entryOf("", obs("urn:uuid:b"), "POST", "Observation"),
		entryOf("", obs("Practitioner?identifier=http://npi|2"), "POST", "Observation"),
		entryOf("urn:uuid:c", strings.Replace(who, `"1"`, `"3"`, 1), "PUT", "Practitioner?identifier=http://npi|3"),
		entryOf("", obs("urn:uuid:c"), "POST", "Observation"),
	)).Is(200)
	location := func(i int) string {
		before, _, _ := strings.Cut(a.Text(fmt.Sprintf("entry.%d.response.location", i)), "/_history/")
		return before
	}
	if location(0) != known || !strings.HasPrefix(a.Text("entry.0.response.status"), "200") {
		t.Errorf("entry 0: %s %s, want %s", a.Text("entry.0.response.status"), location(0), known)
	}
	for i, want := range map[int]string{1: known, 2: known, 4: location(3), 5: location(3), 7: location(6)} {
		if got := s.Get("/" + location(i)).Is(200).Text("performer.0.reference"); got != want || want == "" {
			t.Errorf("entry %d points to %q, want %q", i, got, want)
		}
	}
	if n := s.Get("/Practitioner?_summary=count").Is(200).Text("total"); n != "3" {
		t.Errorf("%s practitioners, want 3", n)
	}
	// none or several matches name the entry
	s.Post("/Practitioner", who).Is(201)
	for _, ref := range []string{"Practitioner?identifier=http://npi|1", "Practitioner?identifier=http://npi|none"} {
		bad := s.Post("", transaction(entryOf("", `{"resourceType":"Patient"}`, "POST", "Patient"), entryOf("", obs(ref), "POST", "Observation"))).Is(412)
		if !strings.Contains(bad.Text("issue.0.diagnostics"), "Bundle.entry[1]") || bad.Text("issue.0.expression.0") != "Bundle.entry[1].resource.performer[0].reference" {
			t.Errorf("%s: %s", ref, bad.Body)
		}
	}
	if n := s.Get("/Patient?_summary=count").Is(200).Text("total"); n != "0" {
		t.Errorf("a failed transaction left %s patients", n)
	}
	bad := s.Post("", transaction(entryOf("", obs("Practitioner?colour=red"), "POST", "Observation"))).Is(400)
	if !strings.Contains(string(bad.Body), "Bundle.entry[0]") {
		t.Errorf("%s", bad.Body)
	}
	// the same conditional create twice is one resource
	a = s.Post("", transaction(
		entryOf("urn:uuid:d", strings.Replace(who, `"1"`, `"4"`, 1), "POST", "Practitioner", `"ifNoneExist":"identifier=http://npi|4"`),
		entryOf("urn:uuid:e", strings.Replace(who, `"1"`, `"4"`, 1), "POST", "Practitioner", `"ifNoneExist":"identifier=http://npi|4"`),
	)).Is(200)
	if location(0) != location(1) {
		t.Errorf("%s and %s", location(0), location(1))
	}
	// conditional delete and patch
	s.Post("", transaction(
		entryOf("", "", "DELETE", "Practitioner?identifier=http://npi|4"),
		entryOf("", `{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"add"},{"name":"path","valueString":"Practitioner"},{"name":"name","valueString":"active"},{"name":"value","valueBoolean":true}]}]}`, "PATCH", "Practitioner?identifier=http://npi|3"),
		entryOf("", `{"resourceType":"Binary","contentType":"application/json-patch+json","data":"W3sib3AiOiJhZGQiLCJwYXRoIjoiL2FjdGl2ZSIsInZhbHVlIjp0cnVlfV0="}`, "PATCH", "Practitioner?identifier=http://npi|2"),
	)).Is(200)
	if n := s.Get("/Practitioner?active=true").Is(200).IDs("match"); len(n) != 2 {
		t.Errorf("patched: %v", n)
	}
	s.Get("/" + location(0)).Is(410)
}

func TestTransactionOrder(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	s.Put("/Patient/old", `{"resourceType":"Patient","id":"old","identifier":[{"value":"k"}]}`).Is(201)
	s.Put("/Patient/upd", `{"resourceType":"Patient","id":"upd"}`).Is(201)
	// GET sees everything, POST comes after DELETE, the answers are in the order of the request
	a := s.Post("", transaction(
		entryOf("", "", "GET", "Patient?identifier=k"),
		entryOf("", "", "GET", "Patient/upd"),
		entryOf("", `{"resourceType":"Patient","id":"upd","active":true}`, "PUT", "Patient/upd", `"ifMatch":"W/\"1\""`),
		entryOf("", `{"resourceType":"Patient","identifier":[{"value":"k"}]}`, "POST", "Patient", `"ifNoneExist":"identifier=k"`),
		entryOf("", "", "DELETE", "Patient/old"),
		entryOf("", "", "HEAD", "Patient/upd"),
		entryOf("", "", "GET", "Patient/upd", `"ifNoneMatch":"W/\"2\""`),
	)).Is(200)
	for path, want := range map[string]string{
		"entry.0.resource.type": "searchset", "entry.0.resource.total": "1", "entry.1.resource.active": "true", "entry.1.response.etag": `W/"2"`,
		"entry.2.response.status": "200 OK", "entry.3.response.status": "201 Created", "entry.4.response.status": "204 No Content", "entry.6.response.status": "304 Not Modified",
	} {
		if got := a.Text(path); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	if id := a.Text("entry.0.resource.entry.0.resource.id"); id == "old" || id == "" {
		t.Errorf("the search in the transaction found %q", id)
	}
	s.Get("/Patient/old").Is(410)
}

func TestTransactionIsAllOrNothing(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	s.Put("/Patient/p", `{"resourceType":"Patient","id":"p","identifier":[{"value":"k"}]}`).Is(201)
	good := entryOf("urn:uuid:g", `{"resourceType":"Basic","code":{"text":"x"}}`, "POST", "Basic")
	for name, c := range map[string]struct {
		status  int
		at      string
		entries []string
	}{
		"invalid resource":         {400, "Bundle.entry[1].resource.birthDate", []string{good, entryOf("", `{"resourceType":"Patient","birthDate":"soon"}`, "POST", "Patient")}},
		"stale If-Match":           {412, "Bundle.entry[1]", []string{good, entryOf("", `{"resourceType":"Patient","id":"p"}`, "PUT", "Patient/p", `"ifMatch":"W/\"9\""`)}},
		"missing resource":         {400, "Bundle.entry[1]", []string{good, entryOf("", "", "POST", "Patient")}},
		"missing request":          {400, "Bundle.entry[1]", []string{good, `{"resource":{"resourceType":"Patient"}}`}},
		"bad method":               {400, "Bundle.entry[1]", []string{good, entryOf("", "", "LINK", "Patient")}},
		"bad url":                  {400, "Bundle.entry[1]", []string{good, entryOf("", "", "GET", "Nothing/1")}},
		"other server":             {400, "Bundle.entry[1]", []string{good, entryOf("", "", "GET", "https://other.org/fhir/Patient/1")}},
		"read of nothing":          {400, "Bundle.entry[1]", []string{good, entryOf("", "", "GET", "Patient/none")}},
		"wrong id":                 {400, "Bundle.entry[1].resource.id", []string{good, entryOf("", `{"resourceType":"Patient","id":"q"}`, "PUT", "Patient/p")}},
		"wrong type":               {400, "Bundle.entry[1]", []string{good, entryOf("", `{"resourceType":"Group","type":"person","actual":true}`, "POST", "Patient")}},
		"same id twice":            {400, "Bundle.entry[2]", []string{good, entryOf("", `{"resourceType":"Patient","id":"p"}`, "PUT", "Patient/p"), entryOf("", "", "DELETE", "Patient/p")}},
		"same fullUrl twice":       {400, "Bundle.entry[1]", []string{good, good}},
		"same criteria twice":      {400, "Bundle.entry[2]", []string{good, entryOf("", `{"resourceType":"Patient"}`, "PUT", "Patient?identifier=z"), entryOf("", `{"resourceType":"Patient"}`, "PUT", "Patient?identifier=z")}},
		"id and criteria overlap":  {400, "Bundle.entry[2]", []string{good, entryOf("", `{"resourceType":"Patient","id":"p"}`, "PUT", "Patient/p"), entryOf("", `{"resourceType":"Patient"}`, "PUT", "Patient?identifier=k")}},
		"criteria of two overlap":  {400, "Bundle.entry[1]", []string{good, entryOf("", `{"resourceType":"Patient"}`, "PUT", "Patient?_id=p"), entryOf("", "", "DELETE", "Patient?identifier=k")}},
		"unknown urn":              {400, "Bundle.entry[1].resource.subject.reference", []string{good, entryOf("", `{"resourceType":"Basic","code":{"text":"x"},"subject":{"reference":"urn:uuid:none"}}`, "POST", "Basic")}},
		"patch of nothing":         {400, "Bundle.entry[1]", []string{good, entryOf("", `{"resourceType":"Parameters"}`, "PATCH", "Patient/none")}},
		"patch of the wrong kind":  {415, "Bundle.entry[1]", []string{good, entryOf("", `{"resourceType":"Patient"}`, "PATCH", "Patient/p")}},
		"Bundle inside":            {400, "Bundle.entry[1]", []string{good, entryOf("", transaction(good), "POST", "")}},
		"resource is a string":     {400, "Bundle.entry[1]", []string{good, entryOf("", `"x"`, "POST", "Patient")}},
		"entry is a number":        {400, "Bundle.entry[1]", []string{good, "7"}},
		"unknown element of entry": {400, "Bundle.entry[1]", []string{good, `{"colour":1,"request":{"method":"GET","url":"Patient"}}`}},
		"url is a number":          {400, "Bundle.entry[1]", []string{good, `{"request":{"method":"GET","url":7}}`}},
		"unknown parameter":        {400, "Bundle.entry[1]", []string{good, entryOf("", "", "GET", "Patient?colour=red")}},
		"SUBSETTED":                {422, "Bundle.entry[1].resource.meta.tag", []string{good, entryOf("", `{"resourceType":"Patient","id":"p","meta":{"tag":[{"code":"SUBSETTED"}]}}`, "PUT", "Patient/p")}},
		"referred to":              {409, "", []string{good, entryOf("", `{"resourceType":"Basic","code":{"text":"x"},"subject":{"reference":"Patient/p"}}`, "POST", "Basic"), entryOf("", "", "DELETE", "Patient/p")}},
	} {
		a := s.Post("", transaction(c.entries...))
		if a.Status != c.status {
			t.Errorf("%s: status %d, want %d: %s", name, a.Status, c.status, a.Body)
			continue
		}
		a.Is(c.status)
		if c.at != "" && a.Text("issue.0.expression.0") != c.at {
			t.Errorf("%s: expression %q, want %q: %s", name, a.Text("issue.0.expression.0"), c.at, a.Body)
		}
		if c.at != "" && !strings.Contains(a.Text("issue.0.diagnostics"), "Bundle.entry[") {
			t.Errorf("%s: the entry is not named: %s", name, a.Body)
		}
	}
	if n := s.Get("/Basic?_summary=count").Is(200).Text("total"); n != "0" {
		t.Errorf("failed transactions left %s resources", n)
	}
	if a := s.Get("/Patient/p").Is(200); a.Header.Get("ETag") != `W/"1"` {
		t.Errorf("Patient/p is at %s", a.Header.Get("ETag"))
	}
}

func TestBatch(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	a := s.Post("", batch(
		entryOf("", `{"resourceType":"Patient","id":"a"}`, "PUT", "Patient/a"),
		entryOf("", `{"resourceType":"Patient","birthDate":"soon"}`, "POST", "Patient"),
		entryOf("", "", "GET", "Patient/a"),
		entryOf("", "", "GET", "Patient/none"),
		entryOf("", "", "GET", "Patient?_id=a"),
		"7",
		entryOf("", "", "DELETE", "Patient/a", `"ifMatch":"W/\"3\""`),
		entryOf("", "", "GET", "metadata"),
		entryOf("", "", "GET", "/Patient/a/_history"),
		entryOf("", "", "GET", s.Base+"/Patient/a"),
		entryOf("", "", "GET", "$nope"),
	)).Is(200)
	if a.Text("type") != "batch-response" {
		t.Fatalf("%s", a.Body)
	}
	for i, want := range []string{"201 Created", "400 Bad Request", "200 OK", "404 Not Found", "200 OK", "400 Bad Request", "412 Precondition Failed", "200 OK", "200 OK", "200 OK", "404 Not Found"} {
		if got := a.Text(fmt.Sprintf("entry.%d.response.status", i)); got != want {
			t.Errorf("entry %d: %q, want %q", i, got, want)
		}
	}
	if a.Text("entry.1.response.outcome.resourceType") != "OperationOutcome" || a.Text("entry.1.response.outcome.issue.0.expression.0") != "Bundle.entry[1].resource.birthDate" {
		t.Errorf("%s", servertest.At(a.Root(), "entry.1").Raw())
	}
	if a.Text("entry.2.resource.id") != "a" || a.Text("entry.4.resource.total") != "1" || a.Text("entry.0.resource.id") != "" {
		t.Errorf("%s", a.Body)
	}
	full := s.Post("", batch(entryOf("", `{"resourceType":"Patient"}`, "POST", "Patient")), "Prefer", "return=representation").Is(200)
	if full.Text("entry.0.resource.resourceType") != "Patient" {
		t.Errorf("%s", full.Body)
	}
	s.Post("", `{"resourceType":"Bundle","type":"batch"}`).Is(200)
	s.Post("", `{"resourceType":"Bundle","type":"transaction","entry":[]}`).Is(200, 400)
	s.Post("", `{"resourceType":"Bundle","type":"collection"}`).Is(400)
	s.Post("", `{"resourceType":"Bundle"}`).Is(400)
	s.Post("", `{"resourceType":"Patient"}`).Is(400)
	s.Post("", "").Is(400)
}

func TestBundleEntries(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{Interaction: func(c *interaction.Config) { c.BundleEntries = 3 }})
	e := entryOf("", `{"resourceType":"Patient"}`, "POST", "Patient")
	s.Post("", transaction(e, e, e)).Is(200)
	s.Post("", transaction(e, e, e, e)).Is(413)
	if n := s.Get("/Patient?_summary=count").Is(200).Text("total"); n != "3" {
		t.Errorf("%s patients", n)
	}
}

// Positions of faults are those of the Bundle, not of the entry.
func TestPositionsInBundles(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	for _, kind := range []string{"batch", "transaction"} {
		body := "{\"resourceType\":\"Bundle\",\"type\":\"" + kind + "\",\"entry\":[\n {\"resource\":\n  {\"resourceType\":\"Patient\",\n   \"colour\":1},\n  \"request\":{\"method\":\"POST\",\"url\":\"Patient\"}}]}"
		a := s.Post("", body)
		issue := a.Root().Get("issue").First()
		if kind == "batch" {
			issue = servertest.At(a.Is(200).Root(), "entry.0.response.outcome.issue.0")
		}
		line, col := servertest.At(issue, "extension.1.valueInteger").Text(), servertest.At(issue, "extension.2.valueInteger").Text()
		if line != "4" || col != "4" {
			t.Errorf("%s: line %s, column %s; want 4, 4: %s", kind, line, col, a.Body)
		}
	}
}

// Real Bundles: everything arrives, and references lead somewhere.
func TestSyntheaBundles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		archive string
		bundles int
	}{{"synthea/synthea-2.4.0-2019.tar.zst", 2}, {"synthea/synthea-2021-uscore.tar.zst", 4}} {
		t.Run(c.archive, func(t *testing.T) {
			t.Parallel()
			files := testdata.Files(t, c.archive)
			s := servertest.Start(t)
			want := map[string]int{}
			sent := 0
			send := func(f testdata.File) {
				doc, err := fhir.Parse(f.Data, fhir.Limits{Nodes: 1 << 24})
				if err != nil {
					t.Fatal(err)
				}
				sent++
				for e := doc.Root().Get("entry").First(); e.Valid(); e = e.Next() {
					want[e.Get("resource").Get("resourceType").Text()]++
				}
				a := s.Post("", string(f.Data)).Is(200)
				for e := a.Root().Get("entry").First(); e.Valid(); e = e.Next() {
					if st := e.Get("response").Get("status").Text(); !strings.HasPrefix(st, "20") {
						t.Fatalf("%s: %s", f.Name, e.Raw())
					}
				}
			}
			for _, f := range files { // what the others refer to by criteria
				if strings.Contains(f.Name, "Information") {
					send(f)
				}
			}
			for _, f := range files {
				if strings.HasSuffix(f.Name, ".json") && !strings.Contains(f.Name, "Information") && sent < c.bundles {
					send(f)
				}
			}
			for typ, n := range want {
				if got := s.Get("/" + typ + "?_summary=count").Is(200).Text("total"); got != fmt.Sprint(n) {
					t.Errorf("%s: %s of %d", typ, got, n)
				}
			}
			a := s.Get("/Observation?_count=200&_include=Observation:subject").Is(200)
			for e := a.Root().Get("entry").First(); e.Valid(); e = e.Next() {
				if r := e.Get("resource"); r.Get("resourceType").Text() == "Observation" && !strings.HasPrefix(r.Get("subject").Get("reference").Text(), "Patient/") {
					t.Fatalf("a reference stayed %s", r.Get("subject").Raw())
				}
			}
		})
	}
}
