package concepts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// Row is a concept to be imported.
type Row struct {
	Code, Display, Definition string
	Abstract, Inactive        bool
	Words                     []string // of all names, folded letters and digits
	Properties                []Value
	More                      string
}

// Value is a property value that filters can find. Values over 200 bytes are
// left out.
type Value struct {
	Prop  int16
	Value string
}

const maxValue = 200

// Sink takes concepts and edges in any order. A code that comes twice is taken
// once; an edge to a code that never comes is left out.
type Sink interface {
	// Concept takes a concept. It does not keep it.
	Concept(c *Row) error
	// Parent says that one code lies directly below another.
	Parent(child, parent string) error
}

// Result is what an import did.
type Result struct {
	ID        int32
	Concepts  int
	Twice     int  // codes that came again
	Cycles    int  // edges left out because they would close a circle
	Unchanged bool // the very same distribution was there already
}

// Import is one code system version to be imported.
type Import struct {
	URL, Version string
	Checksum     []byte // of the distribution
	Again        bool   // also if the very same distribution is there
	// Fill gives all concepts and edges. It is called twice: the numbers of the
	// concepts are known only when all edges are.
	Fill func(ctx context.Context, to Sink) error
	// Info is asked after the second pass.
	Info func() ([]byte, error)
	// Progress is told how many concepts were seen in a pass (1 or 2); nil for nobody.
	Progress func(pass, concepts int)
}

// first is the first pass: codes and edges.
type first struct {
	h        hierarchy
	twice    int
	progress func(int)
}

func (f *first) Concept(c *Row) error {
	if c.Code == "" {
		return errors.New("a concept has no code")
	}
	if !f.h.define(c.Code) {
		f.twice++
	} else if n := len(f.h.order); n%10_000 == 0 {
		f.progress(n)
	}
	return nil
}

func (f *first) Parent(child, parent string) error {
	f.h.link(child, parent)
	return nil
}

// Load imports a version, beside others of the same code system and in place of
// the same one. Readers see the old one until all is there. Memory: about 100
// bytes a concept for the hierarchy, besides one batch.
func (s *Store) Load(ctx context.Context, in Import) (*Result, error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("concepts: import: %w", err)
	}
	defer conn.Release()
	// the pool's limits are for requests
	if _, err := conn.Exec(ctx, `SET statement_timeout = 0; SET lock_timeout = '60s'; SET idle_in_transaction_session_timeout = 0`); err != nil {
		return nil, fmt.Errorf("concepts: import: %w", err)
	}
	defer conn.Conn().Close(context.WithoutCancel(ctx)) // not back into the pool with other settings
	key := lockKey(in.URL, in.Version)
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, key); err != nil {
		return nil, fmt.Errorf("concepts: import: %w", err)
	}
	defer conn.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, key)

	var old int32
	var sum []byte
	var count int
	err = conn.QueryRow(ctx, `SELECT id, checksum, concepts FROM code_system WHERE url = $1 AND version = $2 AND ready`, in.URL, in.Version).Scan(&old, &sum, &count)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
	case err != nil:
		return nil, fmt.Errorf("concepts: import: %w", err)
	case bytes.Equal(sum, in.Checksum) && !in.Again:
		return &Result{ID: old, Concepts: count, Unchanged: true}, nil
	}
	if err := s.sweep(ctx, conn.Conn(), in.URL, in.Version); err != nil {
		return nil, err
	}
	tell := in.Progress
	if tell == nil {
		tell = func(int, int) {}
	}
	one := &first{progress: func(n int) { tell(1, n) }}
	if err := in.Fill(ctx, one); err != nil {
		return nil, err
	}
	one.h.settle()
	res := &Result{Concepts: len(one.h.order), Twice: one.twice, Cycles: one.h.cycles}
	if res.Concepts == 0 {
		return nil, errors.New("concepts: import: the distribution holds no concepts")
	}
	if err := conn.QueryRow(ctx, `INSERT INTO code_system (url, version, checksum, info) VALUES ($1, $2, $3, '{}') RETURNING id`,
		in.URL, in.Version, in.Checksum).Scan(&res.ID); err != nil {
		return nil, fmt.Errorf("concepts: import: %w", err)
	}
	if err := s.fill(ctx, conn.Conn(), &in, one, res, tell); err != nil {
		clean := context.WithoutCancel(ctx)
		_ = s.drop(clean, conn.Conn(), res.ID)
		return nil, err
	}
	info, err := in.Info()
	if err != nil {
		return nil, err
	}
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		var sql []string
		for _, t := range partitioned {
			sql = append(sql, fmt.Sprintf(`ALTER TABLE %s ATTACH PARTITION %s_%d FOR VALUES IN (%d)`, t, t, res.ID, res.ID))
		}
		if _, err := tx.Exec(ctx, strings.Join(sql, "; ")); err != nil {
			return err
		}
		if old != 0 {
			if _, err := tx.Exec(ctx, `UPDATE code_system SET ready = false WHERE id = $1`, old); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `UPDATE code_system SET ready = true, concepts = $2, info = $3, imported = now() WHERE id = $1`, res.ID, res.Concepts, info)
		return err
	})
	if err != nil {
		_ = s.drop(context.WithoutCancel(ctx), conn.Conn(), res.ID)
		return nil, fmt.Errorf("concepts: import: %w", err)
	}
	s.forget()
	return res, nil
}

var partitioned = []string{"concept", "concept_edge", "concept_property"}

// sweep drops what broken and replaced imports of the same version left behind.
// A replaced version stays until the next import, so that readers that know it
// can finish.
func (s *Store) sweep(ctx context.Context, conn *pgx.Conn, url, version string) error {
	rows, err := conn.Query(ctx, `SELECT id FROM code_system WHERE url = $1 AND version = $2 AND NOT ready`, url, version)
	if err != nil {
		return fmt.Errorf("concepts: sweep: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	if err != nil {
		return fmt.Errorf("concepts: sweep: %w", err)
	}
	for _, id := range ids {
		if err := s.drop(ctx, conn, id); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) drop(ctx context.Context, conn *pgx.Conn, id int32) error {
	var sql []string
	for _, t := range partitioned {
		sql = append(sql, fmt.Sprintf(`DROP TABLE IF EXISTS %s_%d`, t, id))
	}
	sql = append(sql, fmt.Sprintf(`DELETE FROM code_system WHERE id = %d`, id))
	if _, err := conn.Exec(ctx, strings.Join(sql, "; ")); err != nil {
		return fmt.Errorf("concepts: drop: %w", err)
	}
	return nil
}

// Remove removes a version.
func (s *Store) Remove(ctx context.Context, url, version string) (bool, error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return false, fmt.Errorf("concepts: remove: %w", err)
	}
	defer conn.Release()
	tag, err := conn.Exec(ctx, `UPDATE code_system SET ready = false WHERE url = $1 AND version = $2 AND ready`, url, version)
	if err != nil {
		return false, fmt.Errorf("concepts: remove: %w", err)
	}
	s.forget()
	return tag.RowsAffected() > 0, s.sweep(ctx, conn.Conn(), url, version)
}

func lockKey(url, version string) int64 {
	h := fnv.New64a()
	h.Write([]byte("code system\x00" + url + "\x00" + version))
	return int64(h.Sum64())
}

// second is the second pass: rows in batches, by COPY.
type second struct {
	ctx      context.Context
	conn     *pgx.Conn
	id       int32
	h        *hierarchy
	written  []bool
	n        int
	concepts [][]any
	values   [][]any
	progress func(int)
}

const batch = 5_000

func (s *second) Concept(c *Row) error {
	n := s.h.names[c.Code]
	if s.written[n] {
		return nil
	}
	s.written[n] = true
	place := s.h.place[n]
	var parents []int32
	for _, p := range s.h.parents[n] {
		parents = append(parents, s.h.place[p])
	}
	s.concepts = append(s.concepts, []any{s.id, place, c.Abstract, c.Inactive, parents, s.h.below[n], c.Code, strings.ToLower(c.Code),
		orNull(c.Display), orNull(c.Definition), lexemes(c.Words), orNull(c.More)})
	for _, v := range c.Properties {
		if len(v.Value) <= maxValue {
			s.values = append(s.values, []any{s.id, place, v.Prop, v.Value})
		}
	}
	if len(s.concepts) >= batch {
		return s.flush()
	}
	return nil
}

// lexemes makes the index of a concept's words: each once, cut to 60 bytes.
func lexemes(words []string) pgtype.TSVector {
	v := pgtype.TSVector{Valid: true}
	for i, w := range words {
		for len(w) > maxWord {
			_, n := utf8.DecodeLastRuneInString(w)
			w = w[:len(w)-n]
		}
		words[i] = w
	}
	slices.Sort(words)
	for _, w := range slices.Compact(words) {
		v.Lexemes = append(v.Lexemes, pgtype.TSVectorLexeme{Word: w})
	}
	return v
}

const maxWord = 60

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (s *second) Parent(string, string) error { return nil }

func (s *second) flush() error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	if err := s.copy("concept", []string{"cs", "place", "abstract", "inactive", "parents", "below", "code", "fold", "display", "definition", "words", "more"}, s.concepts); err != nil {
		return err
	}
	if err := s.copy("concept_property", []string{"cs", "place", "prop", "value"}, s.values); err != nil {
		return err
	}
	s.n += len(s.concepts)
	s.progress(s.n)
	s.concepts, s.values = s.concepts[:0], s.values[:0]
	return nil
}

func (s *second) copy(table string, cols []string, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	if _, err := s.conn.CopyFrom(s.ctx, pgx.Identifier{fmt.Sprintf("%s_%d", table, s.id)}, cols, pgx.CopyFromRows(rows)); err != nil {
		var pg *pgconn.PgError
		if errors.As(err, &pg) && pg.Code == "22021" {
			return errors.New("the distribution holds text that is not UTF-8")
		}
		return fmt.Errorf("concepts: import: %w", err)
	}
	return nil
}

// fill makes and fills the partitions of a version.
func (s *Store) fill(ctx context.Context, conn *pgx.Conn, in *Import, one *first, res *Result, tell func(int, int)) error {
	var sql []string
	for _, t := range partitioned {
		sql = append(sql, fmt.Sprintf(`CREATE TABLE %s_%d (LIKE %s INCLUDING ALL)`, t, res.ID, t),
			// spares ATTACH a scan
			fmt.Sprintf(`ALTER TABLE %s_%d ADD CHECK (cs = %d)`, t, res.ID, res.ID))
	}
	if _, err := conn.Exec(ctx, strings.Join(sql, "; ")); err != nil {
		return fmt.Errorf("concepts: import: %w", err)
	}
	if err := grant(ctx, conn, res.ID); err != nil {
		return err
	}
	two := &second{ctx: ctx, conn: conn, id: res.ID, h: &one.h, written: make([]bool, len(one.h.parents)), progress: func(n int) { tell(2, n) }}
	if err := in.Fill(ctx, two); err != nil {
		return err
	}
	if err := two.flush(); err != nil {
		return err
	}
	if two.n != res.Concepts {
		return errors.New("concepts: import: the distribution changed while it was read")
	}
	if err := two.edges(); err != nil {
		return err
	}
	id := res.ID
	indexes := []string{
		fmt.Sprintf(`ALTER TABLE concept_%d ADD PRIMARY KEY (place)`, id),
		// what lies below a concept, and a page of it, are then neighbours
		fmt.Sprintf(`CLUSTER concept_%d USING concept_%d_pkey`, id, id),
		fmt.Sprintf(`CREATE UNIQUE INDEX ON concept_%d (code)`, id),
		fmt.Sprintf(`CREATE INDEX ON concept_%d (fold)`, id),
		fmt.Sprintf(`CREATE INDEX ON concept_%d USING gin (words) WITH (fastupdate = off)`, id),
		fmt.Sprintf(`CREATE INDEX ON concept_edge_%d (parent, child)`, id),
		fmt.Sprintf(`CREATE INDEX ON concept_property_%d (prop, value, place)`, id),
		fmt.Sprintf(`CREATE INDEX ON concept_property_%d (place)`, id),
	}
	for _, t := range partitioned {
		indexes = append(indexes, fmt.Sprintf(`ANALYZE %s_%d`, t, id))
	}
	for _, x := range indexes {
		if _, err := conn.Exec(ctx, x); err != nil {
			return fmt.Errorf("concepts: import: index: %w", err)
		}
	}
	return nil
}

// grant lets those read the partitions of a version who may read the tables that
// they are of: servers, whose role is not the one that imports, name partitions.
func grant(ctx context.Context, conn *pgx.Conn, id int32) error {
	rows, err := conn.Query(ctx, `SELECT format('GRANT SELECT ON %I TO %s', t || '_' || $2::int4, coalesce(quote_ident(r.rolname), 'PUBLIC'))
		FROM unnest($1::text[]) AS t JOIN pg_class c ON c.oid = t::regclass
		CROSS JOIN aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS a LEFT JOIN pg_roles r ON r.oid = a.grantee
		WHERE a.privilege_type = 'SELECT'`, partitioned, id)
	if err != nil {
		return fmt.Errorf("concepts: import: grants: %w", err)
	}
	sql, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("concepts: import: grants: %w", err)
	}
	if _, err := conn.Exec(ctx, strings.Join(sql, "; ")); err != nil {
		return fmt.Errorf("concepts: import: grants: %w", err)
	}
	return nil
}

func (s *second) edges() error {
	rows := make([][]any, 0, batch)
	for _, p := range s.h.order {
		for _, c := range s.h.children[p] {
			rows = append(rows, []any{s.id, s.h.place[p], s.h.place[c]})
			if len(rows) == batch {
				if err := s.copy("concept_edge", []string{"cs", "parent", "child"}, rows); err != nil {
					return err
				}
				rows = rows[:0]
			}
		}
	}
	return s.copy("concept_edge", []string{"cs", "parent", "child"}, rows)
}
