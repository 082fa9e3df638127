package store

import (
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"ingle/search"
)

// indexTable is one of the five index tables: its columns besides rid and
// label, and how they are filled from search.Rows. All statements work on
// arrays, so that one resource and five thousand take the same statements.
type indexTable struct {
	name    string
	columns []indexColumn
	// fill appends the rows of one resource to the arrays of the columns.
	fill func(arrays []any, rows *search.Rows) (n int)
	same func(a, b *search.Rows) bool

	insertSQL, deleteSQL, deleteStaleSQL, insertNewSQL string
}

type indexColumn struct{ name, typ string }

var indexTables = []*indexTable{
	newIndexTable("idx_token", "h int8, p int4", func(a []any, r *search.Rows) int {
		for _, t := range r.Tokens {
			push(a[0], t.H)
			push(a[1], int32(t.P))
		}
		return len(r.Tokens)
	}, func(a, b *search.Rows) bool { return slices.Equal(a.Tokens, b.Tokens) }),

	newIndexTable("idx_ref", "rk int8, p int4", func(a []any, r *search.Rows) int {
		n := 0
		for i, t := range r.Refs {
			if sameRef := func(o search.RefRow) bool { return o.RK == t.RK && o.P == t.P }; slices.ContainsFunc(r.Refs[:i], sameRef) {
				continue // two elements of a resource may point to one target
			}
			push(a[0], t.RK)
			push(a[1], int32(t.P))
			n++
		}
		return n
	}, func(a, b *search.Rows) bool {
		return slices.EqualFunc(a.Refs, b.Refs, func(x, y search.RefRow) bool { return x.RK == y.RK && x.P == y.P })
	}),

	newIndexTable("idx_date", "k int8, lo int8, hi int8, smin bool, smax bool, wide bool", func(a []any, r *search.Rows) int {
		for _, t := range r.Dates {
			push(a[0], t.K)
			push(a[1], t.Lo)
			push(a[2], t.Hi)
			push(a[3], t.SMin)
			push(a[4], t.SMax)
			push(a[5], t.Wide)
		}
		return len(r.Dates)
	}, func(a, b *search.Rows) bool { return slices.Equal(a.Dates, b.Dates) }),

	newIndexTable("idx_string", "k int8, val text, whole text, raw text, smin bool, smax bool", func(a []any, r *search.Rows) int {
		for _, t := range r.Strings {
			push(a[0], t.K)
			push(a[1], &t.Val)
			push(a[2], t.Whole)
			push(a[3], t.Raw)
			push(a[4], t.SMin)
			push(a[5], t.SMax)
		}
		return len(r.Strings)
	}, func(a, b *search.Rows) bool {
		return slices.EqualFunc(a.Strings, b.Strings, func(x, y search.StringRow) bool {
			return x.K == y.K && x.Val == y.Val && equalText(x.Whole, y.Whole) && equalText(x.Raw, y.Raw) && x.SMin == y.SMin && x.SMax == y.SMax
		})
	}),

	newIndexTable("idx_quantity", "k int8, lo numeric, hi numeric, unit int8, utext int8, sys int8, smin bool, smax bool", func(a []any, r *search.Rows) int {
		for _, t := range r.Quantities {
			push(a[0], t.K)
			push(a[1], &t.Lo)
			push(a[2], &t.Hi)
			push(a[3], t.Unit)
			push(a[4], t.UText)
			push(a[5], t.Sys)
			push(a[6], t.SMin)
			push(a[7], t.SMax)
		}
		return len(r.Quantities)
	}, func(a, b *search.Rows) bool { return slices.Equal(a.Quantities, b.Quantities) }),
}

func push[T any](array any, v T) {
	p := array.(*[]T)
	*p = append(*p, v)
}

func equalText(a, b *string) bool { return a == b || a != nil && b != nil && *a == *b }

// newIndexTable writes the statements of a table out of its column list.
func newIndexTable(name, columns string, fill func([]any, *search.Rows) int, same func(a, b *search.Rows) bool) *indexTable {
	t := &indexTable{name: name, fill: fill, same: same}
	var names, params, equal []string
	for i, c := range strings.Split("rid int8, label int4, "+columns, ", ") {
		col, typ, _ := strings.Cut(c, " ")
		names = append(names, col)
		array := typ
		if typ == "numeric" {
			array = "text" // decimals travel as text and are cast when they arrive
		}
		params = append(params, "$"+strconv.Itoa(i+1)+"::"+array+"[]")
		if i >= 2 {
			t.columns = append(t.columns, indexColumn{col, typ})
		}
		if col != "label" {
			cast := ""
			if typ == "numeric" {
				cast = "::numeric"
			}
			equal = append(equal, "t."+col+" IS NOT DISTINCT FROM n."+col+cast)
		}
	}
	equal[0] = "t.rid = n.rid"
	list := strings.Join(names, ", ")
	chosen := "n." + strings.Join(names, ", n.")
	for _, c := range t.columns {
		if c.typ == "numeric" {
			chosen = strings.Replace(chosen, "n."+c.name, "n."+c.name+"::numeric", 1)
		}
	}
	from := " FROM unnest(" + strings.Join(params, ", ") + ") AS n(" + list + ")"
	match := strings.Join(equal, " AND ")
	t.insertSQL = "INSERT INTO " + name + " (" + list + ") SELECT " + chosen + from + " " + ScopeMark
	t.deleteSQL = "DELETE FROM " + name + " WHERE rid = ANY($1) " + ScopeMark
	last := "$" + strconv.Itoa(len(names)+1)
	t.deleteStaleSQL = "DELETE FROM " + name + " AS t WHERE t.rid = ANY(" + last + "::int8[]) AND NOT EXISTS (SELECT 1" + from + " WHERE " + match + " AND t.label = n.label) " + ScopeMark
	t.insertNewSQL = "INSERT INTO " + name + " (" + list + ") SELECT " + chosen + from +
		" WHERE NOT EXISTS (SELECT 1 FROM " + name + " AS t WHERE " + match + ") " + ScopeMark
	return t
}

// indexWrite collects the rows of many resources for one table.
type indexWrite struct {
	table  *indexTable
	rids   []int64
	labels []int32
	arrays []any
}

func (t *indexTable) newWrite() *indexWrite {
	w := &indexWrite{table: t}
	for _, c := range t.columns {
		switch c.typ {
		case "int8":
			w.arrays = append(w.arrays, &[]int64{})
		case "int4":
			w.arrays = append(w.arrays, &[]int32{})
		case "bool":
			w.arrays = append(w.arrays, &[]bool{})
		default: // text, and numeric as text
			w.arrays = append(w.arrays, &[]*string{})
		}
	}
	return w
}

func (w *indexWrite) add(rid int64, label int32, rows *search.Rows) {
	if rows == nil {
		return
	}
	for range w.table.fill(w.arrays, rows) {
		w.rids = append(w.rids, rid)
		w.labels = append(w.labels, label)
	}
}

func (w *indexWrite) args() []any { return append([]any{w.rids, w.labels}, w.arrays...) }

// indexChanges are the index rows of a set of changes.
type indexChanges struct {
	created  []*indexWrite // of resources without rows so far
	replaced []*indexWrite // of resources with rows, where the table's rows differ
	touched  [][]int64     // by table: the resources in replaced
	gone     []int64       // resources whose rows all go
}

func newIndexChanges() *indexChanges {
	c := &indexChanges{touched: make([][]int64, len(indexTables))}
	for _, t := range indexTables {
		c.created = append(c.created, t.newWrite())
		c.replaced = append(c.replaced, t.newWrite())
	}
	return c
}

func (c *indexChanges) create(rid int64, label int32, rows *search.Rows) {
	for _, w := range c.created {
		w.add(rid, label, rows)
	}
}

// replace leaves out the tables whose rows stay as they are.
func (c *indexChanges) replace(rid int64, label int32, old, rows *search.Rows, sameLabel bool) {
	for i, t := range indexTables {
		if sameLabel && old != nil && t.same(old, rows) {
			continue
		}
		c.replaced[i].add(rid, label, rows)
		c.touched[i] = append(c.touched[i], rid)
	}
}

// queue adds the statements to a batch: removals first.
func (c *indexChanges) queue(b *pgx.Batch) {
	for i, t := range indexTables {
		if len(c.gone) > 0 {
			b.Queue(t.deleteSQL, c.gone)
		}
		if len(c.touched[i]) > 0 {
			args := c.replaced[i].args()
			b.Queue(t.deleteStaleSQL, append(args[:len(args):len(args)], c.touched[i])...)
			if len(c.replaced[i].rids) > 0 {
				b.Queue(t.insertNewSQL, args...)
			}
		}
		if w := c.created[i]; len(w.rids) > 0 {
			b.Queue(t.insertSQL, w.args()...)
		}
	}
}
