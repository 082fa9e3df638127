package profiles

import (
	"bytes"

	"github.com/cockroachdb/apd/v3"

	"ingle/fhir"
)

// check is one compiled rule on an element.
type check func(r *run, it *item)

// equalNode tells whether two JSON values are the same value: members in any
// order, decimals by value.
func equalNode(a, b fhir.Node) bool {
	if a.Kind() != b.Kind() || a.Len() != b.Len() {
		return false
	}
	switch a.Kind() {
	case fhir.Object:
		for m := a.First(); m.Valid(); m = m.Next() {
			if o := b.Get(m.Key()); !o.Valid() || !equalNode(m, o) {
				return false
			}
		}
		return true
	case fhir.Array:
		for x, y := a.First(), b.First(); x.Valid(); x, y = x.Next(), y.Next() {
			if !equalNode(x, y) {
				return false
			}
		}
		return true
	}
	return equalScalar(a, b)
}

func equalScalar(a, b fhir.Node) bool {
	if bytes.Equal(a.Bytes(), b.Bytes()) {
		return true
	}
	if a.Kind() != fhir.Number || b.Kind() != fhir.Number {
		return false
	}
	return compareNumbers(a.Text(), b.Text()) == 0
}

// compareNumbers orders two JSON numbers by value.
func compareNumbers(a, b string) int {
	x, _, errX := apd.NewFromString(a)
	y, _, errY := apd.NewFromString(b)
	if errX != nil || errY != nil {
		return bytes.Compare([]byte(a), []byte(b))
	}
	return x.Cmp(y)
}

// hasPattern tells whether a value holds at least what a pattern says
// (ElementDefinition.pattern[x]): each member of an object, each element of an
// array somewhere in the array.
func hasPattern(v, pattern fhir.Node) bool {
	if v.Kind() != pattern.Kind() {
		return false
	}
	switch pattern.Kind() {
	case fhir.Object:
		for m := pattern.First(); m.Valid(); m = m.Next() {
			if o := v.Get(m.Key()); !o.Valid() || !hasPattern(o, m) {
				return false
			}
		}
		return true
	case fhir.Array:
		for p := pattern.First(); p.Valid(); p = p.Next() {
			found := false
			for o := v.First(); o.Valid() && !found; o = o.Next() {
				found = hasPattern(o, p)
			}
			if !found {
				return false
			}
		}
		return true
	}
	return equalScalar(v, pattern)
}

// valueChecks compiles what a definition says of an element's value beyond
// what base (nil for nothing) has said already.
func (e *engine) valueChecks(def, base *element, s *structure) []check {
	var out []check
	cite := s.canonical()
	if f := def.fixed; f.Valid() && (base == nil || !base.fixed.Valid() || !equalNode(f, base.fixed)) {
		out = append(out, func(r *run, it *item) {
			if !it.n.Valid() || !equalNode(it.n, f) {
				r.fail(it.at(), fhir.CodeValue, cite, "the value must be exactly %s", short(f))
			}
		})
	}
	if p := def.pattern; p.Valid() && (base == nil || !base.pattern.Valid() || !equalNode(p, base.pattern)) {
		out = append(out, func(r *run, it *item) {
			if !it.n.Valid() || !hasPattern(it.n, p) {
				r.fail(it.at(), fhir.CodeValue, cite, "the value must have at least %s", short(p))
			}
		})
	}
	if limit := def.maxLength; limit > 0 && (base == nil || base.maxLength != limit) {
		out = append(out, func(r *run, it *item) {
			if n := len([]rune(it.n.Text())); it.n.Kind() == fhir.String && n > limit {
				r.fail(it.n, fhir.CodeTooLong, cite, "the text has %d characters, at most %d are allowed", n, limit)
			}
		})
	}
	if low := def.minValue; low.Valid() && (base == nil || !base.minValue.Valid()) {
		out = append(out, limitCheck(low, -1, "at least", cite))
	}
	if high := def.maxValue; high.Valid() && (base == nil || !base.maxValue.Valid()) {
		out = append(out, limitCheck(high, 1, "at most", cite))
	}
	return out
}

// limitCheck compiles minValue[x] (side -1) and maxValue[x] (side 1).
func limitCheck(limit fhir.Node, side int, words, cite string) check {
	return func(r *run, it *item) {
		v, l := it.n, limit
		if v.Kind() == fhir.Object && l.Kind() == fhir.Object { // Quantity: same unit only
			if v.Get("system").Text() != l.Get("system").Text() || v.Get("code").Text() != l.Get("code").Text() {
				return
			}
			v, l = v.Get("value"), l.Get("value")
		}
		if v.Kind() != l.Kind() {
			return
		}
		var c int
		switch v.Kind() {
		case fhir.Number:
			c = compareNumbers(v.Text(), l.Text())
		case fhir.String:
			c = compareDates(v.Text(), l.Text())
		default:
			return
		}
		if c*side > 0 {
			r.fail(it.n, fhir.CodeValue, cite, "the value must be %s %s", words, short(limit))
		}
	}
}

// compareDates orders dates and times by the spans they stand for; 0 where the
// spans overlap.
func compareDates(a, b string) int {
	x, okX := anyDate(a)
	y, okY := anyDate(b)
	if !okX || !okY {
		return 0
	}
	xl, xh := x.Range()
	yl, yh := y.Range()
	switch {
	case xh < yl:
		return -1
	case xl > yh:
		return 1
	}
	return 0
}

func anyDate(s string) (fhir.Date, bool) {
	if d, err := fhir.ParseDateTime(s); err == nil {
		return d, true
	}
	d, err := fhir.ParseTime(s)
	return d, err == nil
}

// short is a JSON value on one line, for a message.
func short(n fhir.Node) string {
	raw := string(bytes.Join(bytes.Fields(n.Raw()), []byte(" ")))
	if len(raw) > 200 {
		raw = raw[:200] + "…"
	}
	return raw
}
