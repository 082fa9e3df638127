package profiles

import (
	"context"
	"fmt"
	"sort"
	"strconv"
	"unicode/utf8"

	"ingle/fhir"
	"ingle/fhirpath"
)

// run is one validation of one document.
type run struct {
	ctx    context.Context
	e      *engine
	v      *Validator
	opts   *Request
	doc    *fhir.Doc
	steps  []step
	issues []fhir.Issue
	seen   map[issueKey]bool
	full   bool // no more issues are wanted

	undecided bool // a matcher could not tell

	silent int    // > 0 while a match is tried: issues are counted, not kept
	missed int    // errors while silent
	first  string // the first of them

	warnings bool // rules that only warn are wanted too

	items     []*item // scratch, in the manner of a stack
	itemsUsed int
	lists     [][]item // scratch
	resources []item   // the resources around the element in hand, outermost first
	depth     int
	conforms  map[conformKey]bool
	byID      map[string]fhir.Node // contained resources of the list byIDOf
	byIDOf    fhir.Node
	followed  int   // references followed out of the document
	away      int   // > 0 in what such a reference leads to
	lines     []int // offsets of the line starts, made when first needed
	bundle    *bundleIndex
	env       fhirpath.Env
	envFor    fhir.Node // the resource that env is for
	owner     *item     // the primitive whose extensions are in hand
}

type issueKey struct {
	node int
	name string
	rule string
}

type conformKey struct {
	node    fhir.Node
	profile *profile
}

// fail reports an error on the element in hand.
func (r *run) fail(at fhir.Node, code, source, format string, args ...any) {
	r.report(fhir.SeverityError, code, at, source, format, args...)
}

func (r *run) warn(at fhir.Node, code, source, format string, args ...any) {
	r.report(fhir.SeverityWarning, code, at, source, format, args...)
}

// report records an issue on the element in hand. at is the node whose position
// it gets.
func (r *run) report(severity, code string, at fhir.Node, source, format string, args ...any) {
	isError := severity == fhir.SeverityError || severity == fhir.SeverityFatal
	if r.silent > 0 {
		if isError {
			if r.missed == 0 {
				r.first = r.expression() + ": " + fmt.Sprintf(format, args...)
			}
			r.missed++
		}
		return
	}
	if !isError && !r.warnings || r.full {
		return
	}
	text := fmt.Sprintf(format, args...)
	key := issueKey{-1, r.expression(), text}
	if at.Valid() {
		key.node = at.Index()
	}
	if r.seen[key] {
		return
	}
	if r.seen == nil {
		r.seen = map[issueKey]bool{}
	}
	r.seen[key] = true
	is := fhir.Issue{Severity: severity, Code: code, Diagnostics: text, Expression: []string{key.name}, Source: source}
	if at.Valid() && at.Doc() == r.doc {
		is.Line, is.Col = r.lineCol(at)
	}
	r.issues = append(r.issues, is)
	if isError && r.opts.FailFast {
		r.full = true
	}
	if len(r.issues) >= r.v.maxIssues {
		r.full = true
		r.issues = append(r.issues, fhir.Issue{Severity: fhir.SeverityInformation, Code: fhir.CodeTooCostly,
			Diagnostics: fmt.Sprintf("there are more than %d issues; the rest is left out", r.v.maxIssues)})
	}
}

// lineCol is Node.LineCol with the line starts kept, so that thousands of
// issues in one document stay cheap.
func (r *run) lineCol(n fhir.Node) (line, col int) {
	if len(r.issues) < 8 {
		return n.LineCol()
	}
	off := n.Offset()
	if start, end := n.KeySpan(); end != 0 {
		off = start
	}
	src := r.doc.Source()
	if r.lines == nil {
		r.lines = append(r.lines, 0)
		for i, c := range src {
			if c == '\n' {
				r.lines = append(r.lines, i+1)
			}
		}
	}
	i := sort.SearchInts(r.lines, off+1) - 1
	return i + 1, utf8.RuneCount(src[r.lines[i]:off]) + 1
}

// try runs fn silently and tells whether it reports no error; why is the first
// error otherwise.
func (r *run) try(fn func()) (ok bool, why string) {
	missed, first := r.missed, r.first
	r.missed, r.first = 0, ""
	r.silent++
	fn()
	r.silent--
	ok, why = r.missed == 0, r.first
	r.missed, r.first = missed, first
	return ok, why
}

func itoa(n int) string { return strconv.Itoa(n) }
