package fhir

import (
	"fmt"

	"github.com/cockroachdb/apd/v3"
)

// Decimal is an exact decimal number that remembers how it was written, and so
// its precision: 1.0 and 1.00 are equal numbers and different Decimals.
type Decimal struct {
	text  string
	value apd.Decimal
}

// ParseDecimal parses a number in the grammar of FHIR's decimal, which is
// JSON's: -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?. It refuses more than
// 64 significant digits and exponents beyond ±64, as Parse does.
func ParseDecimal(text string) (*Decimal, error) {
	if !isNumber(text) {
		return nil, fmt.Errorf("%q is not a decimal number", text)
	}
	if fault := numberFault([]byte(text)); fault != "" {
		return nil, fmt.Errorf("not acceptable: %s", fault)
	}
	d := &Decimal{text: text}
	if _, _, err := d.value.SetString(text); err != nil {
		return nil, fmt.Errorf("%q is not a decimal number: %w", text, err)
	}
	return d, nil
}

// isNumber checks the grammar.
func isNumber(s string) bool {
	i := 0
	digits := func() bool {
		start := i
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		return i > start
	}
	if i < len(s) && s[i] == '-' {
		i++
	}
	start := i
	if !digits() || s[start] == '0' && i-start > 1 {
		return false
	}
	if i < len(s) && s[i] == '.' {
		if i++; !digits() {
			return false
		}
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		if !digits() {
			return false
		}
	}
	return i == len(s)
}

// String returns the text as written.
func (d *Decimal) String() string { return d.text }

// Value returns the exact number. It must not be changed.
func (d *Decimal) Value() *apd.Decimal { return &d.value }

// Exponent is the power of ten of the last written digit: -2 for 1.00, 0 for
// 100, 2 for 1e2, 1 for 1.0e2.
func (d *Decimal) Exponent() int { return int(d.value.Exponent) }

// ImplicitRange returns the range that the number stands for by its precision
// (search.html#number): half a unit of the last written digit to either side,
// the lower end belonging to it and the upper one not. 100 → [99.5, 100.5),
// 100.00 → [99.995, 100.005), 1.0e2 → [95, 105), 1e2 → [50, 150).
//
// The table in the specification gives [95, 105) for 1e2; the rule above it,
// which says that 100 and 1.00e2 have three significant digits each, makes that
// the range of 1.0e2. The rule is followed.
func (d *Decimal) ImplicitRange() (lo, hi *apd.Decimal) {
	ten, five := apd.NewBigInt(10), apd.NewBigInt(5)
	scaled := new(apd.BigInt).Mul(&d.value.Coeff, ten)
	if d.value.Negative {
		scaled.Neg(scaled)
	}
	exponent := d.value.Exponent - 1
	return apd.NewWithBigInt(new(apd.BigInt).Sub(scaled, five), exponent),
		apd.NewWithBigInt(new(apd.BigInt).Add(scaled, five), exponent)
}
