package terminology

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"ingle/fhir"
)

// Filter is ValueSet.compose.include.filter, checked.
type Filter struct {
	Property, Op, Value string

	regex  *regexp.Regexp
	values []string // of in and not-in
}

// filterOps are the operators of R4 (http://hl7.org/fhir/filter-operator), and
// the two that R5 added.
var filterOps = []string{"=", "is-a", "descendent-of", "is-not-a", "regex", "in", "not-in", "generalizes", "exists", "child-of", "descendent-leaf"}

// newFilter checks a filter's own shape. where is its FHIRPath.
func newFilter(n fhir.Node, system, where string) (Filter, error) {
	f := Filter{Property: n.Get("property").Text(), Op: n.Get("op").Text(), Value: n.Get("value").Text()}
	if f.Value == "" {
		return f, outcome(400, fhir.CodeInvalid, "vs-invalid",
			fmt.Sprintf("The system %s filter with property = %s, op = %s has no value", system, f.Property, f.Op)).At(where)
	}
	if f.Property == "" {
		return f, outcome(400, fhir.CodeInvalid, "vs-invalid", fmt.Sprintf("The filter of the system %s has no property", system)).At(where)
	}
	if !slices.Contains(filterOps, f.Op) {
		return f, outcome(400, fhir.CodeInvalid, "vs-invalid",
			fmt.Sprintf("The system %s filter with property = %s has the operator '%s'; it must be one of %s", system, f.Property, f.Op, strings.Join(filterOps, ", "))).At(where)
	}
	switch f.Op {
	case "regex":
		if len(f.Value) > 1000 {
			return f, outcome(400, fhir.CodeTooCostly, "vs-invalid", "The regular expression of a filter is longer than 1000 characters").At(where)
		}
		// the whole value must match
		re, err := regexp.Compile(`^(?:` + f.Value + `)$`)
		if err != nil {
			return f, outcome(400, fhir.CodeInvalid, "vs-invalid", fmt.Sprintf("The regular expression '%s' is not valid", f.Value)).At(where)
		}
		f.regex = re
	case "in", "not-in":
		for v := range strings.SplitSeq(f.Value, ",") {
			f.values = append(f.values, strings.TrimSpace(v))
		}
	case "exists":
		if f.Value != "true" && f.Value != "false" {
			return f, outcome(400, fhir.CodeInvalid, "vs-invalid", fmt.Sprintf("The filter with op = exists has the value '%s'; it must be true or false", f.Value)).At(where)
		}
	}
	return f, nil
}

// hierarchical tells whether the operator walks the hierarchy.
func (f *Filter) hierarchical() bool {
	switch f.Op {
	case "is-a", "descendent-of", "is-not-a", "generalizes", "child-of", "descendent-leaf":
		return true
	}
	return false
}

// onCode tells whether the filter's property is the code itself.
func (f *Filter) onCode() bool { return f.Property == "concept" || f.Property == "code" }

// Accepts tells why the filter cannot be answered.
func (s *resourceSystem) Accepts(f *Filter) string { return acceptsFilter(&s.info, f) }

// acceptsFilter is Accepts for systems whose properties are declared.
func acceptsFilter(info *SystemInfo, f *Filter) string {
	if f.hierarchical() && !f.onCode() {
		return fmt.Sprintf("the operator %s works on the property concept only", f.Op)
	}
	switch f.Property {
	case "concept", "code", "display", "definition", "parent", "child", "inactive", "status", "notSelectable", "abstract", "label", "order", "weight":
		return ""
	}
	for _, p := range info.Properties {
		if p.Code == f.Property || p.URI == f.Property {
			return ""
		}
	}
	return fmt.Sprintf("the code system has no property %s", f.Property)
}

// Matches tells whether a concept passes all filters.
func (s *resourceSystem) Matches(_ context.Context, c *Concept, filters []Filter) (bool, error) {
	for i := range filters {
		if !s.match(c, &filters[i]) {
			return false, nil
		}
	}
	return true, nil
}

func (s *resourceSystem) match(c *Concept, f *Filter) bool {
	if f.hierarchical() {
		at, ok := s.at(c)
		if !ok {
			return false
		}
		of, ok := s.index[s.fold(f.Value)]
		if !ok {
			return f.Op == "is-not-a"
		}
		switch f.Op {
		case "is-a":
			return at == of || s.ancestor(of, at)
		case "descendent-of":
			return s.ancestor(of, at)
		case "is-not-a":
			return at != of && !s.ancestor(of, at)
		case "generalizes":
			return at == of || s.ancestor(at, of)
		case "child-of":
			return slices.Contains(s.parents[at], of)
		default: // descendent-leaf
			return len(s.children[at]) == 0 && s.ancestor(of, at)
		}
	}
	return matchValues(f, s.values(c, f.Property))
}

// values returns the values of a property as text.
func (s *resourceSystem) values(c *Concept, property string) []string {
	switch {
	case property == "":
	case property == "parent", property == s.info.propertyCode("parent"):
		return codesOf(s.pick(c, s.parents))
	case property == "child", property == s.info.propertyCode("child"):
		return codesOf(s.pick(c, s.children))
	}
	return propertyValues(&s.info, c, property)
}

func codesOf(list []*Concept) []string {
	out := make([]string, len(list))
	for i, c := range list {
		out[i] = c.Code
	}
	return out
}

// propertyValues returns the values of a property that needs no hierarchy.
func propertyValues(info *SystemInfo, c *Concept, property string) []string {
	switch property {
	case "concept", "code":
		return []string{c.Code}
	case "display":
		if c.Display == "" {
			return nil
		}
		return []string{c.Display}
	case "definition":
		if c.Definition == "" {
			return nil
		}
		return []string{c.Definition}
	case "inactive":
		return []string{fmt.Sprint(c.Inactive)}
	case "notSelectable", "abstract":
		return []string{fmt.Sprint(c.Abstract)}
	}
	var out []string
	for _, p := range c.Properties {
		if p.Code != property && info.propertyURI(p.Code) != property {
			continue
		}
		if p.Type == "Coding" {
			out = append(out, p.Coding.Code)
		} else {
			out = append(out, p.Value)
		}
	}
	return out
}

// matchValues applies an operator that does not walk the hierarchy to the
// values of a property. A concept without the property passes only "not-in" and
// "exists false".
func matchValues(f *Filter, values []string) bool {
	switch f.Op {
	case "=":
		return slices.Contains(values, f.Value)
	case "in":
		return slices.ContainsFunc(values, func(v string) bool { return slices.Contains(f.values, v) })
	case "not-in":
		return !slices.ContainsFunc(values, func(v string) bool { return slices.Contains(f.values, v) })
	case "exists":
		return (len(values) > 0) == (f.Value == "true")
	case "regex":
		return slices.ContainsFunc(values, f.regex.MatchString)
	}
	return false
}

// textMatcher returns a test of a text filter: every word of the filter must
// begin a word of the code, the display or a designation. Case does not matter.
func textMatcher(text string) func(*Concept) bool {
	if text == "" {
		return func(*Concept) bool { return true }
	}
	wanted := words(text)
	if len(wanted) == 0 {
		return func(*Concept) bool { return false }
	}
	return func(c *Concept) bool {
		for _, w := range wanted {
			if !concerns(c, w) {
				return false
			}
		}
		return true
	}
}

func concerns(c *Concept, word string) bool {
	if beginsWord(c.Code, word) || beginsWord(c.Display, word) {
		return true
	}
	for i := range c.Designations {
		if beginsWord(c.Designations[i].Value, word) {
			return true
		}
	}
	return false
}

func beginsWord(text, word string) bool {
	for _, w := range words(text) {
		if strings.HasPrefix(w, word) {
			return true
		}
	}
	return false
}
