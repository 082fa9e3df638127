package terminology

import (
	"context"
	"fmt"
	"sync"
	"unicode"

	"strings"
)

// ConceptStore holds imported code systems. Concepts have places: numbers in the
// pre-order of the hierarchy, so that what lies below a concept is a few spans
// of places.
type ConceptStore interface {
	// StoredVersions lists the imported versions of a code system; url "" for all.
	StoredVersions(ctx context.Context, url string) ([]StoredVersion, error)
	// StoredConcept finds a concept by code, nil if there is none. fold ignores case.
	StoredConcept(ctx context.Context, id int32, code string, fold bool) (*StoredConcept, error)
	// StoredPage returns the concepts that a selection picks, by place.
	StoredPage(ctx context.Context, id int32, sel *Selection) ([]*StoredConcept, error)
	// StoredCount counts them, -1 if there are more than limit.
	StoredCount(ctx context.Context, id int32, sel *Selection, limit int) (int, error)
	// StoredAncestors returns the places above a place.
	StoredAncestors(ctx context.Context, id int32, place int64) ([]int64, error)
}

// StoredVersion is one imported version of a code system.
type StoredVersion struct {
	ID       int32
	Info     SystemInfo
	Concepts int
}

// StoredConcept is a concept with its place.
type StoredConcept struct {
	Concept
	Place   int64
	Parents []int64 // places
	Below   []Span  // places of what is below it, without itself
}

// Span is a range of places, both ends in it.
type Span struct{ Lo, Hi int64 }

func inSpans(spans []Span, place int64) bool {
	for _, s := range spans {
		if s.Lo <= place && place <= s.Hi {
			return true
		}
	}
	return false
}

// Selection picks concepts of one stored code system. All conditions must hold;
// a zero one always does.
type Selection struct {
	Spans      [][]Span // each list: in one of its spans
	NotIn      []Span   // in none of them
	Places     [][]int64
	ChildOf    []int64 // a direct child of each
	Leaf       bool    // nothing below it
	Codes      []string
	NotCodes   []string
	Displays   []string
	Properties []PropertyTest
	Words      []string // each begins a word of the concept's names, folded
	ActiveOnly bool
	Abstract   *bool
	Inactive   *bool
	After      int64 // places from here on; 0 for all (places begin at 1)
	Offset     int
	Limit      int
	None       bool // nothing at all
}

// PropertyTest is a condition on the values of a property.
type PropertyTest struct {
	Code   string
	Values []string // nil: any value
	Not    bool     // no value of these, or no value at all
}

// storedSystem is an imported code system.
type storedSystem struct {
	info  SystemInfo
	id    int32
	store ConceptStore
	roots sync.Map // code → *StoredConcept: what filters name
}

// storedSystem finds an imported version, and the versions that there are.
func (s *Service) storedSystem(ctx context.Context, url, version string, stub *SystemInfo) (System, []string, error) {
	list, err := s.opt.Concepts.StoredVersions(ctx, url)
	if err != nil {
		return nil, nil, err
	}
	var best *StoredVersion
	var versions []string
	for i := range list {
		v := &list[i]
		versions = append(versions, v.Info.Version)
		if version != "" && !matchVersion(version, v.Info.Version) {
			continue
		}
		if best == nil || compareVersions(v.Info.Version, best.Info.Version) > 0 {
			best = v
		}
	}
	if best == nil {
		return nil, versions, nil
	}
	key := fmt.Sprintf("stored|%d", best.ID)
	if s.cache != nil {
		if have, ok := s.cache.GetIfPresent(key); ok {
			return have.(System), versions, nil
		}
	}
	out := &storedSystem{info: best.Info, id: best.ID, store: s.opt.Concepts}
	if out.info.Content = "complete"; stub != nil {
		out.info.Title, out.info.ValueSet = orElse(out.info.Title, stub.Title), orElse(out.info.ValueSet, stub.ValueSet)
	}
	if s.cache != nil {
		s.cache.Set(key, System(out))
	}
	return out, versions, nil
}

// Info returns the facts of the imported version.
func (s *storedSystem) Info() *SystemInfo { return &s.info }

func (s *storedSystem) find(ctx context.Context, code string) (*StoredConcept, error) {
	if len(code) > 1000 {
		return nil, nil
	}
	return s.store.StoredConcept(ctx, s.id, code, !s.info.CaseSensitive)
}

// Concept finds a concept by code.
func (s *storedSystem) Concept(ctx context.Context, code string) (*Concept, error) {
	c, err := s.find(ctx, code)
	if c == nil || err != nil {
		return nil, err
	}
	return s.out(c), nil
}

func (s *storedSystem) out(c *StoredConcept) *Concept {
	s.info.settle(&c.Concept)
	c.Concept.ref = c.Place
	c.Concept.stored = c
	return &c.Concept
}

// root is a concept that a filter names; these are few and asked for often.
func (s *storedSystem) root(ctx context.Context, code string) (*StoredConcept, error) {
	if c, ok := s.roots.Load(code); ok {
		return c.(*StoredConcept), nil
	}
	c, err := s.find(ctx, code)
	if err != nil || c == nil {
		return nil, err
	}
	s.roots.Store(code, c)
	return c, nil
}

// Accepts tells why a filter cannot be answered.
func (s *storedSystem) Accepts(f *Filter) string { return acceptsFilter(&s.info, f) }

// plan turns a query into a selection; rest are the filters that the store
// cannot apply.
func (s *storedSystem) plan(ctx context.Context, q *Query) (*Selection, []Filter, error) {
	sel := &Selection{ActiveOnly: q.ActiveOnly, Words: words(q.Text), Offset: q.Offset, Limit: q.Limit}
	if q.Text != "" && len(sel.Words) == 0 {
		sel.None = true
	}
	var rest []Filter
	for i := range q.Filters {
		f := &q.Filters[i]
		switch {
		case f.hierarchical():
			if err := s.planHierarchy(ctx, sel, f); err != nil {
				return nil, nil, err
			}
		case f.Op == "regex":
			rest = append(rest, *f)
		case f.onCode() && (f.Op == "=" || f.Op == "in"):
			sel.Codes = append(sel.Codes, orList(f)...)
		case f.onCode() && f.Op == "not-in":
			sel.NotCodes = append(sel.NotCodes, f.values...)
		case f.Property == "inactive" && f.Op == "=":
			sel.Inactive = truth(f.Value)
		case (f.Property == "notSelectable" || f.Property == "abstract") && f.Op == "=":
			sel.Abstract = truth(f.Value)
		case f.Property == "parent", f.Property == "child", f.Property == "display", f.Property == "definition", f.onCode(), f.Property == "inactive":
			rest = append(rest, *f)
		case f.Op == "=", f.Op == "in":
			sel.Properties = append(sel.Properties, PropertyTest{Code: s.propertyName(f.Property), Values: orList(f)})
		case f.Op == "not-in":
			sel.Properties = append(sel.Properties, PropertyTest{Code: s.propertyName(f.Property), Values: f.values, Not: true})
		case f.Op == "exists":
			sel.Properties = append(sel.Properties, PropertyTest{Code: s.propertyName(f.Property), Not: f.Value == "false"})
		default:
			rest = append(rest, *f)
		}
	}
	return sel, rest, nil
}

func truth(v string) *bool {
	b := v == "true"
	return &b
}

func orList(f *Filter) []string {
	if f.Op == "in" {
		return f.values
	}
	return []string{f.Value}
}

// propertyName is the code under which a property is stored.
func (s *storedSystem) propertyName(name string) string {
	for _, p := range s.info.Properties {
		if p.URI == name {
			return p.Code
		}
	}
	return name
}

func (s *storedSystem) planHierarchy(ctx context.Context, sel *Selection, f *Filter) error {
	c, err := s.root(ctx, f.Value)
	if err != nil {
		return err
	}
	if c == nil {
		sel.None = sel.None || f.Op != "is-not-a"
		return nil
	}
	self := Span{c.Place, c.Place}
	switch f.Op {
	case "is-a":
		sel.Spans = append(sel.Spans, append([]Span{self}, c.Below...))
	case "descendent-of":
		sel.Spans = append(sel.Spans, c.Below)
		sel.None = sel.None || len(c.Below) == 0
	case "descendent-leaf":
		sel.Spans = append(sel.Spans, c.Below)
		sel.Leaf = true
		sel.None = sel.None || len(c.Below) == 0
	case "is-not-a":
		sel.NotIn = append(append(sel.NotIn, self), c.Below...)
	case "child-of":
		sel.ChildOf = append(sel.ChildOf, c.Place)
	case "generalizes":
		up, err := s.store.StoredAncestors(ctx, s.id, c.Place)
		if err != nil {
			return err
		}
		sel.Places = append(sel.Places, append(up, c.Place))
	}
	return nil
}

const storedPage = 2000

// Walk reads the concepts page by page.
func (s *storedSystem) Walk(ctx context.Context, q *Query, yield func(*Concept) bool) error {
	sel, rest, err := s.plan(ctx, q)
	if err != nil || sel.None {
		return err
	}
	whole := sel.Limit == 0
	if whole || len(rest) > 0 {
		sel.Limit, sel.Offset, whole = storedPage, 0, true
	}
	for {
		page, err := s.store.StoredPage(ctx, s.id, sel)
		if err != nil {
			return err
		}
		for _, c := range page {
			out := s.out(c)
			if ok, err := s.Matches(ctx, out, rest); err != nil {
				return err
			} else if ok && !yield(out) {
				return nil
			}
		}
		if !whole || len(page) < sel.Limit {
			return nil
		}
		sel.After = page[len(page)-1].Place + 1
	}
}

// maxCount is the largest total that is counted exactly.
const maxCount = 1_000_000

// Count counts in the store, -1 where filters remain that it cannot apply.
func (s *storedSystem) Count(ctx context.Context, q *Query) (int, error) {
	sel, rest, err := s.plan(ctx, q)
	if err != nil || len(rest) > 0 {
		return -1, err
	}
	if sel.None {
		return 0, nil
	}
	return s.store.StoredCount(ctx, s.id, sel, maxCount)
}

// Matches applies filters to one concept, without reading others.
func (s *storedSystem) Matches(ctx context.Context, c *Concept, filters []Filter) (bool, error) {
	for i := range filters {
		f := &filters[i]
		if !f.hierarchical() {
			values := propertyValues(&s.info, c, f.Property)
			if f.Property == "parent" || f.Property == "child" {
				list, err := s.neighbours(ctx, c, f.Property == "parent")
				if err != nil {
					return false, err
				}
				values = codesOf(list)
			}
			if !matchValues(f, values) {
				return false, nil
			}
			continue
		}
		of, err := s.root(ctx, f.Value)
		if err != nil {
			return false, err
		}
		if of == nil {
			if f.Op == "is-not-a" {
				continue
			}
			return false, nil
		}
		below, same := inSpans(of.Below, c.ref), of.Place == c.ref
		ok := false
		switch f.Op {
		case "is-a":
			ok = same || below
		case "descendent-of":
			ok = below
		case "descendent-leaf":
			ok = below && c.stored != nil && len(c.stored.Below) == 0
		case "is-not-a":
			ok = !same && !below
		case "generalizes":
			ok = same || c.stored != nil && inSpans(c.stored.Below, of.Place)
		case "child-of":
			if c.stored != nil {
				for _, p := range c.stored.Parents {
					ok = ok || p == of.Place
				}
			}
		}
		if !ok {
			return false, nil
		}
	}
	return true, nil
}

// Subsumes tells whether a is an ancestor of b.
func (s *storedSystem) Subsumes(_ context.Context, a, b *Concept) (bool, error) {
	if a.stored == nil || b.stored == nil {
		return false, fmt.Errorf("a concept of another code system was asked of %s", s.info.URL)
	}
	return inSpans(a.stored.Below, b.ref), nil
}

// Parents returns the direct parents.
func (s *storedSystem) Parents(ctx context.Context, c *Concept) ([]*Concept, error) {
	return s.neighbours(ctx, c, true)
}

// Children returns the direct children.
func (s *storedSystem) Children(ctx context.Context, c *Concept) ([]*Concept, error) {
	return s.neighbours(ctx, c, false)
}

func (s *storedSystem) neighbours(ctx context.Context, c *Concept, up bool) ([]*Concept, error) {
	if c.stored == nil {
		return nil, nil
	}
	sel := &Selection{Limit: 10_000}
	if up {
		if len(c.stored.Parents) == 0 {
			return nil, nil
		}
		sel.Places = [][]int64{c.stored.Parents}
	} else {
		if len(c.stored.Below) == 0 {
			return nil, nil
		}
		sel.ChildOf = []int64{c.Place()}
	}
	page, err := s.store.StoredPage(ctx, s.id, sel)
	if err != nil {
		return nil, err
	}
	out := make([]*Concept, len(page))
	for i, p := range page {
		out[i] = s.out(p)
	}
	return out, nil
}

// Place is the concept's place in its system.
func (c *Concept) Place() int64 { return c.ref }

// words splits text into folded words, as imported names are split.
func words(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// Words is how names are split for the text filter: folded words.
func Words(text string) []string { return words(text) }
