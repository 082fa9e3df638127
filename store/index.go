package store

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"ingle/search"
)

// indexTable is one of the index tables: its columns besides rid and
// label, and how they are filled from search.Rows. All statements work on
// arrays, so that one resource and five thousand take the same statements.
type indexTable struct {
	name      string
	columns   []indexColumn
	contained bool // it has rows of contained resources only
	// fill appends the rows of one resource to the arrays of the columns.
	fill func(arrays []any, rows *search.Rows) (n int)
	// diff compares two versions: the keys whose rows are the same in both, and
	// the rows of the new one with other keys. ok is false if nothing differs.
	diff func(old, rows *search.Rows) (kept []int64, fresh *search.Rows, ok bool)

	insertSQL string
	// clear removes all rows of some resources, prune all but those with the
	// keys that are kept. Each is there for one resource too, because a plan for
	// arrays seems to PostgreSQL so much better when made for the arrays at hand
	// that it would plan at each execution, which takes longer than to execute.
	clearOneSQL, clearSQL, pruneOneSQL, pruneSQL string
	relabelSQL                                   string // puts the rows of some resources under another label
}

type indexColumn struct{ name, typ string }

var indexTables = []*indexTable{
	newIndexTable("idx_token", "h int8, p int4", func(a []any, r *search.Rows) int {
		for _, t := range r.Tokens {
			push(a[0], t.H)
			push(a[1], int32(t.P))
		}
		return len(r.Tokens)
	}, func(old, rows *search.Rows) ([]int64, *search.Rows, bool) {
		same := func(t search.TokenRow) search.TokenRow { return t }
		kept, fresh, ok := diff(old.Tokens, rows.Tokens, func(t search.TokenRow) int64 { return t.H }, same)
		return kept, &search.Rows{Tokens: fresh}, ok
	}),

	newIndexTable("idx_ref", "rk int8, p int4", func(a []any, r *search.Rows) int {
		for _, t := range r.Refs {
			push(a[0], t.RK)
			push(a[1], int32(t.P))
		}
		return len(r.Refs)
	}, func(old, rows *search.Rows) ([]int64, *search.Rows, bool) {
		type row struct {
			rk int64
			p  search.ParamID
		}
		kept, fresh, ok := diff(old.Refs, rows.Refs, func(t search.RefRow) int64 { return t.RK }, func(t search.RefRow) row { return row{t.RK, t.P} })
		return kept, &search.Rows{Refs: fresh}, ok
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
	}, func(old, rows *search.Rows) ([]int64, *search.Rows, bool) {
		kept, fresh, ok := diff(old.Dates, rows.Dates, func(t search.DateRow) int64 { return t.K }, func(t search.DateRow) search.DateRow { return t })
		return kept, &search.Rows{Dates: fresh}, ok
	}),

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
	}, func(old, rows *search.Rows) ([]int64, *search.Rows, bool) {
		type row struct {
			k               int64
			val, whole, raw string
			cut, respelled  bool
			smin, smax      bool
		}
		same := func(t search.StringRow) row {
			r := row{k: t.K, val: t.Val, smin: t.SMin, smax: t.SMax}
			if t.Whole != nil {
				r.whole, r.cut = *t.Whole, true
			}
			if t.Raw != nil {
				r.raw, r.respelled = *t.Raw, true
			}
			return r
		}
		kept, fresh, ok := diff(old.Strings, rows.Strings, func(t search.StringRow) int64 { return t.K }, same)
		return kept, &search.Rows{Strings: fresh}, ok
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
	}, func(old, rows *search.Rows) ([]int64, *search.Rows, bool) {
		kept, fresh, ok := diff(old.Quantities, rows.Quantities, func(t search.QuantityRow) int64 { return t.K }, func(t search.QuantityRow) search.QuantityRow { return t })
		return kept, &search.Rows{Quantities: fresh}, ok
	}),

	// what a contained resource is
	newIndexTable("idx_contained", "rk int8, rtype int2, fhir_id text", func(a []any, r *search.Rows) int {
		if r.Place == nil {
			return 0
		}
		push(a[0], r.Place.RK)
		push(a[1], r.Place.RType)
		push(a[2], &r.Place.ID)
		return 1
	}, func(old, rows *search.Rows) ([]int64, *search.Rows, bool) {
		if old.Place == nil || rows.Place == nil || *old.Place == *rows.Place {
			return nil, nil, false
		}
		return nil, &search.Rows{Place: rows.Place}, true
	}),

	// full text; empty where it is switched off
	newIndexTable("idx_text", "words tsvector", func(a []any, r *search.Rows) int {
		if len(r.Words) == 0 {
			return 0
		}
		words := strings.Join(r.Words, "\n")
		push(a[0], &words)
		return 1
	}, func(old, rows *search.Rows) ([]int64, *search.Rows, bool) {
		return nil, &search.Rows{Words: rows.Words}, !slices.Equal(old.Words, rows.Words)
	}),
}

func push[T any](array any, v T) {
	p := array.(*[]T)
	*p = append(*p, v)
}

// diff compares the rows of two versions by what same makes of them.
func diff[T any, C comparable](old, rows []T, key func(T) int64, same func(T) C) (kept []int64, fresh []T, ok bool) {
	had, has := make(map[C]bool, len(old)), make(map[C]bool, len(rows))
	for _, t := range old {
		had[same(t)] = true
	}
	for _, t := range rows {
		has[same(t)] = true
	}
	changed := map[int64]bool{}
	for _, t := range rows {
		if !had[same(t)] {
			changed[key(t)] = true
		}
	}
	for _, t := range old {
		if !has[same(t)] {
			changed[key(t)] = true
		}
	}
	if len(changed) == 0 {
		return nil, nil, false
	}
	for _, t := range rows {
		if k := key(t); changed[k] {
			fresh = append(fresh, t)
		} else {
			kept = append(kept, k)
		}
	}
	slices.Sort(kept)
	return slices.Compact(kept), fresh, true
}

// casts make a column of what travels as text: decimals, and the words of a
// resource, one a line.
var casts = map[string]string{"numeric": "%s::numeric", "tsvector": "array_to_tsvector(string_to_array(%s, E'\\n'))"}

// newIndexTable writes the statements of a table out of its column list, which
// begins with the key.
func newIndexTable(name, columns string, fill func([]any, *search.Rows) int, diff func(old, rows *search.Rows) ([]int64, *search.Rows, bool)) *indexTable {
	t := &indexTable{name: name, contained: name == "idx_contained", fill: fill, diff: diff}
	var names, params []string
	for i, c := range strings.Split("rid int8, label int4, "+columns, ", ") {
		col, typ, _ := strings.Cut(c, " ")
		names = append(names, col)
		array := typ
		if casts[typ] != "" {
			array = "text"
		}
		params = append(params, "$"+strconv.Itoa(i+1)+"::"+array+"[]")
		if i >= 2 {
			t.columns = append(t.columns, indexColumn{col, typ})
		}
	}
	list := strings.Join(names, ", ")
	chosen := "n." + strings.Join(names, ", n.")
	for _, c := range t.columns {
		if cast := casts[c.typ]; cast != "" {
			chosen = strings.Replace(chosen, "n."+c.name, fmt.Sprintf(cast, "n."+c.name), 1)
		}
	}
	from := " FROM unnest(" + strings.Join(params, ", ") + ") AS n(" + list + ")"
	key := t.columns[0].name
	t.insertSQL = "INSERT INTO " + name + " (" + list + ") SELECT " + chosen + from + " " + ScopeMark
	t.clearOneSQL = "DELETE FROM " + name + " WHERE rid = $1 " + ScopeMark
	t.clearSQL = "DELETE FROM " + name + " WHERE rid = ANY($1::int8[]) " + ScopeMark
	t.relabelSQL = "UPDATE " + name + " SET label = $2 WHERE rid = ANY($1::int8[]) " + ScopeMark
	t.pruneOneSQL = "DELETE FROM " + name + " WHERE rid = $1 AND " + key + " <> ALL($2::int8[]) " + ScopeMark
	t.pruneSQL = "DELETE FROM " + name + " AS t WHERE t.rid = ANY($1::int8[]) AND NOT EXISTS (SELECT 1 FROM unnest($2::int8[], $3::int8[]) AS n(rid, key) WHERE n.rid = t.rid AND n.key = t." + key + ") " + ScopeMark
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
		case "int2":
			w.arrays = append(w.arrays, &[]int16{})
		case "bool":
			w.arrays = append(w.arrays, &[]bool{})
		default: // text, and what is cast from it
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
	created []*indexWrite // rows that come, by table
	pruned  []pruning     // rows that go, by table
	gone    []int64       // resources whose rows all go
	inside  []int64       // likewise contained ones
}

// pruning names resources, and pairwise the resources and keys of the rows that stay.
type pruning struct{ rids, keptRIDs, keptKeys []int64 }

func newIndexChanges() *indexChanges {
	c := &indexChanges{pruned: make([]pruning, len(indexTables))}
	for _, t := range indexTables {
		c.created = append(c.created, t.newWrite())
	}
	return c
}

func (c *indexChanges) create(rid int64, label int32, rows *search.Rows) {
	for _, w := range c.created {
		w.add(rid, label, rows)
	}
	if rows != nil {
		for _, in := range rows.Contained {
			c.create(search.ContainedRID(rid, in.Place.Ord), label, in)
		}
	}
}

// remove takes all rows of a resource away, and of what it contains.
func (c *indexChanges) remove(rid int64, contained []int64) {
	c.gone = append(c.gone, rid)
	c.inside = append(c.inside, contained...)
}

// replace leaves alone the tables whose rows stay as they are, and in the
// others the rows with the keys that do, if the old rows are known and stand
// under the same label. Whatever else a table holds of the resource goes.
func (c *indexChanges) replace(rid int64, label int32, old, rows *search.Rows, sameLabel bool) {
	if !sameLabel || old == nil || rows == nil {
		c.remove(rid, slices.Concat(old.ContainedRIDs(rid), rows.ContainedRIDs(rid)))
		c.create(rid, label, rows)
		return
	}
	had := map[int]*search.Rows{}
	for _, in := range old.Contained {
		had[in.Place.Ord] = in
	}
	for _, in := range rows.Contained {
		at := search.ContainedRID(rid, in.Place.Ord)
		if was := had[in.Place.Ord]; was != nil {
			c.replace(at, label, was, in, true)
			delete(had, in.Place.Ord)
		} else {
			c.create(at, label, in)
		}
	}
	for ord := range had {
		c.inside = append(c.inside, search.ContainedRID(rid, ord))
	}
	for i, t := range indexTables {
		kept, fresh, ok := t.diff(old, rows)
		if !ok {
			continue
		}
		p := &c.pruned[i]
		p.rids = append(p.rids, rid)
		for _, key := range kept {
			p.keptRIDs, p.keptKeys = append(p.keptRIDs, rid), append(p.keptKeys, key)
		}
		c.created[i].add(rid, label, fresh)
	}
}

// queue adds the statements to a batch: removals first.
func (c *indexChanges) queue(b *pgx.Batch) {
	all := slices.Concat(c.gone, c.inside)
	for i, t := range indexTables {
		gone := all
		if t.contained {
			gone = c.inside
		}
		switch len(gone) {
		case 0:
		case 1:
			b.Queue(t.clearOneSQL, gone[0])
		default:
			b.Queue(t.clearSQL, gone)
		}
		switch p := c.pruned[i]; {
		case len(p.rids) == 0:
		case len(p.rids) == 1 && len(p.keptKeys) == 0:
			b.Queue(t.clearOneSQL, p.rids[0])
		case len(p.keptKeys) == 0:
			b.Queue(t.clearSQL, p.rids)
		case len(p.rids) > 1:
			b.Queue(t.pruneSQL, p.rids, p.keptRIDs, p.keptKeys)
		default:
			b.Queue(t.pruneOneSQL, p.rids[0], p.keptKeys)
		}
		if w := c.created[i]; len(w.rids) > 0 {
			b.Queue(t.insertSQL, w.args()...)
		}
	}
}
