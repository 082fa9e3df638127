package authz

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"ingle/authz/redact"
	"ingle/fhir"
)

// Policy takes away from what roles grant, by resource type. Where several
// policies hold for a caller, what one takes away no other gives back.
type Policy struct {
	// Resources are the rules by resource type, "*" for the types without one of
	// their own. A type without a rule is out of reach.
	Resources map[string]Rule
}

// Rule is what a policy leaves of a resource type. The zero Rule leaves all of it.
//
// A search is one as in a SMART scope, "category=laboratory&status=final", with or
// without "Observation?" in front; %patient, %encounter and %fhirUser stand for
// what the caller's token says, and a caller whose token does not is out.
type Rule struct {
	Criteria []string `json:"criteria,omitempty"` // searches, one of which a resource must match; none: any does
	Write    []string `json:"write,omitempty"`    // the same for what is written, besides Criteria
	ReadOnly bool     `json:"readOnly,omitempty"`
	Hidden   []string `json:"hidden,omitempty"` // paths of elements that are not seen, "name", "contact.name", see package redact
}

// policy is a Policy that was read.
type policy struct {
	name   string
	rules  map[string]Rule
	hidden *redact.Fields // nil for nothing
}

func compilePolicy(name string, p Policy, defs *fhir.Definitions) (*policy, error) {
	out := &policy{name: name, rules: map[string]Rule{}}
	paths := map[string][]string{}
	var faults []error
	for typ, r := range p.Resources {
		if typ != "*" && (defs == nil || !defs.IsResourceType(typ)) {
			faults = append(faults, fmt.Errorf("%q is not a resource type", typ))
			continue
		}
		if typ == "*" && len(r.Criteria)+len(r.Write)+len(r.Hidden) > 0 {
			faults = append(faults, errors.New("the rule for * has no criteria, write and hidden: they are about the elements of one type"))
			continue
		}
		for _, list := range []*[]string{&r.Criteria, &r.Write} {
			*list = slices.Clone(*list)
			for i, c := range *list {
				(*list)[i] = strings.TrimPrefix(strings.TrimPrefix(c, typ), "?")
				if text, ok := fill((*list)[i], &identity{Patient: "x", Encounter: "x", FHIRUser: "Patient/x"}); !ok || !validQuery(text) {
					faults = append(faults, fmt.Errorf("%s: %q is no search on the resource itself; chains, _has and the like may not be part of it", typ, c))
				}
			}
		}
		out.rules[typ] = r
		if len(r.Hidden) > 0 {
			paths[typ] = r.Hidden
		}
	}
	if len(paths) > 0 {
		var err error
		if out.hidden, err = redact.New(defs, paths); err != nil {
			faults = append(faults, err)
		}
	}
	return out, errors.Join(faults...)
}

// fill puts what the caller's token says in the place of the parameters of a
// search; ok is false where it does not say.
func fill(query string, id *identity) (text string, ok bool) {
	if !strings.Contains(query, "%") {
		return query, true
	}
	for _, p := range []struct{ name, value string }{{"%patient", id.Patient}, {"%encounter", id.Encounter}, {"%fhirUser", id.FHIRUser}} {
		if !strings.Contains(query, p.name) {
			continue
		}
		if p.value == "" {
			return "", false
		}
		escaped := strings.NewReplacer(`\`, `\\`, ",", `\,`, "|", `\|`, "$", `\$`).Replace(p.value)
		query = strings.ReplaceAll(query, p.name, url.QueryEscape(escaped))
	}
	return query, true
}

// narrow returns what the policy leaves a caller of a resource type, "*" for
// every type at once.
func (p *policy) narrow(resourceType string, m Method, id *identity) Narrowing {
	writes := m != Read && m != Search
	if resourceType == "*" {
		for _, r := range p.rules {
			if r.ReadOnly && writes || len(r.Criteria) > 0 || len(r.Write) > 0 && writes {
				return Narrowing{}
			}
		}
	}
	r, ok := p.rule(resourceType)
	if !ok || r.ReadOnly && writes {
		return Narrowing{}
	}
	n := alternatives(r.Criteria, id)
	if writes {
		n = n.and(alternatives(r.Write, id))
	}
	return n
}

// rule is that of a resource type, or else of all others.
func (p *policy) rule(resourceType string) (Rule, bool) {
	r, ok := p.rules[resourceType]
	if !ok {
		r, ok = p.rules["*"]
	}
	return r, ok
}

// alternatives is what searches leave.
func alternatives(queries []string, id *identity) Narrowing {
	if len(queries) == 0 {
		return Narrowing{Allowed: true}
	}
	var n Narrowing
	for _, q := range queries {
		if text, ok := fill(q, id); ok {
			n.Allowed = true
			n.Alternatives = append(n.Alternatives, Restriction{Criteria: text})
		}
	}
	return n
}

// joinPolicies lists each policy once.
func joinPolicies(lists ...[]*policy) []*policy {
	var out []*policy
	for _, list := range lists {
		for _, p := range list {
			if !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out
}

// Hidden returns the elements that the caller does not see, nil for none.
func (s Scope) Hidden() *redact.Fields {
	if s.s == nil {
		return nil
	}
	return s.s.hidden
}

// bind has policies hold for the caller, besides those that do.
func (s *scope) bind(policies []*policy) {
	s.policies = joinPolicies(s.policies, policies)
	s.hidden = nil
	for _, p := range s.policies {
		s.hidden = redact.Join(s.hidden, p.hidden)
	}
}

// Searches lists the searches of the policies, by resource type, so that who
// knows the search parameters can tell which of them are none.
func (c Config) Searches(yield func(resourceType, query string) bool) {
	for _, p := range c.Policies {
		for typ, r := range p.Resources {
			for _, q := range slices.Concat(r.Criteria, r.Write) {
				text, _ := fill(strings.TrimPrefix(strings.TrimPrefix(q, typ), "?"), &identity{Patient: "x", Encounter: "x", FHIRUser: "Patient/x"})
				if !yield(typ, text) {
					return
				}
			}
		}
	}
}
