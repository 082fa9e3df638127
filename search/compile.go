package search

import (
	"slices"
	"strconv"
	"strings"
)

// compilation is the making of one statement.
type compilation struct {
	r     *Registry
	q     *Query
	src   Source
	args  Args
	alias int
}

func (c *compilation) next(prefix string) string {
	c.alias++
	return prefix + strconv.Itoa(c.alias)
}

// from is the FROM item of a relation under a new alias.
func (c *compilation) from(rel Relation, types []string, prefix string) (item, alias string) {
	return c.fromSource(c.src, rel, types, prefix)
}

func (c *compilation) fromSource(src Source, rel Relation, types []string, prefix string) (item, alias string) {
	alias = c.next(prefix)
	return src.From(rel, types, alias, &c.args), alias
}

// arg adds an argument. Texts are marked as such, so that the same value can
// stand for a text in one place and for a number in another.
func (c *compilation) arg(v any) string {
	p := c.args.Add(v)
	switch v.(type) {
	case string:
		return p + "::text"
	case []int64:
		return p + "::int8[]"
	case []int32:
		return p + "::int4[]"
	case []int16:
		return p + "::int2[]"
	case []string:
		return p + "::text[]"
	case int64:
		return p + "::int8"
	case int32:
		return p + "::int4"
	case int16:
		return p + "::int2"
	}
	return p
}

// number adds a decimal number.
func (c *compilation) number(text string) string { return c.arg(text) + "::numeric" }

// float adds a number that need not be exact.
func (c *compilation) float(f float64) string {
	return c.arg(strconv.FormatFloat(f, 'g', -1, 64)) + "::float8"
}

// in compares a column with one value or a list.
func in[T int64 | int32 | int16 | string](c *compilation, column string, values []T) string {
	if len(values) == 1 {
		return column + " = " + c.arg(values[0])
	}
	return column + " = ANY(" + c.arg(values) + ")"
}

func ints(ps []ParamID) []int32 {
	out := make([]int32, len(ps))
	for i, p := range ps {
		out[i] = int32(p)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (c *compilation) numbers(types []string) []int16 {
	out := make([]int16, len(types))
	for i, t := range types {
		out[i] = c.r.defs.TypeNumber(bareType(t))
	}
	return out
}

// and joins conditions, leaving out empty ones.
func and(parts ...string) string {
	parts = slices.DeleteFunc(slices.Clone(parts), func(s string) bool { return s == "" })
	if len(parts) == 0 {
		return "true"
	}
	return strings.Join(parts, " AND ")
}

// keyed is the condition on the key of a scan, under the alias.
func (c *compilation) keyed(s *scan, a string) string {
	var parts []string
	if s.keys != nil {
		parts = append(parts, in(c, a+"."+keyColumn(s.rel), distinct(s.keys)))
	}
	if s.ps != nil {
		parts = append(parts, in(c, a+".p", ints(s.ps)))
	}
	if len(parts) == 0 {
		return ""
	}
	return and(parts...)
}

func distinct(keys []int64) []int64 {
	out := slices.Clone(keys)
	slices.Sort(out)
	return slices.Compact(out)
}

func (s *scan) rest(c *compilation, a string) string {
	if s.where == nil {
		return ""
	}
	return s.where(c, a)
}

// dictionary is the FROM item of a scan's lookup with its condition.
func (c *compilation) dictionary(l *lookup) (item, where, alias string) {
	item, alias = c.from(Dictionary, nil, "v")
	where = in(c, alias+".p", ints(l.ps))
	if l.codes != nil {
		where = and(where, in(c, alias+".code", l.codes))
	}
	if l.systems != nil {
		where = and(where, in(c, alias+".system", l.systems))
	}
	if l.where != nil {
		where = and(where, l.where(c, alias))
	}
	return item, where, alias
}

// row is the resource that a probe asks about: SQL for its rid, for its rk where
// that is at hand, and the alias of the relation Resource where it is read.
type row struct{ rid, rk, res string }

// resourceRow is the row of a relation Resource under an alias.
func resourceRow(a string) row { return row{a + ".rid", a + ".rk", a} }

// probe is the condition as an expression on one resource. pin keeps
// PostgreSQL from turning it into a join: right where few resources are probed.
func (c *compilation) probe(k cond, at row, pin bool) string {
	stay := ""
	if pin {
		stay = " OFFSET 0"
	}
	switch k := k.(type) {
	case *scan:
		if k.rel == Resource && at.res != "" {
			return and(c.keyed(k, at.res), k.rest(c, at.res))
		}
		item, a := c.from(k.rel, k.types, "p")
		if k.dict != nil {
			dict, where, v := c.dictionary(k.dict)
			return "EXISTS (SELECT 1 FROM " + item + " JOIN " + dict + " ON " + v + "." + "h = " + a + "." + keyColumn(k.rel) +
				" WHERE " + and(a+".rid = "+at.rid, c.keyed(k, a), k.rest(c, a), where) + stay + ")"
		}
		return "EXISTS (SELECT 1 FROM " + item + " WHERE " + and(a+".rid = "+at.rid, c.keyed(k, a), k.rest(c, a)) + stay + ")"
	case anyOf:
		parts := make([]string, len(k))
		for i, o := range k {
			parts[i] = c.probe(o, at, pin)
		}
		return "(" + strings.Join(parts, " OR ") + ")"
	case allOf:
		parts := make([]string, len(k))
		for i, o := range k {
			parts[i] = c.probe(o, at, pin)
		}
		return "(" + strings.Join(parts, " AND ") + ")"
	case not:
		return "NOT (" + c.probe(k.of, at, pin) + ")"
	case never:
		return "false"
	case *chain:
		var parts []string
		for _, t := range k.targets {
			ref, r := c.from(Ref, k.types, "r")
			res, x := c.from(Resource, t.types, "x")
			parts = append(parts, "EXISTS (SELECT 1 FROM "+ref+" JOIN "+res+" ON "+x+".rk = "+r+".rk WHERE "+
				and(r+".rid = "+at.rid, in(c, r+".p", ints(k.refs)), in(c, x+".rtype", c.numbers(t.types)),
					c.probe(t.cond, resourceRow(x), pin))+stay+")")
			if t.canonical != nil {
				ref, r := c.from(Ref, k.types, "r")
				self, u := c.from(Ref, t.types, "u")
				parts = append(parts, "EXISTS (SELECT 1 FROM "+ref+" JOIN "+self+" ON "+u+".rk = "+r+".rk WHERE "+
					and(r+".rid = "+at.rid, in(c, r+".p", ints(t.canonical)), in(c, u+".p", ints(t.selves)),
						c.probe(t.cond, row{rid: u + ".rid"}, pin))+stay+")")
			}
		}
		for _, t := range k.inside {
			if c.linked(k, t) {
				parts = append(parts, c.probeInside(k, t, at, pin, stay)...)
			}
		}
		if len(parts) == 1 {
			return parts[0]
		}
		return "(" + strings.Join(parts, " OR ") + ")"
	case *within:
		return k.probe(c, at, pin, stay)
	case *reverse:
		if k.selves != nil {
			bare := *k
			bare.selves = nil
			ref, r := c.from(Ref, []string{k.from}, "r")
			self, u := c.from(Ref, k.types, "u")
			return "(" + c.probe(&bare, at, pin) + " OR EXISTS (SELECT 1 FROM " + self + " JOIN " + ref + " ON " + r + ".rk = " + u + ".rk WHERE " +
				and(u+".rid = "+at.rid, in(c, u+".p", ints(k.selves)), in(c, r+".p", ints([]ParamID{k.ref})), c.probe(k.cond, row{rid: r + ".rid"}, pin)) + stay + "))"
		}
		ref, r := c.from(Ref, []string{k.from}, "r")
		inner := c.probe(k.cond, row{rid: r + ".rid"}, pin)
		if at.rk != "" {
			return "EXISTS (SELECT 1 FROM " + ref + " WHERE " + and(r+".rk = "+at.rk, in(c, r+".p", ints([]ParamID{k.ref})), inner) + stay + ")"
		}
		res, x := c.from(Resource, k.types, "x")
		return "EXISTS (SELECT 1 FROM " + res + " JOIN " + ref + " ON " + r + ".rk = " + x + ".rk WHERE " +
			and(x+".rid = "+at.rid, in(c, r+".p", ints([]ParamID{k.ref})), inner) + stay + ")"
	}
	panic("search: a condition without a probe")
}

// arm is one way to find resources: a SELECT without its list.
type arm struct {
	from   string // FROM items and joins
	where  string
	at     row    // the resource found
	spread string // FROM item of keys, each looked up on its own, for an order by rid
	unique bool   // finds a resource once
	// byRID: an index gives the rows in the order of rid.
	byRID bool
}

// arms are the ways in which a condition drives; together they find all
// resources that meet it. ordered asks for arms that can stop early in the
// order of rid.
func (c *compilation) arms(k cond, ordered bool) []arm {
	switch k := k.(type) {
	case *scan:
		return c.scanArms(k, ordered)
	case anyOf:
		var out []arm
		for _, o := range k {
			out = append(out, c.arms(o, ordered)...)
		}
		return out
	case allOf:
		best := 0
		for i := range k {
			if k[i].rank() < k[best].rank() {
				best = i
			}
		}
		out := c.arms(k[best], ordered)
		for i := range out {
			for j, o := range k {
				if j != best {
					out[i].where = and(out[i].where, c.probe(o, out[i].at, k[best].rank() <= selective))
				}
			}
		}
		return out
	case *chain:
		var out []arm
		for _, t := range k.targets {
			res, x := c.from(Resource, t.types, "x")
			ref, r := c.from(Ref, k.types, "r")
			out = append(out, arm{
				from:  c.set(t.cond, t.types) + " s" + x + " JOIN " + res + " ON " + x + ".rid = s" + x + ".rid JOIN " + ref + " ON " + r + ".rk = " + x + ".rk",
				where: and(in(c, x+".rtype", c.numbers(t.types)), in(c, r+".p", ints(k.refs))),
				at:    row{rid: r + ".rid"},
			})
			if t.canonical != nil {
				self, u := c.from(Ref, t.types, "u")
				ref, r := c.from(Ref, k.types, "r")
				out = append(out, arm{
					from:  c.set(t.cond, t.types) + " s" + u + " JOIN " + self + " ON " + u + ".rid = s" + u + ".rid JOIN " + ref + " ON " + r + ".rk = " + u + ".rk",
					where: and(in(c, u+".p", ints(t.selves)), in(c, r+".p", ints(t.canonical))),
					at:    row{rid: r + ".rid"},
				})
			}
		}
		for _, t := range k.inside {
			if c.linked(k, t) {
				out = append(out, c.armsInside(k, t)...)
			}
		}
		return out
	case *within:
		return []arm{k.arm(c)}
	case *reverse:
		ref, r := c.from(Ref, []string{k.from}, "r")
		res, x := c.from(Resource, k.types, "x")
		out := []arm{{
			from:  c.set(k.cond, []string{k.from}) + " s" + x + " JOIN " + ref + " ON " + r + ".rid = s" + x + ".rid JOIN " + res + " ON " + x + ".rk = " + r + ".rk",
			where: and(in(c, r+".p", ints([]ParamID{k.ref})), in(c, x+".rtype", c.numbers(k.types))),
			at:    resourceRow(x),
		}}
		if k.selves != nil {
			ref, r := c.from(Ref, []string{k.from}, "r")
			self, u := c.from(Ref, k.types, "u")
			out = append(out, arm{
				from:  c.set(k.cond, []string{k.from}) + " s" + u + " JOIN " + ref + " ON " + r + ".rid = s" + u + ".rid JOIN " + self + " ON " + u + ".rk = " + r + ".rk",
				where: and(in(c, r+".p", ints([]ParamID{k.ref})), in(c, u+".p", ints(k.selves))),
				at:    row{rid: u + ".rid"},
			})
		}
		return out
	case never:
		res, x := c.from(Resource, nil, "d")
		return []arm{{from: res, where: "false", at: resourceRow(x), unique: true, byRID: true}}
	}
	panic("search: a condition without a driver")
}

func (c *compilation) scanArms(s *scan, ordered bool) []arm {
	if s.arms != nil && s.dict == nil {
		// every FROM item that is asked for must be used: it brings arguments along
		var out []arm
		for _, where := range s.arms {
			item, a := c.from(s.rel, s.types, "d")
			out = append(out, arm{from: item, where: and(c.keyed(s, a), where(c, a)), at: row{rid: a + ".rid"}, unique: s.unique && len(s.keys) == 1})
		}
		return out
	}
	item, a := c.from(s.rel, s.types, "d")
	at := row{rid: a + ".rid"}
	if s.rel == Resource {
		at = resourceRow(a)
	}
	col := a + "." + keyColumn(s.rel)
	streams := s.where == nil && (s.rel == Token || s.rel == Ref)
	switch {
	case s.dict != nil:
		dict, where, v := c.dictionary(s.dict)
		if ordered && streams {
			key := c.next("v")
			return []arm{{from: item, where: and(col+" = "+key+".h", c.keyed(s, a)), at: at, byRID: true,
				spread: "(SELECT " + v + ".h FROM " + dict + " WHERE " + where + ") AS " + key}}
		}
		return []arm{{from: dict + " JOIN " + item + " ON " + col + " = " + v + ".h", where: and(where, c.keyed(s, a), s.rest(c, a)), at: at}}
	case ordered && streams && s.rel == Token && len(distinct(s.keys)) > 1:
		key := c.next("v")
		return []arm{{from: item, where: col + " = " + key + ".h", at: at, byRID: true,
			spread: "unnest(" + c.arg(distinct(s.keys)) + ") AS " + key + "(h)"}}
	case ordered && streams && s.rel == Ref && s.keys != nil && len(s.keys) > 1:
		key := c.next("v")
		return []arm{{from: item, where: and(col+" = "+key+".rk", a+".p = "+key+".p"), at: at, byRID: true,
			spread: "unnest(" + c.arg(s.keys) + ", " + c.arg(intsOf(s.ps)) + ") AS " + key + "(rk, p)"}}
	}
	return []arm{{from: item, where: and(c.keyed(s, a), s.rest(c, a)), at: at, unique: s.rel == Resource || s.unique && s.one(), byRID: streams && s.one()}}
}

// one tells that the scan looks under one key.
func (s *scan) one() bool { return len(distinct(s.keys)) == 1 && len(s.ps) <= 1 }

// intsOf keeps the order, for an array that goes along with another.
func intsOf(ps []ParamID) []int32 {
	out := make([]int32, len(ps))
	for i, p := range ps {
		out[i] = int32(p)
	}
	return out
}

// set is a subquery of the rids of all resources of some types that meet a
// condition, nil for none.
func (c *compilation) set(k cond, types []string) string {
	var arms []arm
	if k == nil || k.rank() >= rankNever {
		arms = []arm{c.ofTypes(types, k)}
	} else {
		arms = c.arms(k, false)
	}
	parts := make([]string, len(arms))
	for i, a := range arms {
		parts[i] = "SELECT " + a.at.rid + " AS rid FROM " + a.from + " WHERE " + and(a.where)
		if len(arms) == 1 && !a.unique {
			parts[i] = "SELECT DISTINCT" + strings.TrimPrefix(parts[i], "SELECT")
		}
	}
	return "(" + strings.Join(parts, " UNION ") + ")"
}

// ofTypes is the arm of all resources of the types that meet a condition.
func (c *compilation) ofTypes(types []string, k cond) arm {
	item, a := c.from(Resource, types, "d")
	out := arm{from: item, at: resourceRow(a), unique: true, byRID: true}
	if types != nil {
		out.where = in(c, a+".rtype", c.numbers(types))
	}
	if k != nil {
		out.where = and(out.where, c.probe(k, out.at, false))
	}
	return out
}
