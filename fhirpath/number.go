package fhirpath

import (
	"math"
	"strconv"

	"github.com/cockroachdb/apd/v3"
)

// Decimals are exact: sums, differences and products are not rounded within
// 100 digits. Quotients, roots and logarithms have 28 significant digits, the
// precision N1 asks of an implementation (4.1.4).
var (
	exact    = apd.BaseContext.WithPrecision(100)
	rounding = apd.BaseContext.WithPrecision(28)
	one      = apd.New(1, 0)
)

// maxExponent bounds computed numbers, so that writing one out stays small.
const maxExponent = 100

func init() {
	for _, c := range []*apd.Context{exact, rounding} {
		c.MaxExponent, c.MinExponent = maxExponent, -maxExponent
		c.Traps = apd.Overflow | apd.InvalidOperation | apd.DivisionByZero | apd.DivisionUndefined | apd.DivisionImpossible
		c.Rounding = apd.RoundHalfUp
	}
}

// integerText reads an Integer: 32 bits with a sign.
func integerText(s string) (Value, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return Integer(n), err == nil && n >= math.MinInt32 && n <= math.MaxInt32
}

// decimalText reads a number of at most 64 digits without exponent.
func decimalText(s string) (*apd.Decimal, bool) {
	if len(s) > 70 {
		return nil, false
	}
	d, _, err := apd.NewFromString(s)
	return d, err == nil && d.Form == apd.Finite
}

// integer makes an Integer of a computed number, nothing where it does not fit
// (N1, 6.6: overflow is empty).
func integerResult(n int64) (Value, bool) {
	return Integer(n), n >= math.MinInt32 && n <= math.MaxInt32
}

// places counts the decimal places that are not trailing zeros.
func places(d *apd.Decimal) int32 {
	var r apd.Decimal
	r.Reduce(d)
	return max(-r.Exponent, 0)
}

// roundTo returns d rounded to n decimal places.
func roundTo(d *apd.Decimal, n int32, mode apd.Rounder) (*apd.Decimal, bool) {
	ctx := *exact
	ctx.Rounding = mode
	var r apd.Decimal
	if _, err := ctx.Quantize(&r, d, -n); err != nil {
		return nil, false
	}
	return &r, true
}

// equivalentDecimal is ~: equal when rounded to the places of the one that has
// fewer (N1, 6.1).
func equivalentDecimal(a, b *apd.Decimal) bool {
	n := min(places(a), places(b))
	ra, ok := roundTo(a, n, apd.RoundHalfUp)
	rb, ok2 := roundTo(b, n, apd.RoundHalfUp)
	return ok && ok2 && ra.Cmp(rb) == 0
}

// plain removes trailing zeros of the fraction, and a positive exponent.
func plain(d *apd.Decimal) {
	d.Reduce(d)
	if d.Exponent > 0 {
		var r apd.Decimal
		if _, err := exact.Quantize(&r, d, 0); err == nil {
			d.Set(&r)
		}
	}
}
