package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"

	"ingle/authz"
	"ingle/fhir"
	"ingle/migrations"
	"ingle/search"
)

// Options say how to open a database.
type Options struct {
	URL      string // a PostgreSQL connection string
	Registry *search.Registry
	Defs     *fhir.Definitions

	MaxConns        int           // connections of the pool; 0: 4 × processors, at least 8
	ReadTimeout     time.Duration // statement timeout of reads; 0: 10 s
	WriteTimeout    time.Duration // of writes; 0: 30 s
	LockTimeout     time.Duration // 0: 5 s
	IdleInTx        time.Duration // 0: 15 s
	CountTime       time.Duration // of an exact total beside a page; 0: 2 s
	Totals          int           // exact totals that are remembered, see totals; 0: none
	CheckReferences bool          // refuse a write whose literal references do not resolve
	CheckReferrers  bool          // refuse to delete what others refer to

	// Consent enforces the Consents of patients: ConsentOptOut or ConsentOptIn; ""
	// does not. All servers of a database have the same, see EnforceConsent.
	Consent string

	// Committed is told the changes of each write after its commit, by the
	// goroutine that wrote; nil for nobody. Other servers on the database do not
	// tell it of theirs.
	Committed func(changes []Change)

	Tracer pgx.QueryTracer // optional, for metrics and tests
	Now    func() time.Time
}

// DB is a database that is at the schema of this binary. It is safe for
// concurrent use. It gives no data: see As.
type DB struct {
	pool *pgxpool.Pool
	// side serves what a write needs beside its own connection: numbers of new
	// resources, tokens, labels. A transaction that asked the pool for a second
	// connection could wait for ever, when all of them are held by transactions
	// that wait for it.
	side      *pgxpool.Pool
	opts      Options
	reg       *search.Registry
	defs      *fhir.Definitions
	ids       ridBlock
	labels    labelSet
	tokens    tokenCache
	consent   consentTerms
	totals    totals
	cursorKey []byte
}

// Open connects and checks that the schema is the one of this binary; it
// applies no migration.
func Open(ctx context.Context, o Options) (*DB, error) {
	cfg, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return nil, fmt.Errorf("read the database URL: %w", err)
	}
	if o.ReadTimeout == 0 {
		o.ReadTimeout = 10 * time.Second
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = 30 * time.Second
	}
	if o.LockTimeout == 0 {
		o.LockTimeout = 5 * time.Second
	}
	if o.IdleInTx == 0 {
		o.IdleInTx = 15 * time.Second
	}
	if o.CountTime == 0 {
		o.CountTime = 2 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxConns > 0 {
		cfg.MaxConns = int32(o.MaxConns)
	} else {
		cfg.MaxConns = max(cfg.MaxConns, 8)
	}
	cfg.MaxConnIdleTime = 5 * time.Minute
	cfg.ConnConfig.ConnectTimeout = 5 * time.Second
	cfg.ConnConfig.Tracer = o.Tracer
	cfg.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheStatement
	cfg.ConnConfig.StatementCacheCapacity = 256
	// A request that ends early cancels its statement and keeps its connection.
	cfg.ConnConfig.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: c, DeadlineDelay: 2 * time.Second}
	}
	set := cfg.ConnConfig.RuntimeParams
	set["application_name"] = "ingle"
	set["timezone"] = "UTC"
	set["jit"] = "off"
	set["max_parallel_workers_per_gather"] = "0"
	set["lock_timeout"] = fmt.Sprint(o.LockTimeout.Milliseconds())
	set["idle_in_transaction_session_timeout"] = fmt.Sprint(o.IdleInTx.Milliseconds())
	// the outer bound; reads are bounded by their context as well
	set["statement_timeout"] = fmt.Sprint(max(o.ReadTimeout, o.WriteTimeout).Milliseconds())

	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	sideCfg := cfg.Copy()
	sideCfg.MaxConns, sideCfg.MinConns, sideCfg.MinIdleConns = 2, 0, 0
	side, err := pgxpool.NewWithConfig(ctx, sideCfg)
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("open the database: %w", err)
	}
	db := &DB{pool: pool, side: side, opts: o, reg: o.Registry, defs: o.Defs, totals: newTotals(o.Totals), labels: newLabelSet()}
	db.consent = db.consentTerms()
	if err := db.check(ctx); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

// check reads the schema version and what the servers of a database share.
func (db *DB) check(ctx context.Context) error {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	defer conn.Release()
	state, err := migrations.Version(ctx, conn.Conn())
	if err != nil {
		return err
	}
	if err := state.Err(); err != nil {
		return err
	}
	if err := conn.QueryRow(ctx, `SELECT value FROM setting WHERE name = 'cursor-key'`).Scan(&db.cursorKey); err != nil {
		return fmt.Errorf("read the cursor key: %w", err)
	}
	return nil
}

// As binds the database to the scope of one caller.
func (db *DB) As(scope authz.Scope) *Session {
	return &Session{db: db, reader: reader{db: db, q: db.pool, scope: scope}}
}

// Ping tells whether the database answers and is at the right schema.
func (db *DB) Ping(ctx context.Context) error {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	defer conn.Release()
	state, err := migrations.Version(ctx, conn.Conn())
	if err != nil {
		return err
	}
	return state.Err()
}

// Stat returns the figures of the connection pool.
func (db *DB) Stat() *pgxpool.Stat { return db.pool.Stat() }

// Close waits for the connections in use and closes all.
func (db *DB) Close() {
	db.pool.Close()
	db.side.Close()
}

// CursorKey returns 32 bytes that the servers of this database share, to seal
// page cursors with.
func (db *DB) CursorKey() []byte { return db.cursorKey }

// Time returns the lastUpdated of a new version: now in milliseconds, UTC, and
// later than the version it replaces, whatever the clock does.
func (db *DB) Time(old *Resource) time.Time {
	now := db.opts.Now().UTC().Truncate(time.Millisecond)
	if old != nil && !now.After(old.LastUpdated) {
		now = old.LastUpdated.Add(time.Millisecond)
	}
	return now
}
