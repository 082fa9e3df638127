package server

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"ingle/authz"
	"ingle/authz/limit"
	"ingle/interaction"
	"ingle/store"
)

// Config is what a Server needs. A zero value means the default.
type Config struct {
	Service  *interaction.Service
	Database *store.DB
	Resolver Resolver // who the caller is; nil: everything is open to everyone
	Metrics  *Metrics // nil: none are kept and /metrics is a 404
	Log      *slog.Logger
	// MetricsElsewhere keeps /metrics off this listener: another serves Metrics.Handler.
	MetricsElsewhere bool

	BasePath       string         // of the FHIR base; default "/fhir"
	PublicURL      string         // the FHIR base in answers, "https://x.org/fhir"; "" to take it from the request
	TrustedProxies []netip.Prefix // whose Forwarded and X-Forwarded-* headers are believed
	Version        string         // for /_status
	Pretty         bool           // indent where _pretty is absent

	ResourceBody, BundleBody, BinaryBody int64         // bytes, inflated; default 5 MB, 50 MB, 100 MB
	BodyMemory                           int64         // bytes of all bodies at once; default 512 MB
	InflateRatio                         int64         // default 100
	URLBytes                             int           // default 16 KB
	HeaderBytes                          int           // default 32 KB
	HeaderTime, KeepAliveTime            time.Duration // default 5 s, 60 s
	BodyRate                             int64         // least bytes a second of a body; default 10,000, negative for none
	RequestTime, BundleTime              time.Duration // whole execution; default 30 s, 60 s
	WriteTime                            time.Duration // to take an answer; default 2 min
	Writes                               int           // in flight; default 32
	QueueTime                            time.Duration // wait for a place among them; default 1 s
	DrainTime                            time.Duration // default 30 s

	AllowIPs, DenyIPs []netip.Prefix // who may call at all; no AllowIPs: all but DenyIPs
	Limiter           *limit.Limiter // how much each caller may ask for; nil: no limit
	Origins           []string       // of browser applications (CORS); "*" for all
	CORSMaxAge        time.Duration  // how long they may keep a preflight; default 10 min
	Audit             *slog.Logger   // gets a line for every interaction; nil: no trail

	Tenants *Tenants // servers below this one's base; nil: none
	// Wrap are further handlers around all of it, the first outermost.
	Wrap []func(http.Handler) http.Handler
	// Encodings are formats beside JSON.
	Encodings []Encoding
}

// Resolver turns credentials into a scope. *authz.Resolver is one; Open is the
// other.
type Resolver interface {
	Resolve(ctx context.Context, c authz.Credentials) (authz.Scope, error)
	// Challenges are the values of WWW-Authenticate for an error.
	Challenges(err error) []string
}

type open struct{}

func (open) Resolve(context.Context, authz.Credentials) (authz.Scope, error) {
	return authz.Open(), nil
}
func (open) Challenges(error) []string { return nil }

func (c Config) withDefaults() Config {
	if c.Resolver == nil {
		c.Resolver = open{}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.BasePath == "" {
		c.BasePath = "/fhir"
	}
	if c.BasePath == "/" {
		c.BasePath = ""
	}
	set := func(p *int64, v int64) {
		if *p == 0 {
			*p = v
		}
	}
	set(&c.ResourceBody, 5_000_000)
	set(&c.BundleBody, 50_000_000)
	set(&c.BinaryBody, 100_000_000)
	set(&c.BodyMemory, 512_000_000)
	set(&c.InflateRatio, 100)
	set(&c.BodyRate, 10_000)
	number := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	number(&c.URLBytes, 16_000)
	number(&c.HeaderBytes, 32_000)
	number(&c.Writes, 32)
	span := func(p *time.Duration, v time.Duration) {
		if *p == 0 {
			*p = v
		}
	}
	span(&c.HeaderTime, 5*time.Second)
	span(&c.KeepAliveTime, time.Minute)
	span(&c.RequestTime, 30*time.Second)
	span(&c.BundleTime, time.Minute)
	span(&c.WriteTime, 2*time.Minute)
	span(&c.QueueTime, time.Second)
	span(&c.DrainTime, 30*time.Second)
	span(&c.CORSMaxAge, 10*time.Minute)
	return c
}
