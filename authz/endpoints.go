package authz

import (
	"encoding/json"
	"slices"

	"ingle/fhir"
)

// Endpoints are URLs of the authorization server, for clients to find. This
// server only hands them on; an empty one is left out.
type Endpoints struct {
	Authorization string
	Token         string
	Introspection string
	Registration  string
	Management    string
	Revocation    string
	// Capabilities are what the authorization server can do besides what this
	// server does itself ("launch-standalone", "client-public",
	// "context-standalone-patient" …).
	Capabilities []string
	GrantTypes   []string // default authorization_code and client_credentials
}

// Any tells whether there is anything to say.
func (e Endpoints) Any() bool { return e.Token != "" || e.Authorization != "" }

// scopesSupported names the shapes of scopes that are honoured.
var scopesSupported = []string{
	"openid", "fhirUser", "launch", "launch/patient", "launch/encounter", "offline_access", "online_access",
	"patient/*.rs", "patient/*.cruds", "user/*.rs", "user/*.cruds", "system/*.rs", "system/*.cruds",
	"patient/*.read", "patient/*.write", "user/*.read", "user/*.write", "system/*.read", "system/*.write",
}

// SMARTConfiguration returns the document at .well-known/smart-configuration
// (SMART App Launch 2.2.0, section "Conformance"). issuer and keysURL are those
// of the one issuer, "" where there are several or none.
func (e Endpoints) SMARTConfiguration(issuer, keysURL string) []byte {
	grants := e.GrantTypes
	if len(grants) == 0 {
		grants = []string{"authorization_code", "client_credentials"}
	}
	capabilities := append([]string{"permission-patient", "permission-user", "permission-v1", "permission-v2"}, e.Capabilities...)
	slices.Sort(capabilities)
	raw, err := json.Marshal(struct {
		Issuer        string   `json:"issuer,omitempty"`
		Keys          string   `json:"jwks_uri,omitempty"`
		Authorization string   `json:"authorization_endpoint,omitempty"`
		Token         string   `json:"token_endpoint,omitempty"`
		Registration  string   `json:"registration_endpoint,omitempty"`
		Management    string   `json:"management_endpoint,omitempty"`
		Introspection string   `json:"introspection_endpoint,omitempty"`
		Revocation    string   `json:"revocation_endpoint,omitempty"`
		GrantTypes    []string `json:"grant_types_supported"`
		Scopes        []string `json:"scopes_supported"`
		ResponseTypes []string `json:"response_types_supported"`
		Challenges    []string `json:"code_challenge_methods_supported"`
		Capabilities  []string `json:"capabilities"`
	}{issuer, keysURL, e.Authorization, e.Token, e.Registration, e.Management, e.Introspection, e.Revocation,
		grants, scopesSupported, []string{"code"}, []string{"S256"}, slices.Compact(capabilities)})
	if err != nil {
		return nil // it cannot be: strings only
	}
	return raw
}

// AppendExtension appends the extension oauth-uris of CapabilityStatement.rest.security
// as a JSON object.
func (e Endpoints) AppendExtension(dst []byte) []byte {
	dst = append(dst, `{"url":"http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris","extension":[`...)
	first := true
	for _, x := range []struct{ name, url string }{
		{"authorize", e.Authorization}, {"token", e.Token}, {"introspect", e.Introspection},
		{"register", e.Registration}, {"manage", e.Management}, {"revoke", e.Revocation},
	} {
		if x.url == "" {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, `{"url":"`+x.name+`","valueUri":`...)
		dst = append(fhir.AppendString(dst, x.url), '}')
	}
	return append(dst, `]}`...)
}

// SoleIssuer returns iss and the URL of the keys of the one issuer that is
// trusted, empty where there is none or more than one.
func (r *Resolver) SoleIssuer() (issuer, keysURL string) {
	if len(r.cfg.Issuers) != 1 {
		return "", ""
	}
	return r.cfg.Issuers[0].Issuer, r.cfg.Issuers[0].KeysURL
}
