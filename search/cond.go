package search

import (
	"slices"
	"strings"
)

// A condition on a resource. Parse builds a tree of them; Compile turns it into
// SQL in one of two ways: as a probe, which tells of one resource whether the
// condition holds, or as a driver, which finds the resources that meet it.
type cond interface{ rank() int }

// Ranks order the terms of a search by how few resources they are likely to
// find. The lowest drives the statement.
const (
	rankID         = 0 // _id
	rankIdentifier = 1 // identifiers: a handful
	rankReference  = 2 // one target: a patient's resources
	rankExact      = 3 // uri, :exact
	rankPrefix     = 4 // three letters or more
	rankInitial    = 5 // one letter or two
	rankBounded    = 6 // a range with two ends
	rankToken      = 7 // a code
	rankOpen       = 9 // a range with one end, :contains
	rankNever      = 100
	// selective is the highest rank at which a term drives alone, with all
	// others as probes of its rows. Above it PostgreSQL chooses by its statistics.
	selective = rankPrefix
)

// scan finds index rows in one relation.
type scan struct {
	rel   Relation
	types []string // the resource types whose rows it wants; nil for any

	// keys are the values of the relation's key column: h of Token, rk of Ref,
	// k of Date, String and Quantity, rk of Resource. nil: any.
	keys []int64
	// ps goes along with keys in Ref; alone it restricts Token and Ref to any
	// value of these parameters.
	ps []ParamID
	// dict finds the keys in the dictionary.
	dict *lookup
	// where is what must hold beside the key, on the given alias; nil for nothing.
	where func(c *compilation, a string) string
	// arms are alternatives to where for a driver: each can use an index, and
	// together they find the same rows. nil where where can.
	arms []func(c *compilation, a string) string
	// unique: a resource has at most one row that the scan finds under one key.
	unique bool
	// values are the columns that a range's rows stand by, for each of its arms, or for
	// where: indexes have them in order. nil where the scan is no range.
	values    []string
	order     int  // rank
	canonical bool // of quantities in canonical form
	// span and more are what a scan of dates asks for, for meet.
	span bounds
	more []residual
}

func (s *scan) rank() int { return s.order }

// lookup finds keys in the dictionary: those of the parameters whose code or
// system is the given one.
type lookup struct {
	ps             []ParamID
	codes, systems []string // any of them; nil for no condition
	where          func(c *compilation, a string) string
}

// keyColumn is the column that scan.keys stand for.
func keyColumn(rel Relation) string {
	switch rel {
	case Token:
		return "h"
	case Ref, Resource:
		return "rk"
	}
	return "k"
}

// anyOf holds where one of its parts does.
type anyOf []cond

func (o anyOf) rank() int {
	worst := 0
	for _, c := range o {
		worst = max(worst, c.rank())
	}
	return worst
}

// allOf holds where all of its parts do.
type allOf []cond

func (o allOf) rank() int {
	best := rankNever
	for _, c := range o {
		best = min(best, c.rank())
	}
	return best
}

// not holds where its part does not.
type not struct{ of cond }

func (not) rank() int { return rankNever }

// never holds for no resource: what no value can be.
type never struct{}

func (never) rank() int { return rankID }

// chain holds where a reference of the resource points to a resource of one of
// the targets' types that meets its condition.
type chain struct {
	refs    []ParamID // parameters of the resource that refer
	types   []string  // its types
	targets []target
	inside  []target // contained resources; see Link
}

// target is what a chain leads to: resources of the types that meet the condition.
type target struct {
	types []string
	cond  cond
	// canonical references reach the target by its own URL: the parameters that
	// hold them, and the numbers under which targets know their URL.
	canonical []ParamID
	selves    []ParamID
}

func (c *chain) rank() int {
	worst := 0
	for _, t := range c.targets {
		worst = max(worst, t.cond.rank())
	}
	return worst + 1
}

// reverse holds where a resource of type from, which meets the condition,
// refers to this one (_has).
type reverse struct {
	from  string
	ref   ParamID
	types []string // of the resource referred to
	cond  cond
	// selves are the numbers under which the resource referred to knows its own
	// URL, where ref holds canonical references.
	selves []ParamID
}

func (r *reverse) rank() int { return r.cond.rank() + 1 }

// either holds where one of the list does. Scans of the same rows become one.
func either(list []cond) cond {
	list = joinScans(list)
	switch len(list) {
	case 0:
		return never{}
	case 1:
		return list[0]
	}
	return anyOf(list)
}

// joinScans makes one scan of those under the same keys: many relations in one
// statement take PostgreSQL long to plan.
func joinScans(list []cond) []cond {
	var out []cond
	var groups [][]*scan
next:
	for _, k := range list {
		s, ok := k.(*scan)
		if !ok || s.dict != nil || s.where == nil || s.rel == Resource || s.rel == Text {
			out = append(out, k)
			continue
		}
		for i, g := range groups {
			if g[0].rel == s.rel && slices.Equal(g[0].keys, s.keys) && slices.Equal(g[0].ps, s.ps) {
				groups[i] = append(g, s)
				continue next
			}
		}
		groups = append(groups, []*scan{s})
	}
	for _, g := range groups {
		if len(g) == 1 {
			out = append(out, g[0])
			continue
		}
		one := &scan{rel: g[0].rel, types: g[0].types, keys: g[0].keys, ps: g[0].ps, unique: true, span: unbounded}
		for _, s := range g {
			one.unique = one.unique && s.unique
			one.order = max(one.order, s.order)
		}
		one.where = func(c *compilation, a string) string {
			parts := make([]string, len(g))
			for i, s := range g {
				parts[i] = "(" + s.where(c, a) + ")"
			}
			return "(" + strings.Join(parts, " OR ") + ")"
		}
		one.more = []residual{one.where}
		out = append(out, one)
	}
	return out
}

func both(list []cond) cond {
	if len(list) == 1 {
		return list[0]
	}
	return allOf(list)
}
