package terminology

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ingle/fhir"
)

// checked is what $validate-code found.
type checked struct {
	ok       bool
	issues   []issue
	sys      System
	system   string
	version  string
	code     string // as given
	proper   string // as the code system spells it, where that differs
	display  string
	inactive bool
	status   string
	unknown  []string // systems nobody defines: x-unknown-system
	cause    []string // the same, where the value set needs them: x-caused-by-unknown-system
	concept  fhir.Node
	matched  bool // in the value set
}

// validation is the input of $validate-code.
type validation struct {
	codings    []Coding
	at         []string // FHIRPath of each coding, "" for the parameters code, system, display
	concept    fhir.Node
	infer      bool
	abstract   *bool
	activeOnly bool
	lenient    bool // a wrong display is a warning
	onlyMember bool // valueset-membership-only
}

// ValidateInValueSet answers ValueSet/$validate-code: a Parameters resource.
func (s *Service) ValidateInValueSet(ctx context.Context, src Source, p *Parameters) ([]byte, error) {
	r := s.newRun(ctx, src)
	if err := s.prepare(r, p); err != nil {
		return nil, err
	}
	in, err := validationOf(p, true)
	if err != nil {
		return nil, err
	}
	v, err := s.theValueSet(r, p)
	if err != nil {
		return nil, err
	}
	if err := r.loadSupplements(v.supplements); err != nil {
		return nil, err
	}
	if err := r.pickLanguage(p, v); err != nil {
		return nil, err
	}
	out, err := r.validate(v, in)
	if err != nil {
		return nil, asClientError(err)
	}
	return out.json(r), nil
}

// validationOf reads the coded part of the input. Exactly one of code, coding
// and codeableConcept must be there.
func validationOf(p *Parameters, forSet bool) (*validation, error) {
	rd := reader{p: p}
	v := &validation{infer: is(rd.boolean("inferSystem")) || is(rd.boolean("implySystem")), abstract: rd.boolean("abstract"),
		activeOnly: is(rd.boolean("activeOnly")), lenient: is(rd.boolean("lenient-display-validation")),
		onlyMember: is(rd.boolean("valueset-membership-only"))}
	code, system, version, display := rd.text("code"), rd.text("system"), rd.text("systemVersion"), rd.text("display")
	if !forSet {
		system, version = rd.text("url"), rd.text("version")
	}
	if rd.err != nil {
		return nil, rd.err
	}
	coding, err := p.node("coding")
	if err != nil {
		return nil, err
	}
	if v.concept, err = p.node("codeableConcept"); err != nil {
		return nil, err
	}
	given := 0
	for _, b := range []bool{code != "", coding.Valid(), v.concept.Valid()} {
		if b {
			given++
		}
	}
	if given != 1 {
		return nil, fhir.Errorf(400, fhir.CodeInvalid, "send one of code (with system), coding and codeableConcept; %d of them are there", given)
	}
	if p.has("date") {
		return nil, fhir.Errorf(422, fhir.CodeNotSupported, "the parameter date is not supported: codes are validated against the current content; name versions instead")
	}
	switch {
	case coding.Valid():
		v.codings, v.at = []Coding{codingOf(coding)}, []string{"Coding"}
	case v.concept.Valid():
		i := 0
		for c := v.concept.Get("coding").First(); c.Valid(); c = c.Next() {
			v.codings = append(v.codings, codingOf(c))
			v.at = append(v.at, fmt.Sprintf("CodeableConcept.coding[%d]", i))
			i++
		}
		if i > 100 {
			return nil, fhir.Errorf(422, fhir.CodeTooCostly, "the CodeableConcept has more than 100 codings")
		}
	default:
		if forSet && system == "" && !v.infer {
			return nil, fhir.Errorf(400, fhir.CodeInvalid, "a code needs its system; send system, or inferSystem=true where the value set tells it")
		}
		v.codings, v.at = []Coding{{System: system, Version: version, Code: code, Display: display}}, []string{""}
	}
	for i := range v.codings {
		if v.codings[i].Code == "" {
			return nil, fhir.Errorf(400, fhir.CodeInvalid, "a coding has no code").At(v.path(i, "code"))
		}
	}
	return v, nil
}

// path is the FHIRPath of a coding's part in the request.
func (v *validation) path(i int, part string) string {
	switch {
	case v.at[i] == "":
		if part == "" {
			return "code"
		}
		return part
	case part == "":
		return v.at[i]
	}
	return v.at[i] + "." + part
}

// validate checks the codings against a value set.
func (r *run) validate(v *valueSet, in *validation) (*checked, error) {
	out := &checked{concept: in.concept}
	if err := r.acyclic(v, map[*valueSet]bool{}); err != nil {
		return nil, err
	}
	many := in.concept.Valid()
	for i := range in.codings {
		one, err := r.validateCoding(v, in, i)
		if err != nil {
			return nil, err
		}
		out.issues = append(out.issues, one.issues...)
		for _, u := range one.unknown {
			if !slices.Contains(out.unknown, u) {
				out.unknown = append(out.unknown, u)
			}
		}
		for _, u := range one.cause {
			if !slices.Contains(out.cause, u) {
				out.cause = append(out.cause, u)
			}
		}
		if !many || one.matched && !out.matched {
			out.sys, out.system, out.version, out.code, out.proper = one.sys, one.system, one.version, one.code, one.proper
			out.display, out.inactive, out.status, out.matched = one.display, one.inactive, one.status, one.matched
		}
	}
	missing := slices.ContainsFunc(out.issues, func(i issue) bool { return i.id == "Unable_to_resolve_value_Set_" })
	if many && !out.matched && len(out.cause) == 0 && !missing {
		out.issues = append([]issue{{fhir.SeverityError, fhir.CodeCodeInvalid, "not-in-vs", "TX_GENERAL_CC_ERROR_MESSAGE",
			fmt.Sprintf("No valid coding was found for the value set '%s'", v.shown()), "", true}}, out.issues...)
	}
	if many && out.matched {
		// another coding of an unknown system does no harm
		for i := range out.issues {
			if is := &out.issues[i]; is.id == "UNKNOWN_CODESYSTEM" {
				is.severity = fhir.SeverityWarning
			}
		}
	}
	out.issues = append(out.issues, r.statusIssues()...)
	out.ok = out.matched && !failed(out.issues)
	return out, nil
}

// statusIssues tells of deprecated, withdrawn, draft and experimental content.
func (r *run) statusIssues() []issue {
	var out []issue
	for _, w := range r.warnings {
		kind, resource, _ := strings.Cut(w.kind, " ")
		out = append(out, issue{fhir.SeverityInformation, fhir.CodeBusinessRule, "status-check", "MSG_" + strings.ToUpper(kind),
			fmt.Sprintf("Reference to %s %s %s", kind, resource, w.canonical), "", false})
	}
	return out
}

func absolute(uri string) bool {
	i := strings.IndexByte(uri, ':')
	return i > 0 && !strings.ContainsAny(uri[:i], "/#? ")
}

// validateCoding checks one coding against a value set.
func (r *run) validateCoding(v *valueSet, in *validation, i int) (*checked, error) {
	c := in.codings[i]
	out := &checked{system: c.System, code: c.Code, version: c.Version}
	add := func(severity, code, tx, id, at string, told bool, format string, args ...any) {
		out.issues = append(out.issues, issue{severity, code, tx, id, fmt.Sprintf(format, args...), at, told})
	}
	notIn := func() {
		severity, tx, told := fhir.SeverityError, "not-in-vs", true
		if in.concept.Valid() {
			severity, tx, told = fhir.SeverityInformation, "this-code-not-in-vs", false
		}
		shown := canonical(c.System, c.Version) + "#" + c.Code
		if c.Display != "" {
			shown += fmt.Sprintf(" ('%s')", c.Display)
		}
		add(severity, fhir.CodeCodeInvalid, tx, "None_of_the_provided_codes_are_in_the_value_set_one", in.path(i, "code"), told,
			"The provided code '%s' was not found in the value set '%s'", shown, v.shown())
	}
	if c.System == "" {
		if !in.infer {
			add(fhir.SeverityWarning, fhir.CodeInvalid, "invalid-data", "Coding_has_no_system__cannot_validate", in.path(i, ""), true,
				"Coding has no system. A code with no system has no defined meaning, and it cannot be validated. A system should be provided")
			notIn()
			return out, nil
		}
		found, tried, err := r.inferSystem(v, c.Code, new(verdict))
		if err != nil {
			return nil, err
		}
		switch len(found) {
		case 1:
			c.System, out.system = found[0], found[0]
		case 0:
			notIn()
			add(fhir.SeverityError, fhir.CodeNotFound, "cannot-infer", "UNABLE_TO_INFER_CODESYSTEM", in.path(i, "code"), true,
				"The System URI could not be determined for the code '%s' in the ValueSet '%s': it is in none of its code systems: [%s]", c.Code, v.shown(), strings.Join(tried, ", "))
			return out, nil
		default:
			notIn()
			add(fhir.SeverityError, fhir.CodeNotFound, "cannot-infer", "Unable_to_resolve_system__value_set_has_multiple_matches", in.path(i, "code"), true,
				"The System URI could not be determined for the code '%s' in the ValueSet '%s': value set expansion has multiple matches: [%s]", c.Code, v.shown(), strings.Join(found, ", "))
			return out, nil
		}
	}
	var vd verdict
	m, err := r.contains(v, nil, c, &vd)
	if err != nil {
		return nil, err
	}
	if m != nil && in.activeOnly && m.inactive() {
		m, vd.inactive = nil, true
	}
	if vd.missing != nil && m == nil {
		add(fhir.SeverityError, fhir.CodeNotFound, "not-found", "Unable_to_resolve_value_Set_", "", true, "%s", vd.missing.Error())
	}
	if vd.cause != nil && m == nil {
		out.cause = append(out.cause, vd.cause.canonical())
		r.addUnknown(out, in.path(i, "system"), vd.cause, fhir.SeverityError, true)
		return out, nil
	}
	if m != nil {
		out.matched = true
		for _, x := range vd.mismatch {
			id, text := "VALUESET_VALUE_MISMATCH", "The code system '%s' version '%s' in the ValueSet include is different to the one in the value ('%s')"
			if x.versionless {
				id, text = "VALUESET_VALUE_MISMATCH_DEFAULT", "The code system '%s' version '%s' for the versionless include in the ValueSet include is different to the one in the value ('%s')"
			}
			add(fhir.SeverityError, fhir.CodeInvalid, "vs-invalid", id, in.path(i, "version"), true, text, x.system, x.wanted, x.given)
			var unknown *unknownSystem
			if _, err := r.system(x.system, x.given); errors.As(err, &unknown) {
				out.unknown = append(out.unknown, unknown.canonical())
				r.addUnknown(out, in.path(i, "system"), unknown, fhir.SeverityError, true)
			} else if err != nil {
				return nil, err
			}
		}
	}
	if err := r.checkCode(v, in, i, c, m, &vd, out, add); err != nil {
		return nil, err
	}
	switch {
	case m != nil:
	case vd.inactive:
		add(fhir.SeverityError, fhir.CodeBusinessRule, "code-rule", "STATUS_CODE_WARNING_CODE", in.path(i, "code"), true,
			"The concept '%s' is valid but is not active", c.Code)
		notIn()
	case vd.missing != nil:
	default:
		notIn()
	}
	if m != nil && m.ref != nil && m.ref.deprecated {
		add(fhir.SeverityWarning, fhir.CodeBusinessRule, "code-comment", "CONCEPT_DEPRECATED_IN_VALUESET", in.path(i, "code"), false,
			"The presence of the concept '%s' in the system '%s' in the value set %s is marked with a status of deprecated and its use should be reviewed", c.Code, c.System, v.shown())
	}
	return out, nil
}

func (r *run) addUnknown(out *checked, at string, u *unknownSystem, severity string, quoted bool) {
	id, code, text := "UNKNOWN_CODESYSTEM", "not-found", u.Error()
	switch {
	case u.down != "":
	case u.version != "":
		id = "UNKNOWN_CODESYSTEM_VERSION"
	case !quoted:
		text = strings.Replace(text, "'"+u.url+"'", u.url, 1)
	}
	out.issues = append(out.issues, issue{severity, fhir.CodeNotFound, code, id, text, at, true})
}

type addIssue func(severity, code, tx, id, at string, told bool, format string, args ...any)

// checkCode checks a coding against its code system: is it known, is it active,
// does the display fit.
func (r *run) checkCode(v *valueSet, in *validation, i int, c Coding, m *member, vd *verdict, out *checked, add addIssue) error {
	only := in.onlyMember && m == nil
	if !absolute(c.System) && !only {
		add(fhir.SeverityError, fhir.CodeInvalid, "invalid-data", "Terminology_TX_System_Relative", in.path(i, "system"), true,
			"Coding.system must be an absolute reference, not a local reference")
	}
	var sys System
	if m != nil {
		sys = m.sys
	}
	if sys == nil {
		version := c.Version
		if m != nil && m.version != "" {
			version = m.version
		}
		want, err := r.wantedVersion(c.System, version)
		if err != nil {
			return err
		}
		var unknown *unknownSystem
		if sys, err = r.system(c.System, want); errors.As(err, &unknown) {
			if only {
				return nil
			}
			if isSet, err := r.src.Canonical(r.ctx, "ValueSet", c.System, ""); err != nil {
				return err
			} else if isSet != nil {
				add(fhir.SeverityError, fhir.CodeInvalid, "invalid-data", "Terminology_TX_System_ValueSet2", in.path(i, "system"), true,
					"The Coding references a value set, not a code system ('%s')", c.System)
				return nil
			}
			severity := fhir.SeverityError
			if m != nil { // the value set lists it: that decides
				severity = fhir.SeverityWarning
				out.display = m.ref.display
			}
			out.unknown = append(out.unknown, unknown.canonical())
			r.addUnknown(out, in.path(i, "system"), unknown, severity, !absolute(c.System))
			return nil
		} else if err != nil {
			return err
		}
	}
	info := sys.Info()
	out.sys, out.version = sys, info.Version
	var concept *Concept
	if m != nil && m.concept != nil {
		concept = m.concept
	} else {
		var err error
		if concept, err = r.concept(sys, c.Code); err != nil {
			return err
		}
	}
	if concept == nil {
		if only {
			return nil
		}
		switch {
		case m != nil && vd.inFragment, info.Content == "fragment", info.Content == "example":
			add(fhir.SeverityWarning, fhir.CodeCodeInvalid, "invalid-code", "UNKNOWN_CODE_IN_FRAGMENT", in.path(i, "code"), false,
				"Unknown Code '%s' in the CodeSystem '%s' version '%s' - note that the code system is labeled as a fragment, so the code may be valid in some other fragment", c.Code, c.System, info.Version)
		case info.Version == "":
			add(fhir.SeverityError, fhir.CodeCodeInvalid, "invalid-code", "Unknown_Code_in", in.path(i, "code"), true,
				"Unknown code '%s' in the CodeSystem '%s'", c.Code, c.System)
		default:
			add(fhir.SeverityError, fhir.CodeCodeInvalid, "invalid-code", "Unknown_Code_in_Version", in.path(i, "code"), true,
				"Unknown code '%s' in the CodeSystem '%s' version '%s'", c.Code, c.System, info.Version)
		}
		return nil
	}
	if concept.Code != c.Code {
		out.proper = concept.Code
		add(fhir.SeverityInformation, fhir.CodeBusinessRule, "code-rule", "CODE_CASE_DIFFERENCE", in.path(i, "code"), false,
			"The code '%s' differs from the correct code '%s' by case. Although the code system '%s' is case insensitive, implementers are strongly encouraged to use the correct case anyway", c.Code, concept.Code, info.Canonical())
	}
	if concept.Inactive {
		out.inactive, out.status = true, concept.Status
		status := "inactive"
		if concept.Status != "" && concept.Status != "inactive" {
			status = concept.Status + " and inactive"
		}
		add(fhir.SeverityWarning, fhir.CodeBusinessRule, "code-comment", "INACTIVE_CONCEPT_FOUND", in.path(i, ""), true,
			"The concept '%s' has a status of %s and its use should be reviewed", c.Code, status)
	}
	if in.abstract != nil && !*in.abstract && concept.Abstract {
		add(fhir.SeverityError, fhir.CodeBusinessRule, "code-rule", "ABSTRACT_CODE_NOT_ALLOWED", in.path(i, "code"), true,
			"Code '%s#%s' is abstract, and not allowed in this context", c.System, c.Code)
	}
	if m == nil {
		m = &member{sys: sys, system: c.System, code: concept.Code, concept: concept, set: v}
	}
	names := m.names()
	out.display, _ = r.lang.pickDisplay(names)
	if out.display == "" {
		out.display = concept.Display
	}
	if c.Display != "" && !in.onlyMember {
		r.checkDisplay(in, i, c, names, add)
	}
	return nil
}

// inferSystem finds the code systems in which a value set has a code. tried are
// all of its systems; what could not be looked at is told in out.
func (r *run) inferSystem(v *valueSet, code string, out *verdict) (found, tried []string, err error) {
	if tried, err = r.systemsOf(v, nil, out); err != nil {
		return nil, nil, err
	}
	for _, system := range tried {
		m, err := r.contains(v, nil, Coding{System: system, Code: code}, out)
		if err != nil {
			return nil, nil, err
		}
		if m != nil && (m.concept != nil || m.ref != nil) {
			found = append(found, system)
		}
	}
	return found, tried, nil
}

// systemsOf adds the code systems that a value set draws from to a list. A value
// set that it needs and that is not known is told in what.
func (r *run) systemsOf(v *valueSet, list []string, what *verdict) ([]string, error) {
	if err := r.enter(v, "including"); err != nil {
		return nil, err
	}
	defer r.leave()
	for i := range v.include {
		in := &v.include[i]
		if in.system != "" {
			if !slices.Contains(list, in.system) {
				list = append(list, in.system)
			}
			continue
		}
		for _, ref := range in.valueSets {
			inner, err := r.valueSet(ref, v)
			var missing *unknownValueSet
			if errors.As(err, &missing) {
				what.missing = missing
				continue
			}
			if err == nil {
				list, err = r.systemsOf(inner, list, what)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return list, nil
}

// json writes the answer's Parameters.
func (c *checked) json(r *run) []byte {
	w := &writer{b: make([]byte, 0, 512)}
	w.open('{').str("resourceType", "Parameters").key("parameter").open('[')
	w.boolParam("result", c.ok)
	if !c.concept.Valid() || c.matched {
		w.param("code", "Code", c.code)
		w.param("normalized-code", "Code", c.proper)
		w.param("system", "Uri", c.system)
		if c.sys != nil {
			w.param("version", "String", c.version)
		}
		w.param("display", "String", c.display)
	}
	if c.concept.Valid() {
		w.open('{').str("name", "codeableConcept").key("valueCodeableConcept").raw(c.concept.Raw()).close('}')
	}
	if c.inactive {
		w.boolParam("inactive", true)
		w.param("status", "Code", c.status)
	}
	w.param("message", "String", message(c.issues))
	for _, u := range c.unknown {
		w.param("x-unknown-system", "Canonical", u)
	}
	for _, u := range c.cause {
		w.param("x-caused-by-unknown-system", "Canonical", u)
	}
	if len(c.issues) > 0 {
		w.open('{').str("name", "issues").key("resource").outcome(c.issues)
		w.close('}')
	}
	return w.close(']').close('}').b
}
