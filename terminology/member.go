package terminology

import (
	"errors"
	"fmt"
	"slices"

	"ingle/fhir"
)

// member is a code in a value set.
type member struct {
	sys     System // nil where the system is unknown and the value set lists the code
	system  string
	version string
	code    string   // in the system's own spelling
	concept *Concept // nil where the system does not define it, being a fragment
	ref     *conceptRef
	set     *valueSet // that lists it
	nest    bool      // came from an include that shows the hierarchy
}

func (m *member) key() string { return m.system + "\x00" + m.version + "\x00" + m.code }

func (m *member) inactive() bool { return m.concept != nil && m.concept.Inactive }

// verdict is what contains found beside the member.
type verdict struct {
	cause       *unknownSystem // a system that an include needs and nobody defines
	missing     *unknownValueSet
	mismatch    []versionMismatch
	inactive    bool // it would be in, but inactive codes are left out
	inFragment  bool // the system is a fragment: the code may exist
	listedInSet bool
}

type versionMismatch struct {
	system, wanted, given string
	versionless           bool
}

// contains tells whether a coding is in a value set, nil if it is not. from is
// the value set that refers to it, nil for the one asked about.
func (r *run) contains(v, from *valueSet, c Coding, out *verdict) (*member, error) {
	if err := r.enter(v, "including"); err != nil {
		return nil, err
	}
	defer r.leave()
	if from == nil {
		r.checkValueSet(v, v)
	} else {
		r.checkValueSet(v, from)
	}
	var found *member
	for i := range v.include {
		m, err := r.inInclude(v, &v.include[i], c, out)
		if err != nil {
			return nil, err
		}
		if m != nil {
			found = m
			break
		}
	}
	if found == nil {
		return nil, nil
	}
	if v.inactive != nil && !*v.inactive && found.inactive() {
		out.inactive = true
		return nil, nil
	}
	c.Code = found.code
	var ignored verdict
	for i := range v.exclude {
		m, err := r.inInclude(v, &v.exclude[i], c, &ignored)
		if err != nil {
			return nil, err
		}
		if m != nil {
			return nil, nil
		}
		if ignored.missing != nil {
			return nil, ignored.missing.asError()
		}
		if ignored.cause != nil && ignored.cause.url == c.System {
			out.cause = ignored.cause
			return nil, nil
		}
	}
	return found, nil
}

// inInclude tells whether a coding is in one include.
func (r *run) inInclude(v *valueSet, in *include, c Coding, out *verdict) (*member, error) {
	if err := r.spend(1); err != nil {
		return nil, err
	}
	var m *member
	if in.system != "" {
		if in.system != c.System {
			return nil, nil
		}
		var err error
		if m, err = r.inSystem(v, in, c, out); m == nil || err != nil {
			return nil, err
		}
		c.Code = m.code
	}
	for _, ref := range in.valueSets {
		inner, err := r.valueSet(ref, v)
		var missing *unknownValueSet
		if errors.As(err, &missing) {
			out.missing = missing
			return nil, nil
		} else if err != nil {
			return nil, err
		}
		got, err := r.contains(inner, v, c, out)
		if got == nil || err != nil {
			return nil, err
		}
		if m == nil {
			m = got
		}
	}
	return m, nil
}

// inSystem is inInclude without the value sets of the include.
func (r *run) inSystem(v *valueSet, in *include, c Coding, out *verdict) (*member, error) {
	want, err := r.includedVersion(v, in)
	if err != nil {
		return nil, err
	}
	sys, err := r.system(in.system, want)
	var unknown *unknownSystem
	if errors.As(err, &unknown) {
		if ref := in.find(c.Code, true); ref != nil && unknown.down == "" {
			out.listedInSet = true
			return &member{system: in.system, version: want, code: ref.code, ref: ref, set: v}, nil
		}
		if len(in.concepts) == 0 || unknown.down != "" {
			out.cause = unknown
		}
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	info := sys.Info()
	if c.Version != "" && info.Version != "" && !matchVersion(c.Version, info.Version) {
		out.mismatch = append(out.mismatch, versionMismatch{in.system, info.Version, c.Version, in.version == ""})
	}
	r.checkSystem(sys, v)
	concept, err := r.concept(sys, c.Code)
	if err != nil {
		return nil, err
	}
	m := &member{sys: sys, system: in.system, version: info.Version, code: c.Code, concept: concept, set: v, nest: true}
	if concept != nil {
		m.code = concept.Code
	}
	if len(in.concepts) > 0 {
		m.nest = false
		m.ref = in.find(m.code, info.CaseSensitive)
		if m.ref == nil || concept == nil && info.Content == "complete" {
			return nil, nil
		}
		return m, nil
	}
	if concept == nil {
		if info.Content == "complete" || len(in.filters) > 0 {
			return nil, nil
		}
		out.inFragment = true
		return m, nil
	}
	if err := r.acceptable(v, in, sys); err != nil {
		return nil, err
	}
	if ok, err := sys.Matches(r.ctx, concept, in.filters); !ok || err != nil {
		return nil, err
	}
	return m, nil
}

// acceptable fails on a filter that the system does not know: leaving it out
// would change what the value set means.
func (r *run) acceptable(v *valueSet, in *include, sys System) error {
	for i := range in.filters {
		f := &in.filters[i]
		if why := sys.Accepts(f); why != "" {
			return outcome(422, fhir.CodeNotSupported, "vs-invalid",
				fmt.Sprintf("The filter \"%s %s %s\" from the value set %s was not understood in the context of %s: %s", f.Property, f.Op, f.Value, v.shown(), in.system, why)).
				At(fmt.Sprintf("%s.filter[%d]", in.at, i))
		}
	}
	return nil
}

// walk calls yield for the members of a value set, until it returns false. A
// member may come twice, through two includes: the caller tells them apart.
func (r *run) walk(v, from *valueSet, q Query, yield func(*member) bool) error {
	if err := r.enter(v, "including"); err != nil {
		return err
	}
	defer r.leave()
	if from == nil {
		r.checkValueSet(v, v)
	} else {
		r.checkValueSet(v, from)
		if v.url != "" && !v.isContained() {
			r.use("valueset", v.canonical())
		}
	}
	if v.inactive != nil && !*v.inactive {
		q.ActiveOnly = true
	}
	for i := range v.exclude { // said even where nothing is left to exclude from
		for _, ref := range v.exclude[i].valueSets {
			inner, err := r.valueSet(ref, v)
			if err != nil {
				return err
			}
			if inner.url != "" && !inner.isContained() {
				r.use("valueset", inner.canonical())
			}
		}
	}
	stopped := false
	for i := range v.include {
		err := r.walkInclude(v, &v.include[i], q, func(m *member) bool {
			out, err := r.excluded(v, m)
			if err != nil {
				r.failure = err
				stopped = true
				return false
			}
			if !out && !yield(m) {
				stopped = true
			}
			return !stopped
		})
		if err == nil {
			err = r.failure
		}
		if err != nil || stopped {
			return err
		}
	}
	return nil
}

func (v *valueSet) isContained() bool {
	for _, c := range v.contained {
		if c == v {
			return true
		}
	}
	return false
}

func (r *run) excluded(v *valueSet, m *member) (bool, error) {
	var out verdict
	for i := range v.exclude {
		got, err := r.inInclude(v, &v.exclude[i], Coding{System: m.system, Code: m.code}, &out)
		if err != nil {
			return false, err
		}
		if out.missing != nil {
			return false, out.missing.asError()
		}
		if out.cause != nil {
			return false, out.cause.expanding()
		}
		if got != nil && (v.exclude[i].version == "" || got.version == m.version) {
			return true, nil
		}
	}
	return false, nil
}

func (r *run) walkInclude(v *valueSet, in *include, q Query, yield func(*member) bool) error {
	var sets []*valueSet
	for _, ref := range in.valueSets {
		inner, err := r.valueSet(ref, v)
		if err != nil {
			return err
		}
		sets = append(sets, inner)
		if inner.url != "" && !inner.isContained() {
			r.use("valueset", inner.canonical())
		}
	}
	inAll := func(m *member, sets []*valueSet) bool {
		for _, s := range sets {
			var out verdict
			got, err := r.contains(s, v, Coding{System: m.system, Code: m.code}, &out)
			if err == nil && out.missing != nil {
				err = out.missing.asError()
			}
			if err != nil {
				r.failure = err
				return false
			}
			if got == nil {
				return false
			}
		}
		return true
	}
	step := func(m *member, sets []*valueSet) bool {
		if err := r.spend(1); err != nil {
			r.failure = err
			return false
		}
		ok := inAll(m, sets)
		if r.failure != nil {
			return false
		}
		return !ok || yield(m)
	}
	var err error
	if in.system == "" {
		err = r.walk(sets[0], v, q, func(m *member) bool {
			m.nest = false
			return step(m, sets[1:])
		})
	} else {
		err = r.walkSystem(v, in, q, func(m *member) bool { return step(m, sets) })
	}
	if err == nil {
		err = r.failure
	}
	return err
}

// walkSystem walks the concepts of an include with a system.
func (r *run) walkSystem(v *valueSet, in *include, q Query, yield func(*member) bool) error {
	want, err := r.includedVersion(v, in)
	if err != nil {
		return err
	}
	sys, err := r.system(in.system, want)
	var unknown *unknownSystem
	switch {
	case errors.As(err, &unknown):
		if len(in.concepts) == 0 || unknown.down != "" {
			return unknown.expanding()
		}
		sys = nil
	case err != nil:
		return err
	default:
		r.checkSystem(sys, v)
		r.use("codesystem", sys.Info().Canonical())
		if c := sys.Info().Content; c == "fragment" || c == "example" {
			r.use(c, sys.Info().Canonical())
		}
		for _, s := range sys.Info().Supplements {
			r.use("supplement", s)
			if !slices.Contains(r.usedSupplements, s) {
				r.usedSupplements = append(r.usedSupplements, s)
			}
		}
	}
	if len(in.concepts) > 0 {
		return r.walkListed(v, in, sys, want, q, yield)
	}
	if err := r.acceptable(v, in, sys); err != nil {
		return err
	}
	info := sys.Info()
	nest := nests(in, q.Text)
	q.Filters = in.filters
	err = sys.Walk(r.ctx, &q, func(c *Concept) bool {
		r.last = lastConcept{info, c.Code, c} // excludes ask for it
		return yield(&member{sys: sys, system: in.system, version: info.Version, code: c.Code, concept: c, set: v, nest: nest})
	})
	if errors.Is(err, errNotListable) {
		return outcome(422, fhir.CodeTooCostly, "", fmt.Sprintf("The code system %s has a grammar instead of a list of codes, so the value set cannot be expanded; use $validate-code to check single codes", in.system))
	}
	return err
}

// nests tells whether an expansion of the include shows the system's hierarchy.
func nests(in *include, text string) bool {
	if len(in.filters) == 0 {
		return text == ""
	}
	for i := range in.filters {
		switch f := &in.filters[i]; f.Op {
		case "is-a", "descendent-of":
			return true
		}
	}
	return false
}

// names lists the ways to call a member: the display of the value set, that of
// the code system, and the designations of both.
func (m *member) names() []name {
	var out []name
	if m.ref != nil {
		if m.ref.display != "" {
			out = append(out, name{Designation{Language: m.set.language, Value: m.ref.display}, true})
		}
		for _, d := range m.ref.designations {
			out = append(out, name{d, false})
		}
	}
	if m.concept != nil {
		lang := ""
		if m.sys != nil {
			lang = m.sys.Info().Language
		}
		if m.concept.Display != "" && (len(out) == 0 || !out[0].base || out[0].Value != m.concept.Display) {
			out = append(out, name{Designation{Language: lang, Value: m.concept.Display}, true})
		} else if len(out) > 0 && out[0].base && out[0].Language == "" {
			out[0].Language = lang
		}
		for _, d := range m.concept.Designations {
			out = append(out, name{d, false})
		}
	}
	return out
}
