// Package syntax reads FHIRPath (http://hl7.org/fhirpath, N1) into a tree.
//
//	tree, err := syntax.Parse("Patient.name.where(use = 'official').given")
//
// The tree is for reading: it is shared by everyone who holds it and must not
// be changed. Parsing is bounded in length, nesting and number of nodes, and
// every error is an *Error with its position.
package syntax

import (
	"fmt"
	"unicode/utf8"
)

// Node is a part of an expression: *Literal, *Empty, *Variable, *Context,
// *Member, *Call, *Index, *Unary, *Binary or *TypeTest.
type Node interface {
	// Pos is the byte offset in the expression where the part's own token
	// begins (the name of a Member or Call, the operator of a Binary).
	Pos() int
}

type pos int

func (p pos) Pos() int { return int(p) }

// LiteralKind is the type of a Literal.
type LiteralKind uint8

// The kinds of literal.
const (
	Boolean  LiteralKind = iota + 1 // Text "true" or "false"
	String                          // Text without quotes and escapes
	Integer                         // Text "12"
	Decimal                         // Text "12.50"
	Date                            // Text "2015-02", without the @
	DateTime                        // Text "2015-02T" or "2015-02-04T14:30+10:00"
	Time                            // Text "14:30", without the @T
	Quantity                        // Text the number, Unit the unit
)

// Literal is a constant.
type Literal struct {
	pos
	Kind LiteralKind
	Text string
	Unit string // of a Quantity: the UCUM unit, or the calendar word in the singular
	// Calendar tells that the unit was written as a word without quotes (4 days).
	Calendar bool
}

// Empty is {}.
type Empty struct{ pos }

// Variable is %name, %`name` or %'name'.
type Variable struct {
	pos
	Name string
}

// Context is $this, $index or $total; Name is without the dollar.
type Context struct {
	pos
	Name string
}

// Member is a name: an element, or a type where an expression begins. Of is nil
// where the name stands first.
type Member struct {
	pos
	Of   Node
	Name string
	// Quoted tells that the name was written in backticks.
	Quoted bool
}

// Call is a function call. Of is nil where it stands first.
type Call struct {
	pos
	Of   Node
	Name string
	Args []Node
}

// Index is of[at].
type Index struct {
	pos
	Of, At Node
}

// Unary is -x or +x; Op is "-" or "+".
type Unary struct {
	pos
	Op string
	X  Node
}

// Binary is an operator between two expressions; Op is as written: * / div mod
// + - & | < <= > >= = != ~ !~ in contains and or xor implies.
type Binary struct {
	pos
	Op   string
	L, R Node
}

// TypeTest is "x is T" or "x as T".
type TypeTest struct {
	pos
	Op   string // "is" or "as"
	X    Node
	Type TypeName
}

// TypeName names a type, with its namespace where that is given.
type TypeName struct {
	At        int    // byte offset
	Namespace string // "System", "FHIR" or ""
	Name      string
}

func (t TypeName) String() string {
	if t.Namespace != "" {
		return t.Namespace + "." + t.Name
	}
	return t.Name
}

// Direction is a sort key with its direction, as in sort(name desc).
type Direction struct {
	pos
	X          Node
	Descending bool
}

// AsTypeName reads an argument such as FHIR.Patient or `Patient` as the name of
// a type; ok is false if it is something else.
func AsTypeName(n Node) (t TypeName, ok bool) {
	m, ok := n.(*Member)
	if !ok {
		return t, false
	}
	t = TypeName{At: m.Pos(), Name: m.Name}
	if m.Of == nil {
		return t, true
	}
	ns, ok := m.Of.(*Member)
	if !ok || ns.Of != nil {
		return t, false
	}
	t.At, t.Namespace = ns.Pos(), ns.Name
	return t, true
}

// Error is a fault in an expression with its place.
type Error struct {
	Expr      string
	Offset    int // in bytes, from 0
	Line, Col int // from 1; columns in characters
	Msg       string
}

func (e *Error) Error() string {
	return fmt.Sprintf("FHIRPath, line %d, column %d: %s", e.Line, e.Col, e.Msg)
}

// NewError makes an Error at a byte offset of the expression.
func NewError(expr string, offset int, format string, args ...any) *Error {
	e := &Error{Expr: expr, Offset: offset, Line: 1, Msg: fmt.Sprintf(format, args...)}
	start := 0
	for i := 0; i < offset && i < len(expr); i++ {
		if expr[i] == '\n' {
			e.Line++
			start = i + 1
		}
	}
	e.Col = utf8.RuneCountInString(expr[start:min(max(offset, start), len(expr))]) + 1
	return e
}
