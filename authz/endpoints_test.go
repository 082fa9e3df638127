package authz

import (
	"encoding/json"
	"slices"
	"testing"

	"ingle/fhir"
)

func TestEndpoints(t *testing.T) {
	e := Endpoints{Authorization: "https://idp/auth", Token: "https://idp/token?a=\"b\"", Revocation: "https://idp/revoke", Capabilities: []string{"client-public", "permission-v1"}}
	var doc struct {
		Issuer       string   `json:"issuer"`
		Keys         *string  `json:"jwks_uri"`
		Token        string   `json:"token_endpoint"`
		Management   *string  `json:"management_endpoint"`
		Scopes       []string `json:"scopes_supported"`
		Capabilities []string `json:"capabilities"`
		Challenges   []string `json:"code_challenge_methods_supported"`
	}
	if err := json.Unmarshal(e.SMARTConfiguration("https://idp", ""), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Issuer != "https://idp" || doc.Keys != nil || doc.Token != e.Token || doc.Management != nil || !slices.Equal(doc.Challenges, []string{"S256"}) {
		t.Errorf("%+v", doc)
	}
	if want := []string{"client-public", "permission-patient", "permission-user", "permission-v1", "permission-v2"}; !slices.Equal(doc.Capabilities, want) {
		t.Errorf("%v", doc.Capabilities)
	}
	for _, s := range doc.Scopes { // whatever is announced is understood
		if _, ok := parseSmart(s); isSmart(s) && !ok {
			t.Errorf("%s is announced and not understood", s)
		}
	}
	x, err := fhir.Parse(e.AppendExtension(nil), fhir.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for n := x.Root().Get("extension").First(); n.Valid(); n = n.Next() {
		names = append(names, n.Get("url").Text()+"="+n.Get("valueUri").Text())
	}
	if want := []string{"authorize=https://idp/auth", "token=" + e.Token, "revoke=https://idp/revoke"}; !slices.Equal(names, want) {
		t.Errorf("%q", names)
	}
	if (Endpoints{Management: "x"}).Any() || !e.Any() {
		t.Error("Any")
	}
}
