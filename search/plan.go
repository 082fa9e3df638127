package search

import (
	"slices"
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

// streams are the arms of a plan that can stop early in the order of rid. A caller
// with few labels follows a token that stands alone under each label by itself.
func (c *compilation) streams(p plan) []arm {
	s, ok := p.driver.(*scan)
	if !ok || s.rel != Token || s.where != nil || s.dict == nil && len(distinct(s.keys)) < 2 && !s.one() || len(p.rest) > 0 {
		return c.drivers(p, true)
	}
	all := c.src
	labels, one := c.labelByLabel()
	c.src = one
	arms := c.drivers(p, true)
	c.src = all
	for i, a := range arms {
		switch {
		case a.spread == "":
			arms[i].spread = labels
		case labels != "":
			arms[i].spread += " CROSS JOIN " + labels
		}
	}
	return arms
}

// labelByLabel is a FROM item with the labels of a caller with few, and the Source of
// the rows under one of them, for a LATERAL subquery: each label has its own order in
// an index, and under the key alone a page would lie behind the rows of everybody.
// For other callers the item is "", and the Source gives all.
func (c *compilation) labelByLabel() (labels string, one Source) {
	few, ok := c.src.(FewLabels)
	if !ok || len(few.Labels()) == 0 {
		return "", c.src
	}
	l := c.next("v")
	return "unnest(" + c.arg(few.Labels()) + ") AS " + l + "(label)", few.Under(l + ".label")
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
