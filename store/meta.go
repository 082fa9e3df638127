package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"ingle/authz"
	"ingle/fhir"
	"ingle/search"
)

// MetaInUse is what the resources of some types have in meta.
type MetaInUse struct {
	Profiles []string // sorted
	// Metas are the metas of resources that together hold every tag and
	// security label in use, the oldest resource of each.
	Metas [][]byte
}

// maxMetaInUse bounds the profiles, and the tags and labels, that are told.
const maxMetaInUse = 2000

// MetaInUse returns what the current versions that the caller may see have in
// meta. types are resource types, nil for all. It reads the index, so that it
// costs as much as there are different values. More than 2,000 are a
// *fhir.Error with status 422.
func (r *reader) MetaInUse(ctx context.Context, types []string) (*MetaInUse, error) {
	ctx, cancel := context.WithTimeout(ctx, r.db.opts.ReadTimeout)
	defer cancel()
	v, err := r.visible(ctx, authz.Read)
	if err != nil {
		return nil, err
	}
	all := types
	if all == nil {
		all = r.db.defs.ResourceTypes()
	}
	var coded []int32   // parameters whose tokens are tags and labels
	var profile []int64 // keys of the profiles
	for _, t := range all {
		coded = append(coded, int32(search.ParamIDOf(t, "_tag")), int32(search.ParamIDOf(t, "_security")))
		profile = append(profile, search.ValueKey(search.ParamIDOf(t, "_profile")))
	}
	out := &MetaInUse{}
	var args search.Args
	sql := "SELECT DISTINCT ON (r.rid) r.body->'meta' FROM " + v.From(search.Dictionary, nil, "t", &args) + " CROSS JOIN LATERAL (SELECT x.rid FROM " +
		v.From(search.Token, types, "x", &args) + " WHERE x.h = t.h ORDER BY x.rid LIMIT 1) AS f JOIN " + v.From(search.Resource, types, "r", &args) +
		" ON r.rid = f.rid WHERE t.p = ANY(" + args.Add(coded) + "::int4[]) ORDER BY r.rid LIMIT " + args.Add(maxMetaInUse+1)
	if out.Metas, err = collect[[]byte](ctx, r.q, sql, args.Values()); err != nil {
		return nil, err
	}
	var next search.Args
	from := v.From(search.String, types, "x", &next)
	// from each value to the next one, along the index
	sql = "WITH RECURSIVE d(k, val) AS (SELECT p.k, (SELECT min(x.val) FROM " + from + " WHERE x.k = p.k) FROM unnest(" + next.Add(profile) + "::int8[]) AS p(k) UNION ALL " +
		"SELECT d.k, (SELECT min(x.val) FROM " + from + " WHERE x.k = d.k AND x.val > d.val) FROM d WHERE d.val IS NOT NULL) " +
		"SELECT val FROM d WHERE val IS NOT NULL LIMIT " + next.Add(maxMetaInUse+1)
	if out.Profiles, err = collect[string](ctx, r.q, sql, next.Values()); err != nil {
		return nil, err
	}
	if len(out.Metas) > maxMetaInUse || len(out.Profiles) > maxMetaInUse {
		return nil, fhir.Errorf(422, fhir.CodeTooCostly, "there are more than %d different profiles, tags and security labels; ask for those of one resource type or of one resource", maxMetaInUse)
	}
	slices.Sort(out.Profiles)
	out.Profiles = slices.Compact(out.Profiles)
	return out, nil
}

func collect[T any](ctx context.Context, q querier, sql string, args []any) ([]T, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, domain(ctx, fmt.Errorf("read what is in use in meta: %w", err))
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[T])
	return out, domain(ctx, err)
}
