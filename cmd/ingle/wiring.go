package main

import (
	"slices"
	"strings"

	"ingle/authz"
	"ingle/fhir"
	"ingle/interaction"
	"ingle/internal/config"
	"ingle/internal/outbound"
	"ingle/search"
	"ingle/server"
	"ingle/store"
)

// The functions here hand each room its part of the configuration.

// authorization is for one tenant; "" is the server's own base.
func authorization(c *config.Config, tenant string) authz.Config {
	a := c.Auth
	out := authz.Config{
		Mode:            authz.Mode(a.Mode),
		AllowPublicOpen: a.AllowPublicOpen,
		Realm:           a.Realm,
		Leeway:          a.Leeway,
		Arborist: authz.Arborist{
			URL:            a.Arborist.URL,
			Service:        a.Arborist.Service,
			AdminPath:      a.Arborist.AdminPath,
			UnlabelledPath: a.Labels.UnlabelledPath,
			SendToken:      a.Arborist.SendToken,
			As:             service(c, a.Arborist.As),
			CacheTTL:       a.Arborist.CacheTTL,
			Timeout:        a.Arborist.Timeout,
		},
		Anonymous:     a.Anonymous && tenant == "",
		TenantClaim:   c.Tenants.Claim,
		Tenant:        tenant,
		Roles:         map[string]authz.Role{},
		RolesClaim:    a.RolesClaim,
		DefaultRoles:  a.DefaultRoles,
		RequireScopes: a.RequireScopes,
		PatientClaim:  a.PatientClaim,
		LabelSystem:   a.Labels.System,
		NeedAll:       a.Labels.Mode == "all",
		AllowHosts:    a.AllowHosts,

		Plans:           map[string][]string{},
		PlanClaim:       a.PlanClaim,
		Policies:        map[string]authz.Policy{},
		DefaultPolicies: a.DefaultPolicies,
	}
	for name, p := range a.Plans {
		out.Plans[name] = p.Roles
	}
	for name, p := range a.Policies {
		rules := map[string]authz.Rule{}
		for typ, r := range p.Resources {
			rules[typ] = authz.Rule{Criteria: r.Criteria, Write: r.Write, ReadOnly: r.ReadOnly, Hidden: r.Hidden}
		}
		out.Policies[name] = authz.Policy{Resources: rules}
	}
	for _, i := range a.Issuers {
		audiences := i.Audiences
		if len(audiences) == 0 {
			audiences = a.Audiences
		}
		out.Issuers = append(out.Issuers, authz.Issuer{
			Issuer: i.Issuer, Audiences: audiences, AnyAudience: i.AnyAudience, KeysURL: i.KeysURL, KeysFile: i.KeysFile,
			Algorithms: i.Algorithms, Purpose: i.Purpose, UserClaim: i.UserClaim, MaxLifetime: i.MaxLifetime,
			IntrospectURL: i.IntrospectURL, IntrospectUser: i.IntrospectUser, IntrospectPassword: i.IntrospectPassword, IntrospectAs: service(c, i.IntrospectAs),
		})
	}
	for name, r := range a.Roles {
		out.Roles[name] = authz.Role{Paths: r.Paths, Methods: r.Methods, Unlabelled: r.Unlabelled, Admin: r.Admin, Policies: r.Policies}
	}
	forTenant := func(of []string) bool { return slices.Contains(of, tenant) || len(of) == 0 && tenant == "" }
	for _, b := range a.Basic {
		if !forTenant(b.Tenants) {
			continue
		}
		out.Basic = append(out.Basic, authz.BasicUser{Name: b.Name, Password: b.Password, Roles: b.Roles, Client: b.Client})
	}
	for _, u := range a.Certificates {
		if !forTenant(u.Tenants) {
			continue
		}
		out.Certificates = append(out.Certificates, authz.CertificateUser{Name: u.Name, Match: u.Match, Roles: u.Roles, Client: u.Client})
	}
	return out
}

// service is who this server is for another service, nil for nobody.
func service(c *config.Config, name string) *outbound.ServiceOptions {
	if name == "" {
		return nil
	}
	s := c.Auth.Services[name]
	return &outbound.ServiceOptions{TokenURL: s.TokenURL, ClientID: s.ClientID, Secret: s.ClientSecret, Scope: s.Scope, Audience: s.Audience}
}

// consent is how the store enforces the Consents of patients.
func consent(c *config.Config) string {
	if c.Auth.Consent == "off" {
		return ""
	}
	return c.Auth.Consent
}

func interactions(c *config.Config, db *store.DB, registry *search.Registry, defs *fhir.Definitions, known *knowledge, labels authz.Labels, m *server.Metrics, software interaction.Software) interaction.Config {
	out := interaction.Config{
		Database:    db,
		Registry:    registry,
		Definitions: defs,
		Validator:   typeGate{gate{known.validator.Gate(), known.parameters}, known.types},
		Replaceable: known.types.replaceable,
		Terminology: known.terminology,

		TerminologySource: known.source(defs),
		UpdateCreate:      c.Interaction.UpdateCreate,
		ClientIDs:         c.Interaction.ClientIDs,
		Lenient:           c.Search.Handling == "lenient",
		DeleteLimit:       c.Interaction.ConditionalDelete,
		BundleEntries:     c.Limits.BundleEntries,
		Search:            searchLimits(c),
		Limits:            fhir.Limits{Depth: c.Limits.JSONDepth, Nodes: c.Limits.JSONNodes, String: int(c.Limits.JSONString)},
		CheckReferences:   c.Interaction.IntegrityOnWrite,
		CheckReferrers:    c.Interaction.IntegrityOnDelete,
		Return:            c.Interaction.Return,
		Total:             c.Search.Total,
		NotModifiedOnPut:  c.Interaction.NotModifiedOnPut,
		Indexed:           m.Indexed,
		Labels:            labels,
		CORS:              len(c.CORS.Origins) > 0,
		OAuth:             oauthEndpoints(c),
		Software:          software,
	}
	if out.DeleteLimit == 0 {
		out.DeleteLimit = -1 // switched off
	}
	switch c.Auth.Mode {
	case "jwt":
		out.Security = "OAuth 2.0 bearer tokens; SMART scopes are honoured"
	case "arborist":
		out.Security = "OAuth 2.0 bearer tokens of Gen3; Arborist's grants decide by the security labels of each resource"
	}
	return out
}

// operations are what the server offers beyond the interactions.
func operations(db *store.DB, known *knowledge, source interaction.TerminologySource) []*interaction.Operation {
	return append(interaction.TerminologyOperations(known.terminology, source),
		interaction.ValidateOperation(known.validator),
		interaction.SnapshotOperation(known.validator),
		interaction.ReindexOperation(db))
}

// ownBases are the URLs by which references may name this server's resources. An
// address that it listens on is none: it may be another one tomorrow, and the
// index would be made for this one.
func ownBases(c *config.Config) []string {
	if c.PublicURL == "" {
		return nil
	}
	return []string{c.PublicURL}
}

func searchRules(c *config.Config) map[string]search.Rules {
	if len(c.Search.Types) == 0 {
		return nil
	}
	out := map[string]search.Rules{}
	for name, t := range c.Search.Types {
		r := search.Rules{Params: t.Parameters, Includes: t.Includes, RevIncludes: t.RevIncludes}
		for _, set := range t.Combinations {
			codes := []string{}
			if set != "" {
				codes = strings.Split(set, "+")
			}
			r.Combinations = append(r.Combinations, codes)
		}
		if name == "Resource" {
			name = "" // every type that is not named
		}
		out[name] = r
	}
	return out
}

func searchLimits(c *config.Config) search.Limits {
	return search.Limits{
		Count: c.Search.Count, MaxCount: c.Search.CountMax, Params: c.Limits.Parameters, OrValues: c.Limits.OrValues,
		ChainDepth: c.Limits.ChainDepth, Iterate: c.Limits.IncludeDepth, Includes: c.Limits.Includes,
	}
}

// administration is what administrators may ask of the instance.
func (h *instance) administration() []server.Administration {
	out := []server.Administration{server.AccessAdministration(h.resolver, h.db), server.TerminologyAdministration(h.known.prepared)}
	if h.config.Auth.Grants {
		out = append(out, server.GrantAdministration(h.resolver, h.db.Grants()))
	}
	return out
}

// listening is what the instance's server is told.
func (h *instance) listening() server.Config {
	c := h.config
	version, _ := build()
	out := server.Config{
		Service:        h.service,
		Database:       h.db,
		Resolver:       h.resolver,
		Limiter:        h.limits,
		Log:            h.log,
		BasePath:       c.BasePath,
		PublicURL:      c.PublicURL,
		TrustedProxies: c.TrustedProxies,
		Version:        version,
		Pretty:         c.Interaction.Pretty,
		ResourceBody:   int64(c.Limits.ResourceBody),
		BundleBody:     int64(c.Limits.BundleBody),
		BinaryBody:     int64(c.Limits.BinaryBody),
		InflateRatio:   int64(c.Limits.InflateRatio),
		URLBytes:       int(c.Limits.URL),
		HeaderBytes:    int(c.Limits.HeaderBytes),
		HeaderTime:     c.Limits.HeaderTime,
		KeepAliveTime:  c.Limits.KeepAliveTime,
		BodyRate:       int64(c.Limits.BodyRate),
		RequestTime:    c.Limits.RequestTime,
		BundleTime:     c.Limits.BundleTime,
		WriteTime:      c.Limits.AnswerTime,
		Writes:         c.Limits.WritesPerConnection * poolSize(c),
		QueueTime:      c.Limits.QueueTime,
		DrainTime:      c.Limits.DrainTime,
	}
	if out.BodyRate == 0 {
		out.BodyRate = -1 // switched off
	}
	admission(c, &out)
	out.Wrap = append(out.Wrap, server.SMARTConfiguration(c.BasePath, smartEndpoints(c)), server.Administrators(h.resolver, h.administration()...))
	if c.Metrics.Enabled {
		out.Metrics, out.MetricsElsewhere = h.metrics, c.Metrics.Listen != ""
	}
	return out
}
