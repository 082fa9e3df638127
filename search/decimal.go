package search

import (
	"github.com/cockroachdb/apd/v3"

	"ingle/fhir"
)

// interval is a number of a search with its prefix (R4 search, "Prefixes"). eq and ne
// look at the range of what would be written so: 100 is [99.5, 100.5). With the
// ordered prefixes the number is taken as exact. ap is a tenth to either side.
type interval struct {
	prefix  string
	value   string // for the ordered prefixes
	lo, hi  string // for eq, ne and ap; hi is outside, but for ap
	decimal *fhir.Decimal
}

// parseInterval reads a number with its prefix; ok is false where it is none.
func parseInterval(s string) (interval, bool) {
	prefix, rest := cutPrefix(s)
	d, err := fhir.ParseDecimal(rest)
	if err != nil {
		return interval{}, false
	}
	n := interval{prefix: prefix, decimal: d, value: d.Value().Text('f')}
	lo, hi := d.ImplicitRange()
	if prefix == ap {
		var margin, low, high apd.Decimal
		_, _ = exact.Mul(&margin, d.Value(), apd.New(1, -1))
		margin.Negative = false
		_, _ = exact.Sub(&low, d.Value(), &margin)
		_, _ = exact.Add(&high, d.Value(), &margin)
		lo, hi = &low, &high
	}
	n.lo, n.hi = lo.Text('f'), hi.Text('f')
	return n, true
}

// sql is the condition on the columns lo and hi of a row.
func (n interval) sql(c *compilation, lo, hi string) string {
	switch n.prefix {
	case eq:
		return and(lo+" >= "+c.number(n.lo), lo+" < "+c.number(n.hi), hi+" < "+c.number(n.hi))
	case ne:
		return "(" + lo + " < " + c.number(n.lo) + " OR " + hi + " >= " + c.number(n.hi) + ")"
	case gt:
		return hi + " > " + c.number(n.value)
	case lt:
		return lo + " < " + c.number(n.value)
	case ge:
		return hi + " >= " + c.number(n.value)
	case le:
		return lo + " <= " + c.number(n.value)
	case sa:
		return lo + " > " + c.number(n.value)
	case eb:
		return and(lo+" < "+c.number(n.value), hi+" < "+c.number(n.value))
	case covers: // a range, or what the digits of a number leave open
		v := c.number(n.value)
		return "(" + and(lo+" < "+hi, lo+" <= "+v, hi+" >= "+v) + " OR " + and(lo+" = "+hi, "abs("+lo+" - "+v+") <= 0.5 * power(10::numeric, -scale("+lo+"))") + ")"
	}
	return and(lo+" <= "+c.number(n.hi), hi+" >= "+c.number(n.lo)) // ap: overlapping
}

// on sets a scan of quantities or numbers to the rows that meet the interval,
// beside what else must hold.
func (n interval) on(s *scan, more func(c *compilation, a string) string) {
	also := func(c *compilation, a string) string {
		if more == nil {
			return ""
		}
		return more(c, a)
	}
	s.where = func(c *compilation, a string) string { return and(n.sql(c, a+".lo", a+".hi"), also(c, a)) }
	s.order, s.values = rankOpen, []string{"lo"}
	switch n.prefix {
	case eq:
		s.order = rankBounded
	case gt, ge, ap:
		// Points by their one value, ranges by their end. A range that begins in the interval is
		// found both ways; only where nothing tells them apart later, it is left out here.
		point := func(c *compilation, a string) string {
			apart := ""
			if s.unique {
				apart = a + ".lo = " + a + ".hi"
			}
			return and(n.sql(c, a+".lo", a+".lo"), apart, also(c, a))
		}
		span := func(c *compilation, a string) string {
			return and(a+".lo <> "+a+".hi", n.sql(c, a+".lo", a+".hi"), also(c, a))
		}
		s.arms, s.values = []func(c *compilation, a string) string{point, span}, []string{"lo", "hi"}
		if n.prefix == ap {
			s.order = rankBounded
		}
	}
}
