package server

import (
	"encoding/json"
	"net/http"
	"strings"
)

// SMART is what /.well-known/smart-configuration says (SMART App Launch 2.2,
// section "Conformance"). The endpoints belong to the authorization server;
// those that are empty are left out.
type SMART struct {
	Issuer, Authorization, Token, Introspection, Registration, Management, Revocation string
}

// SMARTConfiguration answers below the FHIR base, and at the root too, to
// everybody: an app reads it before it has a token. It is for Config.Wrap.
func SMARTConfiguration(basePath string, s SMART) func(http.Handler) http.Handler {
	doc := map[string]any{
		"capabilities": []string{"launch-ehr", "launch-standalone", "client-public", "client-confidential-symmetric", "client-confidential-asymmetric",
			"context-ehr-patient", "context-standalone-patient", "permission-offline", "permission-patient", "permission-user", "permission-v1", "permission-v2"},
		"code_challenge_methods_supported": []string{"S256"},
		"grant_types_supported":            []string{"authorization_code", "client_credentials"},
		"response_types_supported":         []string{"code"},
		"scopes_supported": []string{"openid", "fhirUser", "launch", "launch/patient", "offline_access", "patient/*.rs", "user/*.rs", "system/*.rs",
			"patient/*.cruds", "user/*.cruds", "system/*.cruds"},
	}
	for name, url := range map[string]string{"issuer": s.Issuer, "authorization_endpoint": s.Authorization, "token_endpoint": s.Token, "introspection_endpoint": s.Introspection,
		"registration_endpoint": s.Registration, "management_endpoint": s.Management, "revocation_endpoint": s.Revocation} {
		if url != "" {
			doc[name] = url
		}
	}
	text, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		panic(err) // it cannot be: strings only
	}
	text = append(text, '\n')
	const name = "/.well-known/smart-configuration"
	own := strings.TrimSuffix(basePath, "/") + name
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != own && r.URL.Path != name || r.Method != http.MethodGet && r.Method != http.MethodHead {
				next.ServeHTTP(w, r)
				return
			}
			exchangeOf(r).path = name
			h := w.Header()
			h.Set("Content-Type", "application/json")
			h.Set("Cache-Control", "max-age=300")
			w.WriteHeader(http.StatusOK)
			if r.Method == http.MethodGet {
				_, _ = w.Write(text) // the client went away
			}
		})
	}
}
