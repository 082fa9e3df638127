package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"ingle/search"
)

// MatchAll is Match for many queries in two round trips: the conditional
// references and criteria of a transaction Bundle. limits has one limit for
// each query; so has the result one list.
func (r *reader) MatchAll(ctx context.Context, queries []*search.Query, limits []int) ([][]*Resource, error) {
	out := make([][]*Resource, len(queries))
	if len(queries) == 0 {
		return out, nil
	}
	ctx, cancel := context.WithTimeout(ctx, r.readTime())
	defer cancel()
	v, err := r.searchable(ctx, queries...)
	if err != nil {
		return nil, err
	}
	b := &pgx.Batch{}
	for i, q := range queries {
		st, err := r.db.reg.CompileMatch(q, v, limits[i])
		if err != nil {
			return nil, err
		}
		b.Queue(st.SQL, st.Args...)
	}
	refs := make([][]string, len(queries))
	var all []string
	res := r.q.SendBatch(ctx, b)
	for i := range queries {
		rows, err := res.Query()
		if err == nil {
			for rows.Next() {
				_, hit, scanErr := r.hit(rows)
				if scanErr != nil {
					err = scanErr
					break
				}
				refs[i] = append(refs[i], hit.Reference())
			}
			rows.Close()
			if err == nil {
				err = rows.Err()
			}
		}
		if err != nil {
			_ = res.Close()
			return nil, domain(ctx, fmt.Errorf("match: %w", err))
		}
		all = append(all, refs[i]...)
	}
	if err := res.Close(); err != nil {
		return nil, domain(ctx, fmt.Errorf("match: %w", err))
	}
	found, err := r.ReadAll(ctx, all)
	if err != nil {
		return nil, err
	}
	for i := range refs {
		for _, ref := range refs[i] {
			if res := found[ref]; res != nil && !res.Deleted() {
				out[i] = append(out[i], res)
			}
		}
	}
	return out, nil
}
