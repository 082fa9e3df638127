package terminology

import (
	"context"
	"fmt"

	"ingle/fhir"
)

// Outcomes of $subsumes (http://hl7.org/fhir/concept-subsumption-outcome).
const (
	equivalent  = "equivalent"
	subsumes    = "subsumes"
	subsumedBy  = "subsumed-by"
	notSubsumed = "not-subsumed"
)

// Subsumes answers CodeSystem/$subsumes: how codeA relates to codeB.
func (s *Service) Subsumes(ctx context.Context, src Source, p *Parameters) ([]byte, error) {
	r := s.newRun(ctx, src)
	if err := s.prepare(r, p); err != nil {
		return nil, err
	}
	a, okA, err := theCoding(p, "codingA", "codeA", "system")
	if err != nil {
		return nil, err
	}
	b, okB, err := theCoding(p, "codingB", "codeB", "system")
	if err != nil {
		return nil, err
	}
	own, err := s.ownSystem(r, p)
	if err != nil {
		return nil, asClientError(err)
	}
	if own != nil {
		for _, c := range []*Coding{&a, &b} {
			if c.System == "" {
				c.System = own.Info().URL
			}
		}
	}
	switch {
	case !okA || !okB:
		return nil, fhir.Errorf(400, fhir.CodeRequired, "send codeA, codeB and system, or codingA and codingB")
	case a.System == "" || b.System == "":
		return nil, fhir.Errorf(400, fhir.CodeRequired, "the code system is missing: send system, or call the operation on a CodeSystem")
	case a.System != b.System:
		return nil, fhir.Errorf(422, fhir.CodeNotSupported, "codeA is of %s and codeB of %s; subsumption is tested inside one code system", a.System, b.System)
	case a.Version != "" && b.Version != "" && a.Version != b.Version:
		return nil, fhir.Errorf(422, fhir.CodeNotSupported, "codeA is of version %s and codeB of version %s of the code system", a.Version, b.Version)
	}
	sys := own
	if sys == nil {
		want, err := r.wantedVersion(a.System, orElse(a.Version, b.Version))
		if err != nil {
			return nil, err
		}
		if sys, err = r.system(a.System, want); err != nil {
			return nil, asClientError(err)
		}
	}
	how, err := r.subsumption(sys, a.Code, b.Code)
	if err != nil {
		return nil, asClientError(err)
	}
	w := &writer{}
	w.open('{').str("resourceType", "Parameters").key("parameter").open('[')
	w.param("outcome", "Code", how)
	return w.close(']').close('}').b, nil
}

func orElse(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// subsumption tells how a relates to b. Both must be defined.
func (r *run) subsumption(sys System, a, b string) (string, error) {
	x, err := r.defined(sys, a)
	if err != nil {
		return "", err
	}
	y, err := r.defined(sys, b)
	if err != nil {
		return "", err
	}
	if x.Code == y.Code {
		return equivalent, nil
	}
	down, err := sys.Subsumes(r.ctx, x, y)
	if err != nil {
		return "", err
	}
	up, err := sys.Subsumes(r.ctx, y, x)
	if err != nil {
		return "", err
	}
	switch {
	case down && up: // a cycle in the hierarchy
		return equivalent, nil
	case down:
		return subsumes, nil
	case up:
		return subsumedBy, nil
	}
	return notSubsumed, nil
}

func (r *run) defined(sys System, code string) (*Concept, error) {
	c, err := r.concept(sys, code)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return nil, outcome(404, fhir.CodeNotFound, "invalid-code", fmt.Sprintf("Unknown code '%s' in the CodeSystem '%s'", code, sys.Info().URL))
	}
	return c, nil
}
