package store

import (
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"ingle/search"
)

// What differs between two versions decides what is written: keys that stay as
// they are are kept, all rows of the others come anew.
func TestIndexDiff(t *testing.T) {
	t.Parallel()
	raw := func(s string) *string { return &s }
	for _, c := range []struct {
		name      string
		table     int
		old, rows search.Rows
		kept      []int64
		fresh     int
		ok        bool
	}{
		{"nothing differs", 0, search.Rows{Tokens: []search.TokenRow{{H: 1, P: 7}}}, search.Rows{Tokens: []search.TokenRow{{H: 1, P: 7}}}, nil, 0, false},
		{"another order", 0, search.Rows{Tokens: []search.TokenRow{{H: 1}, {H: 2}}}, search.Rows{Tokens: []search.TokenRow{{H: 2}, {H: 1}}}, nil, 0, false},
		{"one token of three", 0, search.Rows{Tokens: []search.TokenRow{{H: 3}, {H: 1}, {H: 2}}}, search.Rows{Tokens: []search.TokenRow{{H: 3}, {H: 1}, {H: 4}}}, []int64{1, 3}, 1, true},
		{"all gone", 0, search.Rows{Tokens: []search.TokenRow{{H: 1}}}, search.Rows{}, nil, 0, true},
		{"a second parameter to one target", 1, search.Rows{Refs: []search.RefRow{{RK: 5, P: 1}}}, search.Rows{Refs: []search.RefRow{{RK: 5, P: 1}, {RK: 5, P: 2}}}, nil, 2, true},
		{"a target that is written otherwise", 1, search.Rows{Refs: []search.RefRow{{RK: 5, P: 1, Target: "a"}}}, search.Rows{Refs: []search.RefRow{{RK: 5, P: 1, Target: "b"}}}, nil, 0, false},
		{"the latest of two dates", 2, search.Rows{Dates: []search.DateRow{{K: 1, Lo: 1, SMin: true}, {K: 1, Lo: 2, SMax: true}, {K: 2}}},
			search.Rows{Dates: []search.DateRow{{K: 1, Lo: 1, SMin: true, SMax: true}, {K: 2}}}, []int64{2}, 1, true},
		{"only the spelling", 3, search.Rows{Strings: []search.StringRow{{K: 1, Val: "a"}, {K: 2, Val: "x"}}},
			search.Rows{Strings: []search.StringRow{{K: 1, Val: "a", Raw: raw("A")}, {K: 2, Val: "x"}}}, []int64{2}, 1, true},
		{"equal texts", 3, search.Rows{Strings: []search.StringRow{{K: 1, Val: "a", Raw: raw("A")}}}, search.Rows{Strings: []search.StringRow{{K: 1, Val: "a", Raw: raw("A")}}}, nil, 0, false},
		{"a quantity", 4, search.Rows{Quantities: []search.QuantityRow{{K: 1, Lo: "1"}}}, search.Rows{Quantities: []search.QuantityRow{{K: 1, Lo: "1.0"}}}, nil, 1, true},
	} {
		kept, fresh, ok := indexTables[c.table].diff(&c.old, &c.rows)
		n := 0
		if fresh != nil {
			n = len(fresh.Tokens) + len(fresh.Refs) + len(fresh.Dates) + len(fresh.Strings) + len(fresh.Quantities)
		}
		if !slices.Equal(kept, c.kept) || n != c.fresh || ok != c.ok {
			t.Errorf("%s: kept %v, %d fresh rows, %v; want %v, %d, %v", c.name, kept, n, ok, c.kept, c.fresh, c.ok)
		}
	}
}

// A resource that contains none costs no statement more than its own rows need.
func TestStatementsOfContained(t *testing.T) {
	t.Parallel()
	plain := &search.Rows{Tokens: []search.TokenRow{{H: 1}}, Dates: []search.DateRow{{K: 2}}}
	inside := &search.Rows{Tokens: plain.Tokens, Place: &search.Place{ID: "a"}}
	box := &search.Rows{Tokens: plain.Tokens, Contained: []*search.Rows{inside}}
	for _, c := range []struct {
		name string
		do   func(*indexChanges)
		want int
	}{
		{"create", func(c *indexChanges) { c.create(1, 0, plain) }, 2},
		{"update", func(c *indexChanges) {
			c.replace(1, 0, plain, &search.Rows{Tokens: []search.TokenRow{{H: 3}}, Dates: plain.Dates}, true)
		}, 2},
		{"delete", func(c *indexChanges) { c.remove(1, nil) }, len(indexTables) - 1},
		{"create with one contained", func(c *indexChanges) { c.create(1, 0, box) }, 2},
		{"the contained one stays", func(c *indexChanges) { c.replace(1, 0, box, box, true) }, 0},
		{"the contained one goes", func(c *indexChanges) { c.replace(1, 0, box, &search.Rows{Tokens: box.Tokens}, true) }, len(indexTables)},
	} {
		var changes = newIndexChanges()
		var b pgx.Batch
		c.do(changes)
		if changes.queue(&b); b.Len() != c.want {
			t.Errorf("%s: %d statements, want %d", c.name, b.Len(), c.want)
		}
	}
}
