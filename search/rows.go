package search

import (
	"strconv"

	"ingle/fhir"
)

// Rows are the index rows of one resource: what Registry.IndexRows extracts
// and the store writes. Each slice holds distinct values in a stable order.
type Rows struct {
	Tokens     []TokenRow
	Refs       []RefRow
	Dates      []DateRow
	Strings    []StringRow
	Quantities []QuantityRow
	// Coded lists the tokens of this resource that the dictionary (table
	// token) must know: those of Coding, CodeableConcept and code elements,
	// but not identifiers, which are indexed in each form they are searched by.
	Coded []CodedToken
	// Words are the lexemes of the resource's row of idx_text, for
	// array_to_tsvector: sorted and distinct; nil where there are none or full
	// text is off (Registry.EnableFullText).
	Words []string
	// WordsCut: there are more words than a row can hold, and the last are left out.
	WordsCut bool `json:",omitempty"`
	// Contained are the rows of the resources that it contains, in their order,
	// and Place tells what and where such a one is, nil for any other. Their
	// tokens for the dictionary stand in Coded of the resource that contains them.
	Contained []*Rows
	Place     *Place
}

// TokenRow is a row of idx_token.
type TokenRow struct {
	H int64
	P ParamID
}

// CodedToken is a row of the dictionary.
type CodedToken struct {
	H      int64
	P      ParamID
	System string
	Code   string
}

// RefRow is a row of idx_ref.
type RefRow struct {
	RK int64
	P  ParamID
	// Target is the literal reference to a resource of this server
	// ("Patient/1"), "" for anything else; not stored, for the check of
	// referential integrity.
	Target string

	node fhir.Node
}

// Path is the FHIRPath of the element that refers, "Observation.subject", "" where it is
// not known. It is looked for among all elements before it: for messages.
func (r RefRow) Path() string {
	n := r.node
	if !n.Valid() {
		return ""
	}
	root := n.Doc().Root()
	path := root.Get("resourceType").Text()
	want := n.Offset()
	for at := root; at != n; {
		next := fhir.Node{}
		i := 0
		for c := at.First(); c.Valid(); c = c.Next() {
			if start, end := c.Span(); start <= want && want < end {
				next = c
				break
			}
			i++
		}
		if !next.Valid() {
			return path
		}
		if at.Kind() == fhir.Array {
			path += "[" + strconv.Itoa(i) + "]"
		} else {
			path += "." + next.Key()
		}
		at = next
	}
	return path
}

// DateRow is a row of idx_date: [Lo, Hi] in microseconds since 1970 UTC, both
// inclusive; math.MinInt64 and math.MaxInt64 where open.
type DateRow struct {
	K          int64
	Lo, Hi     int64
	SMin, SMax bool
	Wide       bool // longer than a day
}

// StringRow is a row of idx_string.
type StringRow struct {
	K int64
	// Val is the folded text, cut to 600 bytes. Whole is all of it where Val is
	// not: cut, or the tail of a part of a name or address. Raw is the text as
	// it was written where that is not Val.
	Val        string
	Whole, Raw *string
	SMin, SMax bool
}

// QuantityRow is a row of idx_quantity. Lo and Hi are decimal text.
type QuantityRow struct {
	K                int64
	Lo, Hi           string
	Unit, UText, Sys int64
	SMin, SMax       bool
}
