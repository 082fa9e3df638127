package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"ingle/authz"
	"ingle/search"
)

// Listing asks which resources there are: what an export is made of.
type Listing struct {
	Types    []string        // resource types
	Matching []*search.Query // of the one type; a resource matches one of them; nil for all resources
	Deleted  bool            // deletions instead
	Since    *time.Time      // changed later than that, see ExportTime
	Until    *time.Time      // not changed later than that
	// Inside keeps what is in the compartment of a Patient that the caller may see,
	// and such Patients: those of Patients alone ("Patient/1"), where it is not nil. Deletions are
	// in no compartment; of those only the ones of Patients are held against it.
	Inside   bool
	Patients []string
}

// listGrace is how much earlier than it was committed a version may be dated.
const listGrace = "interval '10 minutes'"

// MayAsk refuses a query that rests on what is hidden from the caller (403), as each
// search does.
func (s *Session) MayAsk(q *search.Query) error { return s.mayAsk(q) }

// List lists what the caller may see now and may read later, by number and version
// alone, type by type. It calls full with lists of one type, or of deletions of any
// ("") with at most size versions each.
func (tx *Tx) List(ctx context.Context, l Listing, size int, full func(typ string, list *VersionList) error) error {
	l.Types = slices.DeleteFunc(slices.Clone(l.Types), func(t string) bool { return !tx.scope.Narrow(t, authz.Read).Allowed })
	if len(l.Types) == 0 {
		return nil
	}
	var args search.Args
	sql, err := tx.listSQL(ctx, l, &args)
	if err != nil {
		return err
	}
	// planned for its values: there may be anything in the lists
	rows, err := tx.q.Query(ctx, sql, append([]any{pgx.QueryExecModeCacheDescribe}, args.Values()...)...)
	if err != nil {
		return domain(ctx, fmt.Errorf("list resources: %w", err))
	}
	defer rows.Close()
	var rid int64
	var rtype, of int16
	var version int32
	list := &VersionList{}
	hand := func() error {
		typ, whole := tx.db.defs.TypeName(of), list
		list = &VersionList{}
		if whole.Count == 0 || typ == "" && of != 0 { // an added type may go any time
			return nil
		}
		return full(typ, whole)
	}
	for rows.Next() {
		if err := rows.Scan(&rtype, &rid, &version); err != nil {
			return domain(ctx, fmt.Errorf("list resources: %w", err))
		}
		if rtype != of || list.Count == size {
			if err := hand(); err != nil {
				return err
			}
			of = rtype
		}
		list.add(rid, version)
	}
	if err := rows.Err(); err != nil {
		return domain(ctx, fmt.Errorf("list resources: %w", err))
	}
	return hand()
}

// listSQL selects rtype, rid and version in this order; rtype is 0 for deletions.
func (r *reader) listSQL(ctx context.Context, l Listing, args *search.Args) (string, error) {
	v, err := r.searchable(ctx, l.Matching...)
	if err != nil {
		return "", err
	}
	relation, number := search.Resource, "r.rtype"
	if l.Deleted {
		relation, number = withDeleted, "0::int2"
		if v, err = r.visible(ctx, authz.Read); err != nil { // as a history has them
			return "", err
		}
	}
	sql := "SELECT " + number + ", r.rid, r.version FROM " + v.From(relation, l.Types, "r", args) + " WHERE r.rtype = ANY(" + args.Add(r.db.typeNumbers(l.Types)) + "::int2[])"
	if l.Deleted {
		sql += " AND r.op = 4"
	}
	if l.Since != nil {
		since := args.Add(*l.Since) + "::timestamptz"
		sql += " AND r.lu > " + since + " - " + listGrace + " AND (r.lu > " + since +
			" OR EXISTS (SELECT 1 FROM export_time AS t WHERE t.at = " + since + " AND NOT pg_visible_in_snapshot(r.tx, t.seen)))"
	}
	if l.Until != nil {
		sql += " AND r.lu <= " + args.Add(*l.Until)
	}
	if l.Inside {
		sql += " AND " + r.insideSQL(v, l, args)
	}
	if len(l.Matching) > 0 {
		matching := make([]string, len(l.Matching))
		for i, q := range l.Matching {
			if matching[i], err = r.db.reg.Matching(q, v, args); err != nil {
				return "", err
			}
		}
		sql += " AND r.rid IN (" + strings.Join(matching, "\nUNION ALL\n") + ")"
	}
	return sql + " ORDER BY 1, 2", nil
}

// insideSQL is the condition of Listing.Inside.
func (r *reader) insideSQL(v *visible, l Listing, args *search.Args) string {
	patient := args.Add(r.db.defs.TypeNumber("Patient"))
	of := func(alias string) string {
		if l.Patients == nil {
			return ""
		}
		return " AND " + alias + ".rk = ANY(" + args.Add(refKeys(l.Patients)) + "::int8[])"
	}
	self := "r.rtype = " + patient + of("r")
	if l.Deleted {
		return "(r.rtype <> " + patient + " OR " + self + ")"
	}
	var params []int32
	var members []string
	for typ, codes := range r.db.defs.Compartment("Patient").Params {
		if typ == "Patient" || !slices.Contains(l.Types, typ) {
			continue // a Patient who is linked to another is another person's record
		}
		members = append(members, typ)
		for _, code := range codes {
			params = append(params, int32(search.ParamIDOf(typ, code)))
		}
	}
	if len(members) == 0 {
		return self
	}
	slices.Sort(params)
	slices.Sort(members)
	return "(" + self + " OR r.rid IN (SELECT x.rid FROM " + v.From(search.Ref, members, "x", args) + " JOIN " + v.From(search.Resource, []string{"Patient"}, "p", args) +
		" ON p.rk = x.rk WHERE p.rtype = " + patient + of("p") + " AND x.p = ANY(" + args.Add(params) + "::int4[])))"
}

// ExportTime notes what the transaction sees as what there was at a time. Who asks
// for changes since exactly then (Listing.Since) gets what was not seen, too: a
// version has its time before it is committed.
func (tx *Tx) ExportTime(ctx context.Context, at time.Time) error {
	var seen string
	if err := tx.q.QueryRow(ctx, "SELECT pg_current_snapshot()::text").Scan(&seen); err != nil {
		return domain(ctx, fmt.Errorf("see what there is: %w", err))
	}
	_, err := tx.db.side.Exec(ctx, `INSERT INTO export_time (at, seen) VALUES ($1, $2::text::pg_snapshot)`, at, seen)
	return domain(ctx, err)
}
