package search

import (
	"slices"
	"strings"
	"time"
)

// KV is one parameter of a request: name and value, percent-decoded.
type KV struct{ Name, Value string }

// A Request is a search as the client wrote it.
type Request struct {
	// Type is the resource type, "" for a search over all types.
	Type string
	// Compartment and CompartmentID restrict the search to a compartment:
	// "Patient" and "1" for Patient/1/Observation; Type "" stands for "*".
	Compartment, CompartmentID string
	// Record asks for the whole record of the compartment, see record; its parameters
	// are those of $everything.
	Record bool
	// Params in the order of the request, decoded. _format and _pretty are
	// passed over; parameters of paging must be taken out before.
	Params []KV
	// Strict refuses what is unknown; otherwise it is left out and reported.
	Strict bool
	// BaseURLs are the server's own base URLs without the last slash.
	BaseURLs []string
	Limits   Limits
	// Terminology answers :in, :not-in, :above and :below of tokens; nil refuses them.
	Terminology Terminology
	// Now is the moment that "ap" on dates measures from; zero for the clock's.
	Now time.Time
}

// Limits bound a search. A zero field means its default.
type Limits struct {
	Count      int // _count where the client gives none; default 50
	MaxCount   int // a greater _count is lowered to it; default 1,000
	Params     int // parameters in a request; default 64
	OrValues   int // values of one parameter; default 500
	ChainDepth int // links of a chain or nested _has; default 4
	Iterate    int // rounds of _include:iterate; default 5
	Includes   int // resources included with one page; default 1,000
}

func (l Limits) withDefaults() Limits {
	set := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	set(&l.Count, 50)
	set(&l.MaxCount, 1000)
	set(&l.Params, 64)
	set(&l.OrValues, 500)
	set(&l.ChainDepth, 4)
	set(&l.Iterate, 5)
	set(&l.Includes, 1000)
	return l
}

// Values of Query.Total.
const (
	TotalNone     = "none"
	TotalEstimate = "estimate"
	TotalAccurate = "accurate"
)

// Values of Query.Summary.
const (
	SummaryNone  = "" // _summary=false or absent
	SummaryTrue  = "true"
	SummaryText  = "text"
	SummaryData  = "data"
	SummaryCount = "count"
)

// A Query is a search that was understood. It is immutable after Parse but for
// Cursor and IncludesAfter, which the caller sets to continue.
type Query struct {
	// Types are the resource types whose resources may match, sorted; nil for
	// every type.
	Types []string
	// Count is the number of matches on a page; 0 asks for the total alone.
	Count int
	// CountCapped is what the client asked for where it was more than the limit, else 0.
	CountCapped int
	// Total is TotalNone, TotalEstimate or TotalAccurate; "" where the client says nothing.
	Total string
	// Summary is one of the Summary constants.
	Summary string
	// Elements are the top-level elements of _elements; nil for all.
	Elements []string
	// Explain asks how the search is run.
	Explain bool
	// Sort are the keys of _sort; nil for the default order, see byValue.
	Sort []SortKey
	// Cursor is where the page begins; nil for the first page.
	Cursor *Cursor
	// IncludesAfter is the rid of the last included resource that the client has
	// of this page, 0 for none.
	IncludesAfter int64
	// Applied are the parameters that took effect, as the client wrote them,
	// in order: what the self link shows.
	Applied []KV

	contained string // _contained, "" for false
	alone     bool   // _containedType=contained
	conds     []cond
	includes  []include
	types     []string // never nil: the types searched
	everyType bool     // they are all there are
	limits    Limits
	uses      []Use
}

// SortKey is one key of _sort.
type SortKey struct {
	Code string
	Desc bool
	by   sorter
}

// IncludeLimit is the number of resources that may be included with a page; the
// statement returns one more where there are more.
func (q *Query) IncludeLimit() int { return q.limits.Includes }

// HasIncludes tells whether the query asks for _include or _revinclude.
func (q *Query) HasIncludes() bool { return len(q.includes) > 0 }

// Follows tells whether the query follows references: by includes, chains or _has.
func (q *Query) Follows() bool {
	return q.HasIncludes() || slices.ContainsFunc(q.Applied, func(kv KV) bool {
		return strings.Contains(kv.Name, ".") || strings.HasPrefix(kv.Name, "_has:")
	})
}

// A Cursor is a position between two matches: the keys and rid of a row that a
// statement returned. Its content is to be kept from the client's eyes and
// bound to the query and the principal, since keys are values of resources.
type Cursor struct {
	Keys []string // as the row's column keys holds them
	RID  int64
	Back bool // the page before the position, not the one after it
}

// Before is the position just before a match, so that its page can be had again.
func (q *Query) Before(keys []string, rid int64) *Cursor {
	s := q.byValue()
	if n := len(q.Sort); n > 0 && !q.Sort[n-1].Desc || s != nil && !s.falls() {
		return &Cursor{Keys: keys, RID: rid - 1}
	}
	return &Cursor{Keys: keys, RID: rid + 1}
}

// A Statement is one SELECT. Compile and CompileMatch return the columns
//
//	mode int2      0 match, 1 include
//	rid int8, rtype int2, fhir_id text, version int4, lu timestamptz
//	               of a contained resource fhir_id is that of what contains it behind
//	               the number of its type, then its own: 85/23#m1
//	body text
//	keys text[]    the sort values for a Cursor; null for includes
//
// first the matches, at most Limit of them, in the order of the page; with a
// Cursor that goes Back in the opposite order, nearest to the cursor first.
// Then the includes of the first Query.Count matches, at most Query.IncludeLimit
// and one more.
// CompileCount returns one column, count int8, in one row.
type Statement struct {
	SQL  string
	Args []any
	// Limit is the number of matches the statement asks for: Query.Count + 1.
	Limit int
	// Stable tells that the best plan does not depend on the values: the search
	// begins at an id, an identifier or one target of a reference and looks only
	// at the few resources it finds there, or it follows one index from its end.
	// Such a statement is best prepared and planned once, as planning takes longer
	// than running; any other is better planned for its values each time.
	Stable bool
	// Few tells that a Stable statement reads few rows: it begins at few or stops
	// when the page is full.
	Few bool
}
