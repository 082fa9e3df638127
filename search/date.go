package search

import (
	"math"
	"slices"
	"strings"

	"ingle/fhir"
)

// A date is a range: what its precision leaves open, or a Period (R4 search, "date").
// Of a Timing only the outer limits count: the first and last event and the
// bounds; one that has neither is no date. Ends that are not given are open.
// Instants without a zone are UTC.

// day is the length in microseconds up to which a row is narrow: a search for
// ends beyond a moment finds narrow rows by their beginning.
const day = 24 * 60 * 60 * 1_000_000

const (
	openLo = math.MinInt64
	openHi = math.MaxInt64
)

func (x *extraction) date(k, lo, hi int64) {
	x.rows.Dates = append(x.rows.Dates, DateRow{K: k, Lo: lo, Hi: hi, Wide: wide(lo, hi)})
}

// wide tells a range longer than a day; the difference may overflow where an
// end is open.
func wide(lo, hi int64) bool { return lo == openLo || hi == openHi || hi-lo > day }

// dateRange returns the range of a value, ok false where there is none.
func dateRange(typ string, n fhir.Node) (lo, hi int64, ok bool) {
	switch typ {
	case "Period":
		return periodRange(n)
	case "Timing":
		return timingRange(n)
	case "date", "dateTime", "instant":
		if n.Kind() == fhir.String {
			return fhir.DateRange(n.Bytes())
		}
	}
	return 0, 0, false // an Age, a Range or a text of Procedure.performed
}

// parseAnyDate reads a date, dateTime or instant.
func parseAnyDate(s string) (fhir.Date, error) { return fhir.ParseDateTime(s) }

func periodRange(n fhir.Node) (lo, hi int64, ok bool) {
	lo, hi = openLo, openHi
	if s := text(n, "start"); s != "" {
		d, err := parseAnyDate(s)
		if err != nil {
			return 0, 0, false
		}
		lo, _ = d.Range()
		ok = true
	}
	if s := text(n, "end"); s != "" {
		d, err := parseAnyDate(s)
		if err != nil {
			return 0, 0, false
		}
		_, hi = d.Range()
		ok = true
	}
	return lo, hi, ok && lo <= hi
}

func timingRange(n fhir.Node) (lo, hi int64, ok bool) {
	lo, hi = openHi, openLo
	join := func(l, h int64) { lo, hi, ok = min(lo, l), max(hi, h), true }
	for e := n.Get("event").First(); e.Valid(); e = e.Next() {
		if e.Kind() != fhir.String {
			continue
		}
		if d, err := parseAnyDate(e.Text()); err == nil {
			join(d.Range())
		}
	}
	if b := n.Get("repeat").Get("boundsPeriod"); b.Valid() {
		if l, h, has := periodRange(b); has {
			join(l, h)
		}
	}
	return lo, hi, ok
}

// dateValue is a date of a search with its prefix.
type dateValue struct {
	prefix string
	lo, hi int64
}

func (v *valueReader) dateValue(value string) (dateValue, error) {
	prefix, rest := cutPrefix(unescape(value))
	d, err := fhir.ParseSearchDate(rest)
	if err != nil {
		// The "+" of a time zone means a blank in a form.
		if fixed := strings.Replace(rest, " ", "+", 1); fixed != rest {
			d, err = fhir.ParseSearchDate(fixed)
		}
	}
	if err != nil {
		if prefixed(rest) && prefix == eq {
			return dateValue{}, v.fail(value, "%q is not a prefix; one of eq, ne, gt, lt, ge, le, sa, eb and ap is expected before a date", rest[:2])
		}
		return dateValue{}, v.fail(value, "a date is expected: YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm[:ss[.sss]] with Z or ±hh:mm")
	}
	lo, hi := d.Range()
	if v.modifier != "" && prefix != eq {
		return dateValue{}, v.fail(value, "a date without a prefix is expected")
	}
	switch v.modifier { // of _filter
	case "overlaps": // ap without a margin
		return dateValue{ap, lo, hi}, nil
	case covers:
		return dateValue{covers, lo, hi}, nil
	}
	if prefix == ap {
		// A tenth of the time between the value and now (R4 search, "Prefixes").
		now := v.p.now.UnixMicro()
		margin := max(now-hi, lo-now, 0) / 10
		lo, hi = lo-margin, hi+margin
	}
	return dateValue{prefix, lo, hi}, nil
}

// bounds are the ranges of lo and hi that a row must lie in. Ends are inclusive.
type bounds struct{ loMin, loMax, hiMin, hiMax int64 }

var unbounded = bounds{openLo, openHi, openLo, openHi}

// bounds are what a prefix asks of a row [lo, hi], and what else is to be
// checked of rows within them.
func (d dateValue) bounds() (b bounds, more []residual) {
	b = unbounded
	switch d.prefix {
	case eq: // contained
		b.loMin, b.hiMax = d.lo, d.hi
		b.loMax, b.hiMin = d.hi, d.lo // they follow, as lo ≤ hi
	case gt:
		b.hiMin = d.hi + 1
	case lt:
		b.loMax = d.lo - 1
	case sa:
		b.loMin, b.hiMin = d.hi+1, d.hi+1
	case eb:
		b.loMax, b.hiMax = d.lo-1, d.lo-1
	case ap: // overlapping
		b.loMax, b.hiMin = d.hi, d.lo
	case covers:
		b.loMax, b.hiMin = d.lo, d.hi
	case ge: // contained, or reaching beyond
		b.hiMin = d.lo
		more = append(more, func(c *compilation, a string) string {
			return "(" + a + ".lo >= " + c.arg(d.lo) + " OR " + a + ".hi > " + c.arg(d.hi) + ")"
		})
	case le: // contained, or beginning before
		b.loMax = d.hi
		more = append(more, func(c *compilation, a string) string {
			return "(" + a + ".lo < " + c.arg(d.lo) + " OR " + a + ".hi <= " + c.arg(d.hi) + ")"
		})
	case ne: // not contained
		more = append(more, func(c *compilation, a string) string {
			return "(" + a + ".lo < " + c.arg(d.lo) + " OR " + a + ".hi > " + c.arg(d.hi) + ")"
		})
	}
	return b, more
}

// residual is a condition that no index can use.
type residual func(c *compilation, a string) string

// sql is the condition of bounds that an index on lo can use: a narrow row
// whose end lies beyond a moment begins at most a day before it.
func (b bounds) sql(c *compilation, a string, narrow bool) string {
	if narrow && b.hiMin != openLo {
		b.loMin = max(b.loMin, b.hiMin-day)
	}
	var parts []string
	add := func(column, op string, v, open int64) {
		if v != open {
			parts = append(parts, a+"."+column+" "+op+" "+c.arg(v))
		}
	}
	add("lo", ">=", b.loMin, openLo)
	add("lo", "<=", b.loMax, openHi)
	if b.hiMin > b.loMin || b.loMin == openLo {
		add("hi", ">=", b.hiMin, openLo)
	}
	if b.hiMax != openHi {
		add("hi", "<=", b.hiMax, openHi)
	}
	return and(parts...)
}

// date reads the values of a date parameter.
func (v *valueReader) date() (cond, error) {
	var parts []cond
	for _, value := range v.values {
		d, err := v.dateValue(value)
		if err != nil {
			return nil, err
		}
		parts = append(parts, v.dateScan(d, v.keys()))
	}
	return either(parts), nil
}

func (v *valueReader) dateScan(d dateValue, keys []int64) *scan {
	s := &scan{rel: Date, types: v.types, keys: keys, unique: v.single()}
	s.within(d.bounds())
	return s
}

// single tells that a resource has at most one value of the parameter.
func (v *valueReader) single() bool {
	for _, sp := range v.ps {
		if !sp.single {
			return false
		}
	}
	return true
}

// within sets a scan of dates to the rows within bounds.
func (s *scan) within(b bounds, more []residual) {
	s.span, s.more, s.order, s.values = b, more, rankOpen, []string{"lo"}
	if (b.loMin != openLo || b.hiMin != openLo) && (b.loMax != openHi || b.hiMax != openHi) {
		s.order = rankBounded
	}
	part := func(narrow bool, first string) func(c *compilation, a string) string {
		return func(c *compilation, a string) string {
			parts := []string{b.sql(c, a, narrow)}
			if first != "" {
				parts = append([]string{strings.ReplaceAll(first, "$", a)}, parts...)
			}
			for _, m := range more {
				parts = append(parts, m(c, a))
			}
			return and(parts...)
		}
	}
	if b.hiMin == openLo || b.loMin != openLo {
		s.where = part(false, "")
		return
	}
	// Ends beyond a moment: narrow rows by their beginning, wide ones by their end.
	narrow, broad := part(true, "NOT $.wide"), part(false, "$.wide")
	s.where = func(c *compilation, a string) string { return "(" + narrow(c, a) + " OR " + broad(c, a) + ")" }
	s.arms, s.values = []func(c *compilation, a string) string{narrow, broad}, []string{"lo", "hi"}
}

// meet joins two date terms on one parameter that has at most one value into
// one range; ok is false where they cannot be joined.
func meet(a, b *scan) (*scan, bool) {
	if a.rel != Date || b.rel != Date || !a.unique || !b.unique || a.dict != nil || b.dict != nil || !slices.Equal(a.keys, b.keys) {
		return nil, false
	}
	s := &scan{rel: Date, types: a.types, keys: a.keys, unique: true}
	s.within(bounds{max(a.span.loMin, b.span.loMin), min(a.span.loMax, b.span.loMax), max(a.span.hiMin, b.span.hiMin), min(a.span.hiMax, b.span.hiMax)},
		slices.Concat(a.more, b.more))
	return s, true
}
