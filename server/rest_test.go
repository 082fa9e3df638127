package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"ingle/interaction"
	"ingle/server/servertest"
	"ingle/store"
)

const patient = `{"resourceType":"Patient","id":"p","name":[{"family":"Chalmers","given":["Peter"]}],"gender":"male","birthDate":"1974-12-25"}`

func TestCreateReadUpdateDelete(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	a := s.Post("/Patient", `{"resourceType":"Patient","id":"mine","meta":{"versionId":"7","lastUpdated":"1999-01-01T00:00:00Z","tag":[{"code":"x"}]},"gender":"male"}`).Is(201)
	id := a.ID()
	if id == "mine" || len(id) != 36 {
		t.Errorf("the id is %q: a POST never keeps the client's", id)
	}
	if want := s.Base + "/Patient/" + id + "/_history/1"; a.Header.Get("Location") != want {
		t.Errorf("Location %q, want %q", a.Header.Get("Location"), want)
	}
	if a.Header.Get("ETag") != `W/"1"` || a.Header.Get("Content-Type") != "application/fhir+json; charset=utf-8" {
		t.Errorf("headers %v", a.Header)
	}
	if _, err := http.ParseTime(a.Header.Get("Last-Modified")); err != nil {
		t.Error(err)
	}
	if a.Text("meta.versionId") != "1" || a.Text("meta.tag.0.code") != "x" || a.Text("id") != id || strings.Contains(a.Text("meta.lastUpdated"), "1999") {
		t.Errorf("created as %s", a.Body)
	}
	read := s.Get("/Patient/" + id).Is(200)
	if read.Header.Get("ETag") != `W/"1"` || read.Text("gender") != "male" || read.Header.Get("Last-Modified") != a.Header.Get("Last-Modified") {
		t.Errorf("read %v %s", read.Header, read.Body)
	}
	for _, path := range []string{"", "/_history/1"} {
		if body := s.Get("/Patient/" + id + path).Is(200).Body; !strings.HasPrefix(string(body), `{"resourceType"`) {
			t.Errorf("resourceType is not where readers look for it: %s", body)
		}
	}
	s.Get("/Patient/" + id + "/").Is(200)
	u := s.Put("/Patient/"+id, `{"resourceType":"Patient","id":"`+id+`","gender":"female"}`).Is(200)
	if u.Header.Get("ETag") != `W/"2"` || u.Text("meta.versionId") != "2" {
		t.Errorf("updated as %s", u.Body)
	}
	if v := s.Get("/Patient/" + id + "/_history/1").Is(200); v.Text("gender") != "male" || v.Header.Get("ETag") != `W/"1"` {
		t.Errorf("version 1: %s", v.Body)
	}
	s.Get("/Patient/" + id + "/_history/3").Is(404)
	s.Get("/Patient/" + id + "/_history/01").Is(404)
	d := s.Delete("/Patient/" + id).Is(204)
	if d.Header.Get("ETag") != `W/"3"` || len(d.Body) != 0 {
		t.Errorf("deleted: %v %s", d.Header, d.Body)
	}
	g := s.Get("/Patient/" + id).Is(410)
	if g.Text("issue.0.code") != "deleted" {
		t.Errorf("after the deletion: %s", g.Body)
	}
	s.Get("/Patient/" + id + "/_history/3").Is(410)
	s.Get("/Patient/" + id + "/_history/2").Is(200)
	s.Delete("/Patient/" + id).Is(204)
	s.Delete("/Patient/never").Is(204)
	if b := s.Put("/Patient/"+id, `{"resourceType":"Patient","id":"`+id+`","active":true}`).Is(201); b.Header.Get("ETag") != `W/"4"` {
		t.Errorf("back to life as %s", b.Header.Get("ETag"))
	}
	s.Get("/Patient/never").Is(404)
}

func TestHead(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	s.Put("/Patient/p", patient).Is(201)
	for _, path := range []string{"/Patient/p", "/Patient/p/_history/1", "/Patient?gender=male", "/metadata", "/Patient/p/_history"} {
		get, head := s.Get(path).Is(200), s.Do("HEAD", path, "").Is(200)
		if len(head.Body) != 0 {
			t.Errorf("%s: HEAD has a body", path)
		}
		for _, h := range []string{"ETag", "Last-Modified", "Content-Type"} {
			if get.Header.Get(h) != head.Header.Get(h) {
				t.Errorf("%s: %s is %q by GET, %q by HEAD", path, h, get.Header.Get(h), head.Header.Get(h))
			}
		}
	}
	s.Do("HEAD", "/Patient/none", "").Is(404)
	if a := s.Do("HEAD", "/Patient/p", "", "If-None-Match", `W/"1"`); a.Status != 304 {
		t.Errorf("HEAD with the current ETag: %d", a.Status)
	}
}

func TestUpdateCreateSwitch(t *testing.T) {
	t.Parallel()
	on := servertest.Start(t)
	on.Put("/Patient/new-1", `{"resourceType":"Patient","id":"new-1"}`).Is(201)
	off := servertest.Start(t, servertest.Options{Interaction: func(c *interaction.Config) { c.UpdateCreate = false }})
	off.Put("/Patient/new-1", `{"resourceType":"Patient","id":"new-1"}`).Is(405)
	off.Get("/Patient/new-1").Is(404)
	ids := servertest.Start(t, servertest.Options{Interaction: func(c *interaction.Config) { c.ClientIDs = interaction.ClientIDsAlphanumeric }})
	ids.Put("/Patient/123", `{"resourceType":"Patient","id":"123"}`).Is(400)
	ids.Put("/Patient/a123", `{"resourceType":"Patient","id":"a123"}`).Is(201)
}

func TestPreconditions(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	made := s.Put("/Patient/p", patient).Is(201)
	s.Put("/Patient/p", patient, "If-Match", `W/"7"`).Is(412)
	s.Put("/Patient/p", patient, "If-Match", `W/"1"`).Is(200)
	s.Put("/Patient/p", patient, "If-Match", `W/"1"`).Is(412)
	s.Put("/Patient/p", patient, "If-None-Match", `*`).Is(412)
	s.Put("/Patient/q", strings.Replace(patient, `"p"`, `"q"`, 1), "If-Match", `*`).Is(412)
	s.Put("/Patient/q", strings.Replace(patient, `"p"`, `"q"`, 1), "If-None-Match", `*`).Is(201)
	s.Delete("/Patient/q", "If-Match", `W/"2"`).Is(412)
	s.Delete("/Patient/q", "If-Match", `"1"`).Is(204)
	s.Do("PATCH", "/Patient/p", `[]`, "Content-Type", "application/json-patch+json", "If-Match", `W/"1"`).Is(412)
	if v := s.Get("/Patient/p/_history").Is(200); v.Text("total") != "2" {
		t.Errorf("versions: %s", v.Text("total"))
	}
	a := s.Get("/Patient/p", "If-None-Match", `W/"2"`)
	if a.Status != 304 || len(a.Body) != 0 || a.Header.Get("ETag") != `W/"2"` {
		t.Errorf("If-None-Match: %d %v %s", a.Status, a.Header, a.Body)
	}
	s.Get("/Patient/p", "If-None-Match", `W/"1", W/"2"`).Is(304)
	s.Get("/Patient/p", "If-None-Match", `W/"1"`).Is(200)
	read := s.Get("/Patient/p").Is(200)
	s.Get("/Patient/p", "If-Modified-Since", read.Header.Get("Last-Modified")).Is(304)
	s.Get("/Patient/p", "If-Modified-Since", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)).Is(200)
	s.Get("/Patient/p", "If-Modified-Since", read.Header.Get("Last-Modified"), "If-None-Match", `W/"1"`).Is(200)
	s.Get("/Patient/p", "If-Modified-Since", "yesterday").Is(200)
	_ = made
	other := servertest.Start(t, servertest.Options{Interaction: func(c *interaction.Config) { c.NotModifiedOnPut = true }})
	other.Put("/Patient/p", patient, "If-None-Match", "*").Is(201)
	other.Put("/Patient/p", patient, "If-None-Match", "*").Is(304)
}

func TestPrefer(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	for _, c := range []struct{ prefer, has string }{
		{"return=minimal", ""},
		{"return=representation", `"resourceType":"Patient"`},
		{"return=OperationOutcome", `"resourceType":"OperationOutcome"`},
		{"handling=lenient, return=minimal", ""},
		{"return=nonsense", `"resourceType":"Patient"`},
	} {
		a := s.Post("/Patient", patient, "Prefer", c.prefer).Is(201)
		if c.has == "" && len(a.Body) != 0 {
			t.Errorf("%s: %s", c.prefer, a.Body)
		}
		a.Has(c.has)
		if a.Header.Get("Location") == "" || a.Header.Get("ETag") == "" {
			t.Errorf("%s: headers %v", c.prefer, a.Header)
		}
	}
	s.Put("/Patient/p", patient, "Prefer", "return=minimal").Is(201)
	s.Delete("/Patient/p", "Prefer", "return=OperationOutcome").Is(200).Has("OperationOutcome")
}

func TestPatch(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	const jsonPatch = "application/json-patch+json"
	s.Put("/Patient/p", `{"resourceType":"Patient","id":"p","gender":"male","name":[{"family":"A"}],"extension":[{"url":"http://x","valueDecimal":1.00}]}`).Is(201)
	a := s.Do("PATCH", "/Patient/p", `[{"op":"replace","path":"/gender","value":"female"}]`, "Content-Type", jsonPatch).Is(200)
	if a.Header.Get("ETag") != `W/"2"` || a.Text("gender") != "female" {
		t.Errorf("%v %s", a.Header, a.Body)
	}
	s.Get("/Patient/p").Is(200).Has("1.00")
	for _, c := range []struct {
		patch  string
		status int
	}{
		{`[{"op":"test","path":"/gender","value":"male"},{"op":"remove","path":"/gender"}]`, 422},
		{`[{"op":"replace","path":"/gender","value":7}]`, 422},
		{`[{"op":"add","path":"/colour","value":"red"}]`, 422},
		{`[{"op":"replace","path":"/id","value":"q"}]`, 422},
		{`[{"op":"remove","path":"/id"}]`, 422},
		{`[{"op":"replace","path":"/resourceType","value":"Group"}]`, 422},
		{`{}`, 400},
		{`[{`, 400},
	} {
		s.Do("PATCH", "/Patient/p", c.patch, "Content-Type", jsonPatch).Is(c.status)
	}
	s.Do("PATCH", "/Patient/p", `{"a":1}`, "Content-Type", "application/merge-patch+json").Is(415)
	s.Do("PATCH", "/Patient/p", `<diff/>`, "Content-Type", "application/xml-patch+xml").Is(415)
	s.Do("PATCH", "/Patient/p", `{"resourceType":"Patient","id":"p"}`).Is(415)
	s.Do("PATCH", "/Patient/none", `[]`, "Content-Type", jsonPatch).Is(404)
	if v := s.Get("/Patient/p").Is(200); v.Header.Get("ETag") != `W/"2"` {
		t.Errorf("a failed patch made %s", v.Header.Get("ETag"))
	}
	a = s.Do("PATCH", "/Patient/p", `[{"op":"remove","path":"/name/0"}]`, "Content-Type", jsonPatch).Is(200)
	a.Lacks(`"name"`)
	a = s.Do("PATCH", "/Patient/p", `{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"add"},{"name":"path","valueString":"Patient"},{"name":"name","valueString":"birthDate"},{"name":"value","valueDate":"1970-01-01"}]}]}`).Is(200)
	if a.Text("birthDate") != "1970-01-01" || a.Header.Get("ETag") != `W/"4"` {
		t.Errorf("%s", a.Body)
	}
	if h := s.Get("/Patient/p/_history").Is(200); h.Text("entry.0.request.method") != "PATCH" {
		t.Errorf("in the history: %s", h.Text("entry.0.request.method"))
	}
	s.Delete("/Patient/p").Is(204)
	s.Do("PATCH", "/Patient/p", `[]`, "Content-Type", jsonPatch).Is(410)
}

func TestHistory(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	s.Put("/Patient/p", patient).Is(201)
	time.Sleep(5 * time.Millisecond)
	between := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	time.Sleep(5 * time.Millisecond)
	s.Put("/Patient/p", patient).Is(200)
	s.Delete("/Patient/p").Is(204)
	other := s.Post("/Practitioner", `{"resourceType":"Practitioner"}`).Is(201).ID()

	a := s.Get("/Patient/p/_history").Is(200)
	if a.Text("type") != "history" || a.Text("total") != "3" {
		t.Fatalf("%s", a.Body)
	}
	for path, want := range map[string]string{
		"entry.0.request.method": "DELETE", "entry.0.request.url": "Patient/p", "entry.0.response.status": "204 No Content",
		"entry.0.response.etag": `W/"3"`, "entry.0.fullUrl": s.Base + "/Patient/p", "entry.1.request.method": "PUT",
		"entry.1.response.status": "200 OK", "entry.1.resource.meta.versionId": "2", "entry.2.response.status": "201 Created",
		"entry.2.request.method": "PUT", "entry.2.resource.meta.versionId": "1", "entry.0.resource.id": "",
	} {
		if got := a.Text(path); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	if a.Text("entry.0.response.lastModified") == "" || a.Link("self") == "" {
		t.Errorf("%s", a.Body)
	}
	if a := s.Get("/Practitioner/" + other + "/_history").Is(200); a.Text("entry.0.request.method") != "POST" || a.Text("entry.0.request.url") != "Practitioner" {
		t.Errorf("%s", a.Body)
	}
	if a := s.Get("/Patient/p/_history?_since=" + between).Is(200); a.Text("total") != "2" {
		t.Errorf("since: %s", a.Text("total"))
	}
	if a := s.Get("/Patient/p/_history?_at=" + between).Is(200); a.Text("total") != "1" || a.Text("entry.0.resource.meta.versionId") != "1" {
		t.Errorf("at: %s", a.Body)
	}
	if a := s.Get("/_history").Is(200); len(a.IDs("")) != 4 || a.Text("entry.0.resource.resourceType") != "Practitioner" {
		t.Errorf("system: %v", a.IDs(""))
	}
	if a := s.Get("/Patient/_history").Is(200); a.Text("total") != "3" {
		t.Errorf("type: %s", a.Text("total"))
	}
	// paging
	var seen []string
	next := s.Base + "/_history?_count=1"
	for next != "" {
		a := s.Get(next).Is(200)
		seen = append(seen, a.Text("entry.0.response.etag")+a.Text("entry.0.fullUrl"))
		next = a.Link("next")
		if len(seen) > 10 {
			t.Fatal("the pages do not end")
		}
	}
	if len(seen) != 4 {
		t.Errorf("pages: %v", seen)
	}
	s.Get("/Patient/none/_history").Is(404)
	s.Get("/Patient/p/_history?_since=soon").Is(400)
	s.Get("/Patient/p/_history?_count=-1").Is(400)
	s.Get("/Patient/p/_history?_foo=1").Is(400)
	s.Get("/Patient/p/_history?_foo=1", "Prefer", "handling=lenient").Is(200)
	s.Get("/Patient/p/_history?_cursor=abc").Is(400)
	if a := s.Get("/Patient/_history?_count=0").Is(200); a.Text("total") != "3" || len(a.IDs("")) != 0 {
		t.Errorf("_count=0: %s", a.Body)
	}
}

func TestReferentialIntegrity(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	s.Put("/Patient/p", patient).Is(201)
	s.Put("/Observation/o", `{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p"}}`).Is(201)
	if a := s.Delete("/Patient/p").Is(409); !strings.Contains(a.Text("issue.0.diagnostics"), "Observation/o") {
		t.Errorf("the referrer is not named: %s", a.Body)
	}
	s.Put("/Observation/o2", `{"resourceType":"Observation","id":"o2","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/none"}}`).Is(201)
	// both in one transaction
	s.Post("", `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Patient/p"}},{"request":{"method":"DELETE","url":"Observation/o"}}]}`).Is(200)

	off := servertest.Start(t, servertest.Options{Store: func(o *store.Options) { o.CheckReferrers = false }})
	off.Put("/Patient/p", patient).Is(201)
	off.Put("/Observation/o", `{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p"}}`).Is(201)
	off.Delete("/Patient/p").Is(204)

	strict := servertest.Start(t, servertest.Options{Store: func(o *store.Options) { o.CheckReferences = true }})
	a := strict.Post("/Observation", `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p"}}`).Is(422)
	if a.Text("issue.0.expression.0") != "Observation.subject" || !strings.Contains(a.Text("issue.0.diagnostics"), "Patient/p") {
		t.Errorf("%s", a.Body)
	}
	strict.Post("", `{"resourceType":"Bundle","type":"transaction","entry":[
		{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"urn:uuid:2"}},"request":{"method":"POST","url":"Observation"}},
		{"fullUrl":"urn:uuid:2","resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient"}}]}`).Is(200)
}

func TestBinary(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	png := "\x89PNG\r\n\x1a\n\x00\x01\x02"
	a := s.Post("/Binary", png, "Content-Type", "image/png", "X-Security-Context", "Patient/p").Is(201)
	id := a.ID()
	if a.Text("resourceType") != "Binary" || a.Text("contentType") != "image/png" || a.Text("securityContext.reference") != "Patient/p" {
		t.Errorf("%s", a.Body)
	}
	for _, accept := range []string{"image/png", "*/*", "image/*;q=0.9, text/html"} {
		raw := s.Get("/Binary/"+id, "Accept", accept).Is(200)
		if string(raw.Body) != png || raw.Header.Get("Content-Type") != "image/png" || raw.Header.Get("ETag") != `W/"1"` {
			t.Errorf("Accept %s: %v %q", accept, raw.Header, raw.Body)
		}
	}
	for _, accept := range []string{"application/fhir+json", "application/json;q=0.9, image/png;q=0.1"} {
		if j := s.Get("/Binary/"+id, "Accept", accept).Is(200); j.Text("data") == "" {
			t.Errorf("Accept %s: %s", accept, j.Body)
		}
	}
	s.Get("/Binary/" + id + "?_format=json").Is(200).Has(`"resourceType"`)
	s.Put("/Binary/b", "plain", "Content-Type", "text/plain").Is(201)
	if raw := s.Get("/Binary/b").Is(200); string(raw.Body) != "plain" {
		t.Errorf("%q", raw.Body)
	}
	s.Post("/Binary", `{"resourceType":"Binary","contentType":"text/plain","data":"cGxhaW4="}`).Is(201)
	s.Post("/Binary", `{"resourceType":"Binary","contentType":"text/plain","data":"*"}`).Is(400)
	if l := s.Get("/Binary").Is(200); len(l.IDs("match")) != 3 {
		t.Errorf("%v", l.IDs(""))
	}
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	s.Put("/Patient/p", patient).Is(201)
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/Patient/p", 200, ""},
		{"GET", "/Patient/p/", 200, ""},
		{"GET", "/patient/p", 404, ""},
		{"GET", "/Pat/p", 404, ""},
		{"GET", "/Patient/$anything", 404, ""},
		{"GET", "/Patient/p/$nope", 404, ""},
		{"POST", "/$nope", 404, ""},
		{"GET", "/Patient/_foo", 404, ""},
		{"GET", "/_foo", 404, ""},
		{"GET", "/Patient/p/_history/1/x", 404, ""},
		{"GET", "/Patient/p/Observation", 200, ""},
		{"GET", "/Patient/p/*", 200, ""},
		{"GET", "/Patient/p/Practitioner", 404, ""},
		{"GET", "/Observation/p/Patient", 404, ""},
		{"GET", "/Patient/p%2F_history", 404, ""},
		{"GET", "/Patient%2Fp", 404, ""},
		{"GET", "/Patient/%70", 200, ""},
		{"GET", "/Patient/" + strings.Repeat("a", 65), 404, ""},
		{"GET", "/Patient/a_b", 404, ""},
		{"GET", "/Patient/%00", 404, ""},
		{"GET", "/../metadata", 404, ""},
		{"GET", "//Patient", 404, ""},
		{"PUT", "/metadata", 405, "GET, HEAD"},
		{"DELETE", "", 405, "GET, HEAD, POST"},
		{"PUT", "/Patient/p/_history/1", 405, "GET, HEAD"},
		{"POST", "/Patient/p", 405, "GET, HEAD, PUT, PATCH, DELETE"},
		{"GET", "/Patient/_search", 405, "POST"},
		{"TRACE", "/Patient/p", 405, "GET, HEAD, PUT, PATCH, DELETE"},
		{"BREW", "/Patient", 405, "GET, HEAD, POST, PUT, PATCH, DELETE"},
		{"OPTIONS", "/Patient/p", 204, "GET, HEAD, PUT, PATCH, DELETE, OPTIONS"},
	} {
		a := s.Do(c.method, c.path, "").Is(c.status)
		if a.Header.Get("Allow") != c.allow {
			t.Errorf("%s %s: Allow %q, want %q", c.method, c.path, a.Header.Get("Allow"), c.allow)
		}
	}
	s.Get(s.Root + "/nothing").Is(404)
	s.Get(s.Root+"/", "Accept", "text/html").Is(200).Has("FHIR base URL")
	s.Get(s.Root + "/").Is(404)
	s.Do("POST", s.Root+"/livez", "").Is(405)
	s.Do("POST", "/Patient/p", "", "X-HTTP-Method-Override", "DELETE").Is(405)
	s.Get("/Patient/p").Is(200)
}

func TestNegotiation(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	s.Put("/Patient/p", patient).Is(201)
	const plain = "application/fhir+json; charset=utf-8"
	for _, c := range []struct {
		accept, query string
		status        int
		contentType   string
	}{
		{"", "", 200, plain},
		{"*/*", "", 200, plain},
		{"application/fhir+json", "", 200, plain},
		{"application/json", "", 200, plain},
		{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "", 200, plain},
		{"application/fhir+xml", "", 406, plain},
		{"application/fhir+xml, application/fhir+json;q=0.1", "", 200, plain},
		{"application/fhir+json;q=0", "", 406, plain},
		{"text/turtle", "", 406, plain},
		{"nonsense", "", 406, plain},
		{"application/fhir+json; fhirVersion=4.0", "", 200, "application/fhir+json; fhirVersion=4.0; charset=utf-8"},
		{"application/fhir+json; fhirVersion=5.0", "", 406, plain},
		{"application/fhir+xml", "?_format=json", 200, plain},
		{"application/fhir+json", "?_format=xml", 406, plain},
		{"application/fhir+json", "?_format=application/fhir+xml", 406, plain},
		{"", "?_format=application/fhir+json", 200, plain},
		{"", "?_format=application%2Ffhir%2Bjson", 200, plain},
		{"", "?_format=yaml", 406, plain},
	} {
		a := s.Get("/Patient/p"+c.query, "Accept", c.accept).Is(c.status)
		if a.Header.Get("Content-Type") != c.contentType {
			t.Errorf("Accept %q%s: Content-Type %q", c.accept, c.query, a.Header.Get("Content-Type"))
		}
	}
	for _, c := range []struct {
		contentType string
		status      int
	}{
		{"application/fhir+json", 201}, {"application/json", 201}, {"application/fhir+json; charset=UTF-8", 201}, {"", 201},
		{"application/fhir+json; fhirVersion=4.0", 201}, {"application/fhir+json; fhirVersion=3.0", 415},
		{"application/fhir+json; charset=latin-1", 415}, {"application/fhir+xml", 415}, {"text/xml", 415},
		{"text/plain", 415}, {"application/x-www-form-urlencoded", 415}, {"a/b/c", 415}, {"application/json-patch+json", 415},
	} {
		s.Post("/Patient", patient, "Content-Type", c.contentType).Is(c.status)
	}
	pretty := s.Get("/Patient/p?_pretty=true").Is(200)
	if !strings.Contains(string(pretty.Body), "\n  \"resourceType\"") && !strings.Contains(string(pretty.Body), "\n  \"id\"") {
		t.Errorf("_pretty: %s", pretty.Body)
	}
	if pretty := s.Get("/Patient?_pretty=true").Is(200); !strings.Contains(string(pretty.Body), "\n  \"type\": \"searchset\"") {
		t.Errorf("_pretty: %s", pretty.Body)
	}
}

// What PostgreSQL would respell, and what other servers lose, comes back as it was.
func TestValuesComeBackExactly(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	for i, number := range []string{"1.00", "0.10", "100", "1e2", "1.0E-5", "-0.0", "12345678901234567890.12345678901234567890", "0.00"} {
		body := fmt.Sprintf(`{"resourceType":"Observation","id":"n%d","status":"final","code":{"text":"x"},"valueQuantity":{"value":%s}}`, i, number)
		s.Put(fmt.Sprintf("/Observation/n%d", i), body).Is(201).Has(`"value":` + number)
		for _, path := range []string{"", "?_pretty=true", "?_elements=value", "/_history/1"} {
			a := s.Get(fmt.Sprintf("/Observation/n%d%s", i, path)).Is(200)
			if got := string(servertest.At(a.Root(), "valueQuantity.value").Raw()); got != number {
				t.Errorf("%s%s came back as %s", number, path, got)
			}
		}
	}
	const text = `line\nbreak é \u00e9 \"quoted\" \\ / 😀`
	a := s.Post("/Patient", `{"resourceType":"Patient","name":[{"text":"`+text+`"}]}`).Is(201)
	if got := s.Get("/Patient/" + a.ID()).Is(200).Text("name.0.text"); got != "line\nbreak é é \"quoted\" \\ / 😀" {
		t.Errorf("text came back as %q", got)
	}
}

func TestSubset(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	s.Put("/Patient/p", `{"resourceType":"Patient","id":"p","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"},"identifier":[{"system":"http://s","value":"1"}],"active":true,"name":[{"family":"A"}],"birthDate":"1970-01-01","_birthDate":{"extension":[{"url":"http://x","valueCode":"y"}]},"maritalStatus":{"text":"m"},"contact":[{"name":{"text":"c"}}]}`).Is(201)
	s.Put("/Observation/o", `{"resourceType":"Observation","id":"o","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"},"status":"final","code":{"text":"c"},"subject":{"reference":"Patient/p"},"valueString":"v","note":[{"text":"n"}],"component":[{"code":{"text":"k"},"valueString":"w","referenceRange":[{"text":"r"}]}]}`).Is(201)
	for _, c := range []struct{ path, has, lacks string }{
		{"/Patient/p?_elements=birthDate", "SUBSETTED birthDate _birthDate meta", "text identifier name contact active"},
		{"/Patient/p?_summary=true", "SUBSETTED identifier active name birthDate", "text contact maritalStatus"},
		{"/Patient/p?_summary=text", "SUBSETTED text", "identifier name"},
		{"/Patient/p?_summary=data", "SUBSETTED identifier contact", "text"},
		{"/Patient/p?_summary=false", "identifier contact text", "SUBSETTED"},
		{"/Observation/o?_elements=value", "SUBSETTED status code valueString", "subject note component"},
		{"/Observation/o?_summary=true", "SUBSETTED status code subject valueString component", "note referenceRange"},
		{"/Observation/o?_summary=text", "SUBSETTED status code text", "subject valueString"},
		{"/Observation?_elements=Observation.subject", "SUBSETTED subject status", "note"},
		{"/Observation?_summary=true", "SUBSETTED", "note referenceRange"},
		{"/Observation?_elements=status&_include=Observation:subject", "maritalStatus", "note"},
	} {
		a := s.Get(c.path).Is(200)
		for _, name := range strings.Fields(c.has) {
			if !strings.Contains(string(a.Body), `"`+name+`"`) {
				t.Errorf("%s lacks %s: %s", c.path, name, a.Body)
			}
		}
		for _, name := range strings.Fields(c.lacks) {
			if name == "text" {
				if a.Root().Get("text").Valid() {
					t.Errorf("%s has the narrative: %s", c.path, a.Body)
				}
				continue
			}
			if strings.Contains(string(a.Body), `"`+name+`"`) {
				t.Errorf("%s has %s: %s", c.path, name, a.Body)
			}
		}
	}
	s.Get("/Patient/p?_summary=count").Is(400)
	s.Get("/Patient/p?_foo=1").Is(400)
	s.Get("/Patient/p?_foo=1", "Prefer", "handling=lenient").Is(200)
	sub := s.Get("/Patient/p?_summary=true").Is(200)
	s.Put("/Patient/p", string(sub.Body)).Is(422)
	if a := s.Get("/Patient?_summary=count").Is(200); a.Text("total") != "1" || len(a.IDs("")) != 0 {
		t.Errorf("count: %s", a.Body)
	}
}
