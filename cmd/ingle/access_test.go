package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingle/authz"
	"ingle/authz/devtoken"
	"ingle/authz/mtls/mtlstest"
	"ingle/internal/config"
)

// ask sends a request with headers, names and values in turn.
func ask(t *testing.T, client *http.Client, method, url, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/fhir+json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

func bearer(t *testing.T, dir, user string, scopes ...string) string {
	t.Helper()
	is, err := devtoken.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	token, err := is.Token(devtoken.Claims{Issuer: "https://issuer.test", Audience: []string{"fhir"}, User: user, Scopes: scopes, Lifetime: time.Hour}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return "Bearer " + token
}

// By configuration alone: tokens, Basic, networks, browsers, rates, what apps
// are told, and administrators' questions.
func TestAccessByConfiguration(t *testing.T) {
	t.Parallel()
	keys := t.TempDir()
	hash, err := authz.HashPassword("secret")
	if err != nil {
		t.Fatal(err)
	}
	ann := bearer(t, keys, "ann")
	base, _ := start(t, served(t), "INGLE_AUTH_MODE=jwt",
		`INGLE_AUTH_ISSUERS=[{"issuer":"https://issuer.test","audiences":["fhir"],"keys_file":"`+keys+`/jwks.json","user_claim":"context.user.name"}]`,
		`INGLE_AUTH_ROLES={"reader":{"paths":["/programs/a"],"methods":["read"]},"chief":{"paths":["/"],"methods":["*"],"admin":true}}`,
		"INGLE_AUTH_DEFAULT_ROLES=reader",
		`INGLE_AUTH_BASIC=[{"name":"loader","password":"`+hash+`","roles":["chief"]}]`,
		"INGLE_AUTH_SMART_AUTHORIZATION_ENDPOINT=https://issuer.test/authorize", "INGLE_AUTH_SMART_TOKEN_ENDPOINT=https://issuer.test/token",
		"INGLE_AUTH_SMART_INTROSPECTION_ENDPOINT=https://issuer.test/introspect", "INGLE_AUTH_SMART_REVOCATION_ENDPOINT=https://issuer.test/revoke",
		"INGLE_TRUSTED_PROXIES=127.0.0.0/8", "INGLE_ACCESS_DENY_IPS=10.6.0.0/16", "INGLE_CORS_ORIGINS=https://app.test",
		`INGLE_ACCESS_PLANS=[{"principals":["user:https://issuer.test|slow"],"rate":1,"burst":2},{"principals":["user:https://issuer.test|poor"],"quota":3}]`)
	client := http.DefaultClient
	loader := []string{"Authorization", "Basic bG9hZGVyOnNlY3JldA=="}
	is := func(want int, method, path, body string, headers ...string) (*http.Response, string) {
		t.Helper()
		resp, text := ask(t, client, method, base+path, body, headers...)
		if resp.StatusCode != want {
			t.Errorf("%s %s: %d, want %d: %s", method, path, resp.StatusCode, want, text)
		}
		return resp, text
	}
	patient := `{"resourceType":"Patient","id":"p","meta":{"security":[{"system":"urn:gen3:authz","code":"/programs/a"}]}}`
	is(401, "GET", "/Patient/p", "")
	is(401, "GET", "/Patient/p", "", "Authorization", "Basic bG9hZGVyOndyb25n")
	is(201, "PUT", "/Patient/p", patient, loader...)
	is(200, "GET", "/Patient/p", "", "Authorization", ann)
	is(403, "PUT", "/Patient/p", patient, "Authorization", ann)
	is(403, "GET", "/metadata", "", "X-Forwarded-For", "10.6.1.1")

	if resp, _ := is(204, "OPTIONS", "/Patient", "", "Origin", "https://app.test", "Access-Control-Request-Method", "GET"); resp.Header.Get("Access-Control-Allow-Origin") != "https://app.test" {
		t.Errorf("%v", resp.Header)
	}
	if resp, _ := is(200, "GET", "/metadata", "", "Origin", "https://evil.test"); resp.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%v", resp.Header)
	}

	for user, allowed := range map[string]int{"slow": 2, "poor": 3} {
		token := bearer(t, keys, user)
		refused := false
		for i := range 6 {
			resp, _ := ask(t, client, "GET", base+"/Patient/p", "", "Authorization", token)
			if i < allowed && resp.StatusCode != 200 {
				t.Errorf("%s, request %d: %d", user, i, resp.StatusCode)
			}
			refused = refused || resp.StatusCode == 429 && resp.Header.Get("Retry-After") != "" && resp.Header.Get("X-RateLimit-Remaining") == "0"
		}
		if !refused {
			t.Errorf("%s is never refused", user)
		}
	}

	var smart map[string]any
	if _, text := is(200, "GET", "/.well-known/smart-configuration", ""); json.Unmarshal([]byte(text), &smart) != nil || smart["issuer"] != "https://issuer.test" ||
		smart["authorization_endpoint"] != "https://issuer.test/authorize" || smart["token_endpoint"] != "https://issuer.test/token" ||
		smart["introspection_endpoint"] != "https://issuer.test/introspect" || smart["revocation_endpoint"] != "https://issuer.test/revoke" {
		t.Errorf("%s", text)
	}

	if _, text := is(200, "GET", "/metadata", ""); !strings.Contains(text, "StructureDefinition/oauth-uris") || !strings.Contains(text, `"url":"authorize","valueUri":"https://issuer.test/authorize"`) ||
		strings.Contains(text, `"url":"register"`) {
		t.Errorf("the CapabilityStatement does not name the endpoints: %.3000s", text)
	}

	admin := strings.TrimSuffix(base, "/fhir") + "/admin/authz/explain?reference=Patient/p&method="
	if resp, _ := ask(t, client, "GET", admin+"read", "", "Authorization", ann); resp.StatusCode != 403 {
		t.Errorf("ann explains: %d", resp.StatusCode)
	}
}

// Audit lines are written at any level of the log.
func TestAuditAtAnyLevel(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	log := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelError})).With("tenant", "acme")
	log.Info("request")
	audit(log).Info("audit", "principal", "user:ann")
	if text := out.String(); strings.Contains(text, "request") || !strings.Contains(text, `"msg":"audit","tenant":"acme","principal":"user:ann"`) {
		t.Errorf("%s", text)
	}
}

// Introspection by configuration: opaque tokens are accepted while the issuer
// says that they are good.
func TestIntrospectionByConfiguration(t *testing.T) {
	t.Parallel()
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, password, _ := r.BasicAuth()
		active := name == "ingle" && password == "s3cret" && r.FormValue("token") == "opaque-good"
		_ = json.NewEncoder(w).Encode(map[string]any{"active": active, "iss": "https://issuer.test", "aud": "fhir", "sub": "ann", "exp": time.Now().Add(time.Hour).Unix()})
	}))
	defer issuer.Close()
	base, _ := start(t, served(t), "INGLE_AUTH_MODE=jwt", "INGLE_AUTH_ALLOW_HOSTS="+strings.TrimPrefix(issuer.URL, "http://"),
		`INGLE_AUTH_ISSUERS=[{"issuer":"https://issuer.test","audiences":["fhir"],"keys_url":"`+issuer.URL+`/keys","introspect_url":"`+issuer.URL+`/introspect","introspect_user":"ingle","introspect_password":"s3cret"}]`)
	if resp, text := ask(t, http.DefaultClient, "GET", base+"/Patient", "", "Authorization", "Bearer opaque-good"); resp.StatusCode != 200 {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
	if resp, text := ask(t, http.DefaultClient, "GET", base+"/Patient", "", "Authorization", "Bearer opaque-revoked"); resp.StatusCode != 401 {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
}

// TLS and client certificates by configuration; a renewed certificate is taken
// over while the server runs.
func TestTLSByConfiguration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put := func(name string, data []byte) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca, other := mtlstest.NewAuthority(t, "ours"), mtlstest.NewAuthority(t, "another")
	cert, key := ca.Issue(t, "first", time.Now().Add(time.Hour))
	certFile, keyFile, caFile := put("cert.pem", cert), put("key.pem", key), put("ca.pem", ca.PEM())
	roots := x509.NewCertPool()
	roots.AddCert(ca.Certificate)
	as := func(a *mtlstest.Authority, name string, max uint16) *http.Client {
		c := &tls.Config{RootCAs: roots, MaxVersion: max}
		if a != nil {
			cert, key := a.Issue(t, name, time.Now().Add(time.Hour))
			pair, err := tls.X509KeyPair(cert, key)
			if err != nil {
				t.Fatal(err)
			}
			c.Certificates = []tls.Certificate{pair}
		}
		return &http.Client{Transport: &http.Transport{TLSClientConfig: c, DisableKeepAlives: true}, Timeout: 10 * time.Second}
	}
	loader := as(ca, "loader", 0)
	base, _ := startWith(t, loader, served(t), "INGLE_TLS_CERT_FILE="+certFile, "INGLE_TLS_KEY_FILE="+keyFile, "INGLE_TLS_CLIENT_CA_FILE="+caFile, "INGLE_TLS_REQUIRE_CLIENT=true",
		"INGLE_AUTH_MODE=jwt", `INGLE_AUTH_ROLES={"chief":{"paths":["/"],"methods":["*"],"admin":true}}`, `INGLE_AUTH_CERTIFICATES=[{"name":"loader","match":"cn:loader","roles":["chief"]}]`)
	resp, text := ask(t, loader, "GET", base+"/Patient", "")
	if resp.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("%v", resp.Header)
	}
	if resp.StatusCode != 200 || resp.TLS.PeerCertificates[0].Subject.CommonName != "first" {
		t.Errorf("%d %s %s", resp.StatusCode, resp.TLS.PeerCertificates[0].Subject, text)
	}
	if resp, _ := ask(t, as(ca, "stranger", 0), "GET", base+"/Patient", ""); resp.StatusCode != 401 {
		t.Errorf("a certificate of nobody known: %d", resp.StatusCode)
	}
	for name, client := range map[string]*http.Client{"no certificate": as(nil, "", 0), "another authority": as(other, "loader", 0), "TLS 1.1": as(ca, "loader", tls.VersionTLS11)} {
		if resp, err := client.Get(base + "/metadata"); err == nil {
			resp.Body.Close()
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
	}
	own := &config.Config{TLS: config.TLS{CertFile: certFile, KeyFile: keyFile}}
	probe, err := ownClient(own)
	if err != nil {
		t.Fatal(err)
	}
	if err := ready(t.Context(), probe, strings.TrimSuffix(base, "/fhir")+"/readyz"); err != nil {
		t.Error("healthcheck: ", err)
	}
	if resp, text := ask(t, probe, "GET", base+"/metadata", ""); resp.StatusCode != 403 {
		t.Errorf("a probe asks for more: %d %s", resp.StatusCode, text)
	}
	otherCert, otherKey := other.Issue(t, "first", time.Now().Add(time.Hour))
	strange, err := ownClient(&config.Config{TLS: config.TLS{CertFile: put("other.pem", otherCert), KeyFile: put("other.key", otherKey)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := ready(t.Context(), strange, strings.TrimSuffix(base, "/fhir")+"/readyz"); err == nil {
		t.Error("healthcheck takes another server for its own")
	}
	cert, key = ca.Issue(t, "second", time.Now().Add(time.Hour))
	put("cert.pem", cert)
	put("key.pem", key)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(500 * time.Millisecond) {
		resp, _ := ask(t, loader, "GET", base+"/Patient", "")
		if resp.TLS.PeerCertificates[0].Subject.CommonName == "second" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the renewed certificate is not taken over")
		}
	}
}
