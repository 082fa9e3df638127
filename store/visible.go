package store

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"ingle/authz"
	"ingle/search"
)

// querier is what a pool and a transaction have in common.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// ScopeMark stands in every relation that holds data of resources. A tracer in
// the tests fails a statement that names such a table without it.
const ScopeMark = "/*scope*/"

// The relations of search, and three of the store's own.
const (
	withDeleted search.Relation = -1 // resource, tombstones too
	superseded  search.Relation = -2 // resource_history
	contained   search.Relation = -3 // idx_contained
)

var tables = map[search.Relation]string{
	search.Resource: "resource AS scope_row WHERE op <> 4",
	withDeleted:     "resource AS scope_row WHERE true",
	superseded:      "resource_history AS scope_row WHERE true",
	contained:       "idx_contained AS scope_row WHERE true",
	search.Token:    "idx_token AS scope_row WHERE true",
	search.Ref:      "idx_ref AS scope_row WHERE true",
	search.Date:     "idx_date AS scope_row WHERE true",
	search.String:   "idx_string AS scope_row WHERE true",
	search.Quantity: "idx_quantity AS scope_row WHERE true",
	search.Text:     "idx_text AS scope_row WHERE true",
}

// visible gives the relations as one caller may use them for one method. It is
// the only way from a statement to a table, and implements search.Source. The
// zero visible shows nothing.
type visible struct {
	db     *DB
	all    bool    // every label
	labels []int32 // ids of the label sets that may be seen, if not all
	bits   []byte  // the same as a bitmap, where they are a large part of all
	whole  bool    // SMART scopes leave everything
	hidden []int32 // reference parameters that rest on hidden elements
	scope  authz.Scope
	method authz.Method

	under string // the one label whose rows are given, see Under

	// the condition on labels in the statement that is being made
	args *search.Args
	test string
}

var _ search.FewLabels = (*visible)(nil)

// visible computes what the reader's caller may reach now by a method.
func (r *reader) visible(ctx context.Context, m authz.Method) (*visible, error) {
	g := r.scope.Grant(m)
	n := r.scope.Narrow("*", m)
	if err := r.db.tokens.refreshLinks(ctx, r.db.side); err != nil {
		return nil, domain(ctx, err)
	}
	sees := r.seesWithheld()
	v := &visible{db: r.db, all: g.All && sees, whole: n.Allowed && !n.Restricted(), scope: r.scope, method: m}
	v.hidden = r.hiddenReferences()
	if v.all {
		return v, nil
	}
	covered, err := r.db.labels.granted(ctx, r.db.side, g, sees)
	if err != nil {
		return nil, domain(ctx, err)
	}
	v.labels, v.bits = covered.ids, covered.bits
	return v, nil
}

// manyLabels is the number of labels from which an array of them costs a row, or
// the planner, much more than a comparison.
const manyLabels = 9

// maxBitmap bounds a bitmap, in bytes: it goes along with every statement.
const maxBitmap = 64 << 10

// bitmap has a bit for each label id that is given, numbered as get_bit of
// PostgreSQL does; nil if it would be too large.
func bitmap(labels []int32) []byte {
	size := int(slices.Max(labels))/8 + 1
	if size > maxBitmap {
		return nil
	}
	bits := make([]byte, size)
	for _, id := range labels {
		bits[id/8] |= 1 << (id % 8)
	}
	return bits
}

// labelled is the condition on a row's label. One argument serves all relations
// of a statement.
//
// PostgreSQL tries an array of labels one by one unless it plans for that very
// array, and planning for it takes as long as all the rest. A bit is found at
// once under any plan; what is taken for its likelihood, one half, is near the
// truth where the labels are a large part of all.
func (v *visible) labelled(args *search.Args) string {
	if v.args != args {
		v.args = args
		if v.under != "" {
			v.test = "label = " + v.under + " AND label <> 0 AND (label = ANY(" + args.Add(v.labels) + "::int4[])) IS TRUE"
		} else if v.bits != nil {
			bits := args.Add(v.bits) + "::bytea"
			v.test = "CASE WHEN label < octet_length(" + bits + ") * 8 THEN get_bit(" + bits + ", label) = 1 ELSE false END"
		} else {
			v.test = "label = ANY(" + args.Add(v.labels) + "::int4[])"
		}
	}
	return v.test
}

// counting is the same for a statement that looks at every row of a key: planned
// for the array itself, PostgreSQL finds a label by a hash, faster than a bit.
func (v *visible) counting() *visible {
	c := *v
	c.bits, c.args = nil, nil
	return &c
}

// everything tells that nothing at all is hidden.
func (v *visible) everything() bool { return v.all && v.whole }

// Labels implements search.FewLabels.
func (v *visible) Labels() []int32 {
	if v.all || len(v.labels) >= manyLabels || slices.Contains(v.labels, 0) {
		return nil
	}
	return v.labels
}

// Under implements search.FewLabels. That the label is one of the caller's stands in
// each relation all the same, as what no index is asked for: by an array PostgreSQL
// would find the rows in no order.
func (v *visible) Under(label string) search.Source {
	one := *v
	one.under, one.args = label, nil
	return &one
}

// From implements search.Source.
func (v *visible) From(rel search.Relation, resourceTypes []string, alias string, args *search.Args) string {
	if rel == search.Dictionary {
		return "token AS " + alias
	}
	var sql string
	if resources, inside := search.SplitContained(resourceTypes); inside != nil {
		sql = v.fromInside(rel, resources, args)
	} else {
		sql = v.rows(rel, args)
		if cond := v.narrowed(rel, resourceTypes, args); cond != "" {
			sql += " AND " + cond
		}
	}
	return "(" + sql + ") AS " + alias
}

// rows selects the rows of a relation under the caller's labels; a condition
// may follow.
func (v *visible) rows(rel search.Relation, args *search.Args) string {
	sql := "SELECT * FROM " + tables[rel] + " " + ScopeMark
	if !v.all {
		sql += " AND " + v.labelled(args)
	}
	if rel == search.Ref && v.hidden != nil {
		sql += " AND p <> ALL(" + args.Add(v.hidden) + "::int4[])"
	}
	return sql
}
