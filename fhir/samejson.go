package fhir

import (
	"bytes"
	"strconv"
	"strings"
)

// SameJSON tells whether two values are equal as RFC 6902, 4.6 has it: members
// in any order, numbers by their value.
func SameJSON(a, b Node) bool {
	if a.Kind() != b.Kind() || a.Len() != b.Len() {
		return false
	}
	switch a.Kind() {
	case Object:
		for m := a.First(); m.Valid(); m = m.Next() {
			other := b.Get(m.Key())
			if !other.Valid() || !SameJSON(m, other) {
				return false
			}
		}
		return true
	case Array:
		for x, y := a.First(), b.First(); x.Valid(); x, y = x.Next(), y.Next() {
			if !SameJSON(x, y) {
				return false
			}
		}
		return true
	case String:
		return a.Text() == b.Text()
	case Number:
		return sameNumber(a.Text(), b.Text())
	}
	return bytes.Equal(a.Raw(), b.Raw())
}

func sameNumber(a, b string) bool {
	if a == b {
		return true
	}
	na, da, ea := plainNumber(a)
	nb, db, eb := plainNumber(b)
	return da == db && (da == "" || na == nb && ea == eb)
}

// plainNumber takes a JSON number apart into sign, digits without zeros at
// either end ("" for zero) and the exponent of the last digit.
func plainNumber(text string) (negative bool, digits string, exponent int) {
	text, negative = strings.CutPrefix(text, "-")
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		exponent, _ = strconv.Atoi(text[i+1:]) // bounded by Parse
		text = text[:i]
	}
	whole, fraction, _ := strings.Cut(text, ".")
	exponent -= len(fraction)
	digits = strings.TrimLeft(whole+fraction, "0")
	short := strings.TrimRight(digits, "0")
	return negative, short, exponent + len(digits) - len(short)
}
