package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"ingle/authz"
	"ingle/search"
)

// Session is the database as one caller sees it. It is safe for concurrent use.
type Session struct {
	db *DB
	reader
}

// Scope returns the caller's scope.
func (s *Session) Scope() authz.Scope { return s.scope }

// reader has the reads that a Session and a Tx share.
type reader struct {
	db    *DB
	q     querier
	scope authz.Scope
	time  time.Duration // that a search may take; 0: Options.ReadTimeout
}

func (r *reader) readTime() time.Duration {
	if r.time > 0 {
		return r.time
	}
	return r.db.opts.ReadTimeout
}

// bodyText is a resource's JSON: what jsonb would respell is kept as text.
const bodyText = "coalesce(body_text, body::text)"

// Read returns the current version of a resource, a deletion included, or nil
// if there is none that the caller may see.
func (r *reader) Read(ctx context.Context, typ, id string) (*Resource, error) {
	v, err := r.visible(ctx, authz.Read)
	if err != nil {
		return nil, err
	}
	var args search.Args
	return r.one(ctx, typ, id, r.readSQL(v, typ, id, &args), args.Values())
}

// readSQL selects what Read returns.
func (r *reader) readSQL(v *visible, typ, id string, args *search.Args) string {
	return "SELECT rid, version, lu, op, label, tx, " + bodyText + " FROM " + v.From(withDeleted, []string{typ}, "r", args) +
		" WHERE rk = " + args.Add(search.RefKey(typ+"/"+id)) + " AND fhir_id = " + args.Add(id) + " AND rtype = " + args.Add(r.db.defs.TypeNumber(typ))
}

// VRead returns one version of a resource, a deletion included, or nil if there
// is none that the caller may see: both the version and the resource's current
// version must be visible.
func (r *reader) VRead(ctx context.Context, typ, id string, version int) (*Resource, error) {
	v, err := r.visible(ctx, authz.Read)
	if err != nil {
		return nil, err
	}
	var args search.Args
	current := v.From(withDeleted, []string{typ}, "r", &args)
	is := " WHERE r.rk = " + args.Add(search.RefKey(typ+"/"+id)) + " AND r.fhir_id = " + args.Add(id) + " AND r.rtype = " + args.Add(r.db.defs.TypeNumber(typ))
	number := args.Add(int32(version))
	sql := "SELECT rid, version, lu, op, label, tx, " + bodyText + " FROM " + current + is + " AND r.version = " + number +
		" UNION ALL SELECT h.rid, h.version, h.lu, h.op, h.label, h.tx, coalesce(h.body_text, h.body::text) FROM " + current +
		" JOIN " + v.From(superseded, []string{typ}, "h", &args) + " ON h.rid = r.rid" + is + " AND h.version = " + number
	return r.one(ctx, typ, id, sql, args.Values())
}

func (r *reader) one(ctx context.Context, typ, id, sql string, args []any) (*Resource, error) {
	res := &Resource{Type: typ, ID: id}
	err := r.q.QueryRow(ctx, sql, args...).Scan(&res.rid, &res.Version, &res.LastUpdated, &res.Op, &res.label, &res.tx, &res.Body)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, domain(ctx, fmt.Errorf("read %s: %w", typ, err))
	}
	if res.Labels, err = r.db.labels.paths(ctx, r.db.side, res.label); err != nil {
		return nil, domain(ctx, err)
	}
	resourceTypeFirst(res.Body, typ)
	return res, r.hide(res)
}

// ReadAll returns the current versions of many resources ("Type/id") in one
// round trip, by reference; those that the caller may not see are absent.
func (r *reader) ReadAll(ctx context.Context, refs []string) (map[string]*Resource, error) {
	out := make(map[string]*Resource, len(refs))
	if len(refs) == 0 {
		return out, nil
	}
	v, err := r.visible(ctx, authz.Read)
	if err != nil {
		return nil, err
	}
	keys, wanted := make([]int64, len(refs)), make(map[string]bool, len(refs))
	for i, ref := range refs {
		keys[i], wanted[ref] = search.RefKey(ref), true
	}
	var args search.Args
	rows, err := r.q.Query(ctx, "SELECT rtype, fhir_id, rid, version, lu, op, label, tx, "+bodyText+" FROM "+v.From(withDeleted, nil, "r", &args)+
		" WHERE rk = ANY("+args.Add(keys)+")", args.Values()...)
	if err != nil {
		return nil, domain(ctx, fmt.Errorf("read resources: %w", err))
	}
	defer rows.Close()
	for rows.Next() {
		res, err := r.scan(rows)
		if err != nil {
			return nil, domain(ctx, fmt.Errorf("read resources: %w", err))
		}
		if ref := res.Reference(); wanted[ref] {
			out[ref] = res
		}
	}
	if err := rows.Err(); err != nil {
		return nil, domain(ctx, fmt.Errorf("read resources: %w", err))
	}
	for _, res := range out {
		if res.Labels, err = r.db.labels.paths(ctx, r.db.side, res.label); err != nil {
			return nil, domain(ctx, err)
		}
	}
	return out, nil
}

// scan reads a row of rtype, fhir_id, rid, version, lu, op, label, tx, body.
func (r *reader) scan(rows pgx.Rows) (*Resource, error) {
	res := &Resource{}
	var rtype int16
	if err := rows.Scan(&rtype, &res.ID, &res.rid, &res.Version, &res.LastUpdated, &res.Op, &res.label, &res.tx, &res.Body); err != nil {
		return nil, err
	}
	res.Type = r.db.defs.TypeName(rtype)
	resourceTypeFirst(res.Body, res.Type)
	return res, r.hide(res)
}

// Missing returns those of the references ("Type/id") that do not lead to a
// resource that the caller may see.
func (r *reader) Missing(ctx context.Context, refs []string) ([]string, error) {
	if len(refs) == 0 {
		return nil, nil
	}
	v, err := r.visible(ctx, authz.Read)
	if err != nil {
		return nil, err
	}
	var args search.Args
	sql := "SELECT n.ref FROM unnest(" + args.Add(refs) + "::text[], " + args.Add(refKeys(refs)) + "::int8[]) AS n(ref, rk) WHERE NOT EXISTS (SELECT 1 FROM " +
		v.From(search.Resource, nil, "r", &args) + " WHERE r.rk = n.rk)"
	rows, err := r.q.Query(ctx, sql, args.Values()...)
	if err != nil {
		return nil, domain(ctx, fmt.Errorf("check references: %w", err))
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return out, domain(ctx, err)
}

// Referrers returns up to limit resources ("Type/id") that the caller may see
// and that refer to the given one.
func (r *reader) Referrers(ctx context.Context, typ, id string, limit int) ([]string, error) {
	v, err := r.visible(ctx, authz.Read)
	if err != nil {
		return nil, err
	}
	var args search.Args
	sql := "SELECT DISTINCT r.rtype, r.fhir_id FROM " + v.From(search.Ref, nil, "x", &args) + " JOIN " + v.From(search.Resource, nil, "r", &args) +
		" ON r.rid = x.rid WHERE x.rk = " + args.Add(search.RefKey(typ+"/"+id)) + " LIMIT " + args.Add(limit)
	rows, err := r.q.Query(ctx, sql, args.Values()...)
	if err != nil {
		return nil, domain(ctx, fmt.Errorf("look for referrers: %w", err))
	}
	out, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		var rtype int16
		var id string
		err := row.Scan(&rtype, &id)
		return r.db.defs.TypeName(rtype) + "/" + id, err
	})
	return out, domain(ctx, err)
}

func refKeys(refs []string) []int64 {
	out := make([]int64, len(refs))
	for i, ref := range refs {
		out[i] = search.RefKey(ref)
	}
	return out
}
