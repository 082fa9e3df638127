package terminology

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"ingle/store/concepts"
)

// storedSystem is an imported code system. What stands under its id never
// changes: a version that is imported again gets another one.
type storedSystem struct {
	info  SystemInfo
	id    int32
	size  int // concepts
	store *concepts.Store
	kept  *keptRows // nil where nothing is kept
}

// storedSystem finds an imported version, and the versions that there are.
func (s *Service) storedSystem(ctx context.Context, url, version string, stub *SystemInfo) (System, []string, error) {
	list, err := s.opt.Concepts.Versions(ctx, url)
	if err != nil {
		return nil, nil, err
	}
	var best *concepts.Version
	var versions []string
	for i := range list {
		v := &list[i]
		versions = append(versions, v.Version)
		if version != "" && !matchVersion(version, v.Version) {
			continue
		}
		if best == nil || compareVersions(v.Version, best.Version) > 0 {
			best = v
		}
	}
	if best == nil {
		return nil, versions, nil
	}
	key := fmt.Sprintf("stored|%d", best.ID)
	if have, ok := s.cache.Get(key); ok {
		return have.(System), versions, nil
	}
	out := &storedSystem{id: best.ID, size: best.Concepts, store: s.opt.Concepts, kept: s.rows}
	if err := json.Unmarshal(best.Info, &out.info); err != nil {
		return nil, nil, fmt.Errorf("terminology: the facts of %s: %w", url, err)
	}
	out.info.URL, out.info.Version = best.URL, best.Version
	if stub != nil {
		out.info.Title, out.info.ValueSet = orElse(out.info.Title, stub.Title), orElse(out.info.ValueSet, stub.ValueSet)
	}
	s.cache.Set(key, out)
	return out, versions, nil
}

// Info returns the facts of the imported version.
func (s *storedSystem) Info() *SystemInfo { return &s.info }

// maxCode is how many bytes a code may have that is looked for.
const maxCode = 1000

func (s *storedSystem) find(ctx context.Context, code string) (*concepts.Concept, error) {
	if len(code) > maxCode {
		return nil, nil
	}
	code = s.fold(code)
	if row, ok := s.kept.concept(s.id, code); ok {
		return row, nil
	}
	row, err := s.store.Concept(ctx, s.id, code, !s.info.CaseSensitive)
	if err == nil && row != nil {
		s.kept.keepConcept(s.id, code, row)
	}
	return row, err
}

// concepts finds concepts by their codes in one round trip; nil for those that the
// system does not define.
func (s *storedSystem) concepts(ctx context.Context, codes []string) ([]*Concept, error) {
	rows := make(map[string]*concepts.Concept, len(codes))
	var missing []string
	for _, code := range codes {
		code = s.fold(code)
		if row, ok := s.kept.concept(s.id, code); ok {
			rows[code] = row
		} else if len(code) <= maxCode {
			missing = append(missing, code)
		}
	}
	if len(missing) > 0 {
		found, err := s.store.ConceptsOf(ctx, s.id, missing, !s.info.CaseSensitive)
		if err != nil {
			return nil, err
		}
		for _, row := range found {
			rows[s.fold(row.Code)] = row
		}
	}
	out := make([]*Concept, len(codes))
	for i, code := range codes {
		row := rows[s.fold(code)]
		if row == nil {
			continue
		}
		var err error
		if out[i], err = s.out(row); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Concept finds a concept by code.
func (s *storedSystem) Concept(ctx context.Context, code string) (*Concept, error) {
	c, err := s.find(ctx, code)
	if c == nil || err != nil {
		return nil, err
	}
	return s.out(c)
}

func (s *storedSystem) fold(code string) string {
	if s.info.CaseSensitive {
		return code
	}
	return strings.ToLower(code)
}

// out turns a row into a concept.
func (s *storedSystem) out(row *concepts.Concept) (*Concept, error) {
	c := &Concept{Code: row.Code, Display: row.Display, Definition: row.Definition, Abstract: row.Abstract, Inactive: row.Inactive, ref: row.Place, stored: row}
	if err := unpack(row.More, c); err != nil {
		return nil, fmt.Errorf("terminology: concept %s of %s: %w", row.Code, s.info.URL, err)
	}
	if p := c.property(s.info.propertyCode("status")); p != nil {
		c.Status = p.Value
	}
	return c, nil
}

// Accepts tells why a filter cannot be answered.
func (s *storedSystem) Accepts(f *Filter) string { return acceptsFilter(&s.info, f) }

// plan turns a query into a selection; rest are the filters that the store
// cannot apply.
func (s *storedSystem) plan(ctx context.Context, q *Query) (*concepts.Selection, []Filter, error) {
	sel := &concepts.Selection{ActiveOnly: q.ActiveOnly, Words: words(q.Text), Offset: q.Offset, Limit: q.Limit}
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
			sel.Properties = append(sel.Properties, concepts.PropertyTest{Prop: s.propertyNumber(f.Property), Values: orList(f)})
		case f.Op == "not-in":
			sel.Properties = append(sel.Properties, concepts.PropertyTest{Prop: s.propertyNumber(f.Property), Values: f.values, Not: true})
		case f.Op == "exists":
			sel.Properties = append(sel.Properties, concepts.PropertyTest{Prop: s.propertyNumber(f.Property), Not: f.Value == "false"})
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

// propertyNumber is the number under which a property's values are stored, -1
// for none.
func (s *storedSystem) propertyNumber(name string) int16 {
	return int16(slices.IndexFunc(s.info.Properties, func(p PropertyInfo) bool { return p.Code == name || p.URI == name }))
}

func (s *storedSystem) planHierarchy(ctx context.Context, sel *concepts.Selection, f *Filter) error {
	c, err := s.find(ctx, f.Value)
	if err != nil {
		return err
	}
	if c == nil {
		sel.None = sel.None || f.Op != "is-not-a"
		return nil
	}
	self := concepts.Span{Lo: c.Place, Hi: c.Place}
	switch f.Op {
	case "is-a":
		sel.Spans = append(sel.Spans, append([]concepts.Span{self}, c.Below...))
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
		up, err := s.store.Ancestors(ctx, s.id, c.Place)
		if err != nil {
			return err
		}
		sel.Places = append(sel.Places, append(up, c.Place))
	}
	return nil
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
		of, err := s.find(ctx, f.Value)
		if err != nil {
			return false, err
		}
		if of == nil {
			if f.Op == "is-not-a" {
				continue
			}
			return false, nil
		}
		below, same := concepts.In(of.Below, c.ref), of.Place == c.ref
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
			ok = same || c.stored != nil && concepts.In(c.stored.Below, of.Place)
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
	return concepts.In(a.stored.Below, b.ref), nil
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
	sel := &concepts.Selection{Limit: 10_000}
	if up {
		if len(c.stored.Parents) == 0 {
			return nil, nil
		}
		sel.Places = [][]int64{c.stored.Parents}
	} else {
		if len(c.stored.Below) == 0 {
			return nil, nil
		}
		sel.ChildOf = []int64{c.ref}
	}
	page, err := s.store.Page(ctx, s.id, sel)
	if err != nil {
		return nil, err
	}
	out := make([]*Concept, len(page))
	for i, p := range page {
		if out[i], err = s.out(p); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// words splits text into folded words, as imported names are split.
func words(text string) []string {
	if text == "" {
		return nil
	}
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// more is what a row holds beside its columns.
type more struct {
	Designations []Designation `json:"d,omitempty"`
	Properties   []Property    `json:"p,omitempty"`
}

func unpack(text string, c *Concept) error {
	if text == "" {
		return nil
	}
	var m more
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return err
	}
	c.Designations, c.Properties = m.Designations, m.Properties
	return nil
}
