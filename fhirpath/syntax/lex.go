package syntax

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokEOF tokenKind = iota
	tokName
	tokQuoted // a name in backticks
	tokString
	tokInteger
	tokDecimal
	tokDate
	tokDateTime
	tokTime
	tokVariable
	tokContext
	tokOp // operators and punctuation, in text
)

type token struct {
	kind tokenKind
	pos  int
	text string // content: without quotes, escapes, @, % and $
}

func (t token) String() string {
	switch t.kind {
	case tokEOF:
		return "the end of the expression"
	case tokString:
		return "the string '" + t.text + "'"
	case tokQuoted:
		return "`" + t.text + "`"
	case tokVariable:
		return "%" + t.text
	case tokContext:
		return "$" + t.text
	case tokDate, tokDateTime:
		return "@" + t.text
	case tokTime:
		return "@T" + t.text
	}
	return t.text
}

type lexer struct {
	src string
	at  int
}

func (l *lexer) fault(at int, format string, args ...any) error {
	return NewError(l.src, at, format, args...)
}

// space skips white space and comments.
func (l *lexer) space() error {
	for l.at < len(l.src) {
		switch c := l.src[l.at]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			l.at++
		case c == 0xC2 && strings.HasPrefix(l.src[l.at:], "\u00a0"): // pasted from a web page
			l.at += 2
		case strings.HasPrefix(l.src[l.at:], "//"):
			if i := strings.IndexByte(l.src[l.at:], '\n'); i >= 0 {
				l.at += i + 1
			} else {
				l.at = len(l.src)
			}
		case strings.HasPrefix(l.src[l.at:], "/*"):
			i := strings.Index(l.src[l.at+2:], "*/")
			if i < 0 {
				return l.fault(l.at, "the comment is not closed with */")
			}
			l.at += i + 4
		default:
			return nil
		}
	}
	return nil
}

func (l *lexer) next() (token, error) {
	if err := l.space(); err != nil {
		return token{}, err
	}
	start := l.at
	if start >= len(l.src) {
		return token{pos: start}, nil
	}
	switch c := l.src[start]; {
	case isLetter(c):
		return token{tokName, start, l.word()}, nil
	case isDigit(c):
		return l.number()
	case c == '\'':
		text, err := l.quoted('\'')
		return token{tokString, start, text}, err
	case c == '`':
		text, err := l.quoted('`')
		return token{tokQuoted, start, text}, err
	case c == '@':
		return l.temporal()
	case c == '$':
		l.at++
		switch w := l.word(); w {
		case "this", "index", "total":
			return token{tokContext, start, w}, nil
		default:
			return token{}, l.fault(start, "$%s is not known; there are $this, $index and $total", w)
		}
	case c == '%':
		l.at++
		return l.variable(start)
	}
	for _, op := range [...]string{"<=", ">=", "!=", "!~", "<", ">", "=", "~", "+", "-", "*", "/", "&", "|", "(", ")", "[", "]", "{", "}", ".", ","} {
		if strings.HasPrefix(l.src[start:], op) {
			l.at += len(op)
			return token{tokOp, start, op}, nil
		}
	}
	r, _ := utf8.DecodeRuneInString(l.src[start:])
	return token{}, l.fault(start, "the character %q has no meaning here", r)
}

func (l *lexer) variable(start int) (token, error) {
	if l.at < len(l.src) && (l.src[l.at] == '`' || l.src[l.at] == '\'') {
		text, err := l.quoted(l.src[l.at])
		return token{tokVariable, start, text}, err
	}
	// "-" is not part of a name in the grammar, but %vs-name and %ext-name are
	// written without backticks in expressions older than N1.
	at := l.at
	if w := l.word(); w == "" {
		return token{}, l.fault(start, "a name must follow %%")
	} else if w == "vs" || w == "ext" {
		for l.at < len(l.src) && (l.src[l.at] == '-' || isLetter(l.src[l.at]) || isDigit(l.src[l.at])) {
			l.at++
		}
	}
	return token{tokVariable, start, l.src[at:l.at]}, nil
}

func isLetter(c byte) bool { return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }

func (l *lexer) word() string {
	start := l.at
	for l.at < len(l.src) && (isLetter(l.src[l.at]) || l.at > start && isDigit(l.src[l.at])) {
		l.at++
	}
	return l.src[start:l.at]
}

// digits skips up to max digits and tells how many there were.
func (l *lexer) digits(max int) int {
	n := 0
	for l.at < len(l.src) && n < max && isDigit(l.src[l.at]) {
		l.at++
		n++
	}
	return n
}

func (l *lexer) peek(i int) byte {
	if l.at+i < len(l.src) {
		return l.src[l.at+i]
	}
	return 0
}

func (l *lexer) number() (token, error) {
	start, kind := l.at, tokInteger
	l.digits(len(l.src))
	if l.peek(0) == '.' && isDigit(l.peek(1)) {
		kind = tokDecimal
		l.at++
		l.digits(len(l.src))
	}
	if isLetter(l.peek(0)) {
		return token{}, l.fault(l.at, "a number must not run into a name; put a space between them")
	}
	if l.at-start > maxNumber {
		return token{}, l.fault(start, "the number has more than %d digits", maxNumber)
	}
	return token{kind, start, l.src[start:l.at]}, nil
}

// temporal reads @2015-02-04T14:30:00.000+10:00 with everything from the month
// on optional, or @T14:30.
func (l *lexer) temporal() (token, error) {
	start := l.at
	l.at++
	if l.peek(0) == 'T' {
		l.at++
		if err := l.clock(start, true); err != nil {
			return token{}, err
		}
		return token{tokTime, start, l.src[start+2 : l.at]}, l.temporalEnd(start)
	}
	if l.digits(4) != 4 {
		return token{}, l.fault(start, "a date begins with four digits for the year, a time with @T")
	}
	for range 2 {
		if l.peek(0) == '-' && isDigit(l.peek(1)) && isDigit(l.peek(2)) {
			l.at += 3
		}
	}
	if l.peek(0) != 'T' {
		return token{tokDate, start, l.src[start+1 : l.at]}, l.temporalEnd(start)
	}
	l.at++
	if err := l.clock(start, false); err != nil {
		return token{}, err
	}
	switch c := l.peek(0); {
	case c == 'Z':
		l.at++
	case (c == '+' || c == '-') && isDigit(l.peek(1)) && isDigit(l.peek(2)) && l.peek(3) == ':' && isDigit(l.peek(4)) && isDigit(l.peek(5)):
		l.at += 6
	}
	return token{tokDateTime, start, l.src[start+1 : l.at]}, l.temporalEnd(start)
}

// clock reads hh(:mm(:ss(.f+)?)?)?; it may be absent in a dateTime.
func (l *lexer) clock(start int, required bool) error {
	if n := l.digits(2); n != 2 {
		if n == 0 && !required {
			return nil
		}
		return l.fault(start, "an hour is written with two digits")
	}
	for i := range 2 {
		if l.peek(0) != ':' {
			return nil
		}
		l.at++
		if l.digits(2) != 2 {
			return l.fault(start, "minutes and seconds are written with two digits")
		}
		if i == 1 && l.peek(0) == '.' && isDigit(l.peek(1)) {
			l.at++
			l.digits(len(l.src))
		}
	}
	return nil
}

func (l *lexer) temporalEnd(start int) error {
	if isDigit(l.peek(0)) || isLetter(l.peek(0)) {
		return l.fault(start, "the date or time is not written as YYYY-MM-DDThh:mm:ss.fff±hh:mm (or a part of it), a time as Thh:mm:ss.fff without a zone")
	}
	return nil
}

// quoted reads a string or a name in backticks with its escapes.
func (l *lexer) quoted(quote byte) (string, error) {
	start := l.at
	l.at++
	from := l.at
	for l.at < len(l.src) && l.src[l.at] != quote && l.src[l.at] != '\\' {
		l.at++
	}
	if l.at < len(l.src) && l.src[l.at] == quote {
		l.at++
		return l.src[from : l.at-1], nil
	}
	b := []byte(l.src[from:l.at])
	for l.at < len(l.src) {
		c := l.src[l.at]
		switch {
		case c == quote:
			l.at++
			return string(b), nil
		case c != '\\':
			b = append(b, c)
			l.at++
			continue
		}
		r, err := l.escape()
		if err != nil {
			return "", err
		}
		b = utf8.AppendRune(b, r)
	}
	return "", l.fault(start, "the %c is not closed", quote)
}

func (l *lexer) escape() (rune, error) {
	at := l.at
	l.at += 2
	switch c := l.peek(-1); c {
	case '\'', '"', '`', '\\', '/':
		return rune(c), nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		if l.at+4 <= len(l.src) {
			if v, err := strconv.ParseUint(l.src[l.at:l.at+4], 16, 32); err == nil {
				l.at += 4
				return l.surrogate(rune(v)), nil
			}
		}
		return 0, l.fault(at, `\u needs four hexadecimal digits`)
	}
	l.at = min(l.at, len(l.src))
	return 0, l.fault(at, `the escape %s is not known; there are \' \" \`+"`"+` \\ \/ \f \n \r \t and \uXXXX`, l.src[at:l.at])
}

// surrogate joins a pair of \u escapes that stand for one character.
func (l *lexer) surrogate(hi rune) rune {
	if hi < 0xD800 || hi > 0xDBFF || !strings.HasPrefix(l.src[l.at:], `\u`) || l.at+6 > len(l.src) {
		return hi
	}
	lo, err := strconv.ParseUint(l.src[l.at+2:l.at+6], 16, 32)
	if err != nil || lo < 0xDC00 || lo > 0xDFFF {
		return hi
	}
	l.at += 6
	return (hi-0xD800)<<10 + (rune(lo) - 0xDC00) + 0x10000
}
