package server_test

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"ingle/authz"
	"ingle/authz/arboristtest"
	"ingle/fhir/r4"
	"ingle/interaction"
	"ingle/profiles"
	"ingle/server"
	"ingle/server/servertest"
)

// withPolicies starts a server with roles that these policies hold for: each role
// is named after its policy, and "all" is under none.
func withPolicies(t *testing.T, policies map[string]authz.Policy) (s *servertest.Server, as func(role string, claims ...any) []string, resolver *authz.Resolver) {
	t.Helper()
	issuer := arboristtest.NewIssuer(t)
	cfg := authz.Config{Mode: authz.ModeJWT, RolesClaim: "roles", Policies: policies, Definitions: r4.Definitions(),
		AllowHosts: []string{strings.TrimPrefix(issuer.KeysURL[:strings.LastIndex(issuer.KeysURL, "/.well")], "http://")},
		Issuers:    []authz.Issuer{{Issuer: issuer.URL, KeysURL: issuer.KeysURL, Audiences: []string{"fhir"}, UserClaim: "context.user.name"}},
		Roles:      map[string]authz.Role{"all": {Paths: []string{"/"}, Methods: []string{"*"}}, "admin": {Paths: []string{"/"}, Methods: []string{"*"}, Admin: true}}}
	for name := range policies {
		cfg.Roles[name] = authz.Role{Paths: []string{"/"}, Methods: []string{"*"}, Policies: []string{name}}
	}
	resolver, err := authz.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(resolver.Close)
	validator, err := profiles.New(profiles.NewRegistry(r4.Definitions()), profiles.Config{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s = servertest.Start(t, servertest.Options{
		Server:   func(c *server.Config) { c.Resolver = resolver },
		Register: func(svc *interaction.Service) { svc.Register(interaction.ValidateOperation(validator)) },
	})
	tokens := map[string]string{}
	return s, func(role string, claims ...any) []string {
		key := role + fmt.Sprint(claims...)
		if tokens[key] == "" {
			set := map[string]any{"roles": strings.Fields(role)}
			for i := 0; i+1 < len(claims); i += 2 {
				set[claims[i].(string)] = claims[i+1]
			}
			tokens[key] = issuer.Token(t, "somebody", set)
		}
		return []string{"Authorization", "Bearer " + tokens[key]}
	}, resolver
}

// TestHiddenElements proves that what a policy hides shows in no answer, that no
// search tells of it, and that who does not see it neither sets nor loses it.
func TestHiddenElements(t *testing.T) {
	t.Parallel()
	s, as, _ := withPolicies(t, map[string]authz.Policy{
		"nameless": {Resources: map[string]authz.Rule{"Patient": {Hidden: []string{"name", "contact.name"}}, "*": {}}},
	})
	const name = "Schmidtmeyer"
	body := func(version string) string {
		return `{"resourceType":"Patient","id":"p","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">` + name + `</div>"},` +
			`"name":[{"family":"` + name + `"}],"_birthDate":{"extension":[{"url":"http://x.test/e","valueString":"v"}]},"gender":"` + version + `",` +
			`"contact":[{"name":{"family":"` + name + `"},"gender":"male","telecom":[{"system":"phone","value":"1"}]}]}`
	}
	all, some := as("all"), as("nameless")
	s.Put("/Patient/p", body("male"), all...).Is(201)
	s.Put("/Patient/p", body("female"), all...).Is(200).Has(name)
	s.Put("/Observation/o", `{"resourceType":"Observation","id":"o","status":"final","code":{"text":"c"},"subject":{"reference":"Patient/p","display":"`+name+`"},`+
		`"contained":[{"resourceType":"Patient","id":"q","name":[{"family":"`+name+`"}]}],"performer":[{"reference":"#q"}]}`, all...).Is(201)

	for _, target := range []string{
		"/Patient/p", "/Patient/p/_history/1", "/Patient/p/_history", "/Patient/_history", "/_history", "/Patient", "/Patient?_id=p", "/Patient?_summary=true", "/Patient?_summary=text",
		"/Patient?_elements=name,text", "/Patient/p?_elements=name", "/Patient?gender=female&_revinclude=Observation:subject", "/Observation?_include=Observation:subject",
		"/Observation/o", "/Patient/p/Observation", "/Patient/p/$meta", "/Patient/p/$validate", "/?_type=Patient,Observation", "/Patient?_has:Observation:subject:code:missing=false",
	} {
		s.Get(target, all...).Is(200)
		s.Get(target, some...).Is(200).Lacks(name)
	}
	if got := s.Get("/Patient/p", some...); got.Text("gender") != "female" || got.Text("contact.0.gender") != "male" || got.Text("_birthDate.extension.0.valueString") != "v" {
		t.Errorf("what is not hidden: %s", got.Body)
	}
	s.Post("/Patient/_search", "gender=female", append(some, "Content-Type", "application/x-www-form-urlencoded")...).Is(200).Lacks(name)
	s.Post("", transaction(entryOf("", "", "GET", "Patient/p"), entryOf("", "", "GET", "Patient?_id=p")), some...).Is(200).Has("female").Lacks(name)
	s.Post("/Patient", `{"resourceType":"Patient"}`, append(some, "If-None-Exist", "gender=female", "Prefer", "return=representation")...).Is(200).Lacks(name)

	for _, target := range []string{
		"/Patient?name=" + name, "/Patient?family=x", "/Patient?family:missing=true", "/Patient?name:exact=x", "/Patient?_sort=family", "/Patient?_sort=-name", "/Patient?phonetic=x",
		"/Patient?_filter=" + url.QueryEscape("family eq x"), "/Observation?subject:Patient.name=x", "/Observation?patient.family=x", "/Observation?_sort=patient.family",
		"/Practitioner?_has:Patient:general-practitioner:name=x", "/Patient?_id=p&family=x", "/Patient/p/Observation?patient.name=x", "/?_type=Patient&name=x",
	} {
		if strings.Contains(target, "/?_type") || strings.Contains(target, "phonetic") {
			s.Get(target, some...).Is(400, 403).Lacks(name)
			continue
		}
		a := s.Get(target, some...).Is(403).Has("hides")
		parameter := strings.FieldsFunc(target, func(r rune) bool { return r == '?' || r == '&' })
		if asked, _, _ := strings.Cut(parameter[len(parameter)-1], "="); !strings.Contains(string(a.Body), asked) {
			t.Errorf("%s: %s does not name %s", target, a.Body, asked)
		}
	}
	s.Post("", transaction(entryOf("", "", "GET", "Patient?name=x")), some...).Is(403)
	s.Post("/Patient", `{"resourceType":"Patient"}`, append(some, "If-None-Exist", "name=x")...).Is(403)
	s.Do("DELETE", "/Patient?name=x", "", some...).Is(403)
	s.Post("", transaction(entryOf("", `{"resourceType":"Patient"}`, "PUT", "Patient?name=x")), some...).Is(403).Has("name")
	s.Post("", transaction(entryOf("", `{"resourceType":"Basic","code":{"text":"c"},"subject":{"reference":"Patient?name=x"}}`, "POST", "Basic")), some...).Is(403).Has("name")
	s.Put("/Patient?name=x", `{"resourceType":"Patient"}`, some...).Is(403)

	// who does not see it cannot set it, and does not lose it
	patch := append(some, "Content-Type", "application/json-patch+json")
	s.Post("/Patient", `{"resourceType":"Patient","name":[{"family":"x"}]}`, some...).Is(403).Has("Patient.name")
	s.Put("/Patient/p", `{"resourceType":"Patient","id":"p","name":[{"family":"x"}]}`, some...).Is(403)
	s.Put("/Patient/p", `{"resourceType":"Patient","id":"p","gender":"other","contact":[{"gender":"male","telecom":[{"system":"phone","value":"1"}]}]}`, some...).Is(200).Lacks(name)
	s.Do("PATCH", "/Patient/p", `[{"op":"replace","path":"/gender","value":"unknown"}]`, patch...).Is(200).Lacks(name)
	for _, p := range []string{`[{"op":"test","path":"/name/0/family","value":"` + name + `"}]`, `[{"op":"test","path":"/name/0/family","value":"x"}]`} {
		if got := s.Do("PATCH", "/Patient/p", p, patch...).Is(400, 404, 409, 412, 422); strings.Contains(string(got.Body), name) {
			t.Errorf("%s", got.Body)
		}
	}
	guess := func(family string) string {
		return s.Do("PATCH", "/Patient/p", `[{"op":"test","path":"/name/0/family","value":"`+family+`"}]`, append(patch, "X-Request-Id", "r")...).Text("issue.0.diagnostics")
	}
	if guess(name) != guess("Nobody") {
		t.Errorf("a patch tells a name: %q", guess(name))
	}
	s.Do("PATCH", "/Patient/p", `[{"op":"copy","from":"/name","path":"/contact/0/extension"}]`, patch...).Is(400, 404, 409, 422)
	fhirPath := `{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"replace"},{"name":"path","valueString":"Patient.where(name.family = '%s').gender"},{"name":"value","valueCode":"male"}]}]}`
	right, wrong := s.Do("PATCH", "/Patient/p", fmt.Sprintf(fhirPath, name), some...), s.Do("PATCH", "/Patient/p", fmt.Sprintf(fhirPath, "Nobody"), some...)
	if right.Status != wrong.Status {
		t.Errorf("a FHIRPath patch tells a name: %d and %d", right.Status, wrong.Status)
	}
	s.Post("/Patient/p/$meta-add", `{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"code":"t"}]}}]}`, some...).Is(200).Lacks(name)
	s.Get("/Patient?_tag=t", all...).Has(name)
	s.Post("", transaction(entryOf("", `{"resourceType":"Patient","id":"p","active":true,"contact":[{"gender":"male","telecom":[{"system":"phone","value":"1"}]}]}`, "PUT", "Patient/p")), some...).Is(200).Lacks(name)
	whole := s.Get("/Patient/p", all...).Is(200)
	for _, path := range []string{"name.0.family", "contact.0.name.family"} {
		if whole.Text(path) != name {
			t.Errorf("%s is lost: %s", path, whole.Body)
		}
	}
	whole.Has("<div")
	if got := s.Get("/Patient?family="+name+"&active=true", all...).IDs("match"); len(got) != 1 {
		t.Errorf("it is not found any more: %v", got)
	}
}

// TestHiddenReferences proves that what refers to a resource is not told where the
// element that does is hidden.
func TestHiddenReferences(t *testing.T) {
	t.Parallel()
	s, as, _ := withPolicies(t, map[string]authz.Policy{"unattended": {Resources: map[string]authz.Rule{"Observation": {Hidden: []string{"performer"}}, "*": {}}}})
	all, some := as("all"), as("unattended")
	for _, id := range []string{"a", "b"} {
		s.Put("/Practitioner/"+id, `{"resourceType":"Practitioner","id":"`+id+`"}`, all...).Is(201)
	}
	s.Put("/Observation/o", `{"resourceType":"Observation","id":"o","status":"final","code":{"text":"c"},"performer":[{"reference":"Practitioner/a"}]}`, all...).Is(201)
	s.Get("/Observation?_include=Observation:performer", some...).Is(403)
	s.Get("/Practitioner?_revinclude=Observation:*", some...).Is(403)
	s.Delete("/Practitioner/a", all...).Is(409).Has("Observation/o")
	s.Delete("/Practitioner/a", some...).Is(204, 200)
	s.Delete("/Practitioner/b", some...).Is(204, 200)
}

// TestHiddenInScopes proves that the search parameters of SMART scopes, which a
// caller chooses, do not tell what is hidden, and that those of policies may rest on it.
func TestHiddenInScopes(t *testing.T) {
	t.Parallel()
	s, as, _ := withPolicies(t, map[string]authz.Policy{
		"nameless": {Resources: map[string]authz.Rule{"Patient": {Hidden: []string{"name"}}, "*": {}}},
		"some":     {Resources: map[string]authz.Rule{"Patient": {Hidden: []string{"name"}, Criteria: []string{"family=Schmidt"}}, "*": {}}},
	})
	s.Put("/Patient/p", `{"resourceType":"Patient","id":"p","gender":"male","name":[{"family":"Schmidt"}]}`, as("all")...).Is(201)
	for scope, sees := range map[string]bool{"family=Schmidt": false, "family=Nobody": false, "_text=Schmidt": false, "_content=Schmidt": false, "gender=male": true, "gender=female": false, "gender=male&name=Schmidt": false} {
		caller := as("nameless", "scope", []string{"openid", "user/Patient.rs?" + scope})
		status, n := 404, 0
		if sees {
			status, n = 200, 1
		}
		s.Get("/Patient/p", caller...).Is(status)
		if got := s.Get("/Patient", caller...).Is(200).IDs("match"); len(got) != n {
			t.Errorf("%s: %v", scope, got)
		}
	}
	s.Get("/Patient/p", as("all", "scope", []string{"user/Patient.rs?family=Schmidt"})...).Is(200)
	s.Get("/Patient/p", as("some")...).Is(200).Lacks("Schmidt")
	s.Get("/Patient/p", as("some", "scope", []string{"user/Patient.rs?gender=male"})...).Is(200)
	s.Get("/Patient/p", as("some", "scope", []string{"user/Patient.rs?family=Schmidt"})...).Is(404)
}

// TestAsyncRights proves that an answer is given with the rights alone that it was
// made with.
func TestAsyncRights(t *testing.T) {
	t.Parallel()
	s, as, _ := withPolicies(t, map[string]authz.Policy{"nameless": {Resources: map[string]authz.Rule{"Patient": {Hidden: []string{"name"}}, "*": {}}}})
	all := as("all")
	s.Put("/Patient/p", `{"resourceType":"Patient","id":"p","name":[{"family":"Schmidt"}]}`, all...).Is(201)
	place := s.Get("/Patient", append(all, "Prefer", "respond-async")...).Is(202).Header.Get("Content-Location")
	answered(t, s, place, all...).Is(200).Has("Schmidt")
	for name, other := range map[string][]string{"hidden": as("nameless"), "admin": as("admin"), "no role": as("none"),
		"scopes": as("all", "scope", []string{"user/Patient.r"}), "a patient": as("all", "patient", "p")} {
		if a := s.Get(place, other...); a.Status != 404 && a.Status != 403 {
			t.Errorf("%s: %d", name, a.Status)
		}
		if a := s.Delete(place, other...); a.Status != 404 && a.Status != 403 {
			t.Errorf("%s: %d", name, a.Status)
		}
	}
	s.Get(place, as("all", "jti", "another token")...).Is(200).Has("Schmidt")
	s.Delete(place, all...).Is(202)
	s.Get(place, all...).Is(404)
}

// TestPolicyCriteria proves what policies leave of types and methods.
func TestPolicyCriteria(t *testing.T) {
	t.Parallel()
	s, as, _ := withPolicies(t, map[string]authz.Policy{
		"lab":   {Resources: map[string]authz.Rule{"Observation": {Criteria: []string{"Observation?category=laboratory"}, Write: []string{"status=preliminary"}}, "Patient": {ReadOnly: true}}},
		"own":   {Resources: map[string]authz.Rule{"Observation": {Criteria: []string{"patient=%patient"}}, "Patient": {Criteria: []string{"_id=%patient"}}}},
		"other": {Resources: map[string]authz.Rule{"Observation": {}}},
	})
	obs := func(id, category, status, patient string) string {
		return fmt.Sprintf(`{"resourceType":"Observation","id":"%s","status":"%s","code":{"text":"c"},"category":[{"coding":[{"code":"%s"}]}],"subject":{"reference":"Patient/%s"}}`, id, status, category, patient)
	}
	all, lab := as("all"), as("lab")
	for _, p := range []string{"p", "q"} {
		s.Put("/Patient/"+p, `{"resourceType":"Patient","id":"`+p+`"}`, all...).Is(201)
	}
	s.Put("/Observation/l", obs("l", "laboratory", "final", "p"), all...).Is(201)
	s.Put("/Observation/v", obs("v", "vital-signs", "final", "q"), all...).Is(201)

	s.Get("/Observation/l", lab...).Is(200)
	s.Get("/Observation/v", lab...).Is(404)
	if got := s.Get("/Observation?_total=accurate", lab...).Is(200); got.Text("total") != "1" || len(got.IDs("match")) != 1 {
		t.Errorf("%s", got.Body)
	}
	s.Get("/Condition", lab...).Is(200).Has(`"total":0`)
	s.Get("/Patient/p", lab...).Is(200)
	s.Put("/Patient/p", `{"resourceType":"Patient","id":"p"}`, lab...).Is(403)
	s.Delete("/Patient/p", lab...).Is(403)
	s.Put("/Observation/l", obs("l", "laboratory", "amended", "p"), lab...).Is(403)
	s.Put("/Observation/new", obs("new", "laboratory", "final", "p"), lab...).Is(403)
	s.Put("/Observation/new", obs("new", "vital-signs", "preliminary", "p"), lab...).Is(403)
	s.Put("/Observation/new", obs("new", "laboratory", "preliminary", "p"), lab...).Is(201)
	s.Delete("/Observation/new", lab...).Is(204, 200)

	// what the token says
	p := as("own", "patient", "p")
	s.Get("/Observation/l", p...).Is(200)
	s.Get("/Observation/v", p...).Is(404)
	if got := s.Get("/Patient", p...).IDs("match"); len(got) != 1 || got[0] != "Patient/p" && got[0] != "p" {
		t.Errorf("own: %v", got)
	}
	s.Get("/Observation/l", as("own")...).Is(404)
	s.Get("/Observation/l", as("own", "patient", "q,p")...).Is(404)

	// what one policy takes away no other gives back
	s.Get("/Observation/v", as("other lab")...).Is(404)
	s.Get("/Patient/p", as("other lab")...).Is(404)
	s.Get("/Patient/p", as("all lab")...).Is(200)
}

// TestMinimalNeedsWiderScopes proves LF-52: patient scopes are held against what
// an answer holds.
func TestMinimalNeedsWiderScopes(t *testing.T) {
	t.Parallel()
	s, as, _ := withPolicies(t, nil)
	s.Put("/Patient/p", `{"resourceType":"Patient","id":"p"}`, as("all")...).Is(201)
	patient := as("all", "scope", []string{"openid", "patient/*.cruds"}, "patient", "p")
	user := as("all", "scope", []string{"openid", "patient/*.cruds", "user/*.cruds"}, "patient", "p")
	const minimal = "return=minimal"
	for _, ask := range []struct{ method, target, body string }{
		{"GET", "/Patient", ""}, {"GET", "/Patient/p/Observation", ""}, {"PUT", "/Patient/p", `{"resourceType":"Patient","id":"p"}`},
		{"POST", "", transaction(entryOf("", "", "GET", "Patient/p"))},
	} {
		s.Do(ask.method, ask.target, ask.body, patient...).Is(200)
		s.Do(ask.method, ask.target, ask.body, append(patient, "Prefer", minimal)...).Is(403).Has("return=minimal")
		s.Do(ask.method, ask.target, ask.body, append(user, "Prefer", minimal)...).Is(200)
		s.Do(ask.method, ask.target, ask.body, append(as("all"), "Prefer", minimal)...).Is(200)
	}
	s.Get("/Patient/p", append(patient, "Prefer", minimal)...).Is(200)
}

// TestExplainNamesThePolicy asks why, as an administrator.
func TestExplainNamesThePolicy(t *testing.T) {
	t.Parallel()
	hash := servertest.PasswordHash(t, "x")
	resolver, err := authz.New(authz.Config{Mode: authz.ModeJWT, Definitions: r4.Definitions(),
		Policies:        map[string]authz.Policy{"nameless": {Resources: map[string]authz.Rule{"Patient": {Hidden: []string{"name"}, ReadOnly: true}}}},
		DefaultPolicies: []string{"nameless"},
		Roles:           map[string]authz.Role{"all": {Paths: []string{"/"}, Methods: []string{"*"}}, "admin": {Paths: []string{"/"}, Methods: []string{"*"}, Admin: true}},
		Basic:           []authz.BasicUser{{Name: "root", Password: hash, Roles: []string{"admin"}}, {Name: "ann", Password: hash, Roles: []string{"all"}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(resolver.Close)
	s := servertest.Start(t, servertest.Options{Server: func(c *server.Config) {
		c.Resolver, c.Wrap = resolver, append(c.Wrap, server.Administrators(resolver, server.AccessAdministration(resolver, c.Database)))
	}})
	basic := func(name string) []string {
		return []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":x"))}
	}
	ask := func(method, reference string) string {
		return string(s.Do("GET", s.Root+"/admin/authz/explain?principal=basic:ann&method="+method+"&reference="+reference, "", basic("root")...).Is(200).Body)
	}
	root := basic("root")
	s.Put("/Patient/p", `{"resourceType":"Patient","id":"p","name":[{"text":"n"}]}`, root...).Is(201)
	s.Put("/Group/g", `{"resourceType":"Group","id":"g","type":"person","actual":true}`, root...).Is(201)
	for _, c := range []struct{ method, reference, want string }{
		{"read", "Patient/p", `"policy": "nameless"`}, {"read", "Patient/p", `"hidden": [`}, {"read", "Patient/p", `"allowed": true`},
		{"update", "Patient/p", `"allowed": false`}, {"update", "Patient/p", "the access policy does not allow it"}, {"read", "Group/g", `"rule": null`}, {"read", "Group/g", `"allowed": false`},
	} {
		if got := ask(c.method, c.reference); !strings.Contains(got, c.want) {
			t.Errorf("%s %s: %s\n lacks %s", c.method, c.reference, got, c.want)
		}
	}
	s.Get("/Patient/p", basic("ann")...).Is(200).Lacks("name")
	s.Get("/Patient/p", root...).Is(200).Has("name")
}
