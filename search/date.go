package search

import (
	"math"

	"ingle/fhir"
)

// A date is a range: what its precision leaves open, or a Period (R4 3.1.1.5.6).
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
