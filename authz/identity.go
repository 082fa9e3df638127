package authz

import "strings"

// The kinds of caller.
const (
	kindUser      = "user"
	kindClient    = "client" // an OAuth client on its own
	kindBasic     = "basic"
	kindCert      = "cert"
	kindAnonymous = "anonymous"
	kindOpen      = "open"
	kindSystem    = "system"
)

// identity is who a caller is. It is part of a snapshot, so its JSON form stays.
type identity struct {
	Kind      string   `json:"kind"`
	Issuer    string   `json:"issuer,omitempty"` // where names are the issuer's own
	Name      string   `json:"name,omitempty"`   // of the user, the basic or certificate user
	Client    string   `json:"client,omitempty"` // OAuth client
	Roles     []string `json:"roles,omitempty"`  // values of the roles claim
	Plan      string   `json:"plan,omitempty"`   // value of the plan claim
	FHIRUser  string   `json:"fhirUser,omitempty"`
	Patient   string   `json:"patient,omitempty"`
	Encounter string   `json:"encounter,omitempty"`
}

// principal is unambiguous: a name that holds the separator is escaped.
func (i identity) principal() string {
	prefix := ""
	if i.Issuer != "" {
		prefix = escapeName(i.Issuer) + "|"
	}
	switch i.Kind {
	case kindUser:
		p := "user:" + prefix + escapeName(i.Name)
		if i.Client != "" {
			p += "|client:" + escapeName(i.Client)
		}
		return p
	case kindClient:
		return "client:" + prefix + escapeName(i.Client)
	case kindBasic, kindCert, kindSystem:
		return i.Kind + ":" + i.Name
	case kindAnonymous, kindOpen:
		return "anonymous"
	}
	return ""
}

var (
	nameEscaper   = strings.NewReplacer("%", "%25", "|", "%7C")
	nameUnescaper = strings.NewReplacer("%25", "%", "%7C", "|")
)

func escapeName(s string) string { return nameEscaper.Replace(s) }

// identityOf reads a principal of mode arborist, where names alone decide:
// "user:<name>", "user:<name>|client:<id>", "client:<id>", "basic:<name>",
// "cert:<name>" or "anonymous".
func identityOf(principal string) (identity, bool) {
	kind, rest, _ := strings.Cut(principal, ":")
	i := identity{Kind: kind}
	switch kind {
	case kindAnonymous:
		return i, rest == "" && principal == kindAnonymous
	case kindUser:
		name, client, acting := strings.Cut(rest, "|client:")
		i.Name, i.Client = nameUnescaper.Replace(name), nameUnescaper.Replace(client)
		return i, validName(i.Name) && !strings.Contains(name, "|") && (!acting || validName(i.Client))
	case kindClient:
		i.Client = nameUnescaper.Replace(rest)
		return i, validName(i.Client) && !strings.Contains(rest, "|")
	case kindBasic, kindCert:
		i.Name = rest
		return i, rest != ""
	}
	return i, false
}
