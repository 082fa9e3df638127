package authz

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"ingle/fhir"
	"ingle/internal/outbound"
)

// Mode is how callers are known and what decides what they may do.
type Mode string

// The modes.
const (
	ModeOpen     Mode = "open"     // everyone may do everything: for development
	ModeJWT      Mode = "jwt"      // tokens of OIDC issuers; roles and SMART scopes decide
	ModeArborist Mode = "arborist" // tokens of Gen3's Fence; Arborist's grants decide
)

// Config is the configuration of a Resolver. A zero field means its default.
type Config struct {
	Mode            Mode
	AllowPublicOpen bool   // ModeOpen on a listener that others can reach
	Realm           string // of WWW-Authenticate; default "fhir"

	Issuers  []Issuer
	Leeway   time.Duration // for exp, nbf and iat; default 30 s, at most 60 s
	MaxToken int           // bytes of a token; default 16 KiB

	Arborist Arborist
	// Anonymous lets callers without credentials have the grants of
	// Arborist's anonymous group instead of 401.
	Anonymous bool

	// Roles are grants by configuration: for values of RolesClaim, Basic users
	// and Certificates. In ModeJWT without any role in DefaultRoles and
	// RolesClaim, labels restrict nobody and SMART scopes alone decide.
	Roles         map[string]Role
	RolesClaim    string   // path of the claim, "realm_access.roles"; "" for none
	DefaultRoles  []string // of every valid token
	RequireScopes bool     // a token without any SMART scope is allowed nothing
	PatientClaim  string   // the patient in context; default "patient"

	// TenantClaim is the path of the claim with the tenants that a token is for, ""
	// where there are none; Tenant is the one that is served here, "" for the
	// tokens without the claim. Other tokens are answered with 404.
	TenantClaim, Tenant string

	// Plans are roles by the caller's plan: the value of PlanClaim, or what Grants
	// say instead.
	Plans     map[string][]string
	PlanClaim string // path of the claim; "" for none
	Grants    Grants // what administrators give besides; nil for nothing

	// Policies take away from what is granted. They hold for the callers whose
	// roles name them, and those of DefaultPolicies for everybody but administrators.
	Policies        map[string]Policy
	DefaultPolicies []string
	Definitions     *fhir.Definitions // what policies speak of; needed with any

	Basic        []BasicUser
	Certificates []CertificateUser

	LabelSystem string // default DefaultLabelSystem
	NeedAll     bool   // reading needs every label of a resource granted, not just one

	// AllowHosts are the hosts ("fence-service", "10.0.0.7:8080") that may be
	// asked over plain HTTP and at private addresses. Without it only https to
	// public addresses, and loopback where a URL of this configuration says so.
	AllowHosts []string

	Now func() time.Time // the clock; default time.Now
}

// Issuer is one issuer of tokens. Its keys come from Keys, KeysURL, KeysFile
// or, without any of them, from its discovery document.
type Issuer struct {
	Issuer      string   // exactly as in iss
	Audiences   []string // one of them must be in aud
	AnyAudience bool     // aud is not checked; must be said
	KeysURL     string   // a JWK set
	KeysFile    string   // a JWK set, read again when it changes
	Algorithms  []string // default RS256 … ES512 PS512, EdDSA; never none or HS
	// Purpose is what the claim pur must be, Fence's way to tell access tokens
	// from refresh and identity tokens. Default: "access" in ModeArborist;
	// elsewhere pur may be absent.
	Purpose string
	// UserClaim is the path of the claim that names the user; default
	// "context.user.name" in ModeArborist, else "sub".
	UserClaim   string
	MaxLifetime time.Duration // exp − iat at most; 0 for no limit
	// IntrospectURL, if not empty, is asked about every token of the issuer
	// (RFC 7662), with these credentials, at most once a minute: tokens that are
	// no JWTs are accepted, and revoked ones are refused.
	IntrospectURL      string
	IntrospectUser     string
	IntrospectPassword string
	IntrospectAs       *outbound.ServiceOptions // asks with a token of its own instead; nil for not
}

// Arborist is where Arborist is and how its grants are read.
type Arborist struct {
	URL     string // "http://arborist-service"
	Service string // service of the grants; default "fhir"
	// AdminPath is the resource whose grant (all four methods) makes an
	// administrator; default "/services/fhir/admin".
	AdminPath string
	// UnlabelledPath is the resource whose grant reaches resources without a
	// label; default AdminPath.
	UnlabelledPath string
	// SendToken asks with the caller's own token (GET) where there is one,
	// instead of with the verified user name (POST).
	SendToken bool
	As        *outbound.ServiceOptions // asks with a token of its own; nil for none
	CacheTTL  time.Duration            // how long a grant may outlive its withdrawal; default 30 s
	Timeout   time.Duration            // of one question; default 5 s
	CacheSize int                      // bytes of cached grants, about; default 64 MiB
}

// Role is a set of grants by configuration.
type Role struct {
	Paths      []string // roots; "/" is everything, labelled or not
	Methods    []string // "read", "create", "update", "delete" or "*"
	Unlabelled bool     // resources without a label too
	Admin      bool     // administers the server
	Policies   []string // that hold for who has the role
}

// BasicUser is a service that authenticates with HTTP Basic.
type BasicUser struct {
	Name     string
	Password string   // as HashPassword wrote it
	Roles    []string // its grants, or:
	Client   string   // the Arborist client whose grants it has
}

// CertificateUser is a service that authenticates with a client certificate.
type CertificateUser struct {
	Name   string // of the principal
	Match  string // "cn:loader", "dns:loader.example.org", "uri:spiffe://…", "email:…" or "sha256:<hex of the certificate>"
	Roles  []string
	Client string
}

const (
	defaultLeeway    = 30 * time.Second
	maxLeeway        = 60 * time.Second
	defaultMaxToken  = 16 << 10
	defaultAdminPath = "/services/fhir/admin"
	defaultCacheTTL  = 30 * time.Second
	defaultTimeout   = 5 * time.Second
	defaultCacheSize = 64 << 20
)

var allAlgorithms = []string{"RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA"}

// Validate tells everything that is wrong with a configuration. It asks nobody
// and reads no file.
func (c Config) Validate() error {
	_, err := c.complete()
	return err
}

// complete fills in the defaults and tells everything that is wrong.
func (c Config) complete() (Config, error) {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }

	orElse(&c.Realm, "fhir")
	orElse(&c.Leeway, defaultLeeway)
	orElse(&c.MaxToken, defaultMaxToken)
	orElse(&c.PatientClaim, "patient")
	orElse(&c.LabelSystem, DefaultLabelSystem)
	a := &c.Arborist
	orElse(&a.Service, "fhir")
	orElse(&a.AdminPath, defaultAdminPath)
	orElse(&a.UnlabelledPath, a.AdminPath)
	orElse(&a.CacheTTL, defaultCacheTTL)
	orElse(&a.Timeout, defaultTimeout)
	orElse(&a.CacheSize, defaultCacheSize)
	if c.Now == nil {
		c.Now = time.Now
	}

	if c.Leeway < 0 || c.Leeway > maxLeeway {
		fault("leeway is %v; at most %v is allowed", c.Leeway, maxLeeway)
	}
	if strings.ContainsAny(c.Realm, "\"\\\r\n") {
		fault("realm %q holds a quote or a line break", c.Realm)
	}
	switch c.Mode {
	case ModeOpen:
	case ModeJWT, ModeArborist:
		if len(c.Issuers) == 0 && len(c.Basic) == 0 && len(c.Certificates) == 0 && !c.Anonymous {
			fault("mode %s needs an issuer of tokens, a basic user or a certificate user", c.Mode)
		}
	default:
		fault("mode %q is none of open, jwt, arborist", c.Mode)
	}
	if c.Mode == ModeArborist {
		if u, err := url.Parse(a.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			fault("arborist: %q is not an http or https URL", a.URL)
		}
		if a.SendToken && a.As != nil {
			fault("arborist: it is asked with the caller's token or with a service's, not both")
		}
		for _, p := range []*string{&a.AdminPath, &a.UnlabelledPath} {
			path, why := NormalizePath(*p)
			if why != "" {
				fault("arborist: path %q: %s", *p, why)
			}
			*p = path
		}
	} else if c.Anonymous {
		fault("anonymous callers have grants only in mode arborist")
	}
	c.Issuers = slices.Clone(c.Issuers)
	seen := map[string]bool{}
	for i := range c.Issuers {
		is := &c.Issuers[i]
		if seen[is.Issuer] {
			fault("issuer %q stands twice", is.Issuer)
		}
		seen[is.Issuer] = true
		if err := is.complete(c.Mode); err != nil {
			fault("issuer %q: %w", is.Issuer, err)
		}
	}
	for name, r := range c.Roles {
		if _, err := r.compile(); err != nil {
			fault("role %q: %w", name, err)
		}
	}
	if _, err := c.policies(); err != nil {
		fault("%w", err)
	}
	known := func(who string, roles []string) {
		for _, name := range roles {
			if _, ok := c.Roles[name]; !ok {
				fault("%s: there is no role %q", who, name)
			}
		}
	}
	known("default roles", c.DefaultRoles)
	for name, roles := range c.Plans {
		known(fmt.Sprintf("plan %q", name), roles)
	}
	users := map[string]bool{}
	for _, b := range c.Basic {
		who := fmt.Sprintf("basic user %q", b.Name)
		if b.Name == "" || users[b.Name] || strings.Contains(b.Name, ":") {
			fault("%s: a name must be unique and without a colon", who)
		}
		users[b.Name] = true
		if _, err := parseHash(b.Password); err != nil {
			fault("%s: %w", who, err)
		}
		known(who, b.Roles)
		if b.Client != "" && c.Mode != ModeArborist {
			fault("%s: a client's grants are known only in mode arborist", who)
		}
	}
	names, matches := map[string]bool{}, map[string]bool{}
	for _, u := range c.Certificates {
		who := fmt.Sprintf("certificate user %q", u.Name)
		if u.Name == "" || names[u.Name] {
			fault("%s: a unique name is needed", who)
		}
		if matches[u.Match] || !validMatch(u.Match) {
			fault("%s: match %q stands twice or is none of cn:, dns:, uri:, email:, sha256:", who, u.Match)
		}
		names[u.Name], matches[u.Match] = true, true
		known(who, u.Roles)
		if u.Client != "" && c.Mode != ModeArborist {
			fault("%s: a client's grants are known only in mode arborist", who)
		}
	}
	return c, errors.Join(faults...)
}

// policies reads the policies, and tells which that are named are not there.
func (c *Config) policies() (map[string]*policy, error) {
	out := map[string]*policy{}
	var faults []error
	for name, p := range c.Policies {
		one, err := compilePolicy(name, p, c.Definitions)
		if err != nil {
			faults = append(faults, fmt.Errorf("policy %q: %w", name, err))
		}
		out[name] = one
	}
	known := func(who string, names []string) {
		for _, name := range names {
			if out[name] == nil {
				faults = append(faults, fmt.Errorf("%s: there is no policy %q", who, name))
			}
		}
	}
	known("default policies", c.DefaultPolicies)
	for name, r := range c.Roles {
		known(fmt.Sprintf("role %q", name), r.Policies)
	}
	return out, errors.Join(faults...)
}

func (is *Issuer) complete(mode Mode) error {
	if is.Issuer == "" {
		return errors.New("iss is empty")
	}
	if len(is.Audiences) == 0 && !is.AnyAudience {
		return errors.New("name the audiences, or say that any will do")
	}
	if is.KeysURL != "" && is.KeysFile != "" {
		return errors.New("its keys come from a URL or a file, not both")
	}
	if is.UserClaim == "" {
		is.UserClaim = "sub"
		if mode == ModeArborist {
			is.UserClaim = "context.user.name"
		}
	}
	if is.Purpose == "" && mode == ModeArborist {
		is.Purpose = "access"
	}
	if len(is.Algorithms) == 0 {
		is.Algorithms = allAlgorithms
	}
	for _, a := range is.Algorithms {
		if !slices.Contains(allAlgorithms, a) {
			return fmt.Errorf("algorithm %q is none of %s", a, strings.Join(allAlgorithms, " "))
		}
	}
	return nil
}

// Warnings returns what an operator must be told when a server with this
// configuration listens on address ("host:port"), and an error where it must
// not: mode open where others can reach it.
func (c Config) Warnings(address string) ([]string, error) {
	if c.Mode != ModeOpen {
		return nil, nil
	}
	warnings := []string{"authorization is off (mode open): everyone who reaches this server may read and change everything; use it for development only"}
	if local(address) {
		return warnings, nil
	}
	if !c.AllowPublicOpen {
		return warnings, fmt.Errorf("mode open on %s, which others can reach: listen on a loopback address, choose mode jwt or arborist, or allow it explicitly", address)
	}
	return append(warnings, "mode open is allowed on "+address+", which others can reach"), nil
}

// local tells whether only this machine reaches the address.
func local(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback() || strings.HasPrefix(host, "/")
}

func orElse[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
	}
}
