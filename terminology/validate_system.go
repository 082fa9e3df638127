package terminology

import (
	"context"
	"errors"
	"fmt"

	"ingle/fhir"
)

// ValidateInCodeSystem answers CodeSystem/$validate-code: whether a code is
// defined by a code system.
func (s *Service) ValidateInCodeSystem(ctx context.Context, src Source, p *Parameters) ([]byte, error) {
	r := s.newRun(ctx, src)
	if err := s.prepare(r, p); err != nil {
		return nil, err
	}
	in, err := validationOf(p, false)
	if err != nil {
		return nil, err
	}
	if err := r.pickLanguage(p, nil); err != nil {
		return nil, err
	}
	rd := reader{p: p}
	url, version := rd.text("url"), rd.text("version")
	if rd.err != nil {
		return nil, rd.err
	}
	own, err := s.ownSystem(r, p)
	if err != nil {
		return nil, err
	}
	if own != nil {
		url = own.Info().URL
	}
	out := &checked{concept: in.concept, ok: true}
	for i := range in.codings {
		c := in.codings[i]
		if c.System == "" {
			c.System = url
		}
		if c.Version == "" && c.System == url {
			c.Version = version
		}
		in.codings[i] = c
		one := &checked{system: c.System, code: c.Code, version: c.Version}
		add := func(severity, code, tx, id, at string, told bool, format string, args ...any) {
			one.issues = append(one.issues, issue{severity, code, tx, id, fmt.Sprintf(format, args...), at, told})
		}
		switch {
		case c.System == "":
			add(fhir.SeverityError, fhir.CodeInvalid, "invalid-data", "Coding_has_no_system__cannot_validate", in.path(i, ""), true,
				"Coding has no system. A code with no system has no defined meaning, and it cannot be validated. A system should be provided")
		case url != "" && c.System != url:
			add(fhir.SeverityError, fhir.CodeInvalid, "invalid-data", "", in.path(i, "system"), true,
				"The coding is of the code system '%s', not of '%s'", c.System, url)
		default:
			var m *member
			if own != nil {
				m = &member{sys: own, system: url, set: &valueSet{}}
				if m.concept, err = own.Concept(ctx, c.Code); err != nil {
					return nil, err
				}
				m.code = c.Code
			}
			err := r.checkCode(&valueSet{}, in, i, c, m, &verdict{}, one, add)
			var u *unknownSystem
			if errors.As(err, &u) {
				return nil, u.asError(404)
			}
			if err != nil {
				return nil, asClientError(err)
			}
		}
		one.matched = !failed(one.issues)
		out.issues = append(out.issues, one.issues...)
		out.unknown = append(out.unknown, one.unknown...)
		if !in.concept.Valid() || one.matched && !out.matched {
			ok, issues, unknown, concept := out.ok, out.issues, out.unknown, out.concept
			*out = *one
			out.ok, out.issues, out.unknown, out.concept = ok, issues, unknown, concept
		}
		if one.sys != nil {
			r.checkSystem(one.sys, nil)
		}
	}
	out.issues = append(out.issues, r.statusIssues()...)
	if out.ok = !failed(out.issues); in.concept.Valid() && len(in.codings) == 0 {
		return nil, fhir.Errorf(400, fhir.CodeInvalid, "the CodeableConcept has no coding")
	}
	if url == "" && len(in.codings) == 1 && in.at[0] == "" && own == nil {
		return nil, fhir.Errorf(400, fhir.CodeRequired, "no code system is given: send url, or call the operation on a CodeSystem")
	}
	return out.json(r), nil
}

// ownSystem is the code system that a call brings with it: inline, or the
// instance it is called on; nil for none.
func (s *Service) ownSystem(r *run, p *Parameters) (System, error) {
	inline, err := p.node("codeSystem")
	if err != nil {
		return nil, err
	}
	if p.Resource != nil {
		if inline.Valid() {
			return nil, fhir.Errorf(400, fhir.CodeInvalid, "give the code system once: as codeSystem, or by calling the operation on an instance")
		}
		inline = p.Resource.Root()
		// an imported system is behind its resource
		url, version := inline.Get("url").Text(), inline.Get("version").Text()
		if c := inline.Get("content").Text(); url != "" && c != "complete" {
			return r.system(url, version)
		}
	}
	if !inline.Valid() {
		return nil, nil
	}
	if t := inline.Get("resourceType").Text(); t != "CodeSystem" {
		return nil, fhir.Errorf(400, fhir.CodeInvalid, "the parameter codeSystem is %s, not a CodeSystem", orNothing(t))
	}
	r.static = false
	return compileSystem(inline)
}
