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

// withConsent starts a server that enforces Consents, and has consentCallers.
func withConsent(t *testing.T, mode string) (s *servertest.Server, as func(who string) []string, url string) {
	t.Helper()
	resolver, as := consentCallers(t)
	url = storetest.URL(t)
	return enforcing(t, url, mode, resolver), as, url
}

func enforcing(t *testing.T, url, mode string, resolver *authz.Resolver) *servertest.Server {
	t.Helper()
	return servertest.Start(t, servertest.Options{URL: url, Server: func(c *server.Config) { c.Resolver = resolver }, Store: func(o *store.Options) { o.Consent = mode }})
}

// consentCallers are a member of all programs, one who sees everything, an
// administrator, and the apps of patients ("patient p").
func consentCallers(t *testing.T) (resolver *authz.Resolver, as func(who string) []string) {
	t.Helper()
	issuer := arboristtest.NewIssuer(t)
	resolver, err := authz.New(authz.Config{Mode: authz.ModeJWT, RolesClaim: "roles", Definitions: r4.Definitions(),
		AllowHosts: []string{strings.TrimPrefix(issuer.KeysURL[:strings.LastIndex(issuer.KeysURL, "/.well")], "http://")},
		Issuers:    []authz.Issuer{{Issuer: issuer.URL, KeysURL: issuer.KeysURL, Audiences: []string{"fhir"}, UserClaim: "context.user.name"}},
		Roles: map[string]authz.Role{"member": {Paths: []string{"/programs"}, Methods: []string{"*"}}, "all": {Paths: []string{"/"}, Methods: []string{"*"}},
			"admin": {Paths: []string{"/"}, Methods: []string{"*"}, Admin: true},
			"of a":  {Paths: []string{"/programs/a"}, Methods: []string{"*"}}, "of x": {Paths: []string{"/programs/x"}, Methods: []string{"*"}},
			"reader of a": {Paths: []string{"/programs/a"}, Methods: []string{"read", "create"}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(resolver.Close)
	return resolver, func(who string) []string {
		claims := map[string]any{"roles": []string{who}}
		if patient, ok := strings.CutPrefix(who, "patient "); ok {
			claims = map[string]any{"roles": []string{"all"}, "patient": patient, "fhirUser": "Patient/" + patient, "scope": []string{"openid", "patient/*.cruds"}}
		}
		if patient, ok := strings.CutPrefix(who, "practitioner with "); ok {
			claims = map[string]any{"roles": []string{"all"}, "patient": patient, "fhirUser": "Practitioner/7", "scope": []string{"openid", "patient/*.cruds"}}
		}
		return []string{"Authorization", "Bearer " + issuer.Token(t, "somebody", claims)}
	}
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
	s.Get("/Patient/p", as("practitioner with p")...).Is(404)
	s.Get("/Observation/o-p", as("practitioner with p")...).Is(404)
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

const denies, permits = `,"status":"active","provision":{"type":"deny"}`, `,"status":"active"`

// TestConsentWhoDecides lets nobody decide for a patient but who may update the Patient,
// the patient, and administrators; and does not tell whether there is a patient.
func TestConsentWhoDecides(t *testing.T) {
	t.Parallel()
	s, as, _ := withConsent(t, store.ConsentOptOut)
	admin, member := as("admin"), as("of a")
	s.Put("/Patient/p", of("Patient", "p", "p", "/programs/a", ""), admin...).Is(201)
	s.Put("/Patient/gone", of("Patient", "gone", "gone", "/programs/a", ""), admin...).Is(201)
	s.Delete("/Patient/gone", admin...).Is(200, 204)
	refused := func(caller []string, label string) {
		t.Helper()
		var first string
		for _, patient := range []string{"p", "gone", "nobody"} {
			body := s.Put("/Consent/stranger", of("Consent", "stranger", patient, label, denies), caller...).Is(403).Text("issue.0.diagnostics")
			if first == "" {
				first = body
			}
			if body != first {
				t.Errorf("it tells whether there is a patient:\n%s\n%s", first, body)
			}
			s.Post("", transaction(entryOf("", of("Consent", "t", patient, label, denies), "PUT", "Consent/t")), caller...).Is(403)
		}
		s.Get("/Patient/p", member...).Is(200)
	}
	refused(as("of x"), "/programs/x")
	refused(as("reader of a"), "/programs/a")
	refused(as("practitioner with q"), "/programs/a")

	// for a patient that comes with it, a member, the patient
	s.Post("", transaction(entryOf("", of("Patient", "new", "new", "/programs/x", ""), "PUT", "Patient/new"),
		entryOf("", of("Consent", "n", "new", "/programs/x", denies), "PUT", "Consent/n")), as("of x")...).Is(200)
	s.Get("/Patient/new", as("of x")...).Is(404)
	s.Put("/Consent/c", of("Consent", "c", "p", "/programs/a", permits), member...).Is(201)
	s.Put("/Consent/c", of("Consent", "c", "p", "/programs/a", denies), as("patient p")...).Is(200)
	s.Get("/Patient/p", member...).Is(404)

	// and nobody lifts it but them
	for _, who := range []string{"of a", "of x", "practitioner with p"} {
		label := "/programs/a"
		if who == "of x" {
			label = "/programs/x"
		}
		s.Post("/Consent", of("Consent", "x", "p", label, permits), as(who)...).Is(403)
		s.Delete("/Consent/c", as(who)...).Is(403, 404, 204, 200)
		s.Get("/Patient/p", member...).Is(404)
	}
	s.Post("/Consent/c/$meta-add", `{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"code":"t"}]}}]}`, as("patient p")...).Is(200)
	s.Get("/Patient/p", member...).Is(404)
	s.Delete("/Consent/c", as("patient p")...).Is(200, 204)
	s.Get("/Patient/p", member...).Is(200)
	// pointing a Consent at somebody else is a decision about both
	s.Put("/Consent/mine", of("Consent", "mine", "p", "/programs/a", denies), admin...).Is(201)
	s.Put("/Consent/mine", of("Consent", "mine", "new", "/programs/a", denies), member...).Is(403, 404)
}

// TestConsentAgain switches enforcement off and on: what was decided before does
// not stay, and what was written meanwhile counts with the labels of the patient only.
func TestConsentAgain(t *testing.T) {
	t.Parallel()
	s, as, url := withConsent(t, store.ConsentOptOut)
	admin, all := as("admin"), as("all")
	enforce := func(mode string) *store.DB {
		t.Helper()
		db := storetest.OpenURL(t, url, func(o *store.Options) { o.Consent = mode })
		if err := db.As(authz.System("test")).EnforceConsent(t.Context(), func(int64) {}); err != nil {
			t.Fatal(err)
		}
		return db
	}
	for _, p := range []string{"p", "q", "r"} {
		s.Put("/Patient/"+p, of("Patient", p, p, "/programs/a", ""), admin...).Is(201)
	}
	s.Put("/Observation/moved", of("Observation", "moved", "q", "/programs/a", observed), admin...).Is(201)
	s.Put("/Observation/moved", of("Observation", "moved", "r", "/programs/a", observed), admin...).Is(200)
	s.Put("/Consent/p", of("Consent", "p", "p", "/programs/x", denies), admin...).Is(201)
	enforce(store.ConsentOptOut)
	s.Get("/Patient/p", all...).Is(404)

	off := servertest.Start(t, servertest.Options{URL: url})
	enforce("")
	off.Delete("/Consent/p").Is(200, 204)
	off.Put("/Consent/q", of("Consent", "q", "q", "/programs/a", denies)).Is(201)
	off.Put("/Consent/r", of("Consent", "r", "r", "/programs/x", denies)).Is(201)
	enforce(store.ConsentOptOut)
	s.Get("/Patient/p", all...).Is(200)
	s.Get("/Patient/q", all...).Is(404)
	s.Get("/Patient/r", all...).Is(200)
	s.Get("/Observation/moved", all...).Is(200)
	s.Get("/Observation/moved/_history/1", all...).Is(404)
	s.Put("/Consent/r", of("Consent", "r", "r", "/programs/x", denies), admin...).Is(200)
	s.Get("/Patient/r", all...).Is(404)
}

// TestConsentOfBefore withholds what a resource said of a patient in versions that
// are superseded, or before it was deleted, whoever else it was about.
func TestConsentOfBefore(t *testing.T) {
	t.Parallel()
	s, as, _ := withConsent(t, store.ConsentOptOut)
	admin, all := as("admin"), as("all")
	for _, p := range []string{"r", "u"} {
		s.Put("/Patient/"+p, of("Patient", p, p, "/programs/a", ""), admin...).Is(201)
	}
	put := func(id, subject, more string) {
		t.Helper()
		s.Put("/Observation/"+id, of("Observation", id, subject, "/programs/a", observed+more), admin...).Is(200, 201)
	}
	consent := func(patient, status string) {
		t.Helper()
		s.Put("/Consent/"+patient, of("Consent", patient, patient, "/programs/a", status), admin...).Is(200, 201)
	}
	put("both", "r", `,"performer":[{"reference":"Patient/u"}]`)
	s.Delete("/Observation/both", admin...).Is(200, 204)
	put("v", "r", "")
	put("v", "u", "")
	put("v", "u", `,"language":"en"`)
	consent("r", denies)
	consent("u", permits)
	s.Get("/Observation/both", all...).Is(404)
	s.Get("/Observation/both/_history/1", all...).Is(404)
	s.Get("/Observation/both/_history", all...).Is(404)
	s.Get("/Observation/v", all...).Is(200)
	s.Get("/Observation/v/_history/1", all...).Is(404)
	s.Get("/Observation/v/_history/1", admin...).Is(200)
	put("v", "u", `,"language":"de"`)
	s.Get("/Observation/v/_history/1", all...).Is(404)
	if got := s.Get("/Observation/v/_history", all...).Is(200).Text("total"); got != "1" {
		t.Errorf("%s versions, want the current one", got)
	}
	// written about somebody who denied already
	put("w", "r", "")
	put("w", "u", "")
	s.Get("/Observation/w", all...).Is(200)
	s.Get("/Observation/w/_history/1", all...).Is(404)
	s.Delete("/Observation/w", admin...).Is(200, 204)
	s.Get("/Observation/w", all...).Is(404)
	consent("r", permits)
	s.Get("/Observation/both", all...).Is(410)
	s.Get("/Observation/both/_history/1", all...).Is(200)
	s.Get("/Observation/v/_history/1", all...).Is(200)
	s.Get("/Observation/w", all...).Is(410)
}

// TestConsentNested: a denial within the provision denies, and a provision with others
// within permits nothing.
func TestConsentNested(t *testing.T) {
	t.Parallel()
	for mode, nothing := range map[string]int{store.ConsentOptOut: 200, store.ConsentOptIn: 404} {
		s, as, _ := withConsent(t, mode)
		admin, all := as("admin"), as("all")
		s.Put("/Patient/p", of("Patient", "p", "p", "/programs/a", ""), admin...).Is(201)
		for _, c := range []struct {
			provision string
			status    int
		}{
			{`{"type":"permit"}`, 200},
			{`{"type":"permit","provision":[{"type":"deny","actor":[{"role":{"text":"r"},"reference":{"reference":"Organization/o"}}]}]}`, 404},
			{`{"provision":[{"type":"permit","provision":[{"type":"deny"}]}]}`, 404},
			{`{"provision":[{"type":"permit","purpose":[{"code":"HRESCH"}]}]}`, nothing},
			{`{"type":"deny","provision":[{"type":"permit","purpose":[{"code":"HRESCH"}]}]}`, 404},
		} {
			s.Put("/Consent/c", of("Consent", "c", "p", "/programs/a", `,"status":"active","provision":`+c.provision), admin...).Is(200, 201)
			if got := s.Get("/Patient/p", all...).Status; got != c.status {
				t.Errorf("%s, %s: %d, want %d", mode, c.provision, got, c.status)
			}
		}
	}
}

// TestConsentOfStudy follows a study to other labels, by a write and by a relabelling.
func TestConsentOfStudy(t *testing.T) {
	t.Parallel()
	s, as, url := withConsent(t, store.ConsentOptOut)
	admin, all := as("admin"), as("all")
	study := func(label string) string {
		return `{"resourceType":"ResearchStudy","id":"s","status":"active","meta":{"security":[{"system":"urn:gen3:authz","code":"` + label + `"}]}}`
	}
	s.Put("/Patient/p", of("Patient", "p", "p", "/programs/a", ""), admin...).Is(201)
	for _, l := range []string{"b", "c"} {
		s.Put("/Observation/"+l, of("Observation", l, "p", "/programs/"+l, observed), admin...).Is(201)
	}
	s.Put("/Consent/c", of("Consent", "c", "p", "/programs/a", `,"status":"inactive","provision":{"data":[{"meaning":"instance","reference":{"reference":"ResearchStudy/s"}}]}`), admin...).Is(201)
	sees := func(b, c int) {
		t.Helper()
		s.Get("/Observation/b", all...).Is(b)
		s.Get("/Observation/c", all...).Is(c)
	}
	s.Put("/ResearchStudy/s", study("/programs/b"), admin...).Is(201)
	sees(404, 200)
	s.Put("/ResearchStudy/s", study("/programs/c"), admin...).Is(200)
	sees(200, 404)
	db := storetest.OpenURL(t, url, func(o *store.Options) { o.Consent = store.ConsentOptOut })
	if _, err := db.As(authz.System("test")).Relabel(t.Context(), store.Relabelling{From: "/programs/c", To: "/programs/d", Labels: authz.Labels{}}); err != nil {
		t.Fatal(err)
	}
	sees(200, 404)
	s.Put("/Observation/d", of("Observation", "d", "p", "/programs/d", observed), admin...).Is(201)
	s.Get("/Observation/d", all...).Is(404)
	s.Put("/Observation/c", of("Observation", "c", "p", "/programs/c", observed), admin...).Is(200)
	sees(200, 200)
}
