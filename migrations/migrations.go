// Package migrations holds the steps of the database schema as SQL files,
// embedded in the binary, and brings a database up to them with golang-migrate.
//
// The servers of one database agree by three facts: the number of the last
// step, that it did not stop half-way (dirty), and the SHA-256 of every step
// that was applied. A database that is newer, dirty or was built from other
// files is refused: nobody writes into a schema that they do not know.
package migrations

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/golang-migrate/migrate/v4"
	driver "github.com/golang-migrate/migrate/v4/database/pgx/v5"
	"github.com/golang-migrate/migrate/v4/source/iofs"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

//go:embed sql/*.sql
var files embed.FS

// LockTimeout bounds the wait for another server that is migrating the same
// database.
const LockTimeout = 60 * time.Second

// State tells how a database stands to the steps in this binary.
type State struct {
	Version int  // the last step applied, 0 for an empty database
	Latest  int  // the last step in this binary
	Dirty   bool // a step stopped half-way
}

// Current tells whether the database is exactly at the latest step.
func (s State) Current() bool { return s.Version == s.Latest && !s.Dirty }

// Err returns why a server of this binary must not use the database, nil if it may.
func (s State) Err() error {
	switch {
	case s.Dirty:
		return fmt.Errorf("migration %d of the database stopped half-way (dirty): restore a backup or repair it by hand, then correct the table schema_migrations", s.Version)
	case s.Version > s.Latest:
		return fmt.Errorf("the database is at schema version %d, newer than this binary, which knows %d: use a newer ingle", s.Version, s.Latest)
	case s.Version < s.Latest:
		return fmt.Errorf("the database is at schema version %d, this binary needs %d: run `ingle migrate up`", s.Version, s.Latest)
	}
	return nil
}

// Version reads the state of the database, with one round trip, and checks that
// the steps applied to it are those of this binary.
func Version(ctx context.Context, conn *pgx.Conn) (State, error) {
	st := State{Latest: latest()}
	err := conn.QueryRow(ctx, `SELECT version, dirty FROM schema_migrations LIMIT 1`).Scan(&st.Version, &st.Dirty)
	var pgErr *pgconn.PgError
	switch {
	case errors.Is(err, pgx.ErrNoRows), errors.As(err, &pgErr) && pgErr.Code == "42P01": // undefined_table
		return st, nil
	case err != nil:
		return st, fmt.Errorf("read the schema version: %w", err)
	}
	if st.Dirty || st.Version > st.Latest {
		return st, nil
	}
	rows, err := conn.Query(ctx, `SELECT name, value FROM setting WHERE name LIKE 'migration-%'`)
	if err != nil {
		return st, fmt.Errorf("read the hashes of the applied migrations: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var have []byte
		if err := rows.Scan(&name, &have); err != nil {
			return st, fmt.Errorf("read the hashes of the applied migrations: %w", err)
		}
		n, _ := strconv.Atoi(strings.TrimPrefix(name, "migration-"))
		if want := hash(n); n <= st.Version && !bytes.Equal(have, want) {
			return st, fmt.Errorf("migration %d of the database is not the one in this binary: the schema was changed from outside or by another build", n)
		}
	}
	return st, rows.Err()
}

// Up applies the steps that the database lacks. It needs a role that may create
// tables; the servers themselves do not. It does nothing if there are none.
func Up(ctx context.Context, databaseURL string) (State, error) {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return State{}, fmt.Errorf("connect to the database: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	st, err := Version(ctx, conn)
	if err != nil || st.Current() {
		return st, err
	}
	if st.Dirty || st.Version > st.Latest {
		return st, st.Err()
	}
	if err := up(databaseURL); err != nil {
		return st, err
	}
	for n := 1; n <= st.Latest; n++ {
		if h := hash(n); h != nil {
			if _, err := conn.Exec(ctx, `INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`,
				fmt.Sprintf("migration-%04d", n), h); err != nil {
				return st, fmt.Errorf("record the hash of migration %d: %w", n, err)
			}
		}
	}
	return Version(ctx, conn)
}

// up takes the steps. It goes where the connection string leads, of whatever form
// and to however many hosts.
func up(databaseURL string) error {
	src, err := iofs.New(files, "sql")
	if err != nil {
		return fmt.Errorf("read the embedded migrations: %w", err)
	}
	cfg, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		return fmt.Errorf("read the database URL: %w", err)
	}
	cfg.RuntimeParams["lock_timeout"] = strconv.FormatInt(LockTimeout.Milliseconds(), 10) // the advisory lock would wait for ever
	db := stdlib.OpenDB(*cfg)
	defer db.Close()
	target, err := driver.WithInstance(db, &driver.Config{})
	if err != nil {
		return fmt.Errorf("prepare the migration: %w", err)
	}
	m, err := migrate.NewWithInstance("iofs", src, "pgx5", target)
	if err != nil {
		return fmt.Errorf("prepare the migration: %w", err)
	}
	defer m.Close()
	m.LockTimeout = LockTimeout
	if err := m.Up(); err != nil && !errors.Is(err, migrate.ErrNoChange) {
		return fmt.Errorf("migrate the database: %w", err)
	}
	return nil
}

// steps lists the numbers of the embedded steps in order.
func steps() []int {
	names, _ := fs.Glob(files, "sql/*.up.sql")
	var out []int
	for _, name := range names {
		n, _ := strconv.Atoi(strings.SplitN(path.Base(name), "_", 2)[0])
		out = append(out, n)
	}
	sort.Ints(out)
	return out
}

func latest() int {
	all := steps()
	return all[len(all)-1]
}

func hash(n int) []byte {
	names, _ := fs.Glob(files, fmt.Sprintf("sql/%04d_*.up.sql", n))
	if len(names) != 1 {
		return nil
	}
	text, err := files.ReadFile(names[0])
	if err != nil {
		return nil
	}
	sum := sha256.Sum256(text)
	return sum[:]
}
