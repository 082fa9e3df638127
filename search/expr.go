package search

import (
	"errors"
	"strings"
)

// The expressions of R4's search parameters are, all but none, unions of plain
// paths. This file reads that subset of FHIRPath into branches, which the
// registry turns into one tree of a resource type, so that a single walk over a
// resource serves every parameter. Any other expression is left to FHIRPath.

// branch is one path of a union.
type branch struct {
	root     string // the first word: a type name or "%resource"; "" for a relative path
	steps    []step
	presence bool // X.exists() and X != false
}

// step goes to an element of a name and says which of its values count.
type step struct {
	name     string
	as       string // the one type that counts, "" for any
	whereKey string // where(key = 'value')
	whereVal string
	is       string // where(resolve() is Type)
	index    int    // only the n-th value, -1 for all
}

var errNotPlain = errors.New("not a plain path")

// parseExpression reads an expression of the plain subset. relative tells that
// the paths begin at an element and not with the name of a type.
func parseExpression(text string, relative bool) ([]branch, error) {
	if b, ok := parsePresence(text); ok {
		return []branch{b}, nil
	}
	p := &exprParser{src: text, relative: relative}
	out, err := p.union()
	if err != nil {
		return nil, err
	}
	if p.peek() != "" {
		return nil, errNotPlain
	}
	return out, nil
}

// parsePresence reads "Patient.deceased.exists() and Patient.deceased != false".
func parsePresence(text string) (branch, bool) {
	left, right, ok := strings.Cut(text, " and ")
	if !ok {
		return branch{}, false
	}
	path, ok := strings.CutSuffix(strings.TrimSpace(left), ".exists()")
	if !ok || strings.Join(strings.Fields(right), " ") != path+" != false" {
		return branch{}, false
	}
	out, err := parseExpression(path, false)
	if err != nil || len(out) != 1 {
		return branch{}, false
	}
	out[0].presence = true
	return out[0], true
}

type exprParser struct {
	src      string
	at       int
	relative bool
}

// peek returns the next token without taking it, "" at the end.
func (p *exprParser) peek() string {
	at := p.at
	t := p.next()
	p.at = at
	return t
}

// next takes a token: a name, a quoted string with its quotes, a number or a sign.
func (p *exprParser) next() string {
	for p.at < len(p.src) && strings.IndexByte(" \t\r\n", p.src[p.at]) >= 0 {
		p.at++
	}
	if p.at >= len(p.src) {
		return ""
	}
	start := p.at
	c := p.src[p.at]
	switch {
	case isNameByte(c) || c == '%':
		p.at++
		for p.at < len(p.src) && isNameByte(p.src[p.at]) {
			p.at++
		}
	case c == '\'':
		p.at++
		for p.at < len(p.src) && p.src[p.at] != '\'' {
			if p.src[p.at] == '\\' {
				return "\\" // escapes are FHIRPath's
			}
			p.at++
		}
		if p.at >= len(p.src) {
			return "\\"
		}
		p.at++
	default:
		p.at++
	}
	return p.src[start:p.at]
}

func isNameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}

func isName(t string) bool { return t != "" && isNameByte(t[0]) && (t[0] < '0' || t[0] > '9') }

func (p *exprParser) expect(t string) error {
	if p.next() != t {
		return errNotPlain
	}
	return nil
}

func (p *exprParser) union() ([]branch, error) {
	var out []branch
	for {
		more, err := p.operand()
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
		if p.peek() != "|" {
			return out, nil
		}
		p.next()
	}
}

// operand reads a path, "(union)" or "operand as Type", with what follows.
func (p *exprParser) operand() ([]branch, error) {
	var out []branch
	switch t := p.next(); {
	case t == "(":
		var err error
		if out, err = p.union(); err != nil {
			return nil, err
		}
		if err := p.expect(")"); err != nil {
			return nil, err
		}
	case isName(t) && p.relative:
		out = []branch{{steps: []step{{name: t, index: -1}}}}
		if p.peek() == "(" {
			return nil, errNotPlain
		}
	case isName(t) || t == "%resource":
		out = []branch{{root: t}}
	default:
		return nil, errNotPlain
	}
	for {
		switch p.peek() {
		case ".":
			p.next()
			if err := p.member(out); err != nil {
				return nil, err
			}
		case "[":
			p.next()
			if p.next() != "0" || p.next() != "]" {
				return nil, errNotPlain
			}
			if err := eachLast(out, func(s *step) error { s.index = 0; return nil }); err != nil {
				return nil, err
			}
		case "as":
			p.next()
			if err := narrow(out, p.typeName()); err != nil {
				return nil, err
			}
		default:
			return out, nil
		}
	}
}

// typeName takes a type, which may carry the prefix "FHIR.".
func (p *exprParser) typeName() string {
	t := p.next()
	if t == "FHIR" && p.peek() == "." {
		p.next()
		t = p.next()
	}
	return t
}

// eachLast applies f to the last step of every branch.
func eachLast(out []branch, f func(*step) error) error {
	for i := range out {
		b := &out[i]
		if len(b.steps) == 0 {
			return errNotPlain
		}
		if err := f(&b.steps[len(b.steps)-1]); err != nil {
			return err
		}
	}
	return nil
}

func narrow(out []branch, typ string) error {
	if !isName(typ) {
		return errNotPlain
	}
	return eachLast(out, func(s *step) error {
		if s.as != "" {
			return errNotPlain
		}
		s.as = typ
		return nil
	})
}

// member reads what follows a dot.
func (p *exprParser) member(out []branch) error {
	name := p.next()
	if !isName(name) {
		return errNotPlain
	}
	if p.peek() != "(" {
		for i := range out {
			out[i].steps = append(append([]step(nil), out[i].steps...), step{name: name, index: -1})
		}
		return nil
	}
	p.next()
	switch name {
	case "as", "ofType":
		if err := narrow(out, p.typeName()); err != nil {
			return err
		}
	case "extension": // extension('url') is extension.where(url = 'url')
		url, err := unquote(p.next())
		if err != nil {
			return err
		}
		for i := range out {
			out[i].steps = append(append([]step(nil), out[i].steps...),
				step{name: "extension", index: -1, whereKey: "url", whereVal: url})
		}
	case "where":
		if err := p.where(out); err != nil {
			return err
		}
	default:
		return errNotPlain
	}
	return p.expect(")")
}

// where reads "resolve() is Type" or "name = 'constant'".
func (p *exprParser) where(out []branch) error {
	name := p.next()
	if name == "resolve" {
		for _, t := range []string{"(", ")", "is"} {
			if err := p.expect(t); err != nil {
				return err
			}
		}
		typ := p.typeName()
		if !isName(typ) {
			return errNotPlain
		}
		return eachLast(out, func(s *step) error {
			if s.is != "" {
				return errNotPlain
			}
			s.is = typ
			return nil
		})
	}
	if !isName(name) || p.next() != "=" {
		return errNotPlain
	}
	val, err := unquote(p.next())
	if err != nil {
		return err
	}
	return eachLast(out, func(s *step) error {
		if s.whereKey != "" {
			return errNotPlain
		}
		s.whereKey, s.whereVal = name, val
		return nil
	})
}

func unquote(t string) (string, error) {
	if len(t) < 2 || t[0] != '\'' || t[len(t)-1] != '\'' {
		return "", errNotPlain
	}
	return t[1 : len(t)-1], nil
}
