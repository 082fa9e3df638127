package concepts

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Coding is an entry of a closure table. Added is the version of the table that
// it came with, from 1.
type Coding struct {
	System, Code string
	Added        int
}

// ErrClosureFull is the error of a closure table that would hold more codings, or of
// a caller who would have more tables, than the limit.
var ErrClosureFull = errors.New("concepts: a closure table is full")

// ResetClosure makes a closure table of a caller, who may have so many, or empties
// it.
func (s *Store) ResetClosure(ctx context.Context, owner, name string, limit int) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var others int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM closure_table WHERE owner = $1 AND name <> $2`, owner, name).Scan(&others); err != nil {
			return err
		}
		if others >= limit {
			return ErrClosureFull
		}
		if _, err := tx.Exec(ctx, `DELETE FROM closure_table WHERE owner = $1 AND name = $2`, owner, name); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO closure_table (owner, name) VALUES ($1, $2) ON CONFLICT DO NOTHING`, owner, name)
		return err
	})
	if err != nil {
		return fmt.Errorf("concepts: closure: %w", err)
	}
	return nil
}

// ExtendClosure adds the codings that the table lacks, all under one new
// version, and returns all of its codings and its version. ok is false if there
// is no such table. A table that would hold more than limit codings stays as it is:
// ErrClosureFull.
func (s *Store) ExtendClosure(ctx context.Context, owner, name string, systems, codes []string, limit int) (all []Coding, version int, ok bool, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `SELECT version FROM closure_table WHERE owner = $1 AND name = $2 FOR UPDATE`, owner, name).Scan(&version)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		ok = true
		if len(codes) > 0 {
			tag, err := tx.Exec(ctx, `INSERT INTO closure_coding (owner, name, system, code, added)
				SELECT DISTINCT $1, $2, x.system, x.code, $5::int4 FROM unnest($3::text[], $4::text[]) x(system, code) ON CONFLICT DO NOTHING`,
				owner, name, systems, codes, version+1)
			if err != nil {
				return err
			}
			if tag.RowsAffected() > 0 {
				version++
				if _, err := tx.Exec(ctx, `UPDATE closure_table SET version = $3 WHERE owner = $1 AND name = $2`, owner, name, version); err != nil {
					return err
				}
			}
		}
		rows, err := tx.Query(ctx, `SELECT system, code, added FROM closure_coding WHERE owner = $1 AND name = $2 ORDER BY added, system, code`, owner, name)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (c Coding, err error) {
			err = r.Scan(&c.System, &c.Code, &c.Added)
			return c, err
		})
		if err == nil && len(codes) > 0 && len(all) > limit {
			return ErrClosureFull
		}
		return err
	})
	if err != nil {
		return nil, 0, false, fmt.Errorf("concepts: closure: %w", err)
	}
	return all, version, ok, nil
}
