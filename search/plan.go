package search

import (
	"slices"
	"strings"
)

// plan splits the terms of a query into what drives and what is probed.
type plan struct {
	driver    cond // nil: all resources of the types
	rest      []cond
	selective bool
}

func (q *Query) plan() plan {
	conds := slices.Clone(q.conds)
	best := -1
	for i, k := range conds {
		if k.rank() < rankNever && (best < 0 || k.rank() < conds[best].rank()) {
			best = i
		}
	}
	if best < 0 {
		return plan{rest: conds}
	}
	p := plan{driver: conds[best], selective: conds[best].rank() <= selective}
	if !p.selective {
		switch k := conds[best].(type) {
		case *chain, *reverse, allOf:
			return plan{rest: conds}
		case *scan:
			if k.order >= rankOpen || k.rel == Text {
				return plan{rest: conds}
			}
		case anyOf: // a search for what is contained, or contains: see containers
			if !slices.ContainsFunc(k, func(o cond) bool { _, ok := o.(*within); return ok }) {
				return plan{rest: conds}
			}
		case *within:
			if k.cond == nil {
				return plan{rest: conds}
			}
		}
	}
	p.rest = slices.Delete(conds, best, best+1)
	return p
}

// drivers are the arms of a plan with everything that is not the driver added.
func (c *compilation) drivers(p plan, ordered bool) []arm {
	var arms []arm
	if parts := c.split(p); parts != nil {
		for _, one := range parts {
			arms = append(arms, c.drivers(one, ordered)...)
		}
		return arms
	}
	if p.driver == nil {
		arms = []arm{c.ofTypes(c.q.restrict(), nil)}
	} else {
		arms = c.arms(p.driver, ordered)
	}
	for i := range arms {
		a := &arms[i]
		for _, k := range p.rest {
			if s, ok := k.(*scan); ok && !p.selective && a.spread == "" && joinable(s) {
				item, t := c.from(s.rel, s.types, "j")
				a.from += " JOIN " + item + " ON " + t + ".rid = " + a.at.rid
				a.where = and(a.where, c.keyed(s, t), s.rest(c, t))
				continue
			}
			a.where = and(a.where, c.probe(k, a.at, p.selective))
		}
	}
	return arms
}

// tokensByLabel follows the rows of a token under each label by themselves, where
// the token alone is what a search asks for.
func (c *compilation) tokensByLabel(p plan, arms []arm) []arm {
	if s, ok := p.driver.(*scan); !ok || s.rel != Token || len(p.rest) > 0 {
		return arms
	}
	for i := range arms {
		a := &arms[i]
		if !a.byRID {
			continue
		}
		each, under := c.labelByLabel(strings.TrimSuffix(a.at.rid, ".rid"))
		if each == "" {
			return arms
		}
		if a.spread != "" {
			each = a.spread + " CROSS JOIN " + each
		}
		a.where, a.spread = and(a.where, under), each
	}
	return arms
}

// labelByLabel is a FROM item with the labels of a caller with few, and the condition
// that a row is under one of them; both "" for other callers. Rows are then followed
// under each label in its own order: under the key alone a page would lie behind the
// rows of everybody.
func (c *compilation) labelByLabel(alias string) (item, under string) {
	few, ok := c.src.(FewLabels)
	if !ok || len(few.Labels()) == 0 {
		return "", ""
	}
	l := c.next("v")
	return "unnest(" + c.arg(few.Labels()) + ") AS " + l + "(label)", and(alias+".label = "+l+".label", alias+".label <> 0")
}

// maxSplit is how many ways of a chain are looked at each on its own.
const maxSplit = 4

// split makes a plan for each way of a chain that leads to several types of
// resource, or into contained ones; nil where there is one way. Each becomes a
// join, for which PostgreSQL finds where to begin; of alternatives in one
// condition it would try each resource.
func (c *compilation) split(p plan) (parts []plan) {
	if p.driver != nil {
		return nil
	}
	for i, k := range p.rest {
		chain, ok := k.(*chain)
		if !ok {
			continue
		}
		ways := chain.ways(c)
		if len(ways) < 2 || len(ways) > maxSplit {
			continue
		}
		for _, way := range ways {
			one := plan{rest: slices.Clone(p.rest)}
			one.rest[i] = way
			parts = append(parts, one)
		}
		return parts
	}
	return nil
}

// ways are the chains of one target each that a chain consists of.
func (k *chain) ways(c *compilation) []*chain {
	var out []*chain
	for _, t := range k.targets {
		out = append(out, &chain{refs: k.refs, types: k.types, targets: []target{t}})
	}
	for _, t := range k.inside {
		if c.linked(k, t) {
			out = append(out, &chain{refs: k.refs, types: k.types, inside: []target{t}})
		}
	}
	return out
}

// joinable tells that joining the scan finds a resource no more than once, so
// that PostgreSQL may begin at it.
func joinable(s *scan) bool {
	if s.rel == Text { // one row a resource
		return true
	}
	return s.unique && s.dict == nil && s.rel != Resource && len(distinct(s.keys)) == 1 && len(s.ps) <= 1
}

// restrict is the types as a restriction, nil where there is none.
func (q *Query) restrict() []string {
	if q.everyType {
		return nil
	}
	return q.types
}
