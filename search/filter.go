package search

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"ingle/fhir"
)

// _filter (http://hl7.org/fhir/R4/search_filter.html):
//
//	filter  = term { ("and" | "or") term }         from left to right: neither binds closer
//	term    = "not" "(" filter ")" | "(" filter ")" | path op value
//	path    = a parameter, or a chain of them: subject.name, subject:Patient.name,
//	          subject[gender eq male].name for what meets another filter besides
//	op      = eq ne co sw ew gt lt ge le ap sa eb pr po ss sb in ni re
//	value   = a JSON string, or anything up to a blank or parenthesis
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
	k, err := f.expression()
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

// expression reads terms with the words and and or between them.
func (f *filterParser) expression() (cond, error) {
	if f.depth++; f.depth > filterDepth {
		return nil, f.fail("the parentheses are nested too deeply")
	}
	defer func() { f.depth-- }()
	var parts []cond // joined by word
	word := ""
	for {
		k, err := f.term()
		if err != nil {
			return nil, err
		}
		parts = append(parts, k)
		next := ""
		for _, w := range []string{"and", "or"} {
			if next == "" && f.keyword(w) {
				next = w
			}
		}
		if next != word {
			if word == "or" {
				parts = []cond{either(parts)}
			} else {
				parts = []cond{both(parts)}
			}
		}
		if next == "" {
			return parts[0], nil
		}
		word = next
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
	k, err := f.expression()
	if err != nil {
		return nil, err
	}
	if f.blank(); f.at >= len(f.src) || f.src[f.at] != ')' {
		return nil, f.fail("a closing parenthesis is expected")
	}
	f.at++
	return k, nil
}

// value takes a JSON string or a word.
func (f *filterParser) value() (string, error) {
	f.blank()
	if f.at >= len(f.src) || f.src[f.at] != '"' {
		w := f.word()
		if w == "" {
			return "", f.fail("a value is expected")
		}
		return w, nil
	}
	start := f.at
	for f.at++; f.at < len(f.src) && f.src[f.at] != '"'; f.at++ {
		if f.src[f.at] == '\\' {
			f.at++
		}
	}
	if f.at >= len(f.src) {
		f.at = start
		return "", f.fail("the string has no closing quote")
	}
	f.at++
	s, err := jsontext.AppendUnquote(nil, f.src[start:f.at])
	if err != nil {
		f.at = start
		return "", f.fail(`what stands in quotes is a JSON string, in which a backslash is written \\ and a quote \"`)
	}
	return string(s), nil
}

// comparison reads path op value and hands it on as the search it stands for.
func (f *filterParser) comparison() (cond, error) {
	f.blank()
	if e := f.element(); e != nil {
		return f.ofElement(e)
	}
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
	if operators[op] == nil && op != "pr" {
		f.at = opAt
		return nil, f.fail("an operator is expected: one of eq, ne, co, sw, ew, gt, lt, ge, le, ap, sa, eb, pr, po, ss, sb, in, ni and re")
	}
	if op == "pr" {
		if missing, ok := map[string]string{"true": "false", "false": "true"}[value]; ok {
			value = missing
		}
		return f.search(path, "missing", value)
	}
	kind := f.kind(path)
	if kind == "" { // as the parameter itself says
		if k, err := f.search(path, "", filterValue("", value)); err != nil || op == "eq" {
			return k, err
		}
	}
	how, ok := operators[op][kind]
	if !ok {
		f.at = opAt
		what := "parameters of type " + kind
		if kind == "" {
			what = path
		}
		return nil, f.fail("the operator " + op + " is not for " + what)
	}
	value = filterValue(kind, value)
	if prefix, ok := strings.CutPrefix(how, "="); ok {
		return f.search(path, "", prefix+value)
	}
	return f.search(path, how, value)
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
	next := f.src[start:]
	if i := strings.IndexAny(next, ".:[ "); i >= 0 {
		next = next[:i]
	}
	return f.p.chainTo(types, head, next, "_filter", func(types []string) (cond, error) {
		f.at, f.types = start, types
		if isContained(types[0]) { // the same terms a second time
			defer func(n int) { f.terms = n }(f.terms)
		}
		var parts []cond
		if bracket {
			f.bracket++
			k, err := f.expression()
			f.bracket--
			if err != nil {
				return nil, err
			}
			if err := f.closing(); err != nil {
				return nil, err
			}
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

// closing takes the end of a bracket and the point behind it.
func (f *filterParser) closing() error {
	if f.blank(); !strings.HasPrefix(f.src[f.at:], "].") {
		return f.fail("a closing bracket is expected, and a point behind it")
	}
	f.at += len("].")
	return nil
}

// kind is the type of the parameter at the end of a path, "" where it has none that
// operators go by.
func (f *filterParser) kind(path string) string {
	types := f.types
	for {
		if parts := strings.SplitN(path, ":", 4); parts[0] == "_has" && len(parts) == 4 {
			types, path = []string{parts[1]}, parts[3]
			continue
		}
		head, tail, chained := strings.Cut(path, ".")
		code, typ, _ := strings.Cut(head, ":")
		for _, t := range types {
			sp := f.p.r.Param(t, code)
			if sp == nil {
				continue
			}
			if code == "_text" || code == "_content" { // words, of which only eq is known
				return ""
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

// search reads a comparison as the search parameter path:modifier=value.
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
