package syntax

import (
	"strings"
	"unicode/utf8"
)

// The bounds of an expression. The longest one in R4 has about 3,300 bytes.
const (
	MaxLength = 64 << 10 // bytes
	maxDepth  = 100      // nesting of parentheses, arguments, indexers, signs
	maxNodes  = 10_000   // parts
	maxNumber = 64       // digits of a number
)

type parser struct {
	lexer
	tok   token
	depth int
	nodes int
}

// Parse reads an expression. Its errors are *Error.
func Parse(expr string) (Node, error) {
	if len(expr) > MaxLength {
		return nil, NewError(expr, MaxLength, "the expression is longer than %d bytes", MaxLength)
	}
	for i, r := range expr {
		if r == utf8.RuneError && !strings.HasPrefix(expr[i:], string(utf8.RuneError)) {
			return nil, NewError(expr, i, "this is not UTF-8")
		}
	}
	p := &parser{lexer: lexer{src: expr}}
	if err := p.advance(); err != nil {
		return nil, err
	}
	n, err := p.expression(0)
	if err != nil {
		return nil, err
	}
	if p.tok.kind != tokEOF {
		return nil, p.unexpected("an operator or the end")
	}
	return n, nil
}

func (p *parser) advance() (err error) {
	p.tok, err = p.next()
	return err
}

func (p *parser) unexpected(want string) error {
	return p.fault(p.tok.pos, "%s stands where %s is expected", p.tok, want)
}

func (p *parser) is(op string) bool { return p.tok.kind == tokOp && p.tok.text == op }

func (p *parser) expect(op string) error {
	if !p.is(op) {
		return p.unexpected("'" + op + "'")
	}
	return p.advance()
}

func (p *parser) count() error {
	if p.nodes++; p.nodes > maxNodes {
		return p.fault(p.tok.pos, "the expression has more than %d parts", maxNodes)
	}
	return nil
}

// The levels of precedence, loose to tight (FHIRPath N1, section 6.8).
const (
	levelImplies = iota + 1
	levelOr
	levelAnd
	levelMembership
	levelEquality
	levelInequality
	levelUnion
	levelType
	levelAdditive
	levelMultiplicative
	levelUnary
)

func (p *parser) operatorLevel() int {
	if p.tok.kind != tokOp && p.tok.kind != tokName {
		return 0
	}
	switch p.tok.text {
	case "implies":
		return levelImplies
	case "or", "xor":
		return levelOr
	case "and":
		return levelAnd
	case "in", "contains":
		return levelMembership
	case "=", "~", "!=", "!~":
		return levelEquality
	case "<", "<=", ">", ">=":
		return levelInequality
	case "|":
		return levelUnion
	case "is", "as":
		return levelType
	case "+", "-", "&":
		return levelAdditive
	case "*", "/", "div", "mod":
		return levelMultiplicative
	}
	return 0
}

// expression reads operators that bind tighter than level.
func (p *parser) expression(level int) (Node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, p.fault(p.tok.pos, "the expression is nested more than %d levels deep", maxDepth)
	}
	defer func() { p.depth-- }()
	left, err := p.unary()
	if err != nil {
		return nil, err
	}
	for {
		l := p.operatorLevel()
		if l <= level {
			return left, nil
		}
		op := p.tok
		if err := p.count(); err != nil {
			return nil, err
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
		if l == levelType {
			t, err := p.typeName()
			if err != nil {
				return nil, err
			}
			left = &TypeTest{pos: pos(op.pos), Op: op.text, X: left, Type: t}
			continue
		}
		right, err := p.expression(l)
		if err != nil {
			return nil, err
		}
		left = &Binary{pos: pos(op.pos), Op: op.text, L: left, R: right}
	}
}

// typeName reads T or Namespace.T; the first part is a namespace only if it is
// one of the two that there are.
func (p *parser) typeName() (TypeName, error) {
	t := TypeName{At: p.tok.pos}
	if p.tok.kind != tokName && p.tok.kind != tokQuoted {
		return t, p.unexpected("the name of a type")
	}
	t.Name = p.tok.text
	if err := p.advance(); err != nil {
		return t, err
	}
	if p.is(".") && (t.Name == "System" || t.Name == "FHIR") {
		if err := p.advance(); err != nil {
			return t, err
		}
		if p.tok.kind != tokName && p.tok.kind != tokQuoted {
			return t, p.unexpected("the name of a type")
		}
		t.Namespace, t.Name = t.Name, p.tok.text
		if err := p.advance(); err != nil {
			return t, err
		}
	}
	return t, nil
}

func (p *parser) unary() (Node, error) {
	if p.is("-") || p.is("+") {
		op := p.tok
		if err := p.count(); err != nil {
			return nil, err
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
		x, err := p.expression(levelUnary)
		if err != nil {
			return nil, err
		}
		return &Unary{pos: pos(op.pos), Op: op.text, X: x}, nil
	}
	n, err := p.term()
	if err != nil {
		return nil, err
	}
	for {
		switch {
		case p.is("."):
			if err := p.advance(); err != nil {
				return nil, err
			}
			if n, err = p.invocation(n); err != nil {
				return nil, err
			}
		case p.is("["):
			at := p.tok.pos
			if err := p.count(); err != nil {
				return nil, err
			}
			if err := p.advance(); err != nil {
				return nil, err
			}
			x, err := p.expression(0)
			if err != nil {
				return nil, err
			}
			if err := p.expect("]"); err != nil {
				return nil, err
			}
			n = &Index{pos: pos(at), Of: n, At: x}
		default:
			return n, nil
		}
	}
}

// invocation reads what follows a dot.
func (p *parser) invocation(of Node) (Node, error) {
	switch p.tok.kind {
	case tokName, tokQuoted:
		return p.name(of)
	case tokContext:
		// $this after a dot is allowed by the grammar; it is the same as alone.
		return p.term()
	}
	return nil, p.unexpected("the name of an element or function")
}

// name reads an element or a function call.
func (p *parser) name(of Node) (Node, error) {
	t := p.tok
	if err := p.count(); err != nil {
		return nil, err
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if !p.is("(") {
		return &Member{pos: pos(t.pos), Of: of, Name: t.text, Quoted: t.kind == tokQuoted}, nil
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	call := &Call{pos: pos(t.pos), Of: of, Name: t.text}
	for !p.is(")") {
		if len(call.Args) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
		}
		x, err := p.expression(0)
		if err != nil {
			return nil, err
		}
		if call.Name == "sort" && p.tok.kind == tokName && (p.tok.text == "asc" || p.tok.text == "desc") {
			x = &Direction{pos: pos(p.tok.pos), X: x, Descending: p.tok.text == "desc"}
			if err := p.advance(); err != nil {
				return nil, err
			}
		}
		call.Args = append(call.Args, x)
	}
	return call, p.advance()
}

func (p *parser) term() (Node, error) {
	t := p.tok
	switch t.kind {
	case tokName:
		switch t.text {
		case "true", "false":
			return p.literal(Boolean)
		case "and", "or", "xor", "implies", "div", "mod":
			return nil, p.unexpected("a value")
		}
		return p.name(nil)
	case tokQuoted:
		return p.name(nil)
	case tokString:
		return p.literal(String)
	case tokInteger:
		return p.literal(Integer)
	case tokDecimal:
		return p.literal(Decimal)
	case tokDate:
		return p.literal(Date)
	case tokDateTime:
		return p.literal(DateTime)
	case tokTime:
		return p.literal(Time)
	case tokVariable:
		if err := p.count(); err != nil {
			return nil, err
		}
		return &Variable{pos(t.pos), t.text}, p.advance()
	case tokContext:
		if err := p.count(); err != nil {
			return nil, err
		}
		return &Context{pos(t.pos), t.text}, p.advance()
	}
	switch {
	case p.is("("):
		if err := p.advance(); err != nil {
			return nil, err
		}
		n, err := p.expression(0)
		if err != nil {
			return nil, err
		}
		return n, p.expect(")")
	case p.is("{"):
		if err := p.advance(); err != nil {
			return nil, err
		}
		return &Empty{pos(t.pos)}, p.expect("}")
	}
	return nil, p.unexpected("a value")
}

func (p *parser) literal(kind LiteralKind) (Node, error) {
	lit := &Literal{pos: pos(p.tok.pos), Kind: kind, Text: p.tok.text}
	if err := p.count(); err != nil {
		return nil, err
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if kind != Integer && kind != Decimal {
		return lit, nil
	}
	switch p.tok.kind {
	case tokString:
		lit.Kind, lit.Unit = Quantity, p.tok.text
		return lit, p.advance()
	case tokName:
		if unit, ok := CalendarUnit(p.tok.text); ok {
			lit.Kind, lit.Unit, lit.Calendar = Quantity, unit, true
			return lit, p.advance()
		}
	}
	return lit, nil
}

// CalendarUnit reads the word of a calendar duration, year or years to
// millisecond or milliseconds, and returns it in the singular.
func CalendarUnit(word string) (unit string, ok bool) {
	switch unit = strings.TrimSuffix(word, "s"); unit {
	case "year", "month", "week", "day", "hour", "minute", "second", "millisecond":
		return unit, true
	}
	return "", false
}
