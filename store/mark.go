package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"ingle/authz"
	"ingle/search"
)

// Mark tells one state of the resources of some types from any other: by their
// number, their versions and the transactions that changed them last, for Amend
// makes no version. The zero Mark is that of none.
type Mark struct {
	n, versions int64
	last        time.Time
	tx          string // sum: a transaction that began earlier may commit later
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
	numbers := db.typeNumbers(types)
	var args search.Args
	var last *time.Time
	sql := "SELECT count(*), coalesce(sum(version), 0), max(lu), coalesce(sum(tx::text::numeric), 0)::text FROM " + v.From(search.Resource, types, "r", &args) +
		" WHERE rtype = ANY(" + args.Add(numbers) + "::int2[])"
	if err := db.pool.QueryRow(ctx, sql, args.Values()...).Scan(&m.n, &m.versions, &last, &m.tx); err != nil {
		return Mark{}, domain(ctx, fmt.Errorf("look for changes: %w", err))
	}
	if last != nil {
		m.last = *last
	}
	return m, nil
}

// State tells one content of a resource, its meta included, from any other that
// it ever had.
type State struct {
	version int32
	tx      int64
}

// States returns the state of each resource of some types that the caller may
// see, by reference ("Type/id").
func (s *Session) States(ctx context.Context, types []string) (map[string]State, error) {
	v, err := s.reader.visible(ctx, authz.Read)
	if err != nil {
		return nil, err
	}
	var args search.Args
	rows, err := s.db.pool.Query(ctx, "SELECT rtype, fhir_id, version, tx::text::int8 FROM "+v.From(search.Resource, types, "r", &args)+
		" WHERE rtype = ANY("+args.Add(s.db.typeNumbers(types))+"::int2[])", args.Values()...)
	if err != nil {
		return nil, domain(ctx, fmt.Errorf("look what changed: %w", err))
	}
	out := map[string]State{}
	var number int16
	var id string
	var state State
	_, err = pgx.ForEachRow(rows, []any{&number, &id, &state.version, &state.tx}, func() error {
		out[s.db.defs.TypeName(number)+"/"+id] = state
		return nil
	})
	if err != nil {
		return nil, domain(ctx, fmt.Errorf("look what changed: %w", err))
	}
	return out, nil
}
