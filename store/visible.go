package store

import (
	"context"
	"strings"

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

// The relations of search, and two of the store's own.
const (
	withDeleted search.Relation = -1 // resource, tombstones too
	superseded  search.Relation = -2 // resource_history
)

var tables = map[search.Relation]string{
	search.Resource:   "resource WHERE op <> 4",
	withDeleted:       "resource WHERE true",
	superseded:        "resource_history WHERE true",
	search.Token:      "idx_token WHERE true",
	search.Ref:        "idx_ref WHERE true",
	search.Date:       "idx_date WHERE true",
	search.String:     "idx_string WHERE true",
	search.Quantity:   "idx_quantity WHERE true",
	search.Text:       "idx_text WHERE true",
	search.Dictionary: "token WHERE true",
}

// visible gives the relations as one caller may read them. It is the only way
// from a statement to a table, and implements search.Source. The zero visible
// shows nothing.
type visible struct {
	all    bool
	labels []int32 // ids of the label sets that may be seen, if not all
	scope  authz.Scope
}

var _ search.Source = (*visible)(nil)

// visible computes what the reader's caller may see now.
func (r *reader) visible(ctx context.Context) (*visible, error) {
	g := r.scope.Grant(authz.Read)
	if g.All {
		return &visible{all: true, scope: r.scope}, nil
	}
	ids, err := r.db.labels.granted(ctx, r.db.pool, g)
	if err != nil {
		return nil, domain(ctx, err)
	}
	return &visible{labels: ids, scope: r.scope}, nil
}

// From implements search.Source.
func (v *visible) From(rel search.Relation, resourceTypes []string, alias string, args *search.Args) string {
	var b strings.Builder
	b.WriteString("(SELECT * FROM ")
	b.WriteString(tables[rel])
	if rel != search.Dictionary {
		b.WriteString(" " + ScopeMark)
		if !v.all {
			b.WriteString(" AND label = ANY(")
			b.WriteString(args.Add(v.labels))
			b.WriteString(")")
		}
	}
	b.WriteString(") AS ")
	b.WriteString(alias)
	return b.String()
}
