package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"ingle/fhir/r4"
	"ingle/migrations"
	"ingle/search"
)

// Options say what is measured and how.
type Options struct {
	// URL is the FHIR base URL of the server. Empty: one is started with a
	// database of its own, by the command Serve.
	URL string
	// DatabaseURL is the server's database if it is one of Ingle's; then the limit
	// and the oracle run too.
	DatabaseURL string
	Header      http.Header
	ServerPID   int      // of a server on this machine, for its CPU time; else /metrics tells it
	Serve       []string // command that runs a server
	Limit       []string // command that runs ServeLimit

	Data        []string // files or folders of transaction Bundles
	Size        int      // resources to load; 0: measure what is there
	Labels      int      // paths that the loaded Bundles are labelled with in turn; 0: none
	Concurrency []int
	Rounds      int           // of A B B A
	Length      time.Duration // of one run of an arm
	Checks      int           // parameters of each search that are held against the oracle
	Page        int           // matches on a page of the searches; 0: 50, which is what the limit gives
	Only        *regexp.Regexp
	Pause       bool // after loading and at the end, wait for a line on standard input: time to look inside

	Progress io.Writer
}

// bench is one run.
type bench struct {
	Options
	c       *client
	limit   *client
	spec    LimitSpec
	reg     *search.Registry
	pool    *pgxpool.Pool // the server's database
	scratch *pgxpool.Pool // a database beside it, for the writes of the limit
	sample  sample
	server  clock // CPU of server and PostgreSQL
	limits  clock // CPU of the limit server and PostgreSQL
	pg      clock
	self    clock
	drift   drift
	stops   []func()
	report  *Report
}

// Run measures. What could not be measured is told in the report.
func Run(ctx context.Context, o Options) (report *Report, err error) {
	b := &bench{Options: o, report: &Report{Started: time.Now(), Rounds: o.Rounds, Length: o.Length, Cores: runtime.NumCPU()}, reg: search.NewRegistry(r4.Definitions())}
	pid := o.ServerPID
	if o.URL == "" {
		b.say("starting a private PostgreSQL and the server")
		l, err := startLocal(ctx, o.Serve)
		if err != nil {
			return nil, err
		}
		defer func() {
			if err != nil {
				b.say("the server's last words: %s", l.lastWords())
			}
			if err := l.stop(); err != nil {
				b.say("cleaning up: %v", err)
			}
		}()
		b.URL, b.DatabaseURL, pid = l.base, l.database, l.server.Process.Pid
		b.say("%s, process %d, metrics on %s", l.base, pid, l.profile)
	}
	defer func() {
		for _, stop := range b.stops {
			stop()
		}
	}()
	b.c = newClient(b.URL, o.Header)
	if err := b.connect(ctx, pid); err != nil {
		return nil, err
	}
	if b.pool != nil {
		defer b.disconnect()
	}
	if b.Size > 0 {
		if err := b.load(ctx); err != nil {
			return nil, fmt.Errorf("load: %w", err)
		}
	}
	if b.pool != nil {
		b.say("VACUUM ANALYZE")
		if _, err := b.pool.Exec(ctx, "VACUUM (ANALYZE)"); err != nil {
			b.report.note("VACUUM ANALYZE: %v", err)
		}
		b.facts(ctx, pid)
	}
	if err := b.sample.read(ctx, b.c); err != nil {
		return nil, err
	}
	b.say("sampled %d patients, %d observations, %d codes", len(b.sample.patients), len(b.sample.observations), len(b.sample.codes))
	b.wait("loaded and sampled")
	for _, part := range []func(context.Context) error{b.searches, b.reads, b.paging, b.writes, b.transactions} {
		err := part(ctx)
		b.report.Drift = b.drift.share()
		if err != nil {
			return b.report, err
		}
	}
	b.report.MemoryMB = residentMB(pid)
	b.wait("done")
	return b.report, nil
}

func (b *bench) say(format string, args ...any) {
	if b.Progress != nil {
		fmt.Fprintf(b.Progress, "%s  "+format+"\n", append([]any{time.Now().Format(time.TimeOnly)}, args...)...)
	}
}

func (b *bench) wait(at string) {
	if b.Pause {
		b.say("%s; a line on standard input goes on", at)
		_, _ = fmt.Fscanln(os.Stdin)
	}
}

func (b *bench) wants(workload string) bool { return b.Only == nil || b.Only.MatchString(workload) }

// connect finds the clocks, the null request and the databases.
func (b *bench) connect(ctx context.Context, pid int) error {
	null := b.c.origin() + "/livez"
	if r, err := b.c.do(ctx, http.MethodGet, null, nil); err != nil {
		return fmt.Errorf("the server does not answer: %w", err)
	} else if r.release(); r.status != http.StatusOK {
		null = "metadata"
	}
	b.drift.null = arm{clock: noClock, do: func(ctx context.Context, _ *worker) error {
		r, err := b.c.do(ctx, http.MethodGet, null, nil)
		if err != nil {
			return err
		}
		defer r.release()
		if r.status != http.StatusOK {
			return r.refused()
		}
		return nil
	}}
	b.server, b.limits, b.pg, b.self = noClock, noClock, noClock, processClock(os.Getpid())
	serverClock := metricsClock(ctx, b.c.http, b.c.origin()+"/metrics")
	if pid > 0 {
		serverClock = processClock(pid)
	}
	if b.Page > 0 && b.DatabaseURL != "" {
		return errors.New("pages of another size cannot be compared with the limit's: name a server by its URL, and no database")
	}
	if b.DatabaseURL == "" {
		b.server = serverClock
		b.report.note("without the database: no limit, no oracle; the CPU time is that of the server alone")
		return nil
	}
	var err error
	if b.pool, err = limitPool(ctx, b.DatabaseURL); err != nil {
		return err
	}
	var backend int
	if err := b.pool.QueryRow(ctx, "SELECT pg_backend_pid(), current_setting('server_version')").Scan(&backend, &b.report.PostgreSQL); err != nil {
		return fmt.Errorf("the database: %w", err)
	}
	b.pg = postgresClock(parentOf(backend, "postgres"))
	b.server = together(serverClock, b.pg)
	if _, ok := b.pg(); !ok {
		b.report.note("PostgreSQL runs elsewhere: its CPU time is not known")
	}
	return b.makeScratch(ctx)
}

// makeScratch makes the database for the limit of writes: the same tables, the same durability.
func (b *bench) makeScratch(ctx context.Context) error {
	const name = "ingle_bench_limit"
	for _, sql := range []string{"DROP DATABASE IF EXISTS " + name + " WITH (FORCE)", "CREATE DATABASE " + name} {
		if _, err := b.pool.Exec(ctx, sql); err != nil {
			return fmt.Errorf("make a database for the limit: %w", err)
		}
	}
	url, err := otherDatabase(b.DatabaseURL, name)
	if err != nil {
		return err
	}
	if _, err := migrations.Up(ctx, url); err != nil {
		return err
	}
	b.spec = LimitSpec{Database: b.DatabaseURL, Scratch: url}
	b.scratch, err = limitPool(ctx, url)
	return err
}

func (b *bench) disconnect() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if b.scratch != nil {
		b.scratch.Close()
		if _, err := b.pool.Exec(ctx, "DROP DATABASE IF EXISTS ingle_bench_limit WITH (FORCE)"); err != nil {
			b.say("drop the database of the limit: %v", err)
		}
	}
	b.pool.Close()
}

// facts are what the database says of itself after loading.
func (b *bench) facts(ctx context.Context, pid int) {
	var resources, size, indexes int64
	err := b.pool.QueryRow(ctx, `SELECT (SELECT count(*) FROM resource WHERE op <> 4), pg_database_size(current_database()),
		(SELECT sum(pg_relation_size(indexrelid)) FROM pg_stat_user_indexes)`).Scan(&resources, &size, &indexes)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		b.report.note("the size of the database: %v", err)
		return
	}
	b.report.Resources = resources
	if resources > 0 {
		b.report.note("%d resources, %d bytes of disk each, %d of them indexes", resources, size/resources, indexes/resources)
	}
	if mb := residentMB(pid); mb > 0 {
		b.report.note("the server's memory after loading: %d MB", mb)
	}
}

// row measures a workload at each concurrency and adds it to the report.
func (b *bench) row(ctx context.Context, r Row, server arm, limit *arm, concurrency ...int) error {
	if len(concurrency) == 0 {
		concurrency = b.Concurrency
	}
	for _, n := range concurrency {
		if err := b.drift.probe(ctx); err != nil {
			return err
		}
		r := r
		r.Clients = n
		var err error
		if r.Server, r.Limit, err = (plan{b.Rounds, b.Length}).measure(ctx, server, limit, n); err != nil {
			return err
		}
		b.add(r)
	}
	return nil
}

func (b *bench) add(r Row) {
	b.report.Rows = append(b.report.Rows, r)
	b.say("%s", r.line())
}
