package profiles

import (
	"context"
	"strings"

	"ingle/fhir"
)

// Gate stands before the store: it validates each resource that is to be
// written by the configured rules.
type Gate struct{ v *Validator }

// Gate returns the Validator as what the interactions ask before they store.
func (v *Validator) Gate() Gate { return Gate{v} }

// Validate checks one resource, alone or in a Bundle, with its positions in the
// whole body. It returns the issues of a resource that may be stored; what may
// not is a *fhir.Error: 400 where the base definition is broken, 422 where a
// profile or a rule of this server is (R4 http.html#create). What is not even
// of the JSON format is refused in every mode.
func (g Gate) Validate(ctx context.Context, resource fhir.Node, around Around) ([]fhir.Issue, error) {
	mode := g.v.cfg.mode(resource.Get("resourceType").Text())
	if g.v.cfg.Alone {
		around.Stored = nil
	}
	issues := g.v.ValidateNode(ctx, resource, Request{Rules: true, Around: around, Format: mode == Off})
	if err := around.Stored.Err(); err != nil {
		return nil, err
	}
	if mode == Warn && HasErrors(issues) {
		if faults := g.v.ValidateNode(ctx, resource, Request{Format: true}); HasErrors(faults) {
			return nil, &fhir.Error{Status: 400, Issues: faults}
		}
		for i := range issues {
			if issues[i].Severity == fhir.SeverityError {
				issues[i].Severity = fhir.SeverityWarning
			}
		}
		return issues, nil
	}
	if !HasErrors(issues) {
		return issues, nil
	}
	status, base := 422, g.v.current().typeURL(resource.Get("resourceType").Text())
	for i := range issues {
		if g.v.breaksBase(&issues[i], base) {
			status = 400
		}
	}
	return nil, &fhir.Error{Status: status, Issues: issues}
}

// breaksBase tells an error of structure against a definition of FHIR, or the
// resource's own: base.
func (v *Validator) breaksBase(is *fhir.Issue, base string) bool {
	if is.Severity != fhir.SeverityError && is.Severity != fhir.SeverityFatal {
		return false
	}
	switch is.Code {
	case fhir.CodeStructure, fhir.CodeRequired, fhir.CodeValue, fhir.CodeInvalid, fhir.CodeTooLong:
	default:
		return false
	}
	if is.Source == "" {
		return true
	}
	url, _ := splitCanonical(is.Source) // "…|4.0.1#ele-1"
	name, ok := strings.CutPrefix(url, sdPrefix)
	return url == base || ok && v.current().table(name) != nil
}

// Changed tells the registry of a stored conformance resource after the commit
// of its write, and at the start for those that are stored: body is nil for a
// deleted one. Anything but a conformance resource is ignored. A resource that
// cannot be used stays out; the error says why.
func (r *Registry) Changed(resourceType, id string, body []byte) error {
	if !IsConformance(resourceType) {
		return nil
	}
	origin := resourceType + "/" + id
	if body == nil {
		r.Remove(origin)
		return nil
	}
	if err := r.Set(origin, body); err != nil {
		r.Remove(origin)
		return err
	}
	return nil
}
