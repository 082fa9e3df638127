package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"ingle/authz"
	"ingle/authz/limit"
	"ingle/fhir"
	"ingle/fhir/r4"
	"ingle/interaction"
	"ingle/internal/config"
	"ingle/search"
	"ingle/server"
	"ingle/store"
)

// instance is what stands on one database: the server's own, or a tenant's.
type instance struct {
	config   *config.Config // as this instance sees it
	defs     *fhir.Definitions
	db       *store.DB
	registry *search.Registry
	known    *knowledge
	resolver *authz.Resolver
	service  *interaction.Service
	limits   *limit.Limiter // nil for none
	metrics  *server.Metrics
	log      *slog.Logger
}

// open opens the database and builds the rooms on it. metrics are kept of the
// first instance, for all.
func open(ctx context.Context, c *config.Config, access authz.Config, url string, metrics *server.Metrics, log *slog.Logger) (_ *instance, err error) {
	if c.Migrate {
		if err := migrateUp(ctx, c, url, log); err != nil {
			return nil, err
		}
	}
	h := &instance{config: c, defs: r4.Definitions().Extensible(), log: log, metrics: metrics}
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	if h.db, h.registry, h.known, err = openStore(ctx, c, url, h.defs, log); err != nil {
		return nil, err
	}
	if err := h.db.As(authz.System("consent")).EnforceConsent(ctx, func(n int64) {
		log.Info("applying the Consents of patients", "resources", n)
	}); err != nil {
		return nil, err
	}
	if job, err := catchUpExtraction(ctx, h.db, h.registry); err != nil {
		return nil, err
	} else if job != 0 {
		log.Warn("the index was made by another release, without full text or under another public URL: everything is indexed anew; until that is done, searches may miss resources", "job", job)
	}
	warnOfSearches(access, h.registry, log)
	if c.Auth.Grants {
		access.Grants = h.db.Grants()
	}
	access.Definitions = h.defs // with the types that are added
	if h.resolver, err = authz.New(access); err != nil {
		return nil, err
	}
	if h.limits, err = limiter(ctx, c, h.db); err != nil {
		return nil, err
	}
	name, built := build()
	if h.metrics == nil {
		h.metrics = server.NewMetrics(h.db, name)
	}
	software := interaction.Software{Name: "Ingle", Version: name, Built: built}
	rest := interactions(c, h.db, h.registry, h.defs, h.known, h.resolver.Labels(), h.metrics, software)
	rest.Failed = func(err error) { h.log.Error("an answer that is fetched later failed", "error", err) }
	if h.service, err = interaction.New(rest); err != nil {
		return nil, err
	}
	for _, op := range operations(h.db, h.known, h.known.source(h.defs)) {
		h.service.Register(op)
	}
	h.service.Register(h.service.ValidateStoredOperation(h.known.validator))
	return h, h.known.install(ctx, h.db, h.service, orDefault(c.PublicURL, c.BasePath), c.Interaction.UpdateCreate && c.Interaction.ClientIDs == "any")
}

// run does what is done beside requests, until ctx ends.
func (h *instance) run(ctx context.Context, beside *sync.WaitGroup) {
	beside.Go(func() { h.known.follow(ctx, h.db, h.defs) })
	beside.Go(func() { h.known.prepared.Run(ctx, h.log) })
	beside.Go(func() { work(ctx, h.db, h.registry, h.log) })
	beside.Go(func() { settle(ctx, h.limits, h.db, h.log) })
}

// close closes in the opposite order.
func (h *instance) close() {
	if h.service != nil {
		h.service.Close()
	}
	if h.resolver != nil {
		h.resolver.Close()
	}
	if h.db != nil {
		h.db.Close()
	}
}

// tenants opens the instances of the tenants beside the own one.
func tenants(ctx context.Context, c *config.Config, own *instance, url func(name string) (string, error), log *slog.Logger) (map[string]*instance, error) {
	out := map[string]*instance{}
	keys := map[string]string{string(own.db.CursorKey()): "the server itself"}
	for name := range c.Tenants.Named {
		h, err := func() (*instance, error) {
			at, err := url(name)
			if err != nil {
				return nil, err
			}
			return open(ctx, c.OfTenant(name), authorization(c, name), at, own.metrics, log.With("tenant", name))
		}()
		if err == nil {
			out[name] = h
			key := string(h.db.CursorKey()) // drawn once for each database
			if other := keys[key]; other != "" {
				err = fmt.Errorf("its database is that of %s", other)
			}
			keys[key] = "tenant " + name
		}
		if err != nil {
			for _, h := range out {
				h.close()
			}
			return nil, fmt.Errorf("tenant %s: %w", name, err)
		}
	}
	return out, nil
}
