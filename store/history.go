package store

import (
	"context"
	"fmt"
	"time"

	"ingle/authz"
	"ingle/search"
)

// HistoryQuery asks for versions, newest first.
type HistoryQuery struct {
	Type, ID string     // no ID: of a type; no Type: of the whole system
	Since    *time.Time // only versions created at or after it
	// AtFrom and AtTo, both or none: only versions that were current at some
	// time in [AtFrom, AtTo) (_at).
	AtFrom, AtTo *time.Time
	Count        int            // versions a page; 0: none, only the total
	After        *HistoryCursor // where the page before ended
	WithTotal    bool
}

// HistoryCursor is a position in a history: the last version of a page.
type HistoryCursor struct {
	LastUpdated time.Time
	RID         int64
	Version     int
}

// HistoryPage is a page of versions.
type HistoryPage struct {
	Entries []*Resource
	Total   int            // of all pages, if asked for
	Next    *HistoryCursor // nil on the last page
}

// History returns versions that the caller may see: of each, both the version
// and its resource's current version must be visible. An instance that is not
// visible has an empty history.
func (r *reader) History(ctx context.Context, q HistoryQuery) (*HistoryPage, error) {
	v, err := r.visible(ctx, authz.Read)
	if err != nil {
		return nil, err
	}
	page := &HistoryPage{}
	if q.WithTotal {
		var args search.Args
		sql := "SELECT count(*) FROM (" + r.versions(v, q, "r.rid", "h.rid", false, &args) + ") AS n"
		if err := r.q.QueryRow(ctx, sql, args.Values()...).Scan(&page.Total); err != nil {
			return nil, domain(ctx, fmt.Errorf("count the history: %w", err))
		}
	}
	if q.Count <= 0 {
		return page, nil
	}
	var args search.Args
	// Each half is sorted and cut by itself, so that both can stream from their
	// indexes; bodies are read for the page alone.
	sql := "SELECT rtype, fhir_id, rid, version, lu, op, label, tx, coalesce(body_text, body::text) FROM (" +
		r.versions(v, q, "r.rtype, r.fhir_id, r.rid, r.version, r.lu, r.op, r.label, r.tx, r.body, r.body_text",
			"h.rtype, r.fhir_id, h.rid, h.version, h.lu, h.op, h.label, h.tx, h.body, h.body_text", true, &args) +
		") AS n ORDER BY lu DESC, rid DESC, version DESC LIMIT " + args.Add(q.Count+1)
	rows, err := r.q.Query(ctx, sql, args.Values()...)
	if err != nil {
		return nil, domain(ctx, fmt.Errorf("read the history: %w", err))
	}
	defer rows.Close()
	for rows.Next() {
		res, err := r.scan(rows)
		if err != nil {
			return nil, domain(ctx, fmt.Errorf("read the history: %w", err))
		}
		page.Entries = append(page.Entries, res)
	}
	if err := rows.Err(); err != nil {
		return nil, domain(ctx, fmt.Errorf("read the history: %w", err))
	}
	if len(page.Entries) > q.Count {
		page.Entries = page.Entries[:q.Count]
		last := page.Entries[q.Count-1]
		page.Next = &HistoryCursor{LastUpdated: last.LastUpdated, RID: last.rid, Version: last.Version}
	}
	return page, nil
}

// versions is the UNION ALL of current and superseded versions.
func (r *reader) versions(v *visible, q HistoryQuery, current, old string, page bool, args *search.Args) string {
	half := func(alias, until string) string {
		where := " WHERE true"
		if q.ID != "" {
			where += " AND r.rk = " + args.Add(search.RefKey(q.Type+"/"+q.ID)) + " AND r.fhir_id = " + args.Add(q.ID)
		}
		if q.Type != "" {
			where += " AND " + alias + ".rtype = " + args.Add(r.db.defs.TypeNumber(q.Type))
		}
		if q.Since != nil {
			where += " AND " + alias + ".lu >= " + args.Add(*q.Since)
		}
		if q.AtFrom != nil && q.AtTo != nil {
			where += " AND " + alias + ".lu < " + args.Add(*q.AtTo)
			if until != "" {
				where += " AND " + until + " > " + args.Add(*q.AtFrom)
			}
		}
		if !page {
			return where
		}
		if c := q.After; c != nil {
			where += fmt.Sprintf(" AND (%[1]s.lu, %[1]s.rid, %[1]s.version) < (%s, %s, %s)", alias, args.Add(c.LastUpdated), args.Add(c.RID), args.Add(int32(c.Version)))
		}
		return where + fmt.Sprintf(" ORDER BY %[1]s.lu DESC, %[1]s.rid DESC, %[1]s.version DESC LIMIT %s", alias, args.Add(q.Count+1))
	}
	types := []string(nil)
	if q.Type != "" {
		types = []string{q.Type}
	}
	from := v.From(withDeleted, types, "r", args)
	return "(SELECT " + current + " FROM " + from + half("r", "") + ") UNION ALL (SELECT " + old + " FROM " +
		v.From(superseded, types, "h", args) + " JOIN " + from + " ON r.rid = h.rid" + half("h", "h.until") + ")"
}
