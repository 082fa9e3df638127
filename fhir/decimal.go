package fhir

import "github.com/cockroachdb/apd/v3"

// Decimal is an exact decimal number that remembers how it was written.
type Decimal struct {
	text  string
	value apd.Decimal
}

// ParseDecimal parses a JSON number. It refuses more than 64 significant
// digits and exponents beyond ±64.
func ParseDecimal(text string) (Decimal, error) { return Decimal{}, nil }

// String returns the text as written.
func (d *Decimal) String() string { return d.text }

// Value returns the exact number. It must not be changed.
func (d *Decimal) Value() *apd.Decimal { return &d.value }

// ImplicitRange returns the range that the number stands for by its precision
// (R4 search, 3.1.1.5.3): half a unit of the last written digit below and
// above; 100 → [99.5, 100.5], 100.00 → [99.995, 100.005], 1e2 → [50, 150].
func (d *Decimal) ImplicitRange() (lo, hi *apd.Decimal) { return nil, nil }
