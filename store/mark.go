package store

import (
	"context"
	"fmt"
	"time"

	"ingle/authz"
	"ingle/search"
)

// Mark tells one state of the resources of some types from any other: by their
// number, their versions and the transaction that changed them last, for Amend
// makes no version. The zero Mark is that of none.
type Mark struct {
	n, versions int64
	last        time.Time
	tx          int64
}

// Mark is the mark of what the caller may see of some types. It reads a row of
// each resource: it is for types with few.
func (s *Session) Mark(ctx context.Context, types []string) (Mark, error) {
	v, err := s.reader.visible(ctx, authz.Read)
	if err != nil {
		return Mark{}, err
	}
	return s.db.mark(ctx, v, types)
}

func (db *DB) mark(ctx context.Context, v *visible, types []string) (m Mark, err error) {
	numbers := make([]int16, len(types))
	for i, t := range types {
		numbers[i] = db.defs.TypeNumber(t)
	}
	var args search.Args
	var last *time.Time
	sql := "SELECT count(*), coalesce(sum(version), 0), max(lu), coalesce(max(tx::text::int8), 0) FROM " + v.From(search.Resource, types, "r", &args) +
		" WHERE rtype = ANY(" + args.Add(numbers) + "::int2[])"
	if err := db.pool.QueryRow(ctx, sql, args.Values()...).Scan(&m.n, &m.versions, &last, &m.tx); err != nil {
		return Mark{}, domain(ctx, fmt.Errorf("look for changes: %w", err))
	}
	if last != nil {
		m.last = *last
	}
	return m, nil
}
