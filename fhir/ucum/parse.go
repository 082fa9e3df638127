package ucum

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// parser reads the grammar of UCUM (§2-§12):
//
//	main      = ["/"] term
//	term      = component { ("." | "/") component }
//	component = [factor | annotatable] [annotation] | annotation | "(" term ")"
type parser struct {
	code  string
	at    int
	depth int
}

func (p *parser) fault(format string, args ...any) error {
	return &Error{p.code, p.at, fmt.Sprintf(format, args...)}
}

func (p *parser) parse() (*Unit, error) {
	if p.code == "" {
		return nil, p.fault("it is empty; a number without a unit has the unit 1")
	}
	for i := range len(p.code) {
		if p.code[i] < '!' || p.code[i] > '~' {
			p.at = i
			return nil, p.fault("a code has only ASCII characters and no spaces")
		}
	}
	var u *Unit
	var err error
	if p.peek() == '/' {
		p.at++
		if u, err = p.term(); err == nil {
			u, err = p.divide(&Unit{factor: big.NewRat(1, 1)}, u)
		}
	} else {
		u, err = p.term()
	}
	if err != nil {
		return nil, err
	}
	if p.at < len(p.code) {
		return nil, p.fault("there is no meaning in %q at its end", p.code[p.at:])
	}
	return &Unit{code: p.code, factor: u.factor, dims: u.dims, special: u.special}, nil
}

func (p *parser) peek() byte {
	if p.at < len(p.code) {
		return p.code[p.at]
	}
	return 0
}

// term reads components from left to right: a/b.c is (a/b).c.
func (p *parser) term() (*Unit, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, p.fault("it is nested too deep")
	}
	defer func() { p.depth-- }()
	u, err := p.component()
	for err == nil && (p.peek() == '.' || p.peek() == '/') {
		op := p.peek()
		p.at++
		var v *Unit
		if v, err = p.component(); err != nil {
			break
		}
		if op == '.' {
			u, err = p.multiply(u, v)
		} else {
			u, err = p.divide(u, v)
		}
	}
	return u, err
}

func (p *parser) multiply(a, b *Unit) (*Unit, error) {
	// A special unit may be scaled by a number and nothing else (§21).
	if a.special != nil && len(b.dims) == 0 && b.special == nil {
		a, b = b, a
	}
	if b.special != nil && len(a.dims) == 0 && a.special == nil {
		return &Unit{factor: b.factor, dims: b.dims, special: b.special.scaled(a.factor)}, nil
	}
	if a.special != nil || b.special != nil {
		return nil, p.fault("a unit on a scale of its own, such as Cel or [pH], cannot be multiplied or divided")
	}
	return p.bounded(&Unit{factor: new(big.Rat).Mul(a.factor, b.factor), dims: combine(a.dims, b.dims, 1)})
}

func (p *parser) divide(a, b *Unit) (*Unit, error) {
	if a.special != nil || b.special != nil {
		return nil, p.fault("a unit on a scale of its own, such as Cel or [pH], cannot be multiplied or divided")
	}
	return p.bounded(&Unit{factor: new(big.Rat).Quo(a.factor, b.factor), dims: combine(a.dims, b.dims, -1)})
}

func (p *parser) bounded(u *Unit) (*Unit, error) {
	if u.factor.Num().BitLen() > maxBits || u.factor.Denom().BitLen() > maxBits {
		return nil, p.fault("its factor is out of range")
	}
	for _, d := range u.dims {
		if d.exp > maxExponent || d.exp < -maxExponent {
			return nil, p.fault("the power of %s is out of range", d.base)
		}
	}
	return u, nil
}

func (p *parser) component() (*Unit, error) {
	switch p.peek() {
	case '(':
		p.at++
		u, err := p.term()
		if err != nil {
			return nil, err
		}
		if p.peek() != ')' {
			return nil, p.fault("a parenthesis is not closed")
		}
		p.at++
		return u, nil
	case '{':
		return &Unit{factor: big.NewRat(1, 1)}, p.annotation()
	}
	start := p.at
	symbol, err := p.symbol()
	if err != nil {
		return nil, err
	}
	if symbol == "" {
		return nil, p.fault("a unit is missing")
	}
	u, err := p.simple(symbol, start)
	if err == nil && p.peek() == '{' {
		err = p.annotation()
	}
	return u, err
}

func (p *parser) annotation() error {
	end := strings.IndexByte(p.code[p.at:], '}')
	if end < 0 {
		return p.fault("an annotation is not closed with }")
	}
	if strings.IndexByte(p.code[p.at+1:p.at+end], '{') >= 0 {
		return p.fault("an annotation holds a {")
	}
	p.at += end + 1
	return nil
}

// symbol reads up to an operator; brackets may hold anything.
func (p *parser) symbol() (string, error) {
	start := p.at
	for p.at < len(p.code) {
		switch p.code[p.at] {
		case '.', '/', '(', ')', '{', '}':
			return p.code[start:p.at], nil
		case '[':
			end := strings.IndexByte(p.code[p.at:], ']')
			if end < 0 {
				return "", p.fault("a bracket is not closed with ]")
			}
			p.at += end
		}
		p.at++
	}
	return p.code[start:], nil
}

// simple reads a number, or an atom with its prefix and exponent.
func (p *parser) simple(symbol string, start int) (*Unit, error) {
	if strings.Trim(symbol, "0123456789") == "" {
		n, ok := new(big.Rat).SetString(symbol)
		if !ok || len(symbol) > 30 || n.Sign() == 0 {
			p.at = start
			return nil, p.fault("%s is not a factor", symbol)
		}
		return &Unit{factor: n}, nil
	}
	name := strings.TrimRight(symbol, "0123456789")
	exp := 1
	if name != symbol {
		digits := symbol[len(name):]
		if c := name[len(name)-1]; c == '-' || c == '+' {
			digits, name = symbol[len(name)-1:], name[:len(name)-1]
		}
		n, err := strconv.Atoi(digits)
		if err != nil || n > maxExponent || n < -maxExponent {
			p.at = start
			return nil, p.fault("the exponent %s is out of range", digits)
		}
		exp = n
	}
	u, err := p.atom(name, start)
	if err != nil || exp == 1 {
		return u, err
	}
	if u.special != nil {
		return nil, p.fault("a unit on a scale of its own, such as Cel or [pH], has no powers")
	}
	return p.bounded(power(u, exp))
}

func power(u *Unit, n int) *Unit {
	out := &Unit{factor: big.NewRat(1, 1)}
	m := max(n, -n)
	num := new(big.Int).Exp(u.factor.Num(), big.NewInt(int64(m)), nil)
	den := new(big.Int).Exp(u.factor.Denom(), big.NewInt(int64(m)), nil)
	if n < 0 {
		num, den = den, num
	}
	out.factor.SetFrac(num, den)
	if n != 0 {
		for _, d := range u.dims {
			out.dims = append(out.dims, dim{d.base, d.exp * n})
		}
	}
	return out
}

func (p *parser) atom(name string, start int) (*Unit, error) {
	t := load()
	if a := t.atoms[name]; a != nil {
		return a.resolve(p.depth)
	}
	for n := 1; n <= 2 && n < len(name); n++ {
		prefix, ok := t.prefixes[name[:n]]
		if !ok {
			continue
		}
		a := t.atoms[name[n:]]
		if a == nil {
			continue
		}
		if !a.is('m') {
			p.at = start
			return nil, p.fault("%s (%s) takes no prefix", a.code, a.name)
		}
		u, err := a.resolve(p.depth)
		if err != nil {
			return nil, err
		}
		if u.special != nil {
			return &Unit{factor: u.factor, dims: u.dims, special: u.special.scaled(prefix)}, nil
		}
		return &Unit{factor: new(big.Rat).Mul(prefix, u.factor), dims: u.dims}, nil
	}
	p.at = start
	return nil, p.fault("%s is not known%s", name, suggestion(t, name))
}

// suggestion names the unit that was probably meant.
func suggestion(t *tables, name string) string {
	if a := t.atoms["["+name+"]"]; a != nil {
		return fmt.Sprintf("; %s (%s) is", a.code, a.name)
	}
	var found *atom
	for _, a := range t.atoms {
		if (strings.EqualFold(a.code, name) || strings.EqualFold(a.name, name) || strings.EqualFold(a.name+"s", name)) && (found == nil || a.code < found.code) {
			found = a
		}
	}
	if found != nil {
		return fmt.Sprintf("; %s (%s) is", found.code, found.name)
	}
	return ""
}
