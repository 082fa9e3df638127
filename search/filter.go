package search

import (
	"strings"

	"ingle/fhir"
)

// _filter (http://hl7.org/fhir/R4/search_filter.html):
//
//	filter  = term { ("and" | "or") term }         and binds closer than or
//	term    = "not" "(" filter ")" | "(" filter ")" | path op value
//	path    = a parameter, or a chain of them: subject.name, subject:Patient.name,
//	          subject[gender eq male].name for what meets another filter besides
//	op      = eq ne co sw ew gt lt ge le ap sa eb pr po ss sb in ni re
//	value   = a string in quotes, or anything up to a blank or parenthesis
//
// A filter in brackets stands behind a reference and is about what it points to.

// filterDepth bounds the parentheses of a filter, filterTerms its terms.
const (
	filterDepth = 32
	filterTerms = 64
)

type filterParser struct {
	p     *parser
	types []string
	src   string
	at    int
	depth int
	terms int
	// bracket: a closing bracket ends a word.
	bracket int
}

func (p *parser) parseFilter(types []string, value string) (cond, error) {
	f := &filterParser{p: p, types: types, src: value}
	k, err := f.or()
	if u, ok := err.(*unknownParameter); ok {
		err = u.err // a part of a filter cannot be left out
	}
	if err != nil {
		return nil, err
	}
	if f.blank(); f.at < len(f.src) {
		return nil, f.fail("the end, and, or or is expected")
	}
	return k, nil
}

func (f *filterParser) fail(what string) error {
	return fhir.Errorf(400, fhir.CodeInvalid, "_filter, at character %d (%q): %s", f.at+1, f.rest(), what)
}

// rest is the next few characters, for a message.
func (f *filterParser) rest() string {
	s := f.src[min(f.at, len(f.src)):]
	if r := []rune(s); len(r) > 20 {
		return string(r[:20]) + "…"
	}
	return s
}

func (f *filterParser) blank() {
	for f.at < len(f.src) && (f.src[f.at] == ' ' || f.src[f.at] == '\t' || f.src[f.at] == '\n') {
		f.at++
	}
}

// word takes a run of characters up to a blank or parenthesis.
func (f *filterParser) word() string {
	f.blank()
	start := f.at
	for f.at < len(f.src) && strings.IndexByte(" \t\n()", f.src[f.at]) < 0 && (f.bracket == 0 || f.src[f.at] != ']') {
		f.at++
	}
	return f.src[start:f.at]
}

// keyword takes a word if it is the given one.
func (f *filterParser) keyword(w string) bool {
	at := f.at
	if strings.EqualFold(f.word(), w) {
		return true
	}
	f.at = at
	return false
}

func (f *filterParser) or() (cond, error) {
	if f.depth++; f.depth > filterDepth {
		return nil, f.fail("the parentheses are nested too deeply")
	}
	defer func() { f.depth-- }()
	var parts []cond
	for {
		k, err := f.and()
		if err != nil {
			return nil, err
		}
		parts = append(parts, k)
		if !f.keyword("or") {
			return either(parts), nil
		}
	}
}

func (f *filterParser) and() (cond, error) {
	var parts []cond
	for {
		k, err := f.term()
		if err != nil {
			return nil, err
		}
		parts = append(parts, k)
		if !f.keyword("and") {
			return both(parts), nil
		}
	}
}

func (f *filterParser) open() bool {
	f.blank()
	return f.at < len(f.src) && f.src[f.at] == '('
}

func (f *filterParser) term() (cond, error) {
	if f.terms++; f.terms > filterTerms {
		return nil, f.fail("the filter has too many terms")
	}
	at := f.at
	if f.keyword("not") && f.open() {
		k, err := f.group()
		if err != nil {
			return nil, err
		}
		return not{k}, nil
	}
	f.at = at
	if f.open() {
		return f.group()
	}
	return f.comparison()
}

func (f *filterParser) group() (cond, error) {
	f.at++
	k, err := f.or()
	if err != nil {
		return nil, err
	}
	if f.blank(); f.at >= len(f.src) || f.src[f.at] != ')' {
		return nil, f.fail("a closing parenthesis is expected")
	}
	f.at++
	return k, nil
}

// value takes a string in quotes or a word.
func (f *filterParser) value() (string, error) {
	f.blank()
	if f.at >= len(f.src) {
		return "", f.fail("a value is expected")
	}
	if f.src[f.at] != '"' {
		w := f.word()
		if w == "" {
			return "", f.fail("a value is expected")
		}
		return w, nil
	}
	var b strings.Builder
	for f.at++; f.at < len(f.src); f.at++ {
		switch c := f.src[f.at]; c {
		case '"':
			f.at++
			return b.String(), nil
		case '\\':
			if f.at++; f.at < len(f.src) {
				b.WriteByte(f.src[f.at])
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", f.fail("the string has no closing quote")
}

// comparison reads path op value and hands it on as the search it stands for.
func (f *filterParser) comparison() (cond, error) {
	f.blank()
	if head, bracket := f.link(); head != "" {
		return f.linked(head, bracket)
	}
	path := f.word()
	if path == "" {
		return nil, f.fail("a search parameter is expected")
	}
	op := strings.ToLower(f.word())
	opAt := f.at
	value, err := f.value()
	if err != nil {
		return nil, err
	}
	// A comma is part of the value here, not a separator.
	value = strings.ReplaceAll(strings.ReplaceAll(value, `\`, `\\`), ",", `\,`)
	kind := f.kind(path)
	ordered := kind == "date" || kind == "number" || kind == "quantity" || strings.HasSuffix(path, "_lastUpdated")
	refuse := func() error {
		f.at = opAt
		return f.fail("the operator " + op + " is not for parameters of type " + kind)
	}
	text := kind == "string" || kind == ""
	switch op {
	case "eq", "re":
		if op == "re" && kind != "reference" && kind != "" {
			return nil, refuse()
		}
		if text && kind == "string" {
			return f.search(path, "exact-folded", value)
		}
		return f.search(path, "", value)
	case "ne":
		var k cond
		if kind == "string" {
			k, err = f.search(path, "exact-folded", value)
		} else {
			k, err = f.search(path, "", value)
		}
		if err != nil {
			return nil, err
		}
		return not{k}, nil
	case "co", "sw", "ew":
		if kind != "string" {
			return nil, refuse()
		}
		return f.search(path, map[string]string{"co": "contains", "sw": "", "ew": "ends"}[op], value)
	case "gt", "lt", "ge", "le", "ap", "sa", "eb":
		if !ordered {
			return nil, refuse()
		}
		return f.search(path, "", op+value)
	case "po":
		if kind != "date" {
			return nil, refuse()
		}
		return f.search(path, "overlaps", value)
	case "pr":
		k, err := f.search(path, "missing", value)
		if err != nil {
			return nil, err
		}
		return not{k}, nil
	case "ss", "sb", "in", "ni":
		return f.search(path, map[string]string{"ss": "above", "sb": "below", "in": "in", "ni": "not-in"}[op], value)
	}
	f.at = opAt
	return nil, f.fail("an operator is expected: one of eq, ne, co, sw, ew, gt, lt, ge, le, ap, sa, eb, pr, po, ss, sb, in, ni and re")
}

// link takes the first reference of a path that has brackets, up to the bracket or
// the point behind it; "" where the path has none.
func (f *filterParser) link() (head string, bracket bool) {
	path := f.src[f.at:]
	if i := strings.IndexAny(path, " \t\n()[]"); i < 0 || path[i] != '[' {
		return "", false
	}
	i := strings.IndexAny(path, ".[")
	f.at += i + 1
	return path[:i], path[i] == '['
}

// linked reads what stands behind link: the filter in brackets, and the rest of
// the comparison, both about what the reference points to.
func (f *filterParser) linked(head string, bracket bool) (cond, error) {
	start, end, types := f.at, f.at, f.types
	defer func() { f.at, f.types = max(end, f.at), types }()
	return f.p.chainTo(types, head, "", "_filter", func(t string) (cond, error) {
		f.at, f.types = start, []string{t}
		if isContained(t) { // the same terms a second time
			defer func(n int) { f.terms = n }(f.terms)
		}
		var parts []cond
		if bracket {
			f.bracket++
			k, err := f.or()
			f.bracket--
			if err != nil {
				return nil, err
			}
			if f.blank(); !strings.HasPrefix(f.src[f.at:], "].") {
				return nil, f.fail("a closing bracket is expected, and a point behind it")
			}
			f.at += len("].")
			parts = append(parts, k)
		}
		k, err := f.comparison()
		if err != nil {
			return nil, err
		}
		end = max(end, f.at)
		return both(append(parts, k)), nil
	})
}

// kind is the type of the parameter at the end of a path, "" where it is not known.
func (f *filterParser) kind(path string) string {
	types := f.types
	for {
		head, tail, chained := strings.Cut(path, ".")
		code, typ, _ := strings.Cut(head, ":")
		for _, t := range types {
			sp := f.p.r.Param(t, code)
			if sp == nil {
				continue
			}
			if !chained {
				return sp.Type
			}
			types = sp.Targets
			if f.p.r.defs.IsResourceType(typ) {
				types = []string{typ}
			}
			break
		}
		if !chained {
			return ""
		}
		path = tail
	}
}

// search reads a comparison as the search parameter path:modifier=value. The
// modifiers exact-folded, ends and overlaps are the filter's own.
func (f *filterParser) search(path, modifier, value string) (cond, error) {
	name := path
	if modifier != "" {
		name += ":" + modifier
	}
	f.p.inFilter++
	defer func() { f.p.inFilter-- }()
	k, err := f.p.cond(f.types, name, value)
	if err != nil {
		return nil, f.p.within(err, "_filter")
	}
	return k, nil
}
