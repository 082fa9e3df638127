package server_test

import (
	"fmt"
	"strings"
	"testing"

	"ingle/authz"
	"ingle/authz/arboristtest"
	"ingle/fhir/r4"
	"ingle/server"
	"ingle/server/servertest"
	"ingle/store"
	"ingle/store/storetest"
)

// withConsent starts a server that enforces Consents, and has callers: a member
// of all programs, one who sees everything, an administrator, and the apps of
// patients ("patient p").
func withConsent(t *testing.T, mode string) (s *servertest.Server, as func(who string) []string, url string) {
	t.Helper()
	issuer := arboristtest.NewIssuer(t)
	resolver, err := authz.New(authz.Config{Mode: authz.ModeJWT, RolesClaim: "roles", Definitions: r4.Definitions(),
		AllowHosts: []string{strings.TrimPrefix(issuer.KeysURL[:strings.LastIndex(issuer.KeysURL, "/.well")], "http://")},
		Issuers:    []authz.Issuer{{Issuer: issuer.URL, KeysURL: issuer.KeysURL, Audiences: []string{"fhir"}, UserClaim: "context.user.name"}},
		Roles: map[string]authz.Role{"member": {Paths: []string{"/programs"}, Methods: []string{"*"}}, "all": {Paths: []string{"/"}, Methods: []string{"*"}},
			"admin": {Paths: []string{"/"}, Methods: []string{"*"}, Admin: true}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(resolver.Close)
	url = storetest.URL(t)
	s = servertest.Start(t, servertest.Options{URL: url, Server: func(c *server.Config) { c.Resolver = resolver }, Store: func(o *store.Options) { o.Consent = mode }})
	return s, func(who string) []string {
		claims := map[string]any{"roles": []string{who}}
		if patient, ok := strings.CutPrefix(who, "patient "); ok {
			claims = map[string]any{"roles": []string{"all"}, "patient": patient, "scope": []string{"openid", "patient/*.cruds"}}
		}
		return []string{"Authorization", "Bearer " + issuer.Token(t, "somebody", claims)}
	}, url
}

// of is a resource of a patient under a label.
func of(typ, id, patient, label, more string) string {
	subject := `"subject":{"reference":"Patient/` + patient + `"},`
	switch typ {
	case "Patient":
		subject = ""
	case "Consent":
		subject = `"patient":{"reference":"Patient/` + patient + `"},"scope":{"coding":[{"code":"research"}]},"category":[{"text":"c"}],"policyRule":{"text":"r"},`
	}
	return fmt.Sprintf(`{"resourceType":"%s","id":"%s",%s"meta":{"security":[{"system":"urn:gen3:authz","code":"%s"}]}%s}`, typ, id, subject, label, more)
}

const observed = `,"status":"final","code":{"text":"c"}`

// TestConsent withdraws a participant's consent and gives it again: all that is
// the participant's vanishes for everybody but administrators and the participant.
func TestConsent(t *testing.T) {
	t.Parallel()
	s, as, url := withConsent(t, store.ConsentOptOut)
	admin, member, all := as("admin"), as("member"), as("all")
	put := func(typ, id, patient, label, more string, status int) {
		t.Helper()
		s.Put("/"+typ+"/"+id, of(typ, id, patient, label, more), admin...).Is(status)
	}
	for _, p := range []string{"p", "q"} {
		put("Patient", p, p, "/programs/a", "", 201)
		put("Observation", "o-"+p, p, "/programs/a", observed, 201)
		put("Observation", "o-"+p, p, "/programs/b", observed+`,"language":"en"`, 200)
		put("Encounter", "e-"+p, p, "/programs/a", `,"status":"finished","class":{"code":"AMB"}`, 201)
		put("Observation", "gone-"+p, p, "/programs/a", observed, 201)
		s.Delete("/Observation/gone-"+p, admin...).Is(200, 204)
	}
	sees := func(who string, caller []string, p string, yes bool) {
		t.Helper()
		status := func(ok int) int {
			if yes {
				return ok
			}
			return 404
		}
		s.Get("/Patient/"+p, caller...).Is(status(200))
		s.Get("/Observation/o-"+p, caller...).Is(status(200))
		s.Get("/Observation/o-"+p+"/_history/1", caller...).Is(status(200))
		s.Get("/Observation/o-"+p+"/_history", caller...).Is(status(200))
		s.Get("/Observation/gone-"+p, caller...).Is(status(410))
		s.Get("/Observation/gone-"+p+"/_history", caller...).Is(status(200))
		for _, target := range []string{"/Patient", "/Observation?_include=Observation:subject", "/Patient?_revinclude=Observation:subject", "/Observation?subject._id=" + p,
			"/Patient?_has:Observation:subject:status=final", "/Patient/" + p + "/Observation", "/_history", "/Observation/_history", "/Encounter?_include=Encounter:subject", "/Observation?_sort=subject", "/?_type=Encounter"} {
			body := string(s.Get(target, caller...).Is(200).Body)
			if found := strings.Contains(body, "/Patient/"+p+`"`) || strings.Contains(body, "-"+p+`"`); found != yes {
				t.Errorf("%s, %s: %v: %.600s", who, target, found, body)
			}
		}
		want := "2"
		if !yes {
			want = "1"
		}
		if got := s.Get("/Observation?_summary=count", caller...).Is(200).Text("total"); got != want {
			t.Errorf("%s: %s Observations, want %s", who, got, want)
		}
	}
	everybody := func(p string, yes bool) {
		t.Helper()
		sees("member", member, p, yes)
		sees("all", all, p, yes)
		sees("admin", admin, p, true)
	}
	everybody("p", true)
	consent := func(status, provision string) {
		t.Helper()
		s.Put("/Consent/c", of("Consent", "c", "p", "/programs/a", `,"status":"`+status+`"`+provision), admin...).Is(200, 201)
	}
	const deny = `,"provision":{"type":"deny"}`
	consent("active", "")
	everybody("p", true)
	consent("inactive", "") // withdrawn
	everybody("p", false)
	s.Get("/Patient/q", all...).Is(200)
	s.Get("/Patient/p", as("patient p")...).Is(200)
	s.Get("/Observation/o-p", as("patient p")...).Is(200)
	s.Get("/Patient/p", as("patient q")...).Is(404)
	s.Get("/Consent/c", all...).Is(404)

	// what is written of the participant meanwhile, and what changes
	s.Post("/Observation", of("Observation", "x", "p", "/programs/a", observed), member...).Is(201)
	put("Observation", "o-p", "p", "/programs/b", observed+`,"language":"de"`, 200)
	s.Post("/Observation/o-p/$meta-add", `{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"code":"t"}]}}]}`, admin...).Is(200)
	if got := s.Get("/Observation?_summary=count", member...).Text("total"); got != "1" {
		t.Errorf("%s Observations", got)
	}
	if got := s.Get("/Observation?_tag=t", member...).Text("total"); got != "0" {
		t.Errorf("%s Observations by the tag", got)
	}

	consent("active", "")
	if got := s.Get("/Observation?_summary=count", all...).Text("total"); got != "3" {
		t.Errorf("%s Observations after the consent was given again", got)
	}
	s.Get("/Observation?_tag=t", member...).Is(200).Has("o-p")
	s.Get("/Observation/gone-p", all...).Is(410)
	consent("active", deny)
	s.Get("/Patient/p", all...).Is(404)
	s.Get("/Observation/o-p/_history/1", all...).Is(404)
	consent("inactive", deny) // the denial ended
	s.Get("/Patient/p", all...).Is(200)
	consent("active", `,"provision":{"type":"deny","actor":[{"role":{"text":"r"},"reference":{"reference":"Organization/o"}}]}`)
	s.Get("/Patient/p", all...).Is(200)
	consent("entered-in-error", deny)
	s.Get("/Patient/p", all...).Is(200)
	consent("active", deny)
	s.Get("/Patient/p", all...).Is(404)
	s.Delete("/Consent/c", admin...).Is(200, 204)
	s.Get("/Patient/p", all...).Is(200)

	// in a transaction, with the data
	s.Post("", transaction(entryOf("", of("Observation", "t", "q", "/programs/a", observed), "PUT", "Observation/t"),
		entryOf("", of("Consent", "d", "q", "/programs/a", `,"status":"active"`+deny), "PUT", "Consent/d")), admin...).Is(200)
	s.Get("/Observation/t", all...).Is(404)
	s.Get("/Observation/o-q", all...).Is(404)
	s.Get("/Observation/t", admin...).Is(200)

	// applied to what is stored, as when it is switched on
	again := storetest.OpenURL(t, url, func(o *store.Options) { o.Consent = store.ConsentOptOut })
	if err := again.As(authz.System("test")).EnforceConsent(t.Context(), func(int64) {}); err != nil {
		t.Fatal(err)
	}
	s.Get("/Observation/t", all...).Is(404)
	s.Get("/Patient/p", all...).Is(200)
	s.Get("/Observation/gone-q", all...).Is(404)
	s.Get("/Observation/gone-p", all...).Is(410)
}

// TestConsentOptIn sees nobody who did not permit it, and studies by themselves.
func TestConsentOptIn(t *testing.T) {
	t.Parallel()
	s, as, _ := withConsent(t, store.ConsentOptIn)
	admin, all := as("admin"), as("all")
	put := func(typ, id, body string) {
		t.Helper()
		s.Put("/"+typ+"/"+id, body, admin...).Is(200, 201)
	}
	put("Observation", "early", of("Observation", "early", "p", "/programs/a", observed)) // before its patient
	s.Get("/Observation/early", all...).Is(200)
	put("Patient", "p", of("Patient", "p", "p", "/programs/a", ""))
	s.Get("/Patient/p", all...).Is(404)
	s.Get("/Observation/early", all...).Is(404)
	put("Observation", "b", of("Observation", "b", "p", "/programs/b", observed))
	s.Get("/Observation/b", all...).Is(404)
	put("Organization", "org", `{"resourceType":"Organization","id":"org","name":"n","meta":{"security":[{"system":"urn:gen3:authz","code":"/programs/a"}]}}`)
	s.Get("/Organization/org", all...).Is(200)

	// a study's consent is about what has the study's label
	put("ResearchStudy", "s", `{"resourceType":"ResearchStudy","id":"s","status":"active","meta":{"security":[{"system":"urn:gen3:authz","code":"/programs/b"}]}}`)
	study := `,"provision":{"data":[{"meaning":"instance","reference":{"reference":"ResearchStudy/s"}}]}`
	put("Consent", "s", of("Consent", "s", "p", "/programs/a", `,"status":"active"`+study))
	s.Get("/Observation/b", all...).Is(200)
	s.Get("/Observation/early", all...).Is(404)
	put("Consent", "c", of("Consent", "c", "p", "/programs/a", `,"status":"active"`))
	s.Get("/Observation/early", all...).Is(200)
	s.Get("/Patient/p", all...).Is(200)
	put("Consent", "s", of("Consent", "s", "p", "/programs/a", `,"status":"inactive"`+study))
	s.Get("/Observation/b", all...).Is(404)
	s.Get("/Observation/early", all...).Is(200)
	put("Consent", "c", of("Consent", "c", "p", "/programs/a", `,"status":"inactive"`))
	s.Get("/Observation/early", all...).Is(404)
}
