package authz

import (
	"net/url"
	"slices"
	"strings"
)

// smartScope is one data scope of SMART App Launch (2.2.0, section "Scopes and
// Launch Context"): patient/Observation.rs?category=laboratory.
type smartScope struct {
	context string // "patient", "user" or "system"
	typ     string // resource type or "*"
	allows  letters
	query   string // search parameters, "" for none
	text    string // as granted
}

// letters are the permissions c r u d s of a scope.
type letters uint8

const (
	letterC letters = 1 << iota
	letterR
	letterU
	letterD
	letterS
)

// needs is the letter that a method needs.
var needs = [...]letters{Read: letterR, Create: letterC, Update: letterU, Delete: letterD, Search: letterS}

// isSmart tells whether a scope speaks of FHIR data, well formed or not. The
// others (openid, launch/patient, offline_access …) grant no data.
func isSmart(scope string) bool {
	return strings.HasPrefix(scope, "patient/") || strings.HasPrefix(scope, "user/") || strings.HasPrefix(scope, "system/")
}

// parseSmart reads one scope, of version 1 (.read .write .*) or 2 (.cruds, in
// that order, with search parameters). ok is false for anything else.
func parseSmart(text string) (s smartScope, ok bool) {
	if !isSmart(text) || len(text) > 2048 {
		return s, false
	}
	s.text = text
	var rest, query string
	s.context, rest, _ = strings.Cut(text, "/")
	rest, query, hasQuery := strings.Cut(rest, "?")
	typ, permission, found := strings.Cut(rest, ".")
	if !found || typ != "*" && !isTypeName(typ) {
		return s, false
	}
	s.typ = typ
	switch permission {
	case "read":
		s.allows = letterR | letterS
	case "write":
		s.allows = letterC | letterU | letterD
	case "*":
		s.allows = letterC | letterR | letterU | letterD | letterS
	default:
		const order = "cruds"
		at := 0
		for _, c := range permission {
			i := strings.IndexRune(order[at:], c)
			if i < 0 {
				return s, false
			}
			at += i
			s.allows |= 1 << at
			at++
		}
	}
	if s.allows == 0 {
		return s, false
	}
	if hasQuery {
		if permission == "read" || permission == "write" || permission == "*" {
			return s, false // version 1 has no parameters
		}
		if !validQuery(query) {
			return s, false
		}
		s.query = query
	}
	return s, true
}

func isTypeName(s string) bool {
	if s == "" || len(s) > 64 || s[0] < 'A' || s[0] > 'Z' {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// validQuery takes parameters that are conditions on the resource itself. Those
// that shape a result (_include, _count, _sort …) are none, and those that look
// at other resources (chains, _has, _list …) could tell of one that its labels
// hide: the caller chooses the scopes to ask for.
func validQuery(query string) bool {
	values, err := url.ParseQuery(query)
	if err != nil || len(values) == 0 || len(values) > 16 {
		return false
	}
	for name, vs := range values {
		base, _, _ := strings.Cut(name, ":")
		if base == "" || strings.Contains(name, ".") || slices.Contains(notConditions, base) || slices.Contains(vs, "") {
			return false
		}
	}
	return true
}

var notConditions = []string{"_has", "_list", "_filter", "_query", "_sort", "_count", "_include", "_revinclude", "_summary", "_total", "_elements",
	"_contained", "_containedType", "_format", "_pretty", "_cursor", "_score", "_maxresults", "_graph", "_fields"}

// permissions are the SMART scopes of one token with its launch context.
type permissions struct {
	scopes  []smartScope
	patient string       // logical id, "" for none
	and     *permissions // must allow too: what a job's snapshot leaves
}

// newPermissions returns nil for a token without any scope of FHIR data,
// unless such are required.
func newPermissions(scopes []string, patient string, required bool) *permissions {
	p := &permissions{patient: patient}
	any := required
	for _, text := range scopes {
		if !isSmart(text) {
			continue
		}
		any = true // a malformed one grants nothing, and narrows
		if s, ok := parseSmart(text); ok {
			p.scopes = append(p.scopes, s)
		}
	}
	if !any {
		return nil
	}
	return p
}

// with adds what must allow too.
func (p *permissions) with(o *permissions) *permissions {
	out := *p
	if p.and != nil {
		o = p.and.with(o)
	}
	out.and = o
	return &out
}

// narrow returns what the scopes leave for one resource type and method.
func (p *permissions) narrow(resourceType string, m Method) Narrowing {
	var out Narrowing
	whole := false
	for _, s := range p.scopes {
		if s.typ != "*" && s.typ != resourceType || s.allows&needs[m] == 0 {
			continue
		}
		r := Restriction{Query: s.query}
		if s.context == "patient" {
			if p.patient == "" {
				continue // no patient in context: no compartment, nothing
			}
			if !(m == Read || m == Search) || !slices.Contains(sharedTypes, resourceType) {
				r.Patient = p.patient
			}
		}
		out.Allowed = true
		if r == (Restriction{}) {
			whole = true
		} else if !slices.Contains(out.Alternatives, r) {
			out.Alternatives = append(out.Alternatives, r)
		}
	}
	if whole {
		out.Alternatives = nil
	}
	if p.and != nil {
		out = out.and(p.and.narrow(resourceType, m))
	}
	return out
}

// unrestricted tells whether the scopes leave everything to a user or system.
func (p *permissions) unrestricted() bool {
	for _, m := range []Method{Read, Create, Update, Delete, Search} {
		if n := p.narrow("*", m); !n.Allowed || n.Restricted() {
			return false
		}
	}
	return true
}

// sharedTypes are about no patient: a patient scope reads them like anybody's
// (who treats, where, with what, by which definitions), labels permitting.
// Other types outside the patient compartment (Binary, Device, Task …) may
// tell of another patient and stay out.
var sharedTypes = []string{
	"ActivityDefinition", "CapabilityStatement", "CodeSystem", "CompartmentDefinition", "ConceptMap", "Endpoint",
	"HealthcareService", "ImplementationGuide", "InsurancePlan", "Library", "Location", "Measure", "Medication",
	"MedicationKnowledge", "NamingSystem", "OperationDefinition", "Organization", "PlanDefinition", "Practitioner",
	"PractitionerRole", "Questionnaire", "SearchParameter", "StructureDefinition", "Substance", "ValueSet",
}

// patientOnly tells whether all data that the scopes grant is the patient's in
// context: none is a user's or the system's.
func (p *permissions) patientOnly() bool {
	for _, s := range p.scopes {
		if s.context != "patient" {
			return p.and != nil && p.and.patientOnly()
		}
	}
	return true
}
