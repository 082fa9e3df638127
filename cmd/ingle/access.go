package main

import (
	"context"
	"crypto/tls"
	"log/slog"
	"maps"
	"net"
	"time"

	"ingle/authz"
	"ingle/authz/limit"
	"ingle/authz/mtls"
	"ingle/interaction"
	"ingle/internal/config"
	"ingle/search"
	"ingle/server"
	"ingle/store"
)

// admission is who may call at all, how often, and the trail of it.
func admission(c *config.Config, out *server.Config) {
	out.AllowIPs, out.DenyIPs = c.Access.AllowIPs, c.Access.DenyIPs
	out.Origins, out.CORSMaxAge = c.CORS.Origins, c.CORS.MaxAge
	if c.Access.Audit {
		out.Audit = audit(out.Log)
	}
}

// warnOfSearches tells which searches of access policies are not understood: no
// resource matches them.
func warnOfSearches(access authz.Config, registry *search.Registry, log *slog.Logger) {
	for typ, query := range access.Searches {
		params, err := interaction.ParseQuery(query)
		if err == nil {
			_, _, err = registry.Parse(search.Request{Type: typ, Params: params, Strict: true})
		}
		if err != nil {
			log.Warn("a search of an access policy is not understood, so that no resource matches it", "type", typ, "error", err)
		}
	}
}

// limiter is how much each caller may ask of one database, less what was spent
// already; nil where nothing is limited.
func limiter(ctx context.Context, c *config.Config, db *store.DB) (*limit.Limiter, error) {
	a := c.Access
	rules := limit.Config{Default: limitRule(a.Rate, a.Burst, a.Quota), Principals: map[string]limit.Rule{}}
	for _, p := range a.Plans {
		for _, name := range p.Principals {
			rules.Principals[name] = limitRule(p.Rate, p.Burst, p.Quota)
		}
	}
	if rules.Default == (limit.Rule{}) && len(rules.Principals) == 0 {
		return nil, nil
	}
	l := limit.New(rules)
	return l, l.Carry(ctx, db.Usage())
}

func limitRule(rate, burst, quota int) limit.Rule {
	if burst == 0 {
		burst = 2 * rate
	}
	return limit.Rule{PerSecond: float64(rate), Burst: burst, Quota: int64(quota)}
}

// settleEvery is how long servers do not know of each other what was spent of quotas.
const settleEvery = 5 * time.Second

// settle keeps the account of quotas until ctx ends.
func settle(ctx context.Context, l *limit.Limiter, db *store.DB, log *slog.Logger) {
	if l == nil {
		return
	}
	tick := time.NewTicker(settleEvery)
	defer tick.Stop()
	for end := false; !end; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			end = true
		}
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleEvery)
		if err := l.Settle(last, db.Usage()); err != nil {
			log.Error("the quotas cannot be kept account of; it is tried again", "error", err)
		}
		cancel()
	}
}

// smartEndpoints is what SMART apps are told of the authorization server.
func smartEndpoints(c *config.Config) server.SMART {
	issuer := ""
	if len(c.Auth.Issuers) == 1 {
		issuer = c.Auth.Issuers[0].Issuer
	}
	s := c.Auth.SMART
	return server.SMART{Issuer: issuer, Authorization: s.Authorization, Token: s.Token, Introspection: s.Introspection,
		Registration: s.Registration, Management: s.Management, Revocation: s.Revocation}
}

// oauthEndpoints is the same for the CapabilityStatement.
func oauthEndpoints(c *config.Config) map[string]string {
	s := smartEndpoints(c)
	out := map[string]string{"authorize": s.Authorization, "token": s.Token, "register": s.Registration, "manage": s.Management, "introspect": s.Introspection, "revoke": s.Revocation}
	maps.DeleteFunc(out, func(_, url string) bool { return url == "" })
	return out
}

// listenSecured listens, with TLS where the configuration has a certificate.
// Client certificates are asked for, and verified, where it names authorities;
// who brings none can still bring a token.
func listenSecured(ctx context.Context, c *config.Config, log *slog.Logger) (net.Listener, error) {
	if c.TLS.CertFile == "" {
		return listen(ctx, c)
	}
	secure, err := mtls.Config(mtls.Files{
		Cert: c.TLS.CertFile, Key: c.TLS.KeyFile, ClientCA: c.TLS.ClientCAFile, RequireClient: c.TLS.RequireClient,
		Failed: func(err error) {
			log.Error("the TLS files changed and cannot be used; the old ones stay", "error", err)
		},
	})
	if err != nil {
		return nil, err
	}
	l, err := listen(ctx, c)
	if err != nil {
		return nil, err
	}
	return tls.NewListener(l, secure), nil
}

func scheme(c *config.Config) string {
	if c.TLS.CertFile == "" {
		return "http://"
	}
	return "https://"
}
