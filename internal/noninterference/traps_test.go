package noninterference_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"ingle/authz"
	"ingle/authz/arboristtest"
	"ingle/interaction"
	"ingle/server"
	"ingle/server/servertest"
	"ingle/store"
)

// scene is a server with two projects. alice reads and writes a, bob b; admin
// everything; carol is bob and reads a. In b there are a patient, an organization and an observation about
// a patient of a.
type scene struct {
	*servertest.Server
	alice, bob, carol, admin string // Authorization headers
}

func newScene(t *testing.T, change ...func(*store.Options)) *scene {
	t.Helper()
	return sceneWith(t, byRoles, change...)
}

// admission makes the resolver of a scene, and its tokens.
type admission func(t *testing.T) (*authz.Resolver, *scene)

// byRoles admits by roles of the configuration.
func byRoles(t *testing.T) (*authz.Resolver, *scene) {
	t.Helper()
	issuer := arboristtest.NewIssuer(t)
	role := func(path string) authz.Role { return authz.Role{Paths: []string{path}, Methods: []string{"*"}} }
	resolver, err := authz.New(authz.Config{Mode: authz.ModeJWT, RolesClaim: "roles",
		Issuers: []authz.Issuer{{Issuer: issuer.URL, KeysURL: issuer.KeysURL, Audiences: []string{"fhir"}}},
		Roles: map[string]authz.Role{"a": role("/programs/a"), "b": role("/programs/b"),
			"reads a": {Paths: []string{"/programs/a"}, Methods: []string{"read"}},
			"admin":   {Paths: []string{"/"}, Methods: []string{"*"}, Admin: true}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(resolver.Close)
	token := func(roles ...string) string {
		return "Bearer " + issuer.Token(t, roles[0], map[string]any{"sub": strings.Join(roles, " "), "roles": roles})
	}
	return resolver, &scene{alice: token("a"), bob: token("b"), admin: token("admin"), carol: token("b", "reads a")}
}

// byArborist admits by the grants of a real Arborist.
func byArborist(t *testing.T) (*authz.Resolver, *scene) {
	t.Helper()
	issuer := arboristtest.NewIssuer(t)
	arborist := arboristtest.Start(t, issuer)
	arborist.Apply(t, arboristtest.Policies{
		Resources: []string{"/programs/a", "/programs/b", "/services/fhir/admin"},
		Roles:     map[string][]string{"everything": {"fhir:*"}, "reader": {"fhir:read"}},
		Policies: []arboristtest.Policy{
			{ID: "a", Resources: []string{"/programs/a"}, Roles: []string{"everything"}}, {ID: "b", Resources: []string{"/programs/b"}, Roles: []string{"everything"}},
			{ID: "reads-a", Resources: []string{"/programs/a"}, Roles: []string{"reader"}},
			{ID: "admin", Resources: []string{"/programs", "/services/fhir/admin"}, Roles: []string{"everything"}},
		},
		Users: map[string][]string{"alice": {"a"}, "bob": {"b"}, "carol": {"b", "reads-a"}, "admin": {"admin"}},
	})
	resolver, err := authz.New(authz.Config{Mode: authz.ModeArborist, Arborist: authz.Arborist{URL: arborist.URL},
		Issuers: []authz.Issuer{{Issuer: issuer.URL, KeysURL: issuer.KeysURL, Audiences: []string{"fhir"}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(resolver.Close)
	token := func(user string) string { return "Bearer " + issuer.Token(t, user, nil) }
	return resolver, &scene{alice: token("alice"), bob: token("bob"), admin: token("admin"), carol: token("carol")}
}

func sceneWith(t *testing.T, admit admission, change ...func(*store.Options)) *scene {
	t.Helper()
	resolver, s := admit(t)
	s.Server = servertest.Start(t, servertest.Options{
		Server: func(c *server.Config) {
			c.Resolver = resolver
			c.Wrap = append(c.Wrap, server.SMARTConfiguration("/fhir", server.SMART{Token: "https://auth.example.org/token"}), server.Administrators(resolver, server.AccessAdministration(resolver, c.Database)))
		},
		Store: func(o *store.Options) {
			for _, f := range change {
				f(o)
			}
		},
		Interaction: func(*interaction.Config) {},
	})
	put := func(ref, project, rest string) {
		t.Helper()
		typ, id, _ := strings.Cut(ref, "/")
		s.Put("/"+ref, resource(typ, id, project, rest), "Authorization", s.admin).Is(201)
	}
	put("Organization/hidden", "b", `,"name":"Concealed Hospital"`)
	put("Patient/open", "a", `,"name":[{"family":"Known"}],"managingOrganization":{"reference":"Organization/hidden"},"birthDate":"1990-01-01"`)
	put("Patient/hidden", "b", `,"name":[{"family":"Concealed"}],"identifier":[{"system":"urn:mrn","value":"H1"}],"birthDate":"1980-01-01"`)
	put("Observation/hidden", "b", `,"status":"final","code":{"coding":[{"system":"urn:c","code":"secret"}]},"subject":{"reference":"Patient/open"}`)
	put("Observation/open", "a", `,"status":"final","code":{"coding":[{"system":"urn:c","code":"plain"}]},"subject":{"reference":"Patient/hidden"}`)
	return s
}

func resource(typ, id, project, rest string) string {
	out := `{"resourceType":"` + typ + `"`
	if id != "" {
		out += `,"id":"` + id + `"`
	}
	return out + `,"meta":{"security":[{"system":"urn:gen3:authz","code":"/programs/` + project + `"}]}` + rest + `}`
}

func (s *scene) as(who, method, target, body string, header ...string) *servertest.Answer {
	s.T.Helper()
	return s.Do(method, target, body, append([]string{"Authorization", who, "X-Request-Id", "r1"}, header...)...)
}

var bundleTime = regexp.MustCompile(`^\{"resourceType":"Bundle","meta":\{"lastUpdated":"[^"]*"`)

// same fails unless a request about what is hidden is answered like one about
// what is not there.
func (s *scene) same(t *testing.T, method, hidden, absent, body string, header ...string) {
	t.Helper()
	text := func(a *servertest.Answer, id string) string {
		a.Header.Del("Date")
		a.Header.Del("Content-Length")
		return strings.ReplaceAll(fmt.Sprint(a.Status, a.Header, bundleTime.ReplaceAllString(string(a.Body), "")), id, "ID")
	}
	x := s.as(s.alice, method, hidden, strings.ReplaceAll(body, "ID", "hidden"), header...)
	y := s.as(s.alice, method, absent, strings.ReplaceAll(body, "ID", "absent"), header...)
	if a, b := text(x, "hidden"), text(y, "absent"); a != b {
		t.Errorf("%s %s tells that it is there:\n%s\n%s", method, hidden, a, b)
	}
}

func TestHasOnDeniedValues(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, q := range []string{"_has:Observation:subject:code=secret", "_has:Observation:subject:code:missing=false", "_has:Observation:subject:_id=hidden"} {
		if a := s.as(s.alice, "GET", "/Patient?_total=accurate&"+q, "").Is(200); a.Text("total") != "0" || len(a.IDs("")) != 0 {
			t.Errorf("%s: %s", q, a.Body)
		}
		if a := s.as(s.admin, "GET", "/Patient?"+q, "").Is(200); len(a.IDs("")) == 0 {
			t.Errorf("%s finds nothing at all, so the test shows nothing: %s", q, a.Body)
		}
	}
}

func TestIncludesAndChainsToHidden(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for q, want := range map[string]int{
		"Patient?_include=Patient:organization": 1, "Patient?_include=*": 1, "Patient?_revinclude=Observation:subject": 1,
		"Observation?_include=Observation:subject": 1, "Observation?_include:iterate=Observation:subject&_include:iterate=Patient:organization": 1,
		"Patient?organization.name=Concealed": 0, "Patient?organization:Organization.name:contains=ceal": 0, "Observation?subject:Patient.family=Concealed": 0,
		"Observation?patient.identifier=urn:mrn|H1": 0, "Patient?_id=hidden": 0, "Observation?code=secret": 0, "Organization": 0,
		"Patient/hidden/Observation": 1, "Patient/open/Observation": 0, "Patient?_sort=organization": 1, "Observation?_security=urn:gen3:authz|/programs/b": 0,
	} {
		a := s.as(s.alice, "GET", "/"+q, "").Is(200).Lacks("Concealed Hospital", `"family": "Concealed"`, `"secret"`, `"hidden"`)
		if got := a.IDs(""); len(got) != want {
			t.Errorf("%s: %v", q, got)
		}
	}
}

func TestCountsOfHidden(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, q := range []string{"_summary=count", "_total=accurate", "_total=estimate", "_count=0", "_count=1&_total=estimate"} {
		if a := s.as(s.alice, "GET", "/Patient?"+q, "").Is(200); a.Text("total") != "1" {
			t.Errorf("%s: %s", q, a.Body)
		}
	}
	if a, b := s.as(s.alice, "GET", "/metadata", ""), s.as(s.bob, "GET", "/metadata", ""); string(a.Body) != string(b.Body) {
		t.Error("the CapabilityStatement depends on the caller")
	}
}

func TestPageLinksOfAnother(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.as(s.admin, "PUT", "/Patient/third", resource("Patient", "third", "a", "")).Is(201)
	next := s.as(s.alice, "GET", "/Patient?_count=1", "").Is(200).Link("next")
	s.as(s.alice, "GET", next, "").Is(200)
	s.as(s.bob, "GET", next, "").Is(400).Lacks("Known")
	s.as(s.alice, "GET", strings.Replace(next, "_count=1", "_count=1&birthdate=1990", 1), "").Is(400)
	s.as(s.alice, "GET", strings.Replace(next, "/Patient?", "/Observation?", 1), "").Is(400)
	history := s.as(s.alice, "GET", "/_history?_count=1", "").Is(200).Link("next")
	s.as(s.bob, "GET", history, "").Is(400)
}

func TestConditionalOnHidden(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	mine := resource("Patient", "", "a", `,"identifier":[{"system":"urn:mrn","value":"H1"}]`)
	s.as(s.alice, "PATCH", "/Patient?identifier=urn:mrn|H1", `[{"op":"add","path":"/gender","value":"male"}]`, "Content-Type", "application/json-patch+json").Is(404)
	s.as(s.alice, "DELETE", "/Patient?identifier=urn:mrn|H1", "").Is(204)
	s.as(s.bob, "GET", "/Patient/hidden", "").Is(200)
	made := s.as(s.alice, "POST", "/Patient", mine, "If-None-Exist", "identifier=urn:mrn|H1").Is(201)
	if made.ID() == "hidden" {
		t.Error("the hidden resource is named")
	}
	s.as(s.alice, "PUT", "/Patient?identifier=urn:mrn|H1", mine).Is(200)
	s.as(s.bob, "GET", "/Patient/hidden", "").Is(200).Has(`"versionId": "1"`)
}

func TestHiddenIsAbsent(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, h := range [][]string{nil, {"If-None-Match", "*"}, {"If-None-Match", `W/"1"`}, {"If-Modified-Since", "Fri, 31 Dec 2100 00:00:00 GMT"}} {
		for _, path := range []string{"/Patient/ID", "/Patient/ID/_history/1", "/Patient/ID/_history", "/Patient/ID?_summary=true", "/Patient/ID/Observation?code=x", "/Patient?_id=ID"} {
			for _, method := range []string{"GET", "HEAD"} {
				s.same(t, method, strings.Replace(path, "ID", "hidden", 1), strings.Replace(path, "ID", "absent", 1), "", h...)
			}
		}
	}
	s.same(t, "DELETE", "/Patient/hidden", "/Patient/absent", "")
	s.same(t, "DELETE", "/Patient/hidden", "/Patient/absent", "", "If-Match", `W/"1"`)
	s.same(t, "PATCH", "/Patient/hidden", "/Patient/absent", `[{"op":"add","path":"/gender","value":"male"}]`, "Content-Type", "application/json-patch+json")
	s.same(t, "PUT", "/Patient/hidden", "/Patient/absent", resource("Patient", "ID", "a", ""), "If-Match", `W/"1"`)
	s.same(t, "PUT", "/Patient/hidden", "/Patient/absent", resource("Patient", "ID", "b", "")) // may not create there either
	s.same(t, "POST", "", "", `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"GET","url":"Patient/ID"}}]}`)
	s.same(t, "POST", "", "", `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Patient/ID"}}]}`)
	s.as(s.bob, "GET", "/Patient/hidden", "").Is(200).Has(`"versionId": "1"`)
}

// TestPutOntoHidden: that an id is taken can be told, but not by whom, and
// nothing of it.
func TestPutOntoHidden(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a := s.as(s.alice, "PUT", "/Patient/hidden", resource("Patient", "hidden", "a", "")).Is(403, 404).Lacks("Concealed", "version", "/programs/b")
	if a.Header.Get("ETag")+a.Header.Get("Last-Modified")+a.Header.Get("Location") != "" {
		t.Errorf("%v", a.Header)
	}
	s.as(s.bob, "GET", "/Patient/hidden", "").Is(200).Has(`"versionId": "1"`)
}

func TestReferentialIntegrityAnswers(t *testing.T) {
	t.Parallel()
	s := newScene(t, func(o *store.Options) { o.CheckReferences = true })
	s.same(t, "POST", "/Observation", "/Observation", resource("Observation", "", "a", `,"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/ID"}`))
	// a deletion is not refused for what the caller may not see
	s.as(s.alice, "DELETE", "/Patient/open", "").Is(204)
	s.as(s.bob, "DELETE", "/Organization/hidden", "").Is(204)
}

// TestMoveNeedsBoth: a resource goes from one project to another only by who may
// update in both; the old versions stay where they were.
func TestMoveNeedsBoth(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.as(s.alice, "PUT", "/Patient/open", resource("Patient", "open", "b", "")).Is(403)
	s.as(s.admin, "PUT", "/Patient/open", resource("Patient", "open", "b", "")).Is(200)
	s.as(s.alice, "GET", "/Patient/open", "").Is(404)
	s.as(s.alice, "GET", "/Patient/open/_history/1", "").Is(404)
	s.as(s.bob, "GET", "/Patient/open", "").Is(200)
	s.as(s.bob, "GET", "/Patient/open/_history/1", "").Is(404)
	if a := s.as(s.bob, "GET", "/Patient/open/_history", "").Is(200); a.Text("total") != "1" {
		t.Errorf("%s", a.Body)
	}
}

// TestDeletedKeepsItsProject: who may not change the resources of a project does
// not take over what is deleted there either.
func TestDeletedKeepsItsProject(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.as(s.alice, "DELETE", "/Patient/open", "").Is(204)
	s.as(s.carol, "GET", "/Patient/open", "").Is(410)
	s.as(s.carol, "PUT", "/Patient/open", resource("Patient", "open", "b", "")).Is(403)
	s.as(s.alice, "PUT", "/Patient/open", resource("Patient", "open", "a", "")).Is(201)
}

// TestExplain: administrators are told the grant, the label and where it comes from.
func TestExplain(t *testing.T) {
	t.Parallel()
	s := sceneWith(t, byArborist)
	explain := func(principal, reference, method string) *servertest.Answer {
		return s.Get(s.Root+"/admin/authz/explain?principal="+principal+"&reference="+reference+"&method="+method, "Authorization", s.admin).Is(200)
	}
	explain("user:alice", "Patient/open", "update").Has(`"allowed": true`, `"root": "/programs/a"`, `"via": "user:alice"`, `"path": "/programs/a"`, `"method": "update"`)
	explain("user:carol", "Patient/open", "read").Has(`"allowed": true`, `"method": "read"`)
	explain("user:carol", "Patient/open", "delete").Has(`"allowed": false`, "not every label is granted")
	explain("user:bob", "Patient/open", "read").Has(`"allowed": false`, "no label is granted").Lacks("Known")
	// what bob could do if he had been granted a
	s.Post(s.Root+"/admin/authz/preview?principal=user:bob&reference=Patient/open&method=read", `{"user":{"/programs/a":[{"service":"fhir","method":"read"}]}}`,
		"Authorization", s.admin).Is(200).Has(`"allowed": true`)
	s.as(s.bob, "GET", "/Patient/open", "").Is(404)
}
