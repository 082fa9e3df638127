package search

import (
	"strings"
)

// A page without _sort is newest first. But where a range of numbers or dates is
// all that a search asks for, its newest could only be told when every row of the
// range was read; such a page comes in the order of value instead, greatest first,
// as the index has it, and costs the same in a range of any size. Points and short
// periods stand by their beginning, longer ranges by their end.

// maxStreams is the number of keys under which a range is read in order.
const maxStreams = 4

// byValue is the range whose order the page follows, nil for the order of rid.
func (c *compilation) byValue() *scan {
	q := c.q
	if len(q.Sort) > 0 || len(q.conds) != 1 || q.Cursor != nil && len(q.Cursor.Keys) != 1 {
		return nil
	}
	s, ok := q.conds[0].(*scan)
	if !ok || s.values == nil || s.dict != nil || len(distinct(s.keys)) > maxStreams {
		return nil
	}
	return s
}

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

// hitsByValue is the CTE of a page in the order of value. Each key and each arm
// of the range is a stream of its own index, in order.
func (c *compilation) hitsByValue(s *scan, limit int) (with string, keys []sortColumn) {
	n := c.arg(int64(limit))
	key := sortColumn{sqlType: "int8", desc: true}
	if s.rel == Quantity {
		key.sqlType = "numeric"
	}
	if cur := c.q.Cursor; cur != nil {
		at := strings.TrimPrefix(cur.Keys[0], "=")
		key.cursor = &at
	}
	keys = []sortColumn{key}
	under := distinct(s.keys)
	arms := s.arms
	if arms == nil {
		arms = []func(*compilation, string) string{s.where}
	}
	var parts []string
	for _, k := range under {
		for i, arm := range arms {
			item, a := c.from(s.rel, s.types, "d")
			where := and(a+".k = "+c.arg(k), arm(c, a))
			value := a + "." + s.values[i]
			once := s.unique && len(under) == 1
			if !once { // by its greatest value
				other, o := c.from(s.rel, s.types, "o")
				where = and(where, "NOT EXISTS (SELECT 1 FROM "+other+" WHERE "+and(o+".rid = "+a+".rid", c.keyed(s, o), s.where(c, o), s.value(o)+" > "+value)+" OFFSET 0)")
			}
			part := c.ordered(item, and(where, c.beyond([]string{value}, keys, a+".rid")), a+".rid", []string{value}, keys, keys, n)
			if !once {
				part = "SELECT DISTINCT" + strings.TrimPrefix(part, "SELECT")
			}
			parts = append(parts, part)
		}
	}
	if len(parts) == 1 {
		return "hit AS MATERIALIZED (\n" + parts[0] + "\n)", keys
	}
	return "hit AS MATERIALIZED (\nSELECT rid, k1 FROM (\n(" + strings.Join(parts, ")\nUNION\n(") + ")\n) u ORDER BY " + c.pageOrder("u", keys) + " LIMIT " + n + "\n)", keys
}
