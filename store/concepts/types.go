package concepts

// Version is one version of an imported code system.
type Version struct {
	ID       int32
	URL      string
	Version  string // "" for none
	Checksum []byte // of the distribution that it came from
	Concepts int
	Info     []byte // JSON, the caller's own
}

// Concept is one concept of an imported code system.
type Concept struct {
	Place      int64 // from 1, in pre-order
	Code       string
	Display    string
	Definition string
	Abstract   bool
	Inactive   bool
	Parents    []int64 // places
	Below      []Span  // what lies below it, without itself
	More       string  // the caller's own
}

// Span is a range of places, both ends in it.
type Span struct{ Lo, Hi int64 }

// In tells whether a place lies in one of the spans.
func In(spans []Span, place int64) bool {
	for _, s := range spans {
		if s.Lo <= place && place <= s.Hi {
			return true
		}
	}
	return false
}

// Selection picks concepts of one version. All conditions must hold; a zero one
// always does.
type Selection struct {
	Spans      [][]Span // each: in one of its spans
	NotIn      []Span   // in none of them
	Places     [][]int64
	ChildOf    []int64 // a direct child of each
	Leaf       bool    // nothing below it
	Codes      []string
	NotCodes   []string
	Properties []PropertyTest
	Words      []string // each begins a word of the concept's names; folded letters and digits only
	ActiveOnly bool
	Abstract   *bool
	Inactive   *bool
	After      int64 // only places beyond
	Offset     int
	Limit      int
	None       bool // nothing at all
}

// PropertyTest is a condition on the values of a property, given by its number.
type PropertyTest struct {
	Prop   int16
	Values []string // nil: any value
	Not    bool     // none of these values; with nil: no value at all
}
