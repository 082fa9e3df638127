package search

import "strings"

// A page without _sort is newest first. But where what a search begins at is a range
// of numbers, dates or texts, its newest could only be told when every row of the range
// was read; such a page comes in the order of value instead, as the index has it, and
// costs the same in a range of any size: numbers and dates greatest first, texts as
// the alphabet has them. Dates stand by their beginning, what lasts longer than a day
// and ranges of numbers by their end. Who needs one order asks for it by _sort.

// maxStreams is the number of keys under which a range is read in order, and
// maxLabelled of keys and labels.
const (
	maxStreams  = 4
	maxLabelled = 16
)

// byValue is the range whose order a page of the query follows, nil for the order of rid.
func (q *Query) byValue() *scan {
	if len(q.Sort) > 0 || len(q.conds) == 0 || q.Cursor != nil && len(q.Cursor.Keys) != 1 {
		return nil
	}
	k := q.plan().driver
	if len(q.conds) == 1 {
		k = q.conds[0]
	}
	s, ok := k.(*scan)
	if !ok || s.values == nil || s.dict != nil || len(distinct(s.keys)) > maxStreams {
		return nil
	}
	return s
}

// falls tells that the order of a range is from the greatest value down.
func (s *scan) falls() bool { return s.rel != String }

// value is what a row of a range stands by.
func (s *scan) value(a string) string {
	switch {
	case len(s.values) == 1:
		return a + "." + s.values[0]
	case s.rel == Date:
		return "CASE WHEN " + a + ".wide THEN " + a + ".hi ELSE " + a + ".lo END"
	}
	return a + ".hi" // a point's is its beginning as well
}

// hitsByValue are the hits of a page in the order of value. Each key and each arm
// of the range is a stream of its own index, in order.
func (c *compilation) hitsByValue(s *scan, limit int) (selects []string, keys []sortColumn) {
	n := c.arg(int64(limit))
	key := sortColumn{desc: s.falls(), sqlType: map[Relation]string{Date: "int8", Quantity: "numeric", String: "text"}[s.rel]}
	if cur := c.q.Cursor; cur != nil {
		at := strings.TrimPrefix(cur.Keys[0], "=")
		key.cursor = &at
	}
	keys = []sortColumn{key}
	rest := c.q.plan()
	rest.driver = nil
	if len(c.q.conds) == 1 {
		rest.rest = nil
	}
	before := " < "
	if s.falls() {
		before = " > "
	}
	arms := s.arms
	if arms == nil {
		arms = []func(*compilation, string) string{s.where}
	}
	under := distinct(s.keys)
	sel, once := "SELECT", s.unique && len(under) == 1
	if !once {
		sel = "SELECT DISTINCT"
	}
	var parts []string
	stream := func(k int64, arm func(*compilation, string) string, column string, src Source) {
		item, a := c.fromSource(src, s.rel, s.types, "d")
		at, value := row{rid: a + ".rid"}, a+"."+column
		where := and(a+".k = "+c.arg(k), arm(c, a))
		if !once { // a resource stands by the first of its values
			other, o := c.from(s.rel, s.types, "o")
			where = and(where, "NOT EXISTS (SELECT 1 FROM "+other+" WHERE "+and(o+".rid = "+at.rid, c.keyed(s, o), s.where(c, o), s.value(o)+before+value)+" OFFSET 0)")
		}
		from, where := c.add(item, where, at, rest)
		part := c.ordered(from, and(where, c.beyond([]string{value}, keys, at.rid)), at.rid, []string{value}, keys, keys, n)
		parts = append(parts, sel+strings.TrimPrefix(part, "SELECT"))
	}
	for _, k := range under {
		for i, arm := range arms {
			for _, src := range c.sources(s, s.values[i], len(under)) {
				stream(k, arm, s.values[i], src)
			}
		}
	}
	if len(parts) == 1 {
		return parts, keys
	}
	// PostgreSQL merges the streams and takes no more of each than the page needs.
	return []string{sel + " rid, k1 FROM (\n(" + strings.Join(parts, ")\nUNION ALL\n(") + ")\n) u ORDER BY " + c.pageOrder("u", keys) + " LIMIT " + n}, keys
}

// sources are what the streams of a range under each of n keys read: all rows, or for
// a caller with few labels, where an index has the column so, those of each label by
// itself. Under the key alone a page would lie behind the rows of everybody.
func (c *compilation) sources(s *scan, column string, n int) []Source {
	few, ok := c.src.(FewLabels)
	if !ok || s.rel != Quantity || column != "lo" || len(few.Labels()) == 0 || n*len(few.Labels()) > maxLabelled {
		return []Source{c.src}
	}
	var out []Source
	for _, l := range few.Labels() {
		out = append(out, few.Under(c.arg(l)))
	}
	return out
}
