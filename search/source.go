package search

import "strconv"

// Relation names one of the store's relations that a search may read.
type Relation int

// The relations, with the columns that Compile may use (see migrations/sql).
const (
	Resource   Relation = iota // rid, rk, lu, version, rtype, op, fhir_id, body, body_text; current, not deleted
	Token                      // h, rid, p
	Ref                        // rk, rid, p
	Date                       // k, lo, hi, rid, smin, smax, wide
	String                     // k, val, whole, raw, rid, smin, smax
	Quantity                   // k, lo, hi, unit, utext, sys, rid, smin, smax
	Dictionary                 // h, p, system, code (table token: no patient data, no scope)
	Text                       // rid, words (full text)
)

// A Source gives the relations to a statement. It is the store's `visible`: the
// caller's scope stands inside each relation, so a statement cannot read
// around it. Compile knows no table names.
type Source interface {
	// From returns a FROM item for the relation, restricted to what the caller
	// may see, under the alias: "(SELECT … ) AS t1". resourceTypes are the types
	// whose rows the statement wants from it; empty means any type. Arguments
	// that it needs are added to args. Types of contained resources (SplitContained)
	// ask for their rows. Resource then has the columns container, box_type and
	// box_id beside: rid, rtype and fhir_id of what contains the resource, null
	// for what is not contained. rk of a contained resource is Place.RK, and lu
	// and version are those of what contains it.
	From(rel Relation, resourceTypes []string, alias string, args *Args) string
	// Linked tells whether there may be a link in the data.
	Linked(Link) bool
}

// A FewLabels is a Source whose caller sees the rows of a few security labels
// only, none of them 0. The relations Token and Quantity have them in the column
// label. Under one key and label an index gives tokens in the order of rid, and
// quantities in that of lo and rid.
type FewLabels interface {
	Source
	// Labels are the ids of the labels, nil where there are many or all.
	Labels() []int32
	// Under gives the rows under one of the labels, an expression of the statement.
	Under(label string) Source
}

// Args collects the numbered arguments of one statement.
type Args struct{ values []any }

// Add appends a value and returns its placeholder, "$3". Equal integers and
// strings share one number.
func (a *Args) Add(v any) string {
	switch v.(type) {
	case int64, int32, int16, int, string, bool:
		for i, have := range a.values {
			if have == v {
				return "$" + strconv.Itoa(i+1)
			}
		}
	}
	a.values = append(a.values, v)
	return "$" + strconv.Itoa(len(a.values))
}

// Values returns the arguments in order.
func (a *Args) Values() []any { return a.values }
