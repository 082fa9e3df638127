package ucum

import (
	"errors"
	"math"
	"math/big"
)

// function is the scale of a special unit: to maps a value to a multiple of
// the unit that defines it, from is its inverse.
type function struct {
	to, from func(*big.Rat) (*big.Rat, error)
	scale    *big.Rat // of a prefix or a number before the unit; nil for 1
}

func (f *function) scaled(by *big.Rat) *function {
	s := *f
	if s.scale = by; f.scale != nil {
		s.scale = new(big.Rat).Mul(f.scale, by)
	}
	return &s
}

func (f *function) toBase(x, factor *big.Rat) (*big.Rat, error) {
	if f.scale != nil {
		x = new(big.Rat).Mul(x, f.scale)
	}
	y, err := f.to(x)
	if err != nil {
		return nil, err
	}
	return y.Mul(y, factor), nil
}

func (f *function) fromBase(x, factor *big.Rat) (*big.Rat, error) {
	y, err := f.from(new(big.Rat).Quo(x, factor))
	if err != nil || f.scale == nil {
		return y, err
	}
	return y.Quo(y, f.scale), nil
}

// offset is a temperature scale whose zero lies n/d degrees above absolute zero.
func offset(n, d int64) *function {
	zero := big.NewRat(n, d)
	return &function{
		to:   func(x *big.Rat) (*big.Rat, error) { return new(big.Rat).Add(x, zero), nil },
		from: func(x *big.Rat) (*big.Rat, error) { return new(big.Rat).Sub(x, zero), nil },
	}
}

var errRange = errors.New("the value has no meaning on the scale of its unit")

// real is a function that is computed with a float64.
func real(to, from func(float64) float64) *function {
	lift := func(f func(float64) float64) func(*big.Rat) (*big.Rat, error) {
		return func(x *big.Rat) (*big.Rat, error) {
			v, _ := x.Float64()
			y := f(v)
			if math.IsNaN(y) || math.IsInf(y, 0) || y != 0 && (math.Abs(y) > 1e300 || math.Abs(y) < 1e-300) {
				return nil, errRange
			}
			return new(big.Rat).SetFloat64(y), nil
		}
	}
	return &function{to: lift(to), from: lift(from)}
}

func power10(x float64) float64 { return math.Pow(10, x) }

// homeopathic potencies: the exponent of a dilution.
func potency(base float64) *function {
	return real(func(x float64) float64 { return math.Pow(base, -x) },
		func(x float64) float64 { return -math.Log(x) / math.Log(base) })
}

// functions are those that the table names (UCUM, §21 and the tables of
// special units).
var functions = map[string]*function{
	"Cel":   offset(27315, 100),
	"degF":  offset(45967, 100),
	"degRe": offset(27315*4, 500), // K/1.25 above absolute zero
	"pH":    real(func(x float64) float64 { return power10(-x) }, func(x float64) float64 { return -math.Log10(x) }),
	"ln":    real(math.Exp, math.Log),
	"lg":    real(power10, math.Log10),
	"lgTimes2": real(func(x float64) float64 { return power10(x / 2) },
		func(x float64) float64 { return 2 * math.Log10(x) }),
	"ld":          real(math.Exp2, math.Log2),
	"sqrt":        real(func(x float64) float64 { return x * x }, math.Sqrt),
	"tanTimes100": real(func(x float64) float64 { return math.Atan(x / 100) }, func(x float64) float64 { return 100 * math.Tan(x) }),
	// The angle of a slope is counted in degrees.
	"100tan": real(func(x float64) float64 { return math.Atan(x/100) * 180 / math.Pi },
		func(x float64) float64 { return 100 * math.Tan(x*math.Pi/180) }),
	"hpX": potency(10),
	"hpC": potency(100),
	"hpM": potency(1000),
	"hpQ": potency(50000),
}
