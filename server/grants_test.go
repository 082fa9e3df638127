package server_test

import (
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"ingle/authz"
	"ingle/authz/arboristtest"
	"ingle/server"
	"ingle/server/servertest"
	"ingle/store"
	"ingle/store/storetest"
)

// TestGrants gives and takes roles and plans on one server, and asks another one
// of the same database: each takes effect with the next request.
func TestGrants(t *testing.T) {
	t.Parallel()
	issuer := arboristtest.NewIssuer(t)
	at := storetest.URL(t)
	var now time.Time
	var trail lines
	start := func() *servertest.Server {
		var resolver *authz.Resolver
		return servertest.Start(t, servertest.Options{URL: at, Store: func(o *store.Options) {}, Server: func(c *server.Config) {
			var err error
			resolver, err = authz.New(authz.Config{Mode: authz.ModeJWT, RolesClaim: "roles", PlanClaim: "plan", Grants: c.Database.Grants(),
				Now:        func() time.Time { return time.Now().Add(now.Sub(time.Time{})) },
				AllowHosts: []string{strings.TrimPrefix(issuer.KeysURL[:strings.LastIndex(issuer.KeysURL, "/.well")], "http://")},
				Issuers:    []authz.Issuer{{Issuer: issuer.URL, KeysURL: issuer.KeysURL, Audiences: []string{"fhir"}, UserClaim: "context.user.name"}},
				Roles: map[string]authz.Role{"free": {Paths: []string{"/open"}, Methods: []string{"read"}}, "pro": {Paths: []string{"/pro"}, Methods: []string{"read"}},
					"admin": {Paths: []string{"/"}, Methods: []string{"*"}, Admin: true}},
				Plans: map[string][]string{"free": {"free"}, "pro": {"free", "pro"}}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(resolver.Close)
			c.Audit = slog.New(slog.NewJSONHandler(&trail, nil))
			c.Resolver, c.Wrap = resolver, append(c.Wrap, server.Administrators(resolver, server.GrantAdministration(resolver, c.Database.Grants()), server.AccessAdministration(resolver, c.Database)))
		}})
	}
	one, two := start(), start()
	header := func(user string, claims map[string]any) []string {
		claims["exp"] = time.Now().Add(24 * time.Hour).Unix()
		return []string{"Authorization", "Bearer " + issuer.Token(t, user, claims)}
	}
	admin := header("root", map[string]any{"roles": "admin"})
	ann := header("ann", map[string]any{})
	through := header("ann", map[string]any{"azp": "portal"})
	one.Put("/Patient/o", labelled("o", "/open"), admin...).Is(201)
	one.Put("/Patient/p", labelled("p", "/pro"), admin...).Is(201)

	who := "user:" + issuer.URL + "|ann"
	give := func(status int, body string) {
		t.Helper()
		one.Do("POST", one.Root+"/admin/authz/grants", body, admin...).Is(status)
	}
	take := func(status int, what string) {
		t.Helper()
		one.Do("DELETE", one.Root+"/admin/authz/grants?principal="+url.QueryEscape(who)+"&"+what, "", admin...).Is(status)
	}
	sees := func(caller []string, open, pro bool) {
		t.Helper()
		for _, s := range []*servertest.Server{one, two} {
			for id, yes := range map[string]bool{"o": open, "p": pro} {
				status := 404
				if yes {
					status = 200
				}
				s.Get("/Patient/"+id, caller...).Is(status)
			}
			if got := len(s.Get("/Patient", caller...).Is(200).IDs("match")); got != map[bool]int{true: 1}[open]+map[bool]int{true: 1}[pro] {
				t.Errorf("%d Patients", got)
			}
		}
	}
	sees(ann, false, false)
	give(204, fmt.Sprintf(`{"principal":%q,"role":"pro"}`, who))
	sees(ann, false, true)
	sees(through, false, true)
	sees(header("bob", map[string]any{}), false, false)
	take(204, "role=pro")
	sees(ann, false, false)
	take(404, "role=pro")

	// plans: of the token, and what was given instead
	paying := header("ann", map[string]any{"plan": "pro"})
	sees(paying, true, true)
	give(204, fmt.Sprintf(`{"principal":%q,"plan":"free"}`, who))
	sees(paying, true, false)
	give(204, fmt.Sprintf(`{"principal":%q,"plan":"pro","expires":%q}`, who, time.Now().Add(time.Hour).Format(time.RFC3339)))
	sees(ann, true, true)
	if got := one.Do("GET", one.Root+"/admin/authz/grants?principal="+url.QueryEscape(who), "", admin...).Is(200); strings.Contains(string(got.Body), `"free"`) || !strings.Contains(string(got.Body), `"plan": "pro"`) {
		t.Errorf("%s", got.Body)
	}
	now = time.Time{}.Add(2 * time.Hour)
	sees(ann, false, false)
	now = time.Time{}

	// what cannot be given
	for _, body := range []string{`{"principal":"user:x","role":"none"}`, `{"principal":"user:x","plan":"none"}`, `{"principal":"x","role":"pro"}`, `{"principal":"user:x","role":"pro","plan":"pro"}`,
		fmt.Sprintf(`{"principal":"user:x","role":"pro","expires":%q}`, time.Now().Add(-time.Hour).Format(time.RFC3339))} {
		give(422, body)
	}
	give(400, `{"principal":"user:x","rolle":"pro"}`)
	one.Do("POST", one.Root+"/admin/authz/grants", fmt.Sprintf(`{"principal":%q,"role":"admin"}`, who), ann...).Is(403)
	one.Do("GET", one.Root+"/admin/authz/grants", "").Is(401)
	one.Do("PUT", one.Root+"/admin/authz/grants", "{}", admin...).Is(405)
	one.Do("GET", one.Root+"/admin/authz/explain?principal=basic:x&reference=Patient/p", "", admin...).Is(400)
	one.Do("POST", one.Root+"/admin/authz/preview?principal=user:x&reference=Patient/p&method=update", `{"user":{}}`, admin...).Is(200)
	one.Do("GET", one.Root+"/admin/authz/grants/below", "", admin...).Is(404)

	text := trail.String()
	root := `"principal":"user:` + issuer.URL + `|root","client":"127.0.0.1",`
	grants := `"interaction":"administration","operation":"/admin/authz/grants",`
	for _, want := range []string{
		root + `"action":"C",` + grants + `"subject":"` + who + `","role":"pro","status":204,"outcome":"success"`,
		root + `"action":"C",` + grants + `"subject":"` + who + `","plan":"pro","expires":"`,
		root + `"action":"D",` + grants + `"subject":"` + who + `","role":"pro","status":204,"outcome":"success"`,
		root + `"action":"D",` + grants + `"subject":"` + who + `","role":"pro","status":404,"outcome":"minor failure"`,
		root + `"action":"R",` + grants + `"subject":"` + who + `","status":200,"outcome":"success"`,
		`|ann","client":"127.0.0.1","action":"E",` + grants + `"status":403,"outcome":"minor failure"`,
		`"principal":"","client":"127.0.0.1","action":"R",` + grants + `"status":401,"outcome":"minor failure"`,
		root + `"action":"R","interaction":"administration","operation":"/admin/authz/explain","subject":"basic:x","status":400,"outcome":"minor failure"`,
		root + `"action":"E","interaction":"administration","operation":"/admin/authz/preview","subject":"user:x","reference":"Patient/p","method":"update","status":200,"outcome":"success"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the audit trail lacks %s\n%s", want, text)
		}
	}
}
