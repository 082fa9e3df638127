package authz

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ingle/authz/arboristtest"
	"ingle/fhir"
)

// TestCloseEndsEverything runs before the parallel tests do.
func TestCloseEndsEverything(t *testing.T) {
	before := goleak.IgnoreCurrent()
	is := arboristtest.NewIssuer(t)
	cl := newClock()
	cfg := jwtConfig(is, cl)
	cfg.Issuers[0].KeysURL = "" // discovery, so two clients
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := r.Resolve(t.Context(), bearer(is.Token(t, "alice", nil))); err != nil {
			t.Fatal(err)
		}
		cl.Add(61 * time.Second) // the keys are read again beside the requests
	}
	r.Close()
	is.Close()
	goleak.VerifyNone(t, before)
}

func TestZeroScope(t *testing.T) {
	var s Scope
	for m := Read; m <= Search+1; m++ {
		if !s.Grant(m).None() || s.Grant(m).AllowsPaths(nil) || s.Grant(m).AllowsPaths([]string{"/a"}) || s.Narrow("Patient", m).Allowed || s.Permit("Patient", m) == nil {
			t.Errorf("the zero Scope may %v", m)
		}
	}
	if s.Admin() || s.IsSystem() || s.Authenticated() || !s.None() || s.Principal() != "" || s.Snapshot() != nil {
		t.Error("the zero Scope is somebody")
	}
	if e := s.Explain(Read, "Patient", nil); e.Allowed {
		t.Errorf("%+v", e)
	}
	if (Grant{NeedAll: true}).AllowsPaths(nil) || (Grant{NeedAll: true}).AllowsPaths([]string{"/a"}) {
		t.Error("the zero Grant that needs all allows something")
	}
}

func TestOpenAndSystem(t *testing.T) {
	for _, s := range []Scope{Open(), System("reindex")} {
		for m := Read; m <= Search; m++ {
			if !s.Grant(m).All || s.Permit("Patient", m) != nil || s.Narrow("Patient", m).Restricted() {
				t.Errorf("%s may not %v", s.Principal(), m)
			}
		}
	}
	if !System("reindex").IsSystem() || System("reindex").Principal() != "system:reindex" || Open().IsSystem() || Open().Authenticated() {
		t.Error("who is who")
	}
	if System("x").Snapshot() != nil {
		t.Error("a job can be started as the system")
	}
}

func TestModeOpen(t *testing.T) {
	r := newResolver(t, Config{Mode: ModeOpen})
	s, err := r.Resolve(t.Context(), Credentials{})
	if err != nil || !s.Grant(Delete).All {
		t.Errorf("%v", err)
	}
	for address, ok := range map[string]bool{"127.0.0.1:8080": true, "localhost:8080": true, "[::1]:8080": true, ":8080": false, "0.0.0.0:8080": false, "10.0.0.1:80": false, "fhir.example.org:80": false} {
		c := Config{Mode: ModeOpen}
		w, err := c.Warnings(address)
		if len(w) == 0 || (err == nil) != ok {
			t.Errorf("%s: %q, %v", address, w, err)
		}
		c.AllowPublicOpen = true
		if w, err := c.Warnings(address); err != nil || len(w) == 0 {
			t.Errorf("%s, allowed: %q, %v", address, w, err)
		}
	}
	if w, err := (Config{Mode: ModeJWT}).Warnings(":80"); w != nil || err != nil {
		t.Error(w, err)
	}
}

func TestConfigFaults(t *testing.T) {
	issuer := Issuer{Issuer: "https://idp.example.org", AnyAudience: true}
	hash, err := HashPassword("secret")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		cfg  Config
		want string
	}{
		"no mode":            {Config{}, "mode"},
		"unknown mode":       {Config{Mode: "none"}, "mode"},
		"nobody":             {Config{Mode: ModeJWT}, "issuer"},
		"leeway":             {Config{Mode: ModeJWT, Issuers: []Issuer{issuer}, Leeway: 61 * time.Second}, "leeway"},
		"no audience":        {Config{Mode: ModeJWT, Issuers: []Issuer{{Issuer: "https://x"}}}, "audiences"},
		"none":               {Config{Mode: ModeJWT, Issuers: []Issuer{{Issuer: "https://x", AnyAudience: true, Algorithms: []string{"none"}}}}, "algorithm"},
		"issuer twice":       {Config{Mode: ModeJWT, Issuers: []Issuer{issuer, issuer}}, "twice"},
		"no Arborist":        {Config{Mode: ModeArborist, Issuers: []Issuer{issuer}}, "URL"},
		"admin path":         {Config{Mode: ModeArborist, Issuers: []Issuer{issuer}, Arborist: Arborist{URL: "http://a", AdminPath: "admin"}}, "path"},
		"anonymous":          {Config{Mode: ModeJWT, Issuers: []Issuer{issuer}, Anonymous: true}, "anonymous"},
		"role":               {Config{Mode: ModeJWT, Issuers: []Issuer{issuer}, Roles: map[string]Role{"r": {Methods: []string{"erase"}}}}, "method"},
		"role's path":        {Config{Mode: ModeJWT, Issuers: []Issuer{issuer}, Roles: map[string]Role{"r": {Methods: []string{"*"}, Paths: []string{"/a/../b"}}}}, "path"},
		"unknown role":       {Config{Mode: ModeJWT, Issuers: []Issuer{issuer}, DefaultRoles: []string{"r"}}, "role"},
		"password in clear":  {Config{Mode: ModeJWT, Basic: []BasicUser{{Name: "a", Password: "secret"}}}, "password"},
		"colon":              {Config{Mode: ModeJWT, Basic: []BasicUser{{Name: "a:b", Password: hash}}}, "colon"},
		"match":              {Config{Mode: ModeJWT, Certificates: []CertificateUser{{Name: "a", Match: "a"}}}, "match"},
		"client elsewhere":   {Config{Mode: ModeJWT, Basic: []BasicUser{{Name: "a", Password: hash, Client: "c"}}}, "arborist"},
		"keys over http":     {Config{Mode: ModeJWT, Issuers: []Issuer{{Issuer: "https://x", AnyAudience: true, KeysURL: "http://idp.example.org/jwks"}}}, "not https"},
		"issuer over http":   {Config{Mode: ModeJWT, Issuers: []Issuer{{Issuer: "http://idp.example.org", AnyAudience: true}}}, "not https"},
		"keys twice":         {Config{Mode: ModeJWT, Issuers: []Issuer{{Issuer: "https://x", AnyAudience: true, KeysURL: "https://x", KeysFile: "x"}}}, "not both"},
		"realm with a quote": {Config{Mode: ModeOpen, Realm: `a"b`}, "realm"},
	} {
		r, err := New(c.cfg)
		if err == nil {
			r.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRoles(t *testing.T) {
	is := arboristtest.NewIssuer(t)
	cfg := jwtConfig(is, newClock())
	cfg.RolesClaim = "realm_access.roles"
	cfg.DefaultRoles = []string{"guest"}
	cfg.Roles = map[string]Role{
		"guest":   {Paths: []string{"/open"}, Methods: []string{"read"}},
		"curator": {Paths: []string{"/programs/a", "/programs/a/projects/b"}, Methods: []string{"read", "create", "update"}},
		"admin":   {Paths: []string{"/"}, Methods: []string{"*"}, Admin: true},
	}
	r := newResolver(t, cfg)
	with := func(more map[string]any, roles ...string) Scope {
		t.Helper()
		claims := map[string]any{"realm_access": map[string]any{"roles": roles}}
		for k, v := range more {
			claims[k] = v
		}
		s, err := r.Resolve(t.Context(), bearer(is.Token(t, "alice", claims)))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if s := with(nil); roots(s, Read) != "/open" || s.Grant(Read).Unlabelled || s.Admin() {
		t.Errorf("guest: %+v", s.Grant(Read))
	}
	if s := with(nil, "curator", "of-another-service"); roots(s, Read) != "/open /programs/a" || roots(s, Create) != "/programs/a" || !s.Grant(Delete).None() {
		t.Errorf("curator: %+v", s.Grant(Read))
	}
	if s := with(nil, "admin"); !s.Grant(Read).All || !s.Grant(Delete).All || !s.Admin() {
		t.Errorf("admin: %+v", s.Grant(Read))
	}
	if s := with(map[string]any{"scope": "user/Patient.rs"}, "admin"); s.Admin() || s.Narrow("Observation", Read).Allowed {
		t.Error("an app with one scope administers")
	}
	e := with(nil, "curator").Explain(Update, "Patient", []string{"/programs/a/x"})
	if want := []Source{{"/programs/a", "fhir", "update", "role:curator"}}; !e.Allowed || !slices.Equal(e.Labels[0].Grants, want) {
		t.Errorf("%+v", e)
	}
}

func TestScopesDecide(t *testing.T) {
	is := arboristtest.NewIssuer(t)
	r := newResolver(t, jwtConfig(is, newClock()))
	s, err := r.Resolve(t.Context(), bearer(is.Token(t, "alice", map[string]any{"scope": "openid profile"})))
	if err != nil {
		t.Fatal(err)
	}
	err = s.Permit("Patient", Read)
	refused(t, err, 403, "scopes")
	if c := r.Challenges(err); len(c) != 1 || c[0] != `Bearer realm="fhir", error="insufficient_scope"` {
		t.Errorf("%q", c)
	}
	for claim, value := range map[string]any{"scope": "launch/patient patient/Observation.rs", "scp": []string{"patient/Observation.rs"}} {
		changes := map[string]any{"scope": nil, "patient": "Patient/p1", "encounter": "e1", "fhirUser": "Practitioner/7"}
		changes[claim] = value
		s, err = r.Resolve(t.Context(), bearer(is.Token(t, "alice", changes)))
		if err != nil {
			t.Fatal(err)
		}
		n := s.Narrow("Observation", Search)
		if !n.Restricted() || n.Alternatives[0].Patient != "p1" || s.Narrow("Condition", Read).Allowed || !s.Grant(Read).All {
			t.Errorf("%s: %+v", claim, n)
		}
		if s.Patient() != "p1" || s.Encounter() != "e1" || s.FHIRUser() != "Practitioner/7" {
			t.Errorf("%s: context %q %q %q", claim, s.Patient(), s.Encounter(), s.FHIRUser())
		}
	}
	for _, bad := range []string{"p1 or 1=1", "Group/7", "a/b", strings.Repeat("x", 65), "../x"} {
		s, err = r.Resolve(t.Context(), bearer(is.Token(t, "alice", map[string]any{"scope": "patient/*.rs", "patient": bad})))
		if err != nil || s.Patient() != "" || s.Narrow("Observation", Read).Allowed {
			t.Errorf("patient %q: %v", bad, err)
		}
	}
}

func TestClientCredentials(t *testing.T) {
	is := arboristtest.NewIssuer(t)
	cfg := jwtConfig(is, newClock())
	cfg.Issuers[0].UserClaim, cfg.Issuers[0].Purpose = "", ""
	r := newResolver(t, cfg)
	for name, c := range map[string]struct {
		claims map[string]any
		want   string
	}{
		"a user":              {map[string]any{"sub": "17"}, "user:" + is.URL + "|17"},
		"a client for a user": {map[string]any{"sub": "17", "azp": "app"}, "user:" + is.URL + "|17|client:app"},
		"a client":            {map[string]any{"sub": "app", "client_id": "app"}, "client:" + is.URL + "|app"},
		"a client without":    {map[string]any{"sub": nil, "azp": "app"}, "client:" + is.URL + "|app"},
		"a name with a bar":   {map[string]any{"sub": "17|client:app"}, "user:" + is.URL + "|17%7Cclient:app"},
	} {
		s, err := r.Resolve(t.Context(), bearer(is.Token(t, "x", c.claims)))
		if err != nil || s.Principal() != c.want {
			t.Errorf("%s: %q, %v", name, s.Principal(), err)
		}
	}
	cfg.Issuers[0].UserClaim = "email" // a user without a mail address is not the client
	r = newResolver(t, cfg)
	_, err := r.Resolve(t.Context(), bearer(is.Token(t, "x", map[string]any{"sub": "17", "azp": "app"})))
	refused(t, err, 401, "email")
}

func TestBasic(t *testing.T) {
	is := arboristtest.NewIssuer(t)
	cl := newClock()
	hash, err := HashPassword("pass:word")
	if err != nil {
		t.Fatal(err)
	}
	cfg := jwtConfig(is, cl)
	cfg.Roles = map[string]Role{"loader": {Paths: []string{"/programs"}, Methods: []string{"create", "read"}}}
	cfg.Basic = []BasicUser{{Name: "loader", Password: hash, Roles: []string{"loader"}}}
	r := newResolver(t, cfg)
	login := func(text string) (Scope, error) {
		return r.Resolve(t.Context(), Credentials{Authorization: []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(text))}})
	}
	for range 2 { // the second time from memory
		s, err := login("loader:pass:word")
		if err != nil || s.Principal() != "basic:loader" || roots(s, Create) != "/programs" || !s.Grant(Update).None() || s.Admin() {
			t.Fatalf("%q %v", s.Principal(), err)
		}
		if s.Narrow("Patient", Read).Restricted() || !s.Narrow("Patient", Read).Allowed {
			t.Error("SMART scopes narrow a service")
		}
	}
	for _, bad := range []string{"loader:pass", "loader:", "loader", "nobody:pass:word", ":", "", "loader:" + strings.Repeat("x", 2000)} {
		_, err := login(bad)
		refused(t, err, 401, "wrong")
		if c := r.Challenges(err); len(c) != 2 || c[1] != `Basic realm="fhir", charset="UTF-8"` {
			t.Errorf("%q", c)
		}
	}
	begun := time.Now()
	if s, err := login("loader:pass:word"); err != nil || s.None() {
		t.Error(err)
	}
	if took := time.Since(begun); took > 20*time.Millisecond {
		t.Errorf("a password that was checked costs %v again", took)
	}
	// Many guesses at once wait for a place and give up in time.
	r.basic.places <- struct{}{}
	r.basic.places <- struct{}{}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = r.Resolve(ctx, Credentials{Authorization: []string{"Basic " + base64.StdEncoding.EncodeToString([]byte("loader:guess"))}})
	refused(t, err, 503, "in time")
}

func certificate(t *testing.T, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "loader"}}
	if change != nil {
		change(c)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err = x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCertificates(t *testing.T) {
	is := arboristtest.NewIssuer(t)
	cfg := jwtConfig(is, newClock())
	cfg.Roles = map[string]Role{"loader": {Paths: []string{"/programs"}, Methods: []string{"create"}}, "other": {Paths: []string{"/other"}, Methods: []string{"create"}}}
	cfg.Certificates = []CertificateUser{{Name: "loader", Match: "cn:loader", Roles: []string{"loader"}}, {Name: "other", Match: "uri:spiffe://x/other", Roles: []string{"other"}}}
	r := newResolver(t, cfg)
	cert := certificate(t, nil)
	s, err := r.Resolve(t.Context(), Credentials{Certificate: cert})
	if err != nil || s.Principal() != "cert:loader" || roots(s, Create) != "/programs" {
		t.Errorf("%q %v", s.Principal(), err)
	}
	spiffe, _ := url.Parse("spiffe://x/other")
	s, err = r.Resolve(t.Context(), Credentials{Certificate: certificate(t, func(c *x509.Certificate) { c.URIs = []*url.URL{spiffe} })})
	if err != nil || s.Principal() != "cert:other" {
		t.Errorf("%q %v", s.Principal(), err)
	}
	_, err = r.Resolve(t.Context(), Credentials{Certificate: certificate(t, func(c *x509.Certificate) { c.Subject.CommonName = "Loader" })})
	refused(t, err, 401, "nobody")
	// A token says who is asking, the certificate only who carries it …
	s, err = r.Resolve(t.Context(), Credentials{Authorization: []string{"Bearer " + is.Token(t, "alice", nil)}, Certificate: cert})
	if err != nil || !strings.HasPrefix(s.Principal(), "user:") {
		t.Errorf("%q %v", s.Principal(), err)
	}
	// … and a bad token is not mended by it.
	_, err = r.Resolve(t.Context(), Credentials{Authorization: []string{"Bearer x"}, Certificate: cert})
	refused(t, err, 401, "three parts")
	// A token that is bound to the certificate passes with it alone.
	sum := sha256.Sum256(cert.Raw)
	bound := is.Token(t, "alice", map[string]any{"cnf": map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])}})
	if _, err := r.Resolve(t.Context(), Credentials{Authorization: []string{"Bearer " + bound}, Certificate: cert}); err != nil {
		t.Error(err)
	}
	_, err = r.Resolve(t.Context(), Credentials{Authorization: []string{"Bearer " + bound}, Certificate: certificate(t, nil)})
	refused(t, err, 401, "another client certificate")
}

func TestSnapshot(t *testing.T) {
	is := arboristtest.NewIssuer(t)
	cfg := jwtConfig(is, newClock())
	cfg.RolesClaim = "roles"
	cfg.Roles = map[string]Role{"a": {Paths: []string{"/a"}, Methods: []string{"read", "create"}}, "b": {Paths: []string{"/b"}, Methods: []string{"read"}}, "admin": {Admin: true, Paths: []string{"/"}, Methods: []string{"*"}}}
	hash, err := HashPassword("x")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Basic = []BasicUser{{Name: "loader", Password: hash, Roles: []string{"a"}}}
	r := newResolver(t, cfg)
	s, err := r.Resolve(t.Context(), bearer(is.Token(t, "alice", map[string]any{"roles": []string{"a", "b"}, "scope": "patient/*.rs user/Location.rs", "patient": "p1"})))
	if err != nil {
		t.Fatal(err)
	}
	same, err := r.FromSnapshot(t.Context(), s.Snapshot())
	if err != nil {
		t.Fatal(err)
	}
	if same.Principal() != s.Principal() || roots(same, Read) != "/a /b" || roots(same, Create) != "/a" || same.Patient() != "p1" || !same.Expires().IsZero() {
		t.Errorf("%q %+v", same.Principal(), same.Grant(Read))
	}
	for _, typ := range []string{"Observation", "Location", "Practitioner", "Binary"} {
		for _, m := range []Method{Read, Search, Create} {
			a, b := s.Narrow(typ, m), same.Narrow(typ, m)
			if a.Allowed != b.Allowed || !slices.Equal(a.Alternatives, b.Alternatives) {
				t.Errorf("%v %s: %+v became %+v", m, typ, a, b)
			}
		}
	}
	again, err := r.FromSnapshot(t.Context(), same.Snapshot())
	if err != nil || roots(again, Read) != "/a /b" || again.Narrow("Observation", Read).Alternatives[0].Patient != "p1" {
		t.Errorf("a snapshot of a snapshot: %v", err)
	}

	// The configuration takes role b and the basic user away.
	loader, err := r.Lookup(t.Context(), "basic:loader")
	if err != nil {
		t.Fatal(err)
	}
	less := cfg
	less.Roles = map[string]Role{"a": cfg.Roles["a"], "c": {Paths: []string{"/c"}, Methods: []string{"*"}}}
	less.Basic = nil
	later := newResolver(t, less)
	now, err := later.FromSnapshot(t.Context(), s.Snapshot())
	if err != nil || roots(now, Read) != "/a" {
		t.Errorf("without the role: %q %v", roots(now, Read), err)
	}
	_, err = later.FromSnapshot(t.Context(), loader.Snapshot())
	refused(t, err, 401, "not known any more")

	_, err = newResolver(t, Config{Mode: ModeOpen}).FromSnapshot(t.Context(), s.Snapshot())
	refused(t, err, 401, "another mode")
	_, err = r.FromSnapshot(t.Context(), Open().Snapshot())
	refused(t, err, 401, "another mode")
	if o, err := newResolver(t, Config{Mode: ModeOpen}).FromSnapshot(t.Context(), Open().Snapshot()); err != nil || !o.Grant(Read).All {
		t.Error(err)
	}
	for _, bad := range []string{"", "{}", "null", `{"v":1,"mode":"jwt","grants":[]}`, `{"v":2}`} {
		if s, err := r.FromSnapshot(t.Context(), []byte(bad)); err == nil || s != (Scope{}) {
			t.Errorf("%q is taken for a snapshot", bad)
		}
	}
}

func TestPrincipalRoundTrip(t *testing.T) {
	for _, i := range []identity{
		{Kind: kindUser, Name: "alice@example.org"}, {Kind: kindUser, Name: "a|client:b%7C", Client: "c|d"}, {Kind: kindClient, Client: "c%|"},
		{Kind: kindBasic, Name: "x"}, {Kind: kindCert, Name: "y"}, {Kind: kindAnonymous},
	} {
		got, ok := identityOf(i.principal())
		if !ok || got.Kind != i.Kind || got.Name != i.Name || got.Client != i.Client {
			t.Errorf("%q: %+v", i.principal(), got)
		}
	}
}

func TestOutwardHidesTheRest(t *testing.T) {
	err := errors.New("pq: secret")
	if got := outward(err); fhir.AsError(got) != nil || got != err {
		t.Errorf("%v", got)
	}
	if e := fhir.AsError(outward(context.Canceled)); e == nil || e.Status != 503 {
		t.Errorf("%v", e)
	}
}
