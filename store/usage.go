package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Usage is what each principal has asked for in a window of time. It keeps it
// for quotas, over restarts and for all servers; it holds no data of resources.
type Usage struct{ db *DB }

// Usage gives the quotas' ledger.
func (db *DB) Usage() Usage { return Usage{db} }

// usageKept is how long a window is kept after its begin.
const usageKept = 40 * 24 * time.Hour

// Spent returns what each principal has spent in a window.
func (u Usage) Spent(ctx context.Context, window time.Time) (map[string]int64, error) {
	rows, err := u.db.side.Query(ctx, `SELECT principal, spent FROM usage WHERE begins = $1`, window)
	return sums(ctx, rows, err)
}

// Spend adds to what principals have spent in a window, and returns the new
// sums. Old windows go.
func (u Usage) Spend(ctx context.Context, window time.Time, spent map[string]int64) (map[string]int64, error) {
	names := make([]string, 0, len(spent))
	for name := range spent {
		names = append(names, name)
	}
	slices.Sort(names) // in one order everywhere
	amounts := make([]int64, len(names))
	for i, name := range names {
		amounts[i] = spent[name]
	}
	rows, err := u.db.side.Query(ctx, `WITH old AS (DELETE FROM usage WHERE begins < $4)
		INSERT INTO usage AS u (begins, principal, spent) SELECT $1, * FROM unnest($2::text[], $3::int8[])
		ON CONFLICT (begins, principal) DO UPDATE SET spent = u.spent + excluded.spent RETURNING principal, spent`, window, names, amounts, window.Add(-usageKept))
	return sums(ctx, rows, err)
}

func sums(ctx context.Context, rows pgx.Rows, err error) (map[string]int64, error) {
	out := map[string]int64{}
	if err == nil {
		var name string
		var n int64
		_, err = pgx.ForEachRow(rows, []any{&name, &n}, func() error { out[name] = n; return nil })
	}
	if err != nil {
		return nil, domain(ctx, fmt.Errorf("keep account of quotas: %w", err))
	}
	return out, nil
}
