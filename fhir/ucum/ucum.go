// Package ucum reads, compares and converts units of the Unified Code for
// Units of Measure (https://ucum.org), case sensitive.
//
//	mg, err := ucum.Parse("mg/dL")
//	v, err := ucum.Convert(value, "mg/dL", "g/L")
//
// Factors are exact rational numbers, so that 1 [in_i] is 2.54 cm and not
// nearly so. Units on a scale of their own (Cel, [degF], [pH], B …) convert
// through their function: temperatures exactly, logarithms with the precision
// of a float64. The table is that of UCUM itself; see NOTICE.md.
package ucum

import (
	_ "embed"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/cockroachdb/apd/v3"
)

//go:embed units.tsv
var table string

// System is the canonical URL of UCUM as a code system.
const System = "http://unitsofmeasure.org"

// The bounds of a unit's code.
const (
	maxCode     = 256    // bytes
	maxExponent = 99     // of one component
	maxDepth    = 20     // of parentheses
	maxBits     = 20_000 // of a factor's numerator or denominator
)

// Unit is a parsed unit. It is immutable.
type Unit struct {
	code    string
	factor  *big.Rat // how many base units one of it is
	dims    []dim    // sorted by base, none zero
	special *function
}

// dim is a power of a base unit. The base units are m, s, g, rad, K, C and cd;
// besides them each arbitrary unit ([iU], [NTU]) stands for itself, as it can
// be compared with nothing else (UCUM, §24).
type dim struct {
	base string
	exp  int
}

// Error says why a code is not a unit.
type Error struct {
	Code string
	At   int // byte offset in Code
	Msg  string
}

func (e *Error) Error() string { return fmt.Sprintf("%q is not a UCUM unit: %s", e.Code, e.Msg) }

// atom is a line of the table.
type atom struct {
	code, flags, value, unit, function, name string

	once sync.Once
	def  *Unit
	err  error
}

func (a *atom) is(flag byte) bool { return strings.IndexByte(a.flags, flag) >= 0 }

type tables struct {
	atoms    map[string]*atom
	prefixes map[string]*big.Rat
	names    map[string]string // of prefixes
}

var load = sync.OnceValue(func() *tables {
	t := &tables{atoms: map[string]*atom{}, prefixes: map[string]*big.Rat{}, names: map[string]string{}}
	for line := range strings.Lines(table) {
		if line[0] == '#' {
			continue
		}
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		a := &atom{code: f[0], flags: f[1], value: f[2], unit: f[3], function: f[4], name: f[5]}
		if a.is('p') {
			t.prefixes[a.code], _ = new(big.Rat).SetString(a.value)
			t.names[a.code] = a.name
			continue
		}
		t.atoms[a.code] = a
	}
	return t
})

// unit returns what the atom is in base units.
func (a *atom) resolve(depth int) (*Unit, error) {
	a.once.Do(func() {
		value, ok := new(big.Rat).SetString(a.value)
		switch {
		case !ok:
			a.err = fmt.Errorf("the value of %s in the table is no number", a.code)
		case a.is('b'):
			a.def = &Unit{code: a.code, factor: value, dims: []dim{{a.code, 1}}}
		case a.is('a'):
			// [IU] is 1 [iU]: an arbitrary unit defined by another one is that one.
			if base, err := (&parser{code: a.unit, depth: depth + 1}).parse(); err == nil && len(base.dims) == 1 && a.unit != "1" {
				a.def = &Unit{code: a.code, factor: value.Mul(value, base.factor), dims: base.dims}
				return
			}
			a.def = &Unit{code: a.code, factor: big.NewRat(1, 1), dims: []dim{{a.code, 1}}}
		default:
			base, err := (&parser{code: a.unit, depth: depth + 1}).parse()
			if err != nil {
				a.err = err
				return
			}
			a.def = &Unit{code: a.code, factor: value.Mul(value, base.factor), dims: base.dims}
			if a.is('s') {
				if a.def.special = functions[a.function]; a.def.special == nil {
					a.err = fmt.Errorf("the function %s of %s is not known", a.function, a.code)
				}
			}
		}
	})
	return a.def, a.err
}

// cache keeps parsed units; when it is full further ones are parsed each time.
var cache struct {
	sync.RWMutex
	units map[string]*Unit
}

const cacheSize = 4096

// Parse reads a unit's code: "mg/dL", "10*3/uL", "m[H2O]", "{score}". Its errors
// are *Error.
func Parse(code string) (*Unit, error) {
	cache.RLock()
	u := cache.units[code]
	cache.RUnlock()
	if u != nil {
		return u, nil
	}
	if len(code) > maxCode {
		return nil, &Error{code[:32] + "…", 0, fmt.Sprintf("it is longer than %d bytes", maxCode)}
	}
	u, err := (&parser{code: code}).parse()
	if err != nil {
		return nil, err
	}
	u.code = strings.Clone(code)
	cache.Lock()
	defer cache.Unlock()
	if cache.units == nil {
		cache.units = make(map[string]*Unit)
	}
	if len(cache.units) < cacheSize {
		cache.units[u.code] = u
	}
	return u, nil
}

// Code returns the code as it was given to Parse.
func (u *Unit) Code() string { return u.code }

// Comparable tells whether values in the two units can be converted into each
// other.
func (u *Unit) Comparable(v *Unit) bool { return slices.Equal(u.dims, v.dims) }

// Base returns the code of the canonical unit that the unit converts to: base
// units in the order of the alphabet, "g.m-3"; "1" for a number.
func (u *Unit) Base() string {
	if len(u.dims) == 0 {
		return "1"
	}
	var b strings.Builder
	for i, d := range u.dims {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(d.base)
		if d.exp != 1 {
			b.WriteString(strconv.Itoa(d.exp))
		}
	}
	return b.String()
}

// IsSpecial tells whether the unit has a scale of its own (Cel, [pH]), so that
// values do not convert by a factor.
func (u *Unit) IsSpecial() bool { return u.special != nil }

// Factor returns how many of the canonical unit one of the unit is; it has no
// meaning for special units. The result must not be changed.
func (u *Unit) Factor() *big.Rat { return u.factor }

// toBase converts a value in the unit to the canonical unit.
func (u *Unit) toBase(x *big.Rat) (*big.Rat, error) {
	if u.special != nil {
		return u.special.toBase(x, u.factor)
	}
	return new(big.Rat).Mul(x, u.factor), nil
}

// fromBase converts a value in the canonical unit to the unit.
func (u *Unit) fromBase(x *big.Rat) (*big.Rat, error) {
	if u.special != nil {
		return u.special.fromBase(x, u.factor)
	}
	return new(big.Rat).Quo(x, u.factor), nil
}

// dimension arithmetic

func combine(a, b []dim, sign int) []dim {
	out := slices.Clone(a)
	for _, d := range b {
		i := slices.IndexFunc(out, func(o dim) bool { return o.base == d.base })
		if i < 0 {
			out = append(out, dim{d.base, sign * d.exp})
			continue
		}
		if out[i].exp += sign * d.exp; out[i].exp == 0 {
			out = slices.Delete(out, i, i+1)
		}
	}
	slices.SortFunc(out, func(a, b dim) int { return strings.Compare(a.base, b.base) })
	return out
}

func rat(d *apd.Decimal) (*big.Rat, error) {
	if d.Form != apd.Finite || d.Exponent > 1000 || d.Exponent < -1000 {
		return nil, fmt.Errorf("the number is out of range")
	}
	r, ok := new(big.Rat).SetString(d.Text('E'))
	if !ok {
		return nil, fmt.Errorf("the number is out of range")
	}
	return r, nil
}
