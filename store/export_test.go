package store

import (
	"strings"

	"ingle/search"
)

// The relations of the store's own, for the tests.
const (
	WithDeleted = withDeleted
	Superseded  = superseded
	Contained   = contained
)

// Unscope takes the caller's predicate out of a relation until restore is
// called, for the test that shows that each one matters. No other test may run
// meanwhile.
func Unscope(rel search.Relation) (restore func()) {
	was := tables[rel]
	table, where, _ := strings.Cut(was, " WHERE ")
	tables[rel] = table + " WHERE " + where + " OR " + where
	return func() { tables[rel] = was }
}

// Relations are all that hold data of resources.
func Relations() []search.Relation {
	out := make([]search.Relation, 0, len(tables))
	for rel := range tables {
		out = append(out, rel)
	}
	return out
}

// ForgeTotals makes n of every total that is remembered.
func ForgeTotals(db *DB, n int) {
	for key, t := range db.totals.kept.All() {
		t.n = n
		db.totals.kept.Set(key, t)
	}
}
