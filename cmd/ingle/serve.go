package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"ingle/fhir"
	"ingle/internal/config"
	"ingle/internal/postgres"
	"ingle/migrations"
	"ingle/search"
	"ingle/server"
	"ingle/store"
)

func serveCommand(settings func() (*config.Config, error)) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := settings()
			if err != nil {
				return err
			}
			return serve(cmd.Context(), c, cmd.OutOrStdout())
		},
	}
}

// serve runs until ctx ends, then stops in the opposite order of the start:
// requests, store, private PostgreSQL.
func serve(ctx context.Context, c *config.Config, out io.Writer) error {
	log := logger(c.Log, os.Stderr)
	name, _ := build()
	log.Info("starting", "version", name, "configuration", c)
	debug.SetGCPercent(60) // the start leaves much garbage

	access := authorization(c, "")
	warnings, err := access.Warnings(c.Listen)
	for _, w := range warnings {
		log.Warn(w)
	}
	if err != nil {
		return err
	}

	url, tenantURL, stopPostgres, err := database(ctx, c, log)
	if err != nil {
		return err
	}
	defer stopPostgres()
	own, err := open(ctx, c, access, url, nil, log)
	if err != nil {
		return err
	}
	defer own.close()
	others, err := tenants(ctx, c, own, tenantURL, log)
	if err != nil {
		return err
	}
	for _, h := range others {
		defer h.close()
	}
	listens := own.listening()
	if len(others) > 0 {
		listens.Tenants = &server.Tenants{Header: c.Tenants.Header, Named: map[string]http.Handler{}}
		for name, h := range others {
			listens.Tenants.Named[name] = server.New(h.listening()).Handler()
		}
	}
	srv := server.New(listens)

	listener, err := listenSecured(ctx, c, log)
	if err != nil {
		return err
	}
	if err := serveMetrics(ctx, c, own.metrics); err != nil {
		return err
	}
	base := orDefault(c.PublicURL, scheme(c)+shown(listener.Addr())+c.BasePath)
	log.Info("listening", "address", listener.Addr().String(), "base", base)

	served := make(chan error, 1)
	serving, stop := context.WithCancel(ctx)
	defer stop()
	go func() { served <- srv.Serve(serving, listener) }()
	var beside sync.WaitGroup
	own.run(serving, &beside)
	for _, h := range others {
		h.run(serving, &beside)
	}
	defer func() { stop(); beside.Wait() }()
	if c.Demo {
		if err := loadDemo(ctx, own.db, own.service, base, out); err != nil && ctx.Err() == nil {
			stop()
			return errors.Join(err, <-served)
		}
	}
	beside.Go(func() {
		giveBack(serving, func() { // the definitions that what was installed is validated by
			own.known.validator.Forget()
			for _, h := range others {
				h.known.validator.Forget()
			}
		})
	})
	err = <-served
	log.Info("stopped")
	return err
}

// database is where PostgreSQL is: as configured, or a private one; tenant tells
// the same of the tenants' databases.
func database(ctx context.Context, c *config.Config, log *slog.Logger) (url string, tenant func(name string) (string, error), stop func(), err error) {
	named := func(name string) string { return c.Tenants.Named[name].DatabaseURL }
	if c.Database.URL != "" {
		return c.Database.URL, func(name string) (string, error) { return named(name), nil }, func() {}, nil
	}
	log.Info("no INGLE_DATABASE_URL: starting a private PostgreSQL", "folder", filepath.Join(c.DataDir, "postgres"))
	pg, err := postgres.Start(context.WithoutCancel(ctx), postgres.Options{Dir: filepath.Join(c.DataDir, "postgres"), BinDir: c.PostgresBin, Log: log})
	if err != nil {
		return "", nil, nil, fmt.Errorf("start a private PostgreSQL (or set INGLE_DATABASE_URL): %w", err)
	}
	stop = func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		if err := pg.Stop(ctx); err != nil {
			log.Error("the private PostgreSQL did not stop cleanly", "error", err)
		}
	}
	tenant = func(name string) (string, error) {
		if url := named(name); url != "" {
			return url, nil
		}
		name = "ingle_" + strings.ReplaceAll(name, "-", "_")
		return pg.URL(name), pg.EnsureDatabase(ctx, name)
	}
	if err := pg.EnsureDatabase(ctx, "ingle"); err != nil {
		stop()
		return "", nil, nil, err
	}
	return pg.URL("ingle"), tenant, stop, nil
}

// migrateUp waits for the database to answer, and brings it up to date.
func migrateUp(ctx context.Context, c *config.Config, url string, log *slog.Logger) error {
	deadline := time.Now().Add(c.Database.ConnectTime)
	for {
		before, err := schemaVersion(ctx, url)
		if err == nil && before.Current() {
			return nil
		}
		if err == nil {
			state, err := migrations.Up(ctx, orDefault(c.Database.MigrateURL, url))
			if err == nil {
				log.Info("migrated the database", "from", before.Version, "to", state.Version)
			}
			return err
		}
		if time.Now().After(deadline) || ctx.Err() != nil || !unreachable(err) {
			return err
		}
		log.Info("waiting for the database", "error", err)
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// openStore opens the database and learns what is stored there: search
// parameters, profiles, terminology.
func openStore(ctx context.Context, c *config.Config, url string, defs *fhir.Definitions, log *slog.Logger) (*store.DB, *search.Registry, *knowledge, error) {
	registry := search.NewRegistry(defs, ownBases(c)...)
	registry.Restrict(searchRules(c))
	if c.Search.FullText {
		registry.EnableFullText()
	}
	known, err := newKnowledge(c, defs, registry, log)
	if err != nil {
		return nil, nil, nil, err
	}
	db, err := store.Open(ctx, store.Options{
		URL: url, Registry: registry, Defs: defs,
		MaxConns:        poolSize(c),
		ReadTimeout:     c.Limits.SearchTime,
		WriteTimeout:    c.Limits.WriteTime,
		LockTimeout:     c.Limits.LockTime,
		CountTime:       c.Limits.TotalTime,
		Totals:          c.Limits.Totals,
		IdleInTx:        c.Limits.IdleTime,
		CheckReferences: c.Interaction.IntegrityOnWrite,
		CheckReferrers:  c.Interaction.IntegrityOnDelete,
		Consent:         consent(c),
		Committed:       known.committed,
	})
	if err != nil {
		return nil, nil, nil, err
	}
	if err = known.start(ctx, c, db, defs); err == nil {
		err = known.catchUp(ctx, db, defs)
	}
	if err != nil {
		db.Close()
		return nil, nil, nil, err
	}
	return db, registry, known, nil
}

func poolSize(c *config.Config) int {
	if c.Database.PoolSize > 0 {
		return c.Database.PoolSize
	}
	return max(8, 4*runtime.NumCPU())
}

func listen(ctx context.Context, c *config.Config) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen (INGLE_LISTEN=%s): %w", c.Listen, err)
	}
	return listener, nil
}

// shown is an address that can be clicked.
func shown(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return net.JoinHostPort("localhost", port)
	}
	return a.String()
}
