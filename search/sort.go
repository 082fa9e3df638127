package search

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"ingle/fhir"
)

// How _sort works (R4 search, "Sorting"): a resource is sorted by its least
// value ascending and by its greatest descending, and comes last where it has
// none. Dates sort by the beginning of their range, quantities by their number,
// strings as folded, tokens by code, references by the target's id, near by the
// distance to the positions that the search has in near. A chain
// (patient.family, subject:Patient.birthdate) sorts by the values of what is
// referred to; R4 has no such key, but other servers do.

// sorter tells where the value of a sort key is found.
type sorter struct {
	kind    string // id, lu, mark, extreme, token, code (a token of which a resource has one), ref, distance
	rel     Relation
	column  string
	sqlType string
	keys    []int64   // mark: one for each type; extreme: several
	ps      []ParamID // token, ref
	// ref, in a chain: the types it goes to, and what is looked at there.
	targets []string
	next    *sorter
	// distance: from where
	near *positions
}

// sortColumn is a key of the statement being made.
type sortColumn struct {
	sqlType  string
	desc     bool
	nullable bool
	cursor   *string // nil for a missing value; of no meaning without a cursor
}

// sortValue is a FROM item, joined with LEFT JOIN LATERAL … ON true, whose column
// v is the sort value of the resource at the row.
func (c *compilation) sortValue(k SortKey, at row) (item, expr string) {
	t := c.next("s")
	value, from, where := c.sortRows(k.by, k.Desc, at.rid, c.q.restrict())
	sel := "SELECT " + extreme(k.Desc) + "(" + value + ") AS v FROM " + from + " WHERE " + where
	switch k.by.kind {
	case "id", "lu":
		sel = "SELECT " + value + " AS v FROM " + from + " WHERE " + where + " OFFSET 0"
	case "mark":
		sel = "SELECT " + value + " AS v FROM " + from + " WHERE " + where + " LIMIT 1"
	}
	return " LEFT JOIN LATERAL (" + sel + ") " + t + " ON true", t + ".v"
}

// sortRows are the values of the resource of the types at rid that a sorter
// looks at: an expression, and where its rows are.
func (c *compilation) sortRows(s sorter, desc bool, rid string, types []string) (value, from, where string) {
	switch s.kind {
	case "id", "lu":
		res, x := c.from(Resource, types, "x")
		return x + "." + s.column, res, x + ".rid = " + rid
	case "mark", "extreme":
		rel, x := c.from(s.rel, types, "x")
		return x + "." + s.column, rel, and(x+".rid = "+rid, in(c, x+".k", s.keys), x+"."+mark(desc))
	case "distance":
		rel, x := c.from(Quantity, types, "x")
		return s.near.distance(c, x), rel, and(x+".rid = "+rid, in(c, x+".k", s.keys))
	case "token", "code":
		tok, x := c.from(Token, types, "x")
		dict, v := c.from(Dictionary, nil, "v")
		return v + ".code", tok + " JOIN " + dict + " ON " + v + ".h = " + x + ".h", and(x+".rid = "+rid, in(c, x+".p", ints(s.ps)))
	}
	// a reference: by the id of what it points to, or in a chain by a value of that
	ref, x := c.from(Ref, types, "x")
	res, y := c.from(Resource, s.targets, "y")
	from = ref + " JOIN " + res + " ON " + y + ".rk = " + x + ".rk"
	where = and(x+".rid = "+rid, in(c, x+".p", ints(s.ps)))
	if s.next == nil {
		return y + ".fhir_id", from, where
	}
	value, then, held := c.sortRows(*s.next, desc, y+".rid", s.targets)
	return value, from + " CROSS JOIN " + then, and(where, in(c, y+".rtype", c.numbers(s.targets)), held)
}

func mark(desc bool) string {
	if desc {
		return "smax"
	}
	return "smin"
}

func extreme(desc bool) string {
	if desc {
		return "max"
	}
	return "min"
}

// sortColumns are the keys of _sort with the cursor's values.
func (c *compilation) sortColumns() []sortColumn {
	keys := make([]sortColumn, len(c.q.Sort))
	for i, k := range c.q.Sort {
		keys[i] = sortColumn{sqlType: k.by.sqlType, desc: k.Desc, nullable: k.by.kind != "id" && k.by.kind != "lu"}
		if c.q.Cursor != nil && i < len(c.q.Cursor.Keys) {
			if v, ok := strings.CutPrefix(c.q.Cursor.Keys[i], "="); ok {
				keys[i].cursor = &v
			}
		}
	}
	return keys
}

// sortedHits are the hits of a page in the order of _sort.
func (c *compilation) sortedHits(limit int) (selects []string, keys []sortColumn) {
	q := c.q
	n := c.arg(int64(limit))
	keys = c.sortColumns()
	p := q.plan()
	first := q.Sort[0]
	if first.by.kind == "code" && len(q.Sort) == 1 && !p.selective {
		return c.sortedByCode(p, keys, n), keys
	}
	if p.selective || first.by.kind != "mark" && first.by.kind != "lu" {
		return []string{c.sortedAll(p, keys, n)}, keys
	}
	if first.by.kind == "lu" {
		return []string{c.sortedByColumn(p, keys, n)}, keys
	}
	return c.sortedTwice(p, keys, n), keys
}

// select is a SELECT of rid and keys, in order, at most n. exprs are the SQL of
// the keys.
func (c *compilation) ordered(from, where, rid string, exprs []string, keys []sortColumn, ridOrder []sortColumn, n string) string {
	sel := []string{rid + " AS rid"}
	for i, e := range exprs {
		sel = append(sel, e+" AS k"+strconv.Itoa(i+1))
	}
	return "SELECT " + strings.Join(sel, ", ") + " FROM " + from + " WHERE " + where + " ORDER BY " + c.orderBy(exprs, keys, rid, ridOrder) + " LIMIT " + n
}

// orderBy is the list of ORDER BY for the values of sort keys and the rid, which
// goes as the last of ridOrder does.
func (c *compilation) orderBy(values []string, keys []sortColumn, rid string, ridOrder []sortColumn) string {
	back := c.q.Cursor != nil && c.q.Cursor.Back
	var order []string
	for i, v := range values {
		if v == "NULL" || strings.HasPrefix(v, "NULL::") {
			continue
		}
		o := direction(keys[i].desc, back)
		if !keys[i].nullable { // as the index has it
			o = strings.TrimSuffix(strings.TrimSuffix(o, " NULLS LAST"), " NULLS FIRST")
		}
		order = append(order, v+o)
	}
	return strings.Join(append(order, rid+ridDirection(ridOrder, back)), ", ")
}

// base is a FROM item that holds each resource of a plan once.
func (c *compilation) base(p plan) (from, where string, at row) {
	arms := c.drivers(p, false)
	if len(arms) == 1 && arms[0].unique {
		return arms[0].from, arms[0].where, arms[0].at
	}
	parts := make([]string, len(arms))
	for i, a := range arms {
		distinct := ""
		if len(arms) == 1 {
			distinct = "DISTINCT "
		}
		parts[i] = "SELECT " + distinct + a.at.rid + " AS rid FROM " + a.from + " WHERE " + and(a.where)
	}
	b := c.next("b")
	return "(" + strings.Join(parts, " UNION ") + ") " + b, "", row{rid: b + ".rid"}
}

// sortedAll finds all matches, sorts them and takes the page: for few matches,
// or keys that no index has in order.
func (c *compilation) sortedAll(p plan, keys []sortColumn, n string) string {
	from, where, at := c.base(p)
	exprs := make([]string, len(keys))
	for i, k := range c.q.Sort {
		var item string
		item, exprs[i] = c.sortValue(k, at)
		from += item
	}
	where = and(where, c.beyond(exprs, keys, at.rid))
	return c.ordered(from, where, at.rid, exprs, keys, keys, n)
}

// sortedByColumn sorts by _lastUpdated first, which is a column of every resource.
func (c *compilation) sortedByColumn(p plan, keys []sortColumn, n string) string {
	item, x := c.from(Resource, c.q.restrict(), "d")
	from, where, at := item, "", resourceRow(x)
	if t := c.q.restrict(); t != nil {
		where = in(c, x+".rtype", c.numbers(t))
	}
	from, where = c.add(from, where, at, p)
	exprs := []string{x + ".lu"}
	for _, k := range c.q.Sort[1:] {
		item, e := c.sortValue(k, at)
		from, exprs = from+item, append(exprs, e)
	}
	where = and(where, c.beyond(exprs, keys, at.rid))
	return c.ordered(from, where, at.rid, exprs, keys, keys, n)
}

// add puts the terms of a plan beside a FROM item that holds each resource once.
func (c *compilation) add(from, where string, at row, p plan) (string, string) {
	conds := p.rest
	if p.driver != nil {
		conds = append([]cond{p.driver}, conds...)
	}
	for _, k := range conds {
		if s, ok := k.(*scan); ok && !p.selective && joinable(s) {
			item, t := c.from(s.rel, s.types, "j")
			from += " JOIN " + item + " ON " + t + ".rid = " + at.rid
			where = and(where, c.keyed(s, t), s.rest(c, t))
			continue
		}
		where = and(where, c.probe(k, at, p.selective))
	}
	return from, where
}

// sortedTwice streams the resources that have a value for the first key from
// its index, and only if they do not fill the page those that have none.
func (c *compilation) sortedTwice(p plan, keys []sortColumn, n string) []string {
	p, same := p.takeSame(c.q.Sort[0].by)
	cur := c.q.Cursor
	with := func(limit string) string {
		s := c.q.Sort[0].by
		item, x := c.from(s.rel, c.q.restrict(), "d")
		at := row{rid: x + ".rid"}
		where := and(in(c, x+".k", s.keys), x+"."+mark(c.q.Sort[0].Desc))
		for _, k := range same {
			where = and(where, k.rest(c, x))
		}
		from, where := c.add(item, where, at, p)
		exprs := []string{x + "." + s.column}
		have := append([]sortColumn(nil), keys...)
		have[0].nullable = false
		for _, k := range c.q.Sort[1:] {
			item, e := c.sortValue(k, at)
			from, exprs = from+item, append(exprs, e)
		}
		if cur != nil && keys[0].cursor != nil {
			where = and(where, c.beyond(exprs, have, at.rid))
		}
		if limit != n {
			where = and(where, gate(n))
		}
		return c.ordered(from, where, at.rid, exprs, have, keys, limit)
	}
	without := func(limit string) string {
		s := c.q.Sort[0].by
		item, x := c.from(Resource, c.q.restrict(), "d")
		at := resourceRow(x)
		from, where := item, ""
		if p.driver == nil || !typed(p.driver) {
			if t := c.q.restrict(); t != nil {
				where = in(c, x+".rtype", c.numbers(t))
			}
		}
		from, where = c.add(from, where, at, p)
		rel, y := c.from(s.rel, c.q.restrict(), "y")
		where = and(where, "NOT EXISTS (SELECT 1 FROM "+rel+" WHERE "+and(y+".rid = "+at.rid, in(c, y+".k", s.keys), y+"."+mark(c.q.Sort[0].Desc))+")")
		exprs := []string{"NULL::" + s.sqlType}
		for _, k := range c.q.Sort[1:] {
			item, e := c.sortValue(k, at)
			from, exprs = from+item, append(exprs, e)
		}
		if cur != nil && keys[0].cursor == nil {
			where = and(where, c.beyondFrom(exprs, keys, at.rid, 1))
		}
		if limit != n {
			where = and(where, gate(n))
		}
		return c.ordered(from, where, at.rid, exprs, keys, keys, limit)
	}
	if same != nil { // nothing matches that has no value
		return []string{with(n)}
	}
	return c.valuesFirst(keys[0], n, with, without)
}

// valuesFirst are the hits of a page that has the resources with a value for the key
// first and then those without one, where the former leave room. Each is asked for
// with the limit that it is to have, another than n where it fills up.
func (c *compilation) valuesFirst(key sortColumn, n string, with, without func(limit string) string) []string {
	cur := c.q.Cursor
	back := cur != nil && cur.Back
	left := "greatest(" + n + " - (SELECT count(*) FROM hit1), 0)"
	switch {
	case cur == nil, !back && key.cursor != nil:
		return []string{with(n), without(left)}
	case !back:
		return []string{without(n)}
	case key.cursor != nil:
		return []string{with(n)}
	}
	// Backwards from a row without a value: such rows first, then those with one.
	return []string{without(n), with(left)}
}

// gate lets the second SELECT of hits run only where the first leaves room.
func gate(n string) string { return "(SELECT count(*) FROM hit1) < " + n }

// takeSame takes the conditions on the sort key's own row out of a plan: those
// on the same parameter, where a resource has one value of it. They bound the
// very index that the page is read from.
func (p plan) takeSame(s sorter) (plan, []*scan) {
	conds := p.rest
	if p.driver != nil {
		conds = append([]cond{p.driver}, conds...)
	}
	var same []*scan
	var rest []cond
	for _, k := range conds {
		if one, ok := k.(*scan); ok && one.rel == s.rel && one.unique && one.dict == nil && slices.Equal(one.keys, s.keys) {
			same = append(same, one)
		} else {
			rest = append(rest, k)
		}
	}
	if same == nil {
		return p, nil
	}
	return plan{rest: rest}, same
}

// typed tells that a condition holds only for resources of the query's types.
func typed(k cond) bool {
	s, ok := k.(*scan)
	return ok && s.rel != Resource && s.rel != Text
}

// beyond is the condition that a row lies beyond the cursor, "" without one.
func (c *compilation) beyond(exprs []string, keys []sortColumn, rid string) string {
	if c.q.Cursor == nil {
		return ""
	}
	return c.beyondFrom(exprs, keys, rid, 0)
}

func (c *compilation) beyondFrom(exprs []string, keys []sortColumn, rid string, from int) string {
	back := c.q.Cursor.Back
	ridCmp := " > "
	if ridDirection(keys, back) == " DESC" {
		ridCmp = " < "
	}
	last := rid + ridCmp + c.arg(c.q.Cursor.RID)
	var alternatives []string
	same := ""
	for i := from; i < len(keys); i++ {
		k := keys[i]
		var next string
		if k.cursor == nil {
			if back {
				next = exprs[i] + " IS NOT NULL"
			}
		} else {
			cmp := " > "
			if k.desc != back {
				cmp = " < "
			}
			next = exprs[i] + cmp + c.cursorArg(k)
			if k.nullable && !back {
				next = "(" + next + " OR " + exprs[i] + " IS NULL)"
			}
		}
		if next != "" {
			alternatives = append(alternatives, and(same, next))
		}
		if k.cursor == nil {
			same = and(same, exprs[i]+" IS NULL")
		} else {
			same = and(same, exprs[i]+" = "+c.cursorArg(k))
		}
	}
	alternatives = append(alternatives, and(same, last))
	cond := "(" + strings.Join(alternatives, " OR ") + ")"
	if from == len(keys) {
		return cond
	}
	if k := keys[from]; k.cursor != nil && (!k.nullable || back) { // where the index begins
		cmp := " >= "
		if k.desc != back {
			cmp = " <= "
		}
		cond = exprs[from] + cmp + c.cursorArg(k) + " AND " + cond
	}
	return cond
}

func (c *compilation) cursorArg(k sortColumn) string {
	switch k.sqlType {
	case "int8":
		v, _ := strconv.ParseInt(*k.cursor, 10, 64)
		return c.arg(v)
	case "numeric":
		return c.number(*k.cursor)
	case "float8":
		return c.arg(*k.cursor) + "::float8"
	case "timestamptz":
		v, _ := strconv.ParseInt(*k.cursor, 10, 64)
		return c.args.Add(time.UnixMicro(v).UTC()) + "::timestamptz"
	}
	return c.arg(*k.cursor)
}

// parseSort reads the value of _sort.
func (p *parser) parseSort(value string) error {
	for _, part := range strings.Split(value, ",") {
		code, desc := strings.CutPrefix(strings.TrimSpace(part), "-")
		if p.q.contained != "" && !p.q.alone && !strings.HasPrefix(code, "_") {
			return fhir.Errorf(400, fhir.CodeNotSupported, "_sort=%s: what contains the resources that are searched may be of any type; sort it by _id or _lastUpdated, or ask for _containedType=contained", code)
		}
		by, err := p.sorter(p.q.types, code, "_sort="+code)
		if err != nil {
			return err
		}
		if len(p.q.Sort) >= 8 {
			return fhir.Errorf(400, fhir.CodeTooCostly, "_sort has more than 8 keys")
		}
		p.q.Sort = append(p.q.Sort, SortKey{Code: code, Desc: desc, by: by})
	}
	return nil
}

func (p *parser) sorter(types []string, code, name string) (sorter, error) {
	if head, tail, ok := strings.Cut(code, "."); ok {
		return p.chainedSorter(types, head, tail, name)
	}
	switch code {
	case "_id":
		return sorter{kind: "id", column: "fhir_id", sqlType: "text"}, nil
	case "_lastUpdated":
		return sorter{kind: "lu", column: "lu", sqlType: "timestamptz"}, nil
	}
	ps, err := p.params(types, code, name)
	if err != nil {
		return sorter{}, err
	}
	s := sorter{}
	for _, sp := range ps {
		if !sp.indexed {
			return sorter{}, fhir.Errorf(400, fhir.CodeNotSupported, "%s: the parameter has no values to sort by", name)
		}
		var one sorter
		switch sp.Type {
		case "date":
			one = sorter{kind: "mark", rel: Date, column: "lo", sqlType: "int8"}
		case "string", "uri":
			one = sorter{kind: "mark", rel: String, column: "val", sqlType: "text"}
		case "number", "quantity":
			one = sorter{kind: "mark", rel: Quantity, column: "lo", sqlType: "numeric"}
		case "token":
			one = sorter{kind: "token", rel: Token, sqlType: "text"}
			if sp.single && sp.inDict {
				one.kind = "code"
			}
			if !sp.inDict {
				one = sorter{kind: "mark", rel: String, column: "val", sqlType: "text"}
			}
		case "reference":
			one = sorter{kind: "ref", rel: Ref, sqlType: "text"}
		case "special":
			one = sorter{kind: "distance", rel: Quantity, sqlType: "float8", near: p.near}
		default:
			return sorter{}, fhir.Errorf(400, fhir.CodeNotSupported, "%s: a parameter of type %s has no order; sort by one of its parts", name, sp.Type)
		}
		if s.kind != "" && (s.kind != one.kind || s.rel != one.rel) {
			return sorter{}, fhir.Errorf(400, fhir.CodeNotSupported, "%s: the parameter is not of one type in all the types searched", name)
		}
		one.keys, one.ps = append(s.keys, sp.key), append(s.ps, sp.ID)
		s = one
	}
	if len(ps) > len(types) { // the least or greatest value may be any one's
		switch s.kind {
		case "mark":
			s.kind = "extreme"
		case "code":
			s.kind = "token"
		}
	}
	return s, nil
}

// sortedByDistance checks that a search which sorts by near says near what.
func (p *parser) sortedByDistance() error {
	for _, k := range p.q.Sort {
		by := &k.by
		for by.next != nil {
			by = by.next
		}
		if by.kind == "distance" && len(p.near.at) == 0 {
			return fhir.Errorf(400, fhir.CodeInvalid, "_sort=%s: the distance is measured from the position in the search parameter near, which is missing", k.Code)
		}
	}
	return nil
}

// chainedSorter reads a key head.tail, where head is a reference parameter with
// or without the type it is to point to.
func (p *parser) chainedSorter(types []string, head, tail, name string) (sorter, error) {
	if err := p.deeper(name); err != nil {
		return sorter{}, err
	}
	defer func() { p.depth-- }()
	ps, may, err := p.link(types, head, name)
	if err != nil {
		return sorter{}, err
	}
	next, _, _ := strings.Cut(strings.SplitN(tail, ".", 2)[0], ":")
	targets := slices.DeleteFunc(slices.Clone(may), func(t string) bool { return p.r.Param(t, next) == nil })
	if len(targets) == 0 {
		return sorter{}, &unknownParameter{err: fhir.Errorf(400, fhir.CodeNotSupported, "%s: none of %s, to which %s points, has a search parameter %q", name, list(may), ps[0].Code, next)}
	}
	by, err := p.sorter(targets, tail, name)
	if err != nil {
		return sorter{}, err
	}
	s := sorter{kind: "ref", rel: Ref, sqlType: by.sqlType, targets: targets, next: &by}
	for _, sp := range ps {
		s.ps = append(s.ps, sp.ID)
	}
	return s, nil
}
