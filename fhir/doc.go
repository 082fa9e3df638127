package fhir

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Kind is the JSON kind of a Node.
type Kind uint8

// The kinds of JSON value. Invalid is the kind of the zero Node.
const (
	Invalid Kind = iota
	Object
	Array
	String
	Number
	Bool
	Null
)

func (k Kind) String() string {
	return [...]string{"nothing", "an object", "an array", "a string", "a number", "a boolean", "null"}[k]
}

// Limits bound what Parse accepts. A zero field means its default.
type Limits struct {
	Depth  int // nesting of objects and arrays; default 64
	Nodes  int // JSON values in the document; default 1,000,000
	String int // bytes of one string as written; default 4 MiB
}

const (
	defaultDepth  = 64
	defaultNodes  = 1_000_000
	defaultString = 4 << 20

	// A number may have 64 significant digits and an exponent of ±64: more
	// would let a body of kilobytes grow to hundreds of megabytes inside
	// PostgreSQL's numeric type.
	maxDigits   = 64
	maxExponent = 64
)

// Doc is a parsed JSON document: the client's bytes, unchanged, and a flat
// index of the values in them. Every string, number and position is read out
// of the bytes on demand, so decimals keep their text ("1.00" stays "1.00").
// A Doc is immutable and safe for concurrent use.
type Doc struct {
	src   []byte
	nodes []node
}

// node is one value. The first child of a non-empty object or array is the
// next node; next is the index of the following sibling, 0 if there is none.
type node struct {
	keyOff, keyEnd uint32 // the member name with its quotes; 0,0 outside objects
	off, end       uint32 // the value as written
	next           int32
	count          int32 // children
	kind           Kind
	esc            bool // the string holds escapes
	keyEsc         bool
}

// Parse reads one JSON document strictly (RFC 8259, unique member names, valid
// UTF-8, no NUL, no lone surrogates, bounded numbers). The Doc keeps src: the
// caller must not change it afterwards. Its errors are *Error with status 400
// (413 for a limit of size) naming line and column.
func Parse(src []byte, lim Limits) (*Doc, error) {
	if lim.Depth == 0 {
		lim.Depth = defaultDepth
	}
	if lim.Nodes == 0 {
		lim.Nodes = defaultNodes
	}
	if lim.String == 0 {
		lim.String = defaultString
	}
	d := &Doc{src: src, nodes: make([]node, 0, len(src)/16+8)}
	if bytes.HasPrefix(src, []byte("\xef\xbb\xbf")) {
		return nil, d.fault(0, "the body begins with a byte order mark (U+FEFF); send UTF-8 without one")
	}
	if err := d.scan(lim); err != nil {
		return nil, err
	}
	return d, nil
}

// scan fills the index in one pass over the tokens.
func (d *Doc) scan(lim Limits) error {
	dec := jsontext.NewDecoder(bytes.NewBuffer(d.src))
	type frame struct {
		parent, last int32
	}
	var stackArray [16]frame
	stack := stackArray[:0]
	var key node
	haveKey := false
	for {
		kind := dec.PeekKind()
		if kind == 0 || kind == '}' || kind == ']' {
			_, err := dec.ReadToken()
			if err != nil {
				return d.syntax(err, len(d.nodes) == 0)
			}
			top := stack[len(stack)-1]
			d.nodes[top.parent].end = uint32(dec.InputOffset())
			stack = stack[:len(stack)-1]
			if len(stack) == 0 {
				break
			}
			continue
		}
		inObject := len(stack) > 0 && d.nodes[stack[len(stack)-1].parent].kind == Object
		if inObject && !haveKey {
			raw, err := dec.ReadValue()
			if err != nil {
				return d.syntax(err, false)
			}
			end := uint32(dec.InputOffset())
			key.keyOff, key.keyEnd = end-uint32(len(raw)), end
			key.keyEsc = bytes.IndexByte(raw, '\\') >= 0
			if err := d.checkString(raw, key.keyOff, key.keyEsc, lim); err != nil {
				return err
			}
			haveKey = true
			continue
		}
		if len(d.nodes) >= lim.Nodes {
			return d.beyond(413, CodeTooLong, dec.InputOffset(), fmt.Sprintf("the document holds more than %d JSON values", lim.Nodes))
		}
		n := node{}
		if haveKey {
			n, haveKey = key, false
		}
		self := int32(len(d.nodes))
		if len(stack) > 0 {
			top := &stack[len(stack)-1]
			if top.last != 0 {
				d.nodes[top.last].next = self
			}
			top.last = self
			d.nodes[top.parent].count++
		}
		switch kind {
		case '{', '[':
			if len(stack) >= lim.Depth {
				return d.beyond(400, CodeStructure, dec.InputOffset(), fmt.Sprintf("the document is nested more than %d levels deep", lim.Depth))
			}
			if _, err := dec.ReadToken(); err != nil {
				return d.syntax(err, false)
			}
			n.kind = Object
			if kind == '[' {
				n.kind = Array
			}
			n.off = uint32(dec.InputOffset()) - 1
			d.nodes = append(d.nodes, n)
			stack = append(stack, frame{parent: self})
			continue
		}
		raw, err := dec.ReadValue()
		if err != nil {
			return d.syntax(err, len(d.nodes) == 0)
		}
		n.end = uint32(dec.InputOffset())
		n.off = n.end - uint32(len(raw))
		switch kind {
		case '"':
			n.kind = String
			n.esc = bytes.IndexByte(raw, '\\') >= 0
			if err := d.checkString(raw, n.off, n.esc, lim); err != nil {
				return err
			}
		case '0':
			n.kind = Number
			if msg := numberFault(raw); msg != "" {
				return d.fault(int64(n.off), msg)
			}
		case 'n':
			n.kind = Null
		default:
			n.kind = Bool
		}
		d.nodes = append(d.nodes, n)
		if len(stack) == 0 {
			break
		}
	}
	off := dec.InputOffset()
	if _, err := dec.ReadToken(); err == nil {
		return d.fault(off, "there is content after the end of the JSON document")
	} else if !errors.Is(err, io.EOF) {
		return d.fault(off, "there is content after the end of the JSON document")
	}
	return nil
}

func (d *Doc) checkString(raw []byte, off uint32, esc bool, lim Limits) error {
	if len(raw)-2 > lim.String {
		return d.beyond(413, CodeTooLong, int64(off), fmt.Sprintf("a string is longer than %d bytes", lim.String))
	}
	if esc {
		for at := 0; ; {
			i := bytes.Index(raw[at:], []byte(`\u0000`))
			if i < 0 {
				break
			}
			at += i
			back := at
			for back > 0 && raw[back-1] == '\\' {
				back--
			}
			if (at-back)%2 == 0 { // the backslash is not itself escaped
				return d.fault(int64(off)+int64(at), `a string holds \u0000, which FHIR does not allow in any string`)
			}
			at += 6
		}
	}
	return nil
}

// numberFault tells why a number in valid JSON syntax is refused, "" if it is not.
func numberFault(raw []byte) string {
	digits, exp, inExp, leading := 0, 0, false, true
	for _, c := range raw {
		switch {
		case c == 'e' || c == 'E':
			inExp = true
		case c < '0' || c > '9':
		case inExp:
			if exp = exp*10 + int(c-'0'); exp > maxExponent {
				return fmt.Sprintf("the exponent of a number is beyond ±%d", maxExponent)
			}
		case c == '0' && leading:
			// zeros before the first significant digit do not count, but a
			// fraction of them may not be endless either
			if digits++; digits > 2*maxDigits {
				return fmt.Sprintf("a number has more than %d digits", maxDigits)
			}
		default:
			if leading {
				leading, digits = false, 0
			}
			if digits++; digits > maxDigits {
				return fmt.Sprintf("a number has more than %d significant digits", maxDigits)
			}
		}
	}
	return ""
}

func (d *Doc) syntax(err error, atStart bool) error {
	var syn *jsontext.SyntacticError
	if !errors.As(err, &syn) {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			if atStart {
				return d.fault(int64(len(d.src)), "the body is empty; a JSON document is expected")
			}
			return d.fault(int64(len(d.src)), "the JSON document ends too early")
		}
		return d.fault(0, err.Error())
	}
	msg := strings.TrimPrefix(syn.Err.Error(), "jsontext: ")
	switch {
	case errors.Is(syn.Err, jsontext.ErrDuplicateName):
		msg = fmt.Sprintf("the property %q stands twice in one object", syn.JSONPointer.LastToken())
	case errors.Is(syn.Err, io.ErrUnexpectedEOF):
		msg = "the JSON document ends too early"
	}
	return d.fault(syn.ByteOffset, msg)
}

func (d *Doc) fault(off int64, msg string) error {
	line, col := d.lineCol(int(off))
	return &Error{Status: 400, Issues: []Issue{{Severity: SeverityFatal, Code: CodeStructure, Line: line, Col: col,
		Diagnostics: fmt.Sprintf("JSON is not acceptable at line %d, column %d: %s", line, col, msg)}}}
}

// beyond is the error for a document that is over a limit.
func (d *Doc) beyond(status int, code string, off int64, msg string) error {
	line, col := d.lineCol(int(off))
	return &Error{Status: status, Issues: []Issue{{Severity: SeverityFatal, Code: code, Line: line, Col: col,
		Diagnostics: fmt.Sprintf("at line %d, column %d: %s", line, col, msg)}}}
}

// lineCol counts lines by "\n" and columns in characters, both from 1.
func (d *Doc) lineCol(off int) (line, col int) {
	off = min(off, len(d.src))
	head := d.src[:off]
	line = bytes.Count(head, []byte{'\n'}) + 1
	if i := bytes.LastIndexByte(head, '\n'); i >= 0 {
		head = head[i+1:]
	}
	return line, utf8.RuneCount(head) + 1
}

// Source returns the bytes that were parsed. They must not be changed.
func (d *Doc) Source() []byte { return d.src }

// Len returns the number of JSON values in the document.
func (d *Doc) Len() int { return len(d.nodes) }

// Root returns the document's top value.
func (d *Doc) Root() Node { return Node{d, 0} }

// Node is one value in a Doc. It is a small value, to be copied freely. The
// zero Node stands for "not there"; every method is safe on it and answers
// with its zero value, so lookups can be chained.
type Node struct {
	d *Doc
	i int32
}

// Valid tells whether the node is there.
func (n Node) Valid() bool { return n.d != nil }

// Kind returns the JSON kind, Invalid for the zero Node.
func (n Node) Kind() Kind {
	if n.d == nil {
		return Invalid
	}
	return n.d.nodes[n.i].kind
}

// Index is the node's place in the document order of values, from 0: a stable
// identity within its Doc.
func (n Node) Index() int { return int(n.i) }

// Doc returns the document that the node is part of.
func (n Node) Doc() *Doc { return n.d }

// Len returns the number of members or elements of an object or array.
func (n Node) Len() int {
	if n.d == nil {
		return 0
	}
	return int(n.d.nodes[n.i].count)
}

// First returns the first member or element of an object or array.
func (n Node) First() Node {
	if n.d == nil || n.d.nodes[n.i].count == 0 {
		return Node{}
	}
	return Node{n.d, n.i + 1}
}

// Next returns the next sibling.
func (n Node) Next() Node {
	if n.d == nil || n.d.nodes[n.i].next == 0 {
		return Node{}
	}
	return Node{n.d, n.d.nodes[n.i].next}
}

// Get returns the member of an object with the given name.
func (n Node) Get(name string) Node {
	for c := n.First(); c.d != nil; c = c.Next() {
		if c.KeyIs(name) {
			return c
		}
	}
	return Node{}
}

// Key returns the member's name, "" outside objects.
func (n Node) Key() string {
	if n.d == nil {
		return ""
	}
	nd := &n.d.nodes[n.i]
	if nd.keyEnd == 0 {
		return ""
	}
	return unquote(n.d.src[nd.keyOff:nd.keyEnd], nd.keyEsc)
}

// KeyIs tells whether the member's name is the given one, without allocating.
func (n Node) KeyIs(name string) bool {
	if n.d == nil {
		return false
	}
	nd := &n.d.nodes[n.i]
	if nd.keyEnd == 0 {
		return false
	}
	if nd.keyEsc {
		return n.Key() == name
	}
	return string(n.d.src[nd.keyOff+1:nd.keyEnd-1]) == name
}

// Raw returns the value as written. It must not be changed.
func (n Node) Raw() []byte {
	if n.d == nil {
		return nil
	}
	nd := &n.d.nodes[n.i]
	return n.d.src[nd.off:nd.end:nd.end]
}

// Text returns a string's content without quotes and escapes, and a number or
// boolean as written; "" for anything else.
func (n Node) Text() string {
	if n.d == nil {
		return ""
	}
	nd := &n.d.nodes[n.i]
	switch nd.kind {
	case String:
		return unquote(n.d.src[nd.off:nd.end], nd.esc)
	case Number, Bool:
		return string(n.d.src[nd.off:nd.end])
	}
	return ""
}

// Bytes is Text without an allocation where the string has no escapes. The
// result must not be changed.
func (n Node) Bytes() []byte {
	if n.d == nil {
		return nil
	}
	nd := &n.d.nodes[n.i]
	switch {
	case nd.kind == String && !nd.esc:
		return n.d.src[nd.off+1 : nd.end-1 : nd.end-1]
	case nd.kind == String, nd.kind == Number, nd.kind == Bool:
		return []byte(n.Text())
	}
	return nil
}

// Offset returns the byte position of the value in the source.
func (n Node) Offset() int {
	if n.d == nil {
		return 0
	}
	return int(n.d.nodes[n.i].off)
}

// Span returns the byte positions [start, end) of the value in the source.
func (n Node) Span() (start, end int) {
	if n.d == nil {
		return 0, 0
	}
	nd := &n.d.nodes[n.i]
	return int(nd.off), int(nd.end)
}

// KeySpan returns the byte positions [start, end) of the member's name with its
// quotes; 0, 0 outside objects.
func (n Node) KeySpan() (start, end int) {
	if n.d == nil {
		return 0, 0
	}
	nd := &n.d.nodes[n.i]
	return int(nd.keyOff), int(nd.keyEnd)
}

// LineCol returns the position of the value (of its name, if it is a member)
// in the source: line and column from 1, columns in characters.
func (n Node) LineCol() (line, col int) {
	if n.d == nil {
		return 0, 0
	}
	nd := &n.d.nodes[n.i]
	if nd.keyEnd != 0 {
		return n.d.lineCol(int(nd.keyOff))
	}
	return n.d.lineCol(int(nd.off))
}

func unquote(raw []byte, esc bool) string {
	if !esc {
		return string(raw[1 : len(raw)-1])
	}
	out, err := jsontext.AppendUnquote(nil, raw)
	if err != nil { // not reached: the raw string was accepted by Parse
		return string(raw[1 : len(raw)-1])
	}
	return string(out)
}
