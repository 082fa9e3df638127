package authz

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"ingle/fhir"
)

// claims are the claims of a verified token that decide something.
type claims struct {
	issuer    string
	subject   string
	user      string // who is asking, "" for a client on its own
	client    string // the OAuth client, "" for none
	expires   time.Time
	notBefore time.Time
	scopes    []string
	patient   string // logical id of the patient in context
	encounter string
	fhirUser  string
	roles     []string
	plan      string
	thumb     string // SHA-256 of the certificate that the token is bound to, base64url
}

// faultError is why a token is refused.
type faultError struct {
	code, text string // fhir issue code
}

func (e *faultError) Error() string { return e.text }

func refuse(text string) error { return &faultError{fhir.CodeLogin, text} }

// claimsOf reads and checks the payload of a token whose signature is good, or
// what its issuer said of it just now (asked), which may leave exp out.
func claimsOf(is *Issuer, cfg *Config, payload fhir.Node, now time.Time, asked bool) (*claims, error) {
	c := &claims{issuer: is.Issuer}
	if err := c.times(is, cfg, payload, now, asked); err != nil {
		return nil, err
	}
	if err := audience(is, payload.Get("aud")); err != nil {
		return nil, err
	}
	if err := tenant(cfg, payload); err != nil {
		return nil, err
	}
	if err := purpose(is, payload); err != nil {
		return nil, err
	}
	var ok bool
	if c.subject, ok = optionalString(payload, "sub"); !ok {
		return nil, refuse("the token's sub is not a string")
	}
	names := []string{"azp", "client_id", "cid"}
	if cfg.Mode == ModeArborist {
		names = names[:1] // the one that Arborist knows
	}
	for _, name := range names {
		s, ok := optionalString(payload, name)
		if !ok {
			return nil, refuse("the token's " + name + " is not a string")
		}
		if c.client == "" {
			c.client = s
		}
	}
	if err := c.who(is, payload); err != nil {
		return nil, err
	}
	if c.scopes, ok = words(payload, "scope"); !ok {
		return nil, refuse("the token's scope is neither a string nor an array of strings")
	}
	if c.scopes == nil {
		if c.scopes, ok = words(payload, "scp"); !ok {
			return nil, refuse("the token's scp is neither a string nor an array of strings")
		}
	}
	if len(c.scopes) > maxScopes {
		return nil, refuse("the token has more than " + strconv.Itoa(maxScopes) + " scopes")
	}
	c.patient = contextID(claim(payload, cfg.PatientClaim).Text(), "Patient")
	c.encounter = contextID(claim(payload, "encounter").Text(), "Encounter")
	c.fhirUser = claim(payload, "fhirUser").Text()
	if cfg.PlanClaim != "" {
		c.plan = claim(payload, cfg.PlanClaim).Text()
	}
	if cfg.RolesClaim != "" {
		node := claim(payload, cfg.RolesClaim)
		switch node.Kind() {
		case fhir.String:
			c.roles = []string{node.Text()}
		case fhir.Array:
			for n := node.First(); n.Valid(); n = n.Next() {
				if n.Kind() == fhir.String {
					c.roles = append(c.roles, n.Text())
				}
			}
		}
	}
	// A token that is bound to a key is worthless without proof of the key
	// (RFC 8705 certificates can be checked here, RFC 9449 proofs cannot).
	if cnf := payload.Get("cnf"); cnf.Valid() {
		c.thumb = cnf.Get("x5t#S256").Text()
		if c.thumb == "" || cnf.Len() != 1 {
			return nil, refuse("the token is bound to a key by a method that this server cannot check")
		}
	}
	return c, nil
}

// tenant checks that the token is for the tenant that is called: its claim names
// the tenant, or there is no such claim and the tenant is the one without a name.
// To a token of another tenant there is nothing here.
func tenant(cfg *Config, payload fhir.Node) error {
	if cfg.TenantClaim == "" {
		return nil
	}
	named, ok := wordsOf(claim(payload, cfg.TenantClaim))
	switch {
	case !ok:
		return refuse("the token's " + cfg.TenantClaim + " is neither a string nor an array of strings")
	case slices.Contains(named, cfg.Tenant), len(named) == 0 && cfg.Tenant == "":
		return nil
	}
	return fhir.Errorf(404, fhir.CodeNotFound, "there is nothing at this path for you")
}

// who finds the user. A token without one belongs to a client on its own, which
// must be beyond doubt: mistaking a user's token for the client's would give
// the user all that the client has.
func (c *claims) who(is *Issuer, payload fhir.Node) error {
	node := claim(payload, is.UserClaim)
	if node.Valid() {
		c.user = node.Text()
		if node.Kind() != fhir.String || !validName(c.user) {
			return refuse("the token's " + is.UserClaim + " is not a name")
		}
		if c.user == c.client && c.subject == c.client {
			c.user = "" // client credentials, as most issuers write them
		}
		return nil
	}
	if c.client == "" {
		return refuse("the token names neither a user nor a client")
	}
	if dot := strings.LastIndexByte(is.UserClaim, '.'); dot > 0 {
		// Fence: context is there, and context.user is not.
		holder := is.UserClaim[:dot]
		if claim(payload, holder).Valid() {
			return refuse("the token's " + is.UserClaim + " is missing")
		}
		if up := strings.LastIndexByte(holder, '.'); up > 0 && claim(payload, holder[:up]).Kind() == fhir.Object {
			return nil
		}
		return refuse("the token's " + is.UserClaim + " is missing")
	}
	if c.subject != "" && c.subject != c.client {
		return refuse("the token's " + is.UserClaim + " is missing")
	}
	return nil
}

func (c *claims) times(is *Issuer, cfg *Config, payload fhir.Node, now time.Time, asked bool) error {
	exp, ok := date(payload.Get("exp"))
	if asked && !payload.Get("exp").Valid() {
		exp, ok = now.Add(verifiedFor), true
	}
	if !ok {
		return refuse("the token has no exp or one that is no date")
	}
	c.expires = exp
	if node := payload.Get("nbf"); node.Valid() {
		if c.notBefore, ok = date(node); !ok {
			return refuse("the token's nbf is no date")
		}
	}
	if node := payload.Get("iat"); node.Valid() {
		iat, ok := date(node)
		switch {
		case !ok:
			return refuse("the token's iat is no date")
		case iat.After(now.Add(cfg.Leeway)):
			return refuse("the token was issued in the future; is a clock wrong?")
		case is.MaxLifetime > 0 && exp.Sub(iat) > is.MaxLifetime:
			return refuse("the token lives longer than this server accepts")
		}
	} else if is.MaxLifetime > 0 {
		return refuse("the token has no iat, so its lifetime is not known")
	}
	return c.current(cfg, now)
}

// current checks the times that pass.
func (c *claims) current(cfg *Config, now time.Time) error {
	if !now.Before(c.expires.Add(cfg.Leeway)) {
		return &faultError{fhir.CodeExpired, "the token has expired; get a new one"}
	}
	if !c.notBefore.IsZero() && now.Before(c.notBefore.Add(-cfg.Leeway)) {
		return refuse("the token is not valid yet; is a clock wrong?")
	}
	return nil
}

func audience(is *Issuer, aud fhir.Node) error {
	if is.AnyAudience {
		return nil
	}
	has := func(n fhir.Node) bool {
		for _, a := range is.Audiences {
			if n.Kind() == fhir.String && n.Text() == a {
				return true
			}
		}
		return false
	}
	if has(aud) {
		return nil
	}
	if aud.Kind() == fhir.Array {
		for n := aud.First(); n.Valid(); n = n.Next() {
			if has(n) {
				return nil
			}
		}
	}
	return refuse("the token is not meant for this server (aud)")
}

// purpose keeps refresh and identity tokens out, which the same key signs.
func purpose(is *Issuer, payload fhir.Node) error {
	pur := payload.Get("pur")
	if is.Purpose != "" && (pur.Kind() != fhir.String || pur.Text() != is.Purpose) ||
		is.Purpose == "" && pur.Valid() && pur.Text() != "access" {
		return refuse("the token is not an access token (pur)")
	}
	if use := payload.Get("token_use"); use.Valid() && use.Text() != "access" {
		return refuse("the token is not an access token (token_use)")
	}
	switch payload.Get("typ").Text() {
	case "ID", "Refresh", "Offline", "Logout":
		return refuse("the token is not an access token (typ)")
	}
	return nil
}

// claim finds a claim by its name, or else by its path ("context.user.name").
func claim(payload fhir.Node, path string) fhir.Node {
	if n := payload.Get(path); n.Valid() {
		return n
	}
	n := payload
	for name := range strings.SplitSeq(path, ".") {
		n = n.Get(name)
	}
	return n
}

func optionalString(payload fhir.Node, name string) (string, bool) {
	n := payload.Get(name)
	switch n.Kind() {
	case fhir.Invalid, fhir.Null:
		return "", true
	case fhir.String:
		s := n.Text()
		return s, s == "" || validName(s)
	}
	return "", false
}

// words reads a claim that is a list in one string (RFC 8693) or an array.
func words(payload fhir.Node, name string) ([]string, bool) { return wordsOf(payload.Get(name)) }

func wordsOf(n fhir.Node) ([]string, bool) {
	switch n.Kind() {
	case fhir.Invalid, fhir.Null:
		return nil, true
	case fhir.String:
		return strings.Fields(n.Text()), true
	case fhir.Array:
		out := []string{}
		for w := n.First(); w.Valid(); w = w.Next() {
			if w.Kind() != fhir.String {
				return nil, false
			}
			out = append(out, strings.Fields(w.Text())...)
		}
		return out, true
	}
	return nil, false
}

// date reads a NumericDate (RFC 7519, section 2), to the second.
func date(n fhir.Node) (time.Time, bool) {
	if n.Kind() != fhir.Number {
		return time.Time{}, false
	}
	f, err := strconv.ParseFloat(n.Text(), 64)
	if err != nil || math.IsNaN(f) || f < 0 || f > 253402300799 { // year 9999
		return time.Time{}, false
	}
	return time.Unix(int64(f), 0), true
}

// contextID returns the logical id in a launch context claim, which some
// issuers write as a reference. What is no id is no context.
func contextID(text, resourceType string) string {
	id := strings.TrimPrefix(text, resourceType+"/")
	if len(id) == 0 || len(id) > 64 {
		return ""
	}
	for _, c := range []byte(id) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '.' {
			return ""
		}
	}
	return id
}

// validName keeps control characters and endless names out of principals.
func validName(s string) bool {
	if s == "" || len(s) > 512 || strings.TrimSpace(s) != s {
		return false
	}
	for _, r := range s {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0xfffd {
			return false
		}
	}
	return true
}
