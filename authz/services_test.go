package authz

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"ingle/authz/arboristtest"
	"ingle/internal/outbound"
)

// TestBackendServices: a client that got its token by client credentials (SMART
// Backend Services) is a principal of its own, and its system scopes are what it has.
func TestBackendServices(t *testing.T) {
	is := arboristtest.NewIssuer(t)
	cfg := jwtConfig(is, newClock())
	cfg.Issuers[0].UserClaim = "sub"
	r := newResolver(t, cfg)
	for name, claims := range map[string]map[string]any{
		"client_id": {"sub": "bulk-client", "client_id": "bulk-client", "context": nil},
		"azp":       {"sub": "bulk-client", "azp": "bulk-client", "context": nil},
		"no sub":    {"sub": nil, "client_id": "bulk-client", "context": nil},
	} {
		claims["scope"] = "system/Patient.rs system/Observation.rs?category=laboratory"
		s, err := r.Resolve(t.Context(), bearer(is.Token(t, "", claims)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if s.Principal() != "client:"+is.URL+"|bulk-client" || s.PatientOnly() {
			t.Errorf("%s: %q", name, s.Principal())
		}
		if n := s.Narrow("Patient", Search); !n.Allowed || n.Restricted() {
			t.Errorf("%s: Patient: %+v", name, n)
		}
		if n := s.Narrow("Observation", Read); !n.Restricted() {
			t.Errorf("%s: Observation: %+v", name, n)
		}
		if s.Narrow("Patient", Update).Allowed || s.Narrow("Condition", Read).Allowed || s.Admin() {
			t.Errorf("%s: more than its scopes say", name)
		}
	}
}

// TestIntrospectionAsAService asks about tokens with a token of the server's own,
// which is asked for once, and never with the caller's.
func TestIntrospectionAsAService(t *testing.T) {
	is := arboristtest.NewIssuer(t)
	var tokens atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token":
			tokens.Add(1)
			_, _ = w.Write([]byte(`{"access_token":"own","token_type":"Bearer","expires_in":600}`))
		case r.Header.Get("Authorization") != "Bearer own" || !strings.HasPrefix(r.FormValue("token"), "opaque"):
			w.WriteHeader(401)
		default:
			_, _ = w.Write([]byte(`{"active":true,"sub":"17","aud":"fhir","scope":"user/*.rs"}`))
		}
	}))
	defer server.Close()
	cfg := jwtConfig(is, newClock())
	cfg.Issuers[0].UserClaim, cfg.Issuers[0].Purpose = "sub", ""
	cfg.Issuers[0].IntrospectURL = server.URL + "/introspect"
	cfg.Issuers[0].IntrospectAs = &outbound.ServiceOptions{TokenURL: server.URL + "/token", ClientID: "ingle", Secret: "s"}
	r := newResolver(t, cfg)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			if _, err := r.Resolve(t.Context(), bearer("opaque"+strings.Repeat("x", i))); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if tokens.Load() != 1 {
		t.Errorf("%d tokens", tokens.Load())
	}
}
