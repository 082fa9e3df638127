package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"ingle/authz"
	"ingle/fhir"
	"ingle/fhir/r4"
	"ingle/interaction"
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
	log := logger(c.Log)
	name, built := build()
	log.Info("starting", "version", name, "configuration", c)
	debug.SetGCPercent(60) // the start leaves much garbage

	access := authorization(c)
	warnings, err := access.Warnings(c.Listen)
	for _, w := range warnings {
		log.Warn(w)
	}
	if err != nil {
		return err
	}

	url, stopPostgres, err := database(ctx, c, log)
	if err != nil {
		return err
	}
	defer stopPostgres()
	if c.Migrate {
		if err := migrateUp(ctx, c, url, log); err != nil {
			return err
		}
	}
	defs := r4.Definitions().Extensible()
	db, registry, known, err := openStore(ctx, c, url, defs, log)
	if err != nil {
		return err
	}
	defer db.Close()

	if job, err := catchUpExtraction(ctx, db, registry); err != nil {
		return err
	} else if job != 0 {
		log.Warn("the index was made by another release or without full text: everything is indexed anew; until that is done, searches may miss resources", "job", job)
	}

	warnOfSearches(access, registry, log)
	resolver, err := authz.New(access)
	if err != nil {
		return err
	}
	defer resolver.Close()

	metrics := server.NewMetrics(db, name)
	service, err := interaction.New(interactions(c, db, registry, defs, known, resolver.Labels(), metrics, interaction.Software{Name: "Ingle", Version: name, Built: built}))
	if err != nil {
		return err
	}
	defer service.Close() // before the store
	for _, op := range operations(db, known, known.source(defs)) {
		service.Register(op)
	}
	service.Register(service.ValidateStoredOperation(known.validator))
	if err := known.install(ctx, db, service, orDefault(c.PublicURL, c.BasePath), c.Interaction.UpdateCreate && c.Interaction.ClientIDs == "any"); err != nil {
		return err
	}
	limits, err := limiter(c)
	if err != nil {
		return err
	}
	if limits != nil {
		if err := limits.Carry(ctx, db.Usage()); err != nil {
			return err
		}
	}
	srv := server.New(listening(c, service, db, known, resolver, limits, metrics, log, name))

	listener, err := listenSecured(ctx, c, log)
	if err != nil {
		return err
	}
	if err := serveMetrics(ctx, c, metrics); err != nil {
		return err
	}
	base := orDefault(c.PublicURL, scheme(c)+shown(listener.Addr())+c.BasePath)
	log.Info("listening", "address", listener.Addr().String(), "base", base)

	served := make(chan error, 1)
	serving, stop := context.WithCancel(ctx)
	defer stop()
	go func() { served <- srv.Serve(serving, listener) }()
	var beside sync.WaitGroup
	beside.Go(func() { known.follow(serving, db, defs) })
	beside.Go(func() { known.prepared.Run(serving, log) })
	beside.Go(func() { work(serving, db, registry, log) })
	beside.Go(func() { settle(serving, limits, db, log) })
	beside.Go(func() { giveBack(serving) })
	defer func() { stop(); beside.Wait() }()
	if c.Demo {
		if err := loadDemo(ctx, db, service, base, out); err != nil && ctx.Err() == nil {
			stop()
			return errors.Join(err, <-served)
		}
	}
	err = <-served
	log.Info("stopped")
	return err
}

// database is where PostgreSQL is: as configured, or a private one.
func database(ctx context.Context, c *config.Config, log *slog.Logger) (url string, stop func(), err error) {
	if c.Database.URL != "" {
		return c.Database.URL, func() {}, nil
	}
	log.Info("no INGLE_DATABASE_URL: starting a private PostgreSQL", "folder", filepath.Join(c.DataDir, "postgres"))
	pg, err := postgres.Start(context.WithoutCancel(ctx), postgres.Options{Dir: filepath.Join(c.DataDir, "postgres"), BinDir: c.PostgresBin, Log: log})
	if err != nil {
		return "", nil, fmt.Errorf("start a private PostgreSQL (or set INGLE_DATABASE_URL): %w", err)
	}
	stop = func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		if err := pg.Stop(ctx); err != nil {
			log.Error("the private PostgreSQL did not stop cleanly", "error", err)
		}
	}
	if err := pg.EnsureDatabase(ctx, "ingle"); err != nil {
		stop()
		return "", nil, err
	}
	return pg.URL("ingle"), stop, nil
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
		IdleInTx:        c.Limits.IdleTime,
		CheckReferences: c.Interaction.IntegrityOnWrite,
		CheckReferrers:  c.Interaction.IntegrityOnDelete,
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
