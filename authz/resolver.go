package authz

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"ingle/fhir"
	"ingle/internal/outbound"
)

// Resolver turns credentials into a Scope. It is safe for concurrent use.
type Resolver struct {
	cfg      Config
	tokens   *verifier
	arborist *arborist // nil but in ModeArborist
	basic    *basicUsers
	certs    map[string]*CertificateUser // by match
	roles    map[string]grantSet
	policies []*policy // of everybody but administrators
	out      *outbound.Guard
	stop     context.CancelFunc
}

// Credentials are what a request brings to prove who makes it. Tokens in query
// strings and bodies are not among them: both end in logs.
type Credentials struct {
	Authorization []string          // the values of the header
	Certificate   *x509.Certificate // the client's own, verified by the listener; nil for none
}

// New makes a Resolver. It asks nobody yet, so it succeeds while an issuer or
// Arborist is down. Close it.
func New(cfg Config) (*Resolver, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, fmt.Errorf("authorization: %w", err)
	}
	life, stop := context.WithCancel(context.Background())
	allow := cfg.AllowHosts
	if u, err := url.Parse(cfg.Arborist.URL); err == nil && cfg.Mode == ModeArborist {
		allow = append(slices.Clone(allow), u.Host) // its URL is the operator's word that it may be asked there
	}
	out := outbound.NewGuard(allow...)
	r := &Resolver{cfg: cfg, out: out, stop: stop, certs: map[string]*CertificateUser{}, roles: map[string]grantSet{}}
	if r.tokens, err = newVerifier(life, &r.cfg, out); err != nil {
		stop()
		return nil, fmt.Errorf("authorization: %w", err)
	}
	if cfg.Mode == ModeArborist {
		if r.arborist, err = newArborist(life, &r.cfg, out); err != nil {
			stop()
			return nil, fmt.Errorf("authorization: Arborist: %w", err)
		}
	}
	if r.basic, err = newBasicUsers(&r.cfg); err != nil {
		stop()
		return nil, fmt.Errorf("authorization: %w", err)
	}
	for i := range r.cfg.Certificates {
		u := &r.cfg.Certificates[i]
		r.certs[u.Match] = u
	}
	policies, _ := cfg.policies() // complete has tried them
	for _, name := range cfg.DefaultPolicies {
		r.policies = append(r.policies, policies[name])
	}
	for name, role := range cfg.Roles {
		g, _ := role.compile() // likewise
		for _, p := range role.Policies {
			g.policies = append(g.policies, policies[p])
		}
		for m := range g.roots {
			for _, root := range g.roots[m] {
				g.sources = append(g.sources, Source{Root: root, Service: cfg.Arborist.Service, Method: Method(m).String(), Via: "role:" + name})
			}
		}
		r.roles[name] = g
	}
	return r, nil
}

// Close ends the readings that are under way and waits for them.
func (r *Resolver) Close() {
	r.stop()
	for _, is := range r.tokens.issuers {
		is.keys.wait()
	}
	r.out.Close()
}

// Mode returns what decides.
func (r *Resolver) Mode() Mode { return r.cfg.Mode }

// Labels returns the rules of security labels.
func (r *Resolver) Labels() Labels {
	return Labels{System: r.cfg.LabelSystem, AdminPath: r.cfg.Arborist.AdminPath}
}

// Resolve returns what the caller may do. Its errors are *fhir.Error: 401 for
// credentials that are missing or not good (Challenges says what to answer
// with), 503 when that or the grants cannot be known.
func (r *Resolver) Resolve(ctx context.Context, c Credentials) (Scope, error) {
	if r.cfg.Mode == ModeOpen {
		return Open(), nil
	}
	s, err := r.resolve(ctx, c)
	return s, outward(err)
}

func (r *Resolver) resolve(ctx context.Context, c Credentials) (Scope, error) {
	switch len(c.Authorization) {
	case 0:
		if c.Certificate != nil && len(r.certs) > 0 {
			return r.fromCertificate(ctx, c.Certificate)
		}
		if r.cfg.Anonymous {
			return r.current(ctx, identity{Kind: kindAnonymous}, "")
		}
		return Scope{}, errNoCredentials
	case 1:
	default:
		return Scope{}, refuse("there is more than one Authorization header")
	}
	scheme, rest, _ := strings.Cut(c.Authorization[0], " ")
	rest = strings.TrimLeft(rest, " ")
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		return r.fromToken(ctx, rest, c.Certificate)
	case strings.EqualFold(scheme, "Basic") && len(r.cfg.Basic) > 0:
		name, err := r.basic.check(ctx, rest)
		if err != nil {
			return Scope{}, err
		}
		return r.current(ctx, identity{Kind: kindBasic, Name: name}, "")
	}
	return Scope{}, refuse("the Authorization header's scheme is not one that this server accepts")
}

func (r *Resolver) fromToken(ctx context.Context, token string, cert *x509.Certificate) (Scope, error) {
	v, err := r.tokens.verify(ctx, token)
	if err != nil {
		return Scope{}, err
	}
	if v.thumb != "" {
		if cert == nil {
			return Scope{}, refuse("the token is bound to a client certificate, and there is none")
		}
		sum := sha256.Sum256(cert.Raw)
		if base64.RawURLEncoding.EncodeToString(sum[:]) != v.thumb {
			return Scope{}, refuse("the token is bound to another client certificate")
		}
	}
	id := identity{Kind: kindUser, Name: v.user, Client: v.client, Roles: v.roles, Plan: v.plan, FHIRUser: v.fhirUser, Patient: v.patient, Encounter: v.encounter}
	if v.user == "" {
		id.Kind = kindClient
	}
	if r.cfg.Mode != ModeArborist {
		id.Issuer = v.issuer
	}
	extra, err := r.given(ctx, id)
	if err != nil {
		return Scope{}, err
	}
	if r.cfg.Mode != ModeArborist {
		if have := v.scope.Load(); have != nil && have.given == extra.key {
			return have.scope, nil
		}
		return r.remember(v, composed{given: extra.key, scope: r.compose(id, union(r.byRoles(id), extra.grants), v, extra)}), nil
	}
	user, client, err := r.answers(ctx, id, token)
	if err != nil {
		return Scope{}, err
	}
	if have := v.scope.Load(); have != nil && have.user == user && have.client == client && have.given == extra.key {
		return have.scope, nil
	}
	return r.remember(v, composed{user, client, extra.key, r.compose(id, extra.beside(r.arborist.joined(user, client)), v, extra)}), nil
}

// composed is the scope of a token and what it was made of.
type composed struct {
	user, client *answer
	given        string // key of what was given
	scope        Scope
}

func (r *Resolver) remember(v *verified, c composed) Scope {
	v.scope.Store(&c)
	return c.scope
}

// answers asks Arborist for the user, for the client, or for both where a
// client acts for a user.
func (r *Resolver) answers(ctx context.Context, id identity, token string) (user, client *answer, err error) {
	if id.Kind == kindUser {
		if !r.cfg.Arborist.SendToken {
			token = ""
		}
		// Arborist folds the case of user names, with this very function.
		if user, err = r.arborist.grants(ctx, subject{kindUser, strings.ToLower(id.Name)}, token); err != nil {
			return nil, nil, err
		}
	}
	if id.Client != "" {
		if client, err = r.arborist.grants(ctx, subject{kindClient, id.Client}, ""); err != nil {
			return nil, nil, err
		}
	}
	if user == nil && client == nil {
		return nil, nil, fmt.Errorf("the identity of kind %q has neither a user nor a client", id.Kind)
	}
	return user, client, nil
}

// compose makes the scope. v may be nil for a caller without a token.
func (r *Resolver) compose(id identity, g grantSet, v *verified, extra given) Scope {
	id = r.folded(id)
	s := &scope{identity: id, mode: r.cfg.Mode, admin: g.admin, grants: g.grants(r.cfg.NeedAll), sources: g.sources}
	if v != nil {
		s.expires = v.expires
		required := r.cfg.RequireScopes || r.scopesDecide()
		s.smart = newPermissions(v.scopes, v.patient, required)
	}
	if !extra.until.IsZero() && (s.expires.IsZero() || extra.until.Before(s.expires)) {
		s.expires = extra.until
	}
	s.bind(g.policies)
	if !g.admin {
		s.bind(r.policies)
	}
	return Scope{s}
}

// scopesDecide tells whether labels restrict nobody, so that SMART scopes are
// all that does.
func (r *Resolver) scopesDecide() bool {
	return r.cfg.Mode == ModeJWT && r.cfg.RolesClaim == "" && r.cfg.PlanClaim == "" && r.cfg.Grants == nil && len(r.cfg.DefaultRoles) == 0
}

// byRoles is what a caller has by configuration, in ModeJWT.
func (r *Resolver) byRoles(id identity) grantSet {
	if r.scopesDecide() {
		g, _ := Role{Paths: []string{"/"}, Methods: []string{"*"}}.compile()
		return g
	}
	return r.rolesNamed(r.cfg.DefaultRoles, id.Roles)
}

func (r *Resolver) rolesNamed(lists ...[]string) grantSet {
	var sets []grantSet
	for _, names := range lists {
		for _, name := range names {
			if g, ok := r.roles[name]; ok { // a token may well name roles of other services
				sets = append(sets, g)
			}
		}
	}
	return union(sets...)
}

// current is what an identity is granted now, without any token.
func (r *Resolver) current(ctx context.Context, id identity, token string) (Scope, error) {
	extra, err := r.given(ctx, id)
	if err != nil {
		return Scope{}, err
	}
	switch id.Kind {
	case kindAnonymous:
		if r.arborist == nil || !r.cfg.Anonymous {
			return Scope{}, errNoCredentials
		}
		a, err := r.arborist.grants(ctx, subject{kind: kindAnonymous}, "")
		if err != nil {
			return Scope{}, err
		}
		return r.compose(id, a.grants, nil, extra), nil
	case kindUser, kindClient:
		if r.arborist == nil {
			if id.Issuer == "" || r.tokens.issuers[id.Issuer] == nil {
				return Scope{}, refuse("the caller's issuer is not trusted any more")
			}
			return r.compose(id, union(r.byRoles(id), extra.grants), nil, extra), nil
		}
		user, client, err := r.answers(ctx, id, token)
		if err != nil {
			return Scope{}, err
		}
		return r.compose(id, extra.beside(r.arborist.joined(user, client)), nil, extra), nil
	case kindBasic:
		for _, u := range r.cfg.Basic {
			if u.Name == id.Name {
				return r.service(ctx, id, u.Roles, u.Client, extra)
			}
		}
	case kindCert:
		for _, u := range r.cfg.Certificates {
			if u.Name == id.Name {
				return r.service(ctx, id, u.Roles, u.Client, extra)
			}
		}
	}
	return Scope{}, refuse("the caller is not known any more")
}

// service is a principal of the configuration.
func (r *Resolver) service(ctx context.Context, id identity, roles []string, client string, extra given) (Scope, error) {
	g := union(r.rolesNamed(roles), extra.grants)
	if client != "" {
		a, err := r.arborist.grants(ctx, subject{kindClient, client}, "")
		if err != nil {
			return Scope{}, err
		}
		g = union(g, a.grants)
	}
	return r.compose(id, g, nil, extra), nil
}

// Lookup returns what a principal of mode arborist is granted now, for the
// administrators' questions: "user:alice@example.org",
// "user:alice@example.org|client:portal", "client:portal", "basic:loader",
// "cert:loader", "anonymous". No SMART scope narrows it. Its errors are
// *fhir.Error: 400 for a principal that cannot be looked up, 503.
func (r *Resolver) Lookup(ctx context.Context, principal string) (Scope, error) {
	id, ok := identityOf(principal)
	if !ok || (id.Kind == kindUser || id.Kind == kindClient) && r.arborist == nil {
		return Scope{}, fhir.Errorf(400, fhir.CodeValue, "%q is not a principal whose grants can be looked up; "+
			`expected "user:name", "user:name|client:id" or "client:id" (with Arborist), "basic:name", "cert:name" or "anonymous"`, principal)
	}
	s, err := r.current(ctx, id, "")
	if fault := (*faultError)(nil); errors.As(err, &fault) {
		return Scope{}, fhir.Errorf(400, fhir.CodeValue, "%s: %s", principal, fault.text)
	}
	return s, outward(err)
}

// Drop forgets what Arborist said of a principal ("user:alice@example.org",
// "client:portal", "anonymous", both parts of "user:…|client:…"), so that the
// next request asks again. It tells whether the principal is of such a kind.
func (r *Resolver) Drop(principal string) bool {
	id, ok := identityOf(principal)
	if !ok || r.arborist == nil {
		return false
	}
	switch id.Kind {
	case kindAnonymous:
		r.arborist.drop(subject{kind: kindAnonymous})
		return true
	case kindUser, kindClient:
		if id.Name != "" {
			r.arborist.drop(subject{kindUser, strings.ToLower(id.Name)})
		}
		if id.Client != "" {
			r.arborist.drop(subject{kindClient, id.Client})
		}
		return true
	}
	return false
}

// Preview returns what a principal ("user:…", "client:…" or "user:…|client:…")
// would be granted if Arborist's answers to /auth/mapping were these: the dry
// run of a change of policy. client is read only where a client acts. Its
// errors are *fhir.Error with status 400.
func (r *Resolver) Preview(principal string, user, client []byte) (Scope, error) {
	id, ok := identityOf(principal)
	if !ok || id.Kind != kindUser && id.Kind != kindClient {
		return Scope{}, fhir.Errorf(400, fhir.CodeValue, "%q is not a user or a client", principal)
	}
	var grants []grantSet
	for _, in := range []struct {
		needed bool
		raw    []byte
		who    subject
	}{{id.Kind == kindUser, user, subject{kindUser, strings.ToLower(id.Name)}}, {id.Client != "", client, subject{kindClient, id.Client}}} {
		if !in.needed {
			continue
		}
		g, err := parseMapping(in.raw, &r.cfg.Arborist, in.who.String())
		if err != nil {
			return Scope{}, fhir.Errorf(400, fhir.CodeStructure, `the mapping of %s is not of the form {"/path":[{"service":"…","method":"…"}]}`, in.who).Because(err)
		}
		grants = append(grants, g)
	}
	if len(grants) == 2 {
		grants[0] = both(grants[0], grants[1])
	}
	return r.compose(id, grants[0], nil, given{}), nil
}

// Health tells what authorization depends on and cannot reach now, nil for
// nothing. The server goes on without: requests that need it get 503.
func (r *Resolver) Health(ctx context.Context) error {
	var faults []error
	for name, is := range r.tokens.issuers {
		if _, err := is.keys.current(ctx); err != nil {
			faults = append(faults, fmt.Errorf("keys of issuer %q: %w", name, err))
		}
	}
	if r.arborist != nil {
		if err := r.arborist.health(ctx); err != nil {
			faults = append(faults, fmt.Errorf("Arborist: %w", err))
		}
	}
	return errors.Join(faults...)
}

// DropAll forgets all that Arborist said.
func (r *Resolver) DropAll() {
	if r.arborist != nil {
		r.arborist.dropAll()
	}
}
