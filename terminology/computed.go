package terminology

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"ingle/fhir/ucum"

	"golang.org/x/text/currency"
	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// computedSystem is a code system with a grammar or a standard's table in place
// of a CodeSystem resource: it validates any code, and lists its codes only
// where there are finitely many.
type computedSystem struct {
	info   SystemInfo
	parse  func(code string) *Concept // nil for no code of the system
	codes  func() []string            // nil where there is no list
	accept []string                   // properties that filters may name
	match  func(c *Concept, f *Filter) (matches, handled bool)
}

// computedSystems are the code systems that need no content: UCUM, languages
// (BCP 47), media types (BCP 13), countries (ISO 3166) and currencies (ISO 4217).
func computedSystems() map[string]System {
	list := []*computedSystem{
		{
			info:   SystemInfo{URL: ucum.System, Name: "UCUM", Title: "Unified Code for Units of Measure", CaseSensitive: true, Content: "complete", Status: "active", Compositional: true},
			parse:  parseUnit,
			accept: []string{"canonical", "comparable"},
			match:  matchUnit,
		},
		{
			info:   SystemInfo{URL: "urn:ietf:bcp:47", Name: "BCP47", Title: "Tags for Identifying Languages", Content: "complete", Status: "active", Compositional: true},
			parse:  parseLanguageTag,
			accept: []string{"language", "script", "region", "variant"},
		},
		{
			info:  SystemInfo{URL: "urn:ietf:bcp:13", Name: "BCP13", Title: "Media types", Content: "complete", Status: "active", Compositional: true},
			parse: parseMediaType,
		},
		{
			info:  SystemInfo{URL: "urn:iso:std:iso:3166", Name: "ISO3166Part1", Title: "ISO 3166 Part 1: country codes", CaseSensitive: true, Content: "complete", Status: "active"},
			parse: parseCountry,
			codes: countries,
		},
		{
			info:  SystemInfo{URL: "urn:iso:std:iso:4217", Name: "ISO4217", Title: "ISO 4217: currency codes", CaseSensitive: true, Content: "complete", Status: "active"},
			parse: parseCurrency,
			codes: currencies,
		},
	}
	out := make(map[string]System, len(list))
	for _, s := range list {
		s.info.Language = "en"
		out[s.info.URL] = s
	}
	return out
}

const maxComputedCode = 256

func parseUnit(code string) *Concept {
	u, err := ucum.Parse(code)
	if err != nil {
		return nil
	}
	return &Concept{Code: code, Display: code, Properties: []Property{{Code: "canonical", Type: "Code", Value: u.Base()}}}
}

func matchUnit(c *Concept, f *Filter) (bool, bool) {
	if f.Property != "comparable" || f.Op != "=" {
		return false, false
	}
	a, err := ucum.Parse(c.Code)
	if err != nil {
		return false, true
	}
	b, err := ucum.Parse(f.Value)
	return err == nil && a.Comparable(b), true
}

func parseLanguageTag(code string) *Concept {
	if len(code) > 64 || strings.Contains(code, "_") {
		return nil
	}
	tag, err := language.Raw.Parse(code)
	if err != nil {
		return nil
	}
	c := &Concept{Code: code, Display: display.English.Tags().Name(tag)}
	if c.Display == "" {
		c.Display = code
	}
	add := func(p, v string) { c.Properties = append(c.Properties, Property{Code: p, Type: "Code", Value: v}) }
	base, script, region := tag.Raw()
	add("language", base.String())
	if s := script.String(); s != "Zzzz" {
		add("script", s)
	}
	if s := region.String(); s != "ZZ" {
		add("region", s)
	}
	for _, v := range tag.Variants() {
		add("variant", v.String())
	}
	return c
}

var mediaTypes = []string{"application", "audio", "chemical", "example", "font", "haptics", "image", "message", "model", "multipart", "text", "video"}

// parseMediaType accepts type/subtype with parameters (RFC 6838 4.2; RFC 2045
// 5.1). The registry of subtypes changes daily, so any well-formed one will do.
func parseMediaType(code string) *Concept {
	name, params, hasParams := strings.Cut(code, ";")
	kind, sub, ok := strings.Cut(strings.TrimRight(name, " "), "/")
	if !ok || !restrictedName(kind) || !restrictedName(sub) {
		return nil
	}
	if k := strings.ToLower(kind); !slices.Contains(mediaTypes, k) && !strings.HasPrefix(k, "x-") {
		return nil
	}
	if hasParams {
		for p := range strings.SplitSeq(params, ";") {
			k, v, ok := strings.Cut(strings.TrimSpace(p), "=")
			if !ok || !restrictedName(k) || v == "" {
				return nil
			}
		}
	}
	return &Concept{Code: code, Display: code}
}

func restrictedName(s string) bool {
	if s == "" || len(s) > 127 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case i > 0 && strings.IndexByte("!#$&-^_.+", c) >= 0:
		default:
			return false
		}
	}
	return true
}

// parseCountry accepts two letters, three letters and three digits.
func parseCountry(code string) *Concept {
	if len(code) < 2 || len(code) > 3 || strings.ToUpper(code) != code {
		return nil
	}
	r, err := language.ParseRegion(code)
	if err != nil || !r.IsCountry() || r.IsPrivateUse() || r.Canonicalize() != r {
		return nil
	}
	if code != r.String() && code != r.ISO3() && code != fmt.Sprintf("%03d", r.M49()) {
		return nil
	}
	return &Concept{Code: code, Display: display.English.Regions().Name(r)}
}

func countries() []string {
	var two, three, digits []string
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			code := string([]rune{a, b})
			if parseCountry(code) == nil {
				continue
			}
			r, _ := language.ParseRegion(code)
			two, three = append(two, code), append(three, r.ISO3())
			if r.M49() > 0 {
				digits = append(digits, fmt.Sprintf("%03d", r.M49()))
			}
		}
	}
	return append(append(two, three...), digits...)
}

func parseCurrency(code string) *Concept {
	if len(code) != 3 || strings.ToUpper(code) != code {
		return nil
	}
	u, err := currency.ParseISO(code)
	if err != nil {
		return nil
	}
	return &Concept{Code: u.String(), Display: u.String()}
}

func currencies() []string {
	var out []string
	for q := currency.Query(); q.Next(); {
		if c := q.Unit().String(); !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	slices.Sort(out)
	return out
}

// Info returns the system's facts.
func (s *computedSystem) Info() *SystemInfo { return &s.info }

// Concept parses a code.
func (s *computedSystem) Concept(_ context.Context, code string) (*Concept, error) {
	if code == "" || len(code) > maxComputedCode {
		return nil, nil
	}
	return s.parse(code), nil
}

// Walk lists the codes where there is a list.
func (s *computedSystem) Walk(ctx context.Context, q *Query, yield func(*Concept) bool) error {
	if s.codes == nil {
		return errNotListable
	}
	match := textMatcher(q.Text)
	for _, code := range s.codes() {
		c := s.parse(code)
		if c == nil || !match(c) {
			continue
		}
		if ok, err := s.Matches(ctx, c, q.Filters); err != nil {
			return err
		} else if ok && !yield(c) {
			return nil
		}
	}
	return nil
}

// Count cannot count without walking.
func (s *computedSystem) Count(context.Context, *Query) (int, error) { return -1, nil }

// Matches applies filters on the properties that a code has by its parts.
func (s *computedSystem) Matches(_ context.Context, c *Concept, filters []Filter) (bool, error) {
	for i := range filters {
		f := &filters[i]
		if f.hierarchical() {
			if (f.Op == "is-a" || f.Op == "generalizes") && f.Value == c.Code || f.Op == "is-not-a" && f.Value != c.Code {
				continue
			}
			return false, nil
		}
		if s.match != nil {
			if ok, handled := s.match(c, f); handled {
				if !ok {
					return false, nil
				}
				continue
			}
		}
		if !matchValues(f, propertyValues(&s.info, c, f.Property)) {
			return false, nil
		}
	}
	return true, nil
}

// Accepts tells why a filter cannot be answered.
func (s *computedSystem) Accepts(f *Filter) string {
	if f.onCode() || f.Property == "display" || slices.Contains(s.accept, f.Property) {
		return ""
	}
	return fmt.Sprintf("the code system has no property %s", f.Property)
}

// Subsumes is false: these systems have no hierarchy.
func (s *computedSystem) Subsumes(context.Context, *Concept, *Concept) (bool, error) {
	return false, nil
}

// Parents returns none.
func (s *computedSystem) Parents(context.Context, *Concept) ([]*Concept, error) { return nil, nil }

// Children returns none.
func (s *computedSystem) Children(context.Context, *Concept) ([]*Concept, error) { return nil, nil }
