package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"ingle/authz"
	"ingle/authz/devtoken"
	"ingle/internal/config"
)

// TestTenants: each tenant has its own database, found by path or header; a
// token of one is nothing to the others, on every route.
func TestTenants(t *testing.T) {
	t.Parallel()
	keys := t.TempDir()
	issuer, err := devtoken.Open(keys)
	if err != nil {
		t.Fatal(err)
	}
	token := func(tenant string) string {
		text, err := issuer.Token(devtoken.Claims{Issuer: "https://issuer.test", Audience: []string{"fhir"}, User: "ann", Client: tenant, Lifetime: time.Hour}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return "Bearer " + text
	}
	tokens := map[string]string{"": token(""), "acme": token("acme"), "beta": token("beta"), "other": token("other")}
	base, _ := start(t, served(t), "INGLE_AUTH_MODE=jwt",
		`INGLE_AUTH_ISSUERS=[{"issuer":"https://issuer.test","audiences":["fhir"],"keys_file":"`+keys+`/jwks.json","user_claim":"context.user.name"}]`,
		`INGLE_AUTH_ROLES={"chief":{"paths":["/"],"methods":["*"],"admin":true,"unlabelled":true}}`, "INGLE_AUTH_DEFAULT_ROLES=chief",
		`INGLE_TENANTS_NAMED={"acme":{"database_url":"`+served(t)+`"},"beta":{"database_url":"`+served(t)+`"}}`, "INGLE_TENANTS_CLAIM=azp")
	call := func(want int, tenant, method, url, body string, headers ...string) string {
		t.Helper()
		resp, text := ask(t, http.DefaultClient, method, url, body, append([]string{"Authorization", tokens[tenant]}, headers...)...)
		if resp.StatusCode != want {
			t.Errorf("token of %q, %s %s %v: %d, want %d: %.300s", tenant, method, url, headers, resp.StatusCode, want, text)
		}
		return text
	}
	const header = "X-Fhir-Tenant-Id"
	for _, tenant := range []string{"", "acme", "beta"} {
		at := base
		if tenant != "" {
			at += "/" + tenant
		}
		for _, id := range []string{"1", "2", "3"} {
			call(201, tenant, "PUT", at+"/Patient/"+id, `{"resourceType":"Patient","id":"`+id+`","name":[{"family":"of `+tenant+`"}]}`)
		}
	}
	for _, tenant := range []string{"acme", "beta"} {
		if text := call(200, tenant, "GET", base+"/"+tenant+"/Patient/1", ""); !strings.Contains(text, `"of `+tenant+`"`) {
			t.Errorf("%s", text)
		}
		if text := call(200, tenant, "GET", base+"/Patient/1", "", header, tenant); !strings.Contains(text, `"of `+tenant+`"`) {
			t.Errorf("by the header: %s", text)
		}
	}
	if text := call(200, "", "GET", base+"/Patient/1", "", header, "default"); !strings.Contains(text, `"of "`) {
		t.Errorf("%s", text)
	}
	call(400, "acme", "GET", base+"/Patient/1", "", header, "unknown")
	call(400, "acme", "GET", base+"/acme/Patient/1", "", header, "beta")
	call(404, "other", "GET", base+"/other/Patient/1", "")

	var page struct {
		Link []struct{ Relation, URL string }
	}
	if err := json.Unmarshal([]byte(call(200, "acme", "GET", base+"/acme/Patient?_count=2", "")), &page); err != nil {
		t.Fatal(err)
	}
	next := ""
	for _, l := range page.Link {
		if l.Relation == "next" {
			next = l.URL
		}
	}
	if !strings.HasPrefix(next, base+"/acme/") {
		t.Fatalf("the next page is %q", next)
	}
	call(200, "acme", "GET", next, "")
	strangers := map[string]string{"beta": "", "other": "", "": ""}
	for stranger := range strangers {
		for _, r := range []struct{ method, path, body string }{
			{"GET", "/Patient/1", ""}, {"GET", "/Patient/1/_history/1", ""}, {"GET", "/Patient/1/_history", ""}, {"GET", "/_history", ""}, {"GET", "/Patient?_count=2", ""},
			{"GET", "/Patient/1/Observation", ""}, {"GET", "/?_type=Patient", ""}, {"PUT", "/Patient/1", `{"resourceType":"Patient","id":"1"}`}, {"POST", "/Patient", `{"resourceType":"Patient"}`},
			{"DELETE", "/Patient/1", ""}, {"POST", "/", `{"resourceType":"Bundle","type":"batch"}`}, {"POST", "/Patient/$validate", `{"resourceType":"Patient"}`}, {"GET", "/Nothing", ""},
		} {
			call(404, stranger, r.method, base+"/acme"+r.path, r.body)
		}
		call(404, stranger, "GET", next, "")
		call(404, stranger, "GET", base+"/Patient/1", "", header, "acme")
		call(404, stranger, "GET", strings.TrimSuffix(base, "/fhir")+"/admin/authz/explain?principal=x&reference=Patient/1", "", header, "acme")
	}
	call(404, "acme", "GET", base+"/Patient/1", "")
	if resp, _ := ask(t, http.DefaultClient, "GET", base+"/acme/Patient/1", ""); resp.StatusCode != 401 {
		t.Errorf("without a token: %d", resp.StatusCode)
	}
}

// TestTenantsLimits: what a caller asks of one tenant takes nothing from what a
// caller of that name may ask of another.
func TestTenantsLimits(t *testing.T) {
	t.Parallel()
	hash, err := authz.HashPassword("secret")
	if err != nil {
		t.Fatal(err)
	}
	own, acme := served(t), served(t)
	run := func() (base string, stop func()) {
		return start(t, own, "INGLE_AUTH_MODE=jwt", `INGLE_AUTH_ROLES={"reader":{"paths":["/"],"methods":["read"]}}`,
			`INGLE_AUTH_BASIC=[{"name":"ann","password":"`+hash+`","roles":["reader"],"tenants":["","acme"]}]`, "INGLE_TENANTS_CLAIM=tenant",
			`INGLE_TENANTS_NAMED={"acme":{"database_url":"`+acme+`"}}`, `INGLE_ACCESS_PLANS=[{"principals":["basic:ann"],"quota":3}]`)
	}
	base, stop := run()
	is := func(want int, path string) {
		t.Helper()
		if resp, text := ask(t, http.DefaultClient, "GET", base+path, "", "Authorization", "Basic YW5uOnNlY3JldA=="); resp.StatusCode != want {
			t.Errorf("%s: %d, want %d: %.300s", path, resp.StatusCode, want, text)
		}
	}
	for _, want := range []int{200, 200, 200, 429} {
		is(want, "/Patient")
	}
	is(200, "/acme/Patient")
	is(200, "/acme/Patient")
	stop()
	base, _ = run()
	is(429, "/Patient")
	is(200, "/acme/Patient")
	is(429, "/acme/Patient")
}

func TestTenantsShareNoDatabase(t *testing.T) {
	t.Parallel()
	url := served(t)
	other := url + "&application_name=other" // another spelling of the same
	c, err := config.Load("", []string{"INGLE_DATABASE_URL=" + url, "INGLE_LISTEN=127.0.0.1:0", "INGLE_LOG_LEVEL=error", `INGLE_TENANTS_NAMED={"acme":{"database_url":"` + other + `"}}`})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := serve(ctx, c, io.Discard); err == nil || !strings.Contains(err.Error(), "its database is that of the server itself") {
		t.Errorf("%v", err)
	}
	for name, env := range map[string][]string{
		"no claim": {"INGLE_AUTH_MODE=jwt", `INGLE_TENANTS_NAMED={"acme":{"database_url":"postgres://x/acme"}}`},
		"a name":   {`INGLE_TENANTS_NAMED={"Patient":{"database_url":"postgres://x/acme"}}`},
		"no URL":   {`INGLE_TENANTS_NAMED={"acme":{}}`},
		"the same": {`INGLE_TENANTS_NAMED={"acme":{"database_url":"` + url + `"}}`},
	} {
		if _, err := config.Load("", append([]string{"INGLE_DATABASE_URL=" + url}, env...)); err == nil || !strings.Contains(err.Error(), "tenants.") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
