package ucum

import (
	"fmt"
	"math/big"

	"github.com/cockroachdb/apd/v3"
)

// resultDigits is the precision of a value whose exact form does not end.
const resultDigits = 34

var context = func() *apd.Context {
	c := apd.BaseContext.WithPrecision(resultDigits)
	c.Rounding = apd.RoundHalfEven
	return c
}()

// Convert converts a value between units. The result is exact if it has at
// most 34 significant digits, else rounded to them.
func Convert(x *apd.Decimal, from, to string) (*apd.Decimal, error) {
	u, err := Parse(from)
	if err != nil {
		return nil, err
	}
	v, err := Parse(to)
	if err != nil {
		return nil, err
	}
	if from == to {
		return x, nil
	}
	if !u.Comparable(v) {
		return nil, fmt.Errorf("%s cannot be converted to %s: one is measured in %s, the other in %s", from, to, u.Base(), v.Base())
	}
	base, err := u.base(x)
	if err != nil {
		return nil, err
	}
	y, err := v.fromBase(base)
	if err != nil {
		return nil, err
	}
	return decimal(y, u.special != nil || v.special != nil)
}

// Canonical converts a value to the canonical unit of its dimension, so that
// values of comparable units are equal exactly if their canonical forms are:
// 5 mg/dL is 50 g.m-3.
func Canonical(x *apd.Decimal, code string) (value *apd.Decimal, unit string, err error) {
	u, err := Parse(code)
	if err != nil {
		return nil, "", err
	}
	base, err := u.base(x)
	if err != nil {
		return nil, "", err
	}
	value, err = decimal(base, u.special != nil)
	return value, u.Base(), err
}

// Compare orders two values with units; ok is false if a unit is unknown or
// the two measure different things.
func Compare(x *apd.Decimal, unitX string, y *apd.Decimal, unitY string) (c int, ok bool) {
	if unitX == unitY {
		return x.Cmp(y), true
	}
	u, err := Parse(unitX)
	if err != nil {
		return 0, false
	}
	v, err := Parse(unitY)
	if err != nil || !u.Comparable(v) {
		return 0, false
	}
	a, err := u.base(x)
	if err != nil {
		return 0, false
	}
	b, err := v.base(y)
	if err != nil {
		return 0, false
	}
	return a.Cmp(b), true
}

// Product multiplies two values (divides, if quotient is true) and returns the
// result in the canonical unit.
func Product(x *apd.Decimal, unitX string, y *apd.Decimal, unitY string, quotient bool) (value *apd.Decimal, unit string, err error) {
	u, err := Parse(unitX)
	if err != nil {
		return nil, "", err
	}
	v, err := Parse(unitY)
	if err != nil {
		return nil, "", err
	}
	a, err := u.base(x)
	if err != nil {
		return nil, "", err
	}
	b, err := v.base(y)
	if err != nil {
		return nil, "", err
	}
	sign, r := 1, new(big.Rat)
	if quotient {
		if b.Sign() == 0 {
			return nil, "", fmt.Errorf("division by zero")
		}
		sign = -1
		r.Quo(a, b)
	} else {
		r.Mul(a, b)
	}
	value, err = decimal(r, u.special != nil || v.special != nil)
	return value, (&Unit{dims: combine(u.dims, v.dims, sign)}).Base(), err
}

func (u *Unit) base(x *apd.Decimal) (*big.Rat, error) {
	r, err := rat(x)
	if err != nil {
		return nil, err
	}
	return u.toBase(r)
}

// decimal writes a rational as a decimal. What came through a float64 is
// rounded to the digits that one has.
func decimal(r *big.Rat, inexact bool) (*apd.Decimal, error) {
	num, den := new(apd.Decimal), new(apd.Decimal)
	num.Coeff.SetMathBigInt(new(big.Int).Abs(r.Num()))
	num.Negative = r.Sign() < 0
	den.Coeff.SetMathBigInt(r.Denom())
	ctx := *context
	if inexact {
		ctx.Precision = 15
	}
	out := new(apd.Decimal)
	if _, err := ctx.Quo(out, num, den); err != nil {
		return nil, fmt.Errorf("the number is out of range: %w", err)
	}
	out.Reduce(out)
	if out.Exponent > 0 && out.Exponent < 30 { // 1E+3 → 1000
		out.Coeff.Mul(&out.Coeff, new(apd.BigInt).Exp(apd.NewBigInt(10), apd.NewBigInt(int64(out.Exponent)), nil))
		out.Exponent = 0
	}
	return out, nil
}
