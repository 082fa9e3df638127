package search

// sortedByCode sorts by a code of which a resource has at most one, such as
// gender or status: for each code of the dictionary, in order, the index gives
// its resources in the order of rid. Only if they do not fill the page come those
// without a code.
func (c *compilation) sortedByCode(p plan, keys []sortColumn, n string) []string {
	cur := c.q.Cursor
	back := cur != nil && cur.Back
	s := c.q.Sort[0].by
	key := keys[0]
	codeOrder, codeCmp := " ASC", " > "
	if key.desc != back {
		codeOrder, codeCmp = " DESC", " < "
	}
	ridOrder := ridDirection(keys, back)
	with := func(limit string) string {
		dict, v := c.from(Dictionary, nil, "v")
		item, x := c.from(Token, c.q.restrict(), "d")
		from, where := c.add(item, x+".h = "+v+".h", row{rid: x + ".rid"}, p)
		codes := in(c, v+".p", ints(s.ps))
		if cur != nil && key.cursor != nil {
			at := c.arg(*key.cursor)
			codes = and(codes, v+".code"+codeCmp[:2]+"= "+at)
			where = and(where, "("+v+".code"+codeCmp+at+" OR "+x+".rid"+codeCmp+c.arg(cur.RID)+")")
		}
		if limit != n {
			codes = and(codes, gate(n))
		}
		return "SELECT l.rid, " + v + ".code AS k1 FROM " + dict + " CROSS JOIN LATERAL (SELECT " + x + ".rid FROM " + from + " WHERE " + where +
			" ORDER BY " + x + ".rid" + ridOrder + " LIMIT " + limit + ") l WHERE " + codes + " ORDER BY " + v + ".code" + codeOrder + ", l.rid" + ridOrder + " LIMIT " + limit
	}
	without := func(limit string) string {
		item, x := c.from(Resource, c.q.restrict(), "d")
		at, where := resourceRow(x), ""
		if t := c.q.restrict(); t != nil {
			where = in(c, x+".rtype", c.numbers(t))
		}
		from, where := c.add(item, where, at, p)
		tok, y := c.from(Token, c.q.restrict(), "y")
		dict, v := c.from(Dictionary, nil, "v")
		where = and(where, "NOT EXISTS (SELECT 1 FROM "+tok+" JOIN "+dict+" ON "+v+".h = "+y+".h WHERE "+and(y+".rid = "+at.rid, in(c, y+".p", ints(s.ps)))+")")
		if cur != nil && key.cursor == nil {
			where = and(where, c.beyondFrom([]string{"NULL"}, keys, at.rid, 1))
		}
		if limit != n {
			where = and(where, gate(n))
		}
		return "SELECT " + at.rid + " AS rid, NULL::text AS k1 FROM " + from + " WHERE " + where + " ORDER BY " + at.rid + ridOrder + " LIMIT " + limit
	}
	return c.valuesFirst(key, n, with, without)
}
