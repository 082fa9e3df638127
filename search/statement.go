package search

import (
	"slices"
	"strconv"
	"strings"
)

// hitColumns is what a statement returns of each resource of the types.
func hitColumns(r string, types []string) string {
	id := r + ".fhir_id"
	if slices.ContainsFunc(types, isContained) {
		id = "coalesce(" + r + ".box_type || '/' || " + r + ".box_id || '#', '') || " + id + " AS fhir_id"
	}
	return r + ".rid, " + r + ".rtype, " + id + ", " + r + ".version, " + r + ".lu, coalesce(" + r + ".body_text, " + r + ".body::text)"
}

// Compile turns a query into the statement of one page: its matches and what
// they include.
func (r *Registry) Compile(q *Query, src Source) (*Statement, error) {
	c := &compilation{r: r, q: q, src: src}
	limit := q.Count + 1
	if sql, ok := c.inPlace(limit); ok {
		return c.page(sql, limit), nil
	}
	hits, keys := c.hits(limit)
	res, x := c.from(Resource, q.restrict(), "x")
	columns := "SELECT 0::int2 AS mode, " + hitColumns(x, q.restrict()) + " AS body, " + keysOf(keys, columnsOf("h", keys)) + " AS keys"
	order := c.pageOrder("h", keys)
	if len(q.includes) == 0 {
		// The plain form: planning takes longer than running for many searches.
		with, hit := "WITH "+ctes(hits)+"\n", "hit"
		if len(hits) == 1 {
			with, hit = "", "(\n"+hits[0]+"\n)"
		}
		sql := with + columns + " FROM " + hit + " h JOIN " + res + " ON " + x + ".rid = h.rid ORDER BY " + order
		return c.page(sql, limit), nil
	}
	inc := c.includes(keys)
	all, y := c.from(Resource, nil, "x")
	sql := "WITH " + ctes(hits) + ", " + inc + "\nSELECT mode, rid, rtype, fhir_id, version, lu, body, keys FROM (\n" +
		columns + ", row_number() OVER (ORDER BY " + order + ") AS ord FROM hit h JOIN " + res + " ON " + x + ".rid = h.rid\nUNION ALL\n" +
		"SELECT 1::int2, " + hitColumns(y, nil) + ", NULL, " + y + ".rid FROM inc JOIN " + all + " ON " + y + ".rid = inc.rid\n) page ORDER BY mode, ord"
	return c.page(sql, limit), nil
}

// page is the statement of a page of at most limit matches.
func (c *compilation) page(sql string, limit int) *Statement {
	st := &Statement{SQL: sql, Args: c.args.Values(), Limit: limit, Stable: c.stable(), Few: c.few()}
	if len(c.q.conds) == 1 && c.q.byValue() != nil {
		st.Stable, st.Few = len(c.q.includes) == 0, true
	}
	return st
}

// inPlace is the statement of a page that follows an index of the resources
// themselves: they are read where they are found.
func (c *compilation) inPlace(limit int) (sql string, ok bool) {
	q := c.q
	if len(q.includes) > 0 || len(q.restrict()) > 1 || !c.stable() || len(q.Sort) > 1 || len(q.Sort) == 1 && q.Sort[0].by.kind != "lu" {
		return "", false
	}
	typed := q.restrict() == nil
	for _, k := range q.conds {
		s, ok := k.(*scan)
		if !ok || s.rel != Resource {
			return "", false
		}
		typed = typed || s.keys != nil // which hold the type
	}
	item, x := c.from(Resource, q.restrict(), "d")
	where := ""
	if !typed {
		where = in(c, x+".rtype", c.numbers(q.restrict()))
	}
	for _, k := range q.conds {
		where = and(where, c.probe(k, resourceRow(x), false))
	}
	keys := c.sortColumns()
	var values []string
	for range keys {
		values = append(values, x+".lu")
	}
	columns := "0::int2 AS mode, " + hitColumns(x, q.restrict()) + " AS body, " + keysOf(keys, values) + " AS keys"
	return "SELECT " + columns + " FROM " + item + " WHERE " + and(where, c.beyond(values, keys, x+".rid")) + " ORDER BY " + c.orderBy(values, keys, x+".rid", keys) + " LIMIT " + c.arg(int64(limit)), true
}

// stable tells Statement.Stable. A search that begins at a key with few rows has
// one good plan, and so has one that follows a single index from its end.
func (c *compilation) stable() bool {
	p := c.q.plan()
	if p.selective {
		return true
	}
	if len(c.q.includes) > 0 {
		return false
	}
	if len(c.q.conds) == 0 {
		return true
	}
	if len(c.q.Sort) > 0 {
		return len(c.q.Sort) == 1 && c.q.Sort[0].by.kind == "lu" && !slices.ContainsFunc(c.q.conds, func(k cond) bool {
			s, ok := k.(*scan)
			return !ok || s.rel != Resource
		})
	}
	s, ok := p.driver.(*scan)
	return ok && len(c.q.conds) == 1 && s.rel != Text && s.rel != Resource
}

// few tells Statement.Few of a page: of stable ones all but those that find every
// row of a range before they order them.
func (c *compilation) few() bool {
	p := c.q.plan()
	s, ok := p.driver.(*scan)
	return p.selective || len(c.q.Sort) > 0 || !ok || s.where == nil
}

// CompileCount turns a query into the statement of its exact total.
func (r *Registry) CompileCount(q *Query, src Source) (*Statement, error) {
	c := &compilation{r: r, q: q, src: src}
	arms := c.drivers(q.plan(), false)
	var sql string
	if len(arms) == 1 {
		a := arms[0]
		what := "count(*)"
		if !a.unique {
			what = "count(DISTINCT " + a.at.rid + ")"
		}
		sql = "SELECT " + what + " AS count FROM " + a.from + " WHERE " + and(a.where)
	} else {
		parts := make([]string, len(arms))
		for i, a := range arms {
			parts[i] = "SELECT " + a.at.rid + " FROM " + a.from + " WHERE " + and(a.where)
		}
		sql = "SELECT count(*) AS count FROM (" + strings.Join(parts, "\nUNION\n") + ") u"
	}
	return &Statement{SQL: sql, Args: c.args.Values(), Stable: c.stable(), Few: c.q.plan().selective}, nil
}

// CompileMatch turns a query into the statement of its first limit matches,
// without order, includes and cursor: what conditional interactions ask. Its
// columns are those of Compile, bodies among them.
func (r *Registry) CompileMatch(q *Query, src Source, limit int) (*Statement, error) {
	bare := *q
	bare.Cursor, bare.Sort, bare.includes, bare.Count = nil, nil, nil, limit-1
	st, err := r.Compile(&bare, src)
	return st, err
}

// ctes are the CTE "hit" of the SELECTs that hits gives, and what it needs.
func ctes(hits []string) string {
	if len(hits) == 1 {
		return "hit AS MATERIALIZED (\n" + hits[0] + "\n)"
	}
	return "hit1 AS MATERIALIZED (\n" + hits[0] + "\n), hit2 AS MATERIALIZED (\n" + hits[1] + "\n), hit AS MATERIALIZED (SELECT * FROM hit1 UNION ALL SELECT * FROM hit2)"
}

// hits selects the rids of the page's matches with their sort keys. Where there are
// two SELECTs, the second, which reads the first as hit1, fills up what that leaves.
func (c *compilation) hits(limit int) (selects []string, keys []sortColumn) {
	if len(c.q.Sort) > 0 {
		return c.sortedHits(limit)
	}
	if s := c.q.byValue(); s != nil {
		return c.hitsByValue(s, limit)
	}
	n := c.arg(int64(limit))
	p := c.q.plan()
	arms := c.streams(p)
	dir := ridDirection(nil, c.q.Cursor != nil && c.q.Cursor.Back)
	parts := make([]string, len(arms))
	for i, a := range arms {
		order := " ORDER BY rid" + dir + " LIMIT " + n
		body := "SELECT " + a.at.rid + " AS rid FROM " + a.from + " WHERE " + and(a.where, c.beyond(nil, nil, a.at.rid))
		if !a.unique && a.spread == "" && !a.byRID {
			// All rows are found before they are ordered: for the few that a limit asks for
			// PostgreSQL would follow the index of rid, past all rows of other keys.
			body = "SELECT rid FROM (SELECT DISTINCT" + strings.TrimPrefix(body, "SELECT") + ") f" + order
		} else {
			body += order
		}
		if a.spread != "" {
			l := "l" + strconv.Itoa(i)
			body = "SELECT DISTINCT " + l + ".rid FROM " + a.spread + " CROSS JOIN LATERAL (" + body + ") " + l + " ORDER BY " + l + ".rid" + dir + " LIMIT " + n
		}
		parts[i] = body
	}
	if len(parts) == 1 {
		return parts, nil
	}
	return []string{"SELECT rid FROM (\n(" + strings.Join(parts, ")\nUNION\n(") + ")\n) u ORDER BY rid" + dir + " LIMIT " + n}, nil
}

// pageOrder is the order of the page, for ORDER BY, on an alias of hit.
func (c *compilation) pageOrder(h string, keys []sortColumn) string {
	return c.orderBy(columnsOf(h, keys), keys, h+".rid", keys)
}

// direction is the order of a sort key: missing values last, so first when
// going back.
func direction(desc, back bool) string {
	s := " ASC"
	if desc != back {
		s = " DESC"
	}
	if back {
		return s + " NULLS FIRST"
	}
	return s + " NULLS LAST"
}

// ridDirection is the order of rid, which breaks ties: that of the last key, so
// that one index can give both; newest first without a key.
func ridDirection(keys []sortColumn, back bool) string {
	if desc := len(keys) == 0 || keys[len(keys)-1].desc; desc != back {
		return " DESC"
	}
	return " ASC"
}

// columnsOf are the columns of the sort keys under an alias of hit.
func columnsOf(h string, keys []sortColumn) []string {
	out := make([]string, len(keys))
	for i := range keys {
		out[i] = h + ".k" + strconv.Itoa(i+1)
	}
	return out
}

// keysOf is the column keys: each value as text behind "=", or "" where the
// resource has none.
func keysOf(keys []sortColumn, values []string) string {
	if len(keys) == 0 {
		return "ARRAY[]::text[]"
	}
	parts := make([]string, len(keys))
	for i, k := range keys {
		v := values[i]
		if k.sqlType == "timestamptz" {
			v = "(date_part('epoch', " + v + ") * 1000000)::int8" // exact: a double has 53 bits
		}
		parts[i] = "coalesce('=' || " + v + "::text, '')"
	}
	return "ARRAY[" + strings.Join(parts, ", ") + "]"
}
