// Package storetest opens stores on fresh databases for tests.
package storetest

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"ingle/fhir/r4"
	"ingle/internal/pgtest"
	"ingle/migrations"
	"ingle/search"
	"ingle/store"
)

// URL returns the connection URL of a fresh database at the current schema.
func URL(t testing.TB) string {
	t.Helper()
	return pgtest.Template(t, "ingle", func(url string) error {
		_, err := migrations.Up(context.Background(), url)
		return err
	})
}

// Open opens a store on a fresh database. Every statement is watched: one that
// reads the tables of resources without the scope fails the test. change may
// adapt the options.
func Open(t testing.TB, change ...func(*store.Options)) *store.DB {
	t.Helper()
	return OpenURL(t, URL(t), change...)
}

// OpenURL is Open on a database that is there already.
func OpenURL(t testing.TB, url string, change ...func(*store.Options)) *store.DB {
	t.Helper()
	defs := r4.Definitions()
	o := store.Options{URL: url, Defs: defs, Registry: search.NewRegistry(defs), CheckReferrers: true, Tracer: ScopeTracer{t}}
	for _, c := range change {
		c(&o)
	}
	db, err := store.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// ScopeTracer fails a test on a statement that names a table of resources
// without the scope's mark in front of the next table.
type ScopeTracer struct{ T testing.TB }

var dataTable = regexp.MustCompile(`\b(?:FROM|JOIN|INTO|UPDATE|TABLE)\s+(?:ONLY\s+)?(resource|resource_history|idx_\w+)\b`)

// Unscoped returns the first table that a statement reads without the scope, "" if none.
func Unscoped(sql string) string {
	found := dataTable.FindAllStringSubmatchIndex(sql, -1)
	write := strings.HasPrefix(sql, "INSERT") || strings.HasPrefix(sql, "DELETE") || strings.HasPrefix(sql, "WITH n AS")
	for i, at := range found {
		end := len(sql)
		if !write && i+1 < len(found) {
			end = found[i+1][0]
		}
		if !strings.Contains(sql[at[0]:end], store.ScopeMark) {
			return sql[at[2]:at[3]]
		}
	}
	return ""
}

// TraceQueryStart implements pgx.QueryTracer.
func (s ScopeTracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	s.check(d.SQL)
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (s ScopeTracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// TraceBatchStart implements pgx.BatchTracer.
func (s ScopeTracer) TraceBatchStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceBatchStartData) context.Context {
	for _, q := range d.Batch.QueuedQueries {
		s.check(q.SQL)
	}
	return ctx
}

// TraceBatchQuery implements pgx.BatchTracer.
func (s ScopeTracer) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd implements pgx.BatchTracer.
func (s ScopeTracer) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// unscoped remembers Unscoped by statement.
var unscoped sync.Map

func (s ScopeTracer) check(sql string) {
	table, known := unscoped.Load(sql)
	if !known {
		table = Unscoped(sql)
		unscoped.Store(sql, table)
	}
	if table != "" {
		s.T.Errorf("a statement reads %s without the scope:\n%s", table, sql)
	}
}
