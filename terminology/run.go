package terminology

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ingle/fhir"
)

// errNotListable is what Walk returns for a system without a list of codes.
var errNotListable = errors.New("the code system cannot be listed")

// run is one operation: what the request brought with it and what was found on
// the way.
type run struct {
	ctx     context.Context
	svc     *Service
	src     Source
	static  bool // only content that never changes was seen so far
	lang    languages
	budget  int // concepts that may still be looked at
	visit   []string
	locks   []string          // the locked date in each value set of visit
	systems map[string]System // by canonical as asked
	sets    map[string]*valueSet

	// versions of code systems that the request asks for: url → version
	defaultVersion, checkVersion, forceVersion, defaultSet map[string]string
	supplements                                            []string
	supplemented                                           map[string][]*resourceSystem // base url → supplements
	usedSupplements                                        []string

	last  lastConcept
	batch listedConcepts

	lockedVersions map[string]string // found so far

	failure  error // of a callback
	used     []usedResource
	warnings []usedResource
}

// usedResource is a resource that took part.
type usedResource struct{ kind, canonical string }

func (r *run) use(kind, canonical string) {
	u := usedResource{kind, canonical}
	if !slices.Contains(r.used, u) {
		r.used = append(r.used, u)
	}
}

// unknownSystem is the error for a code system that nobody defines.
type unknownSystem struct {
	url, version string
	versions     []string // that there are
	down         string   // why its server could not be asked
}

func (e *unknownSystem) Error() string {
	if e.down != "" {
		return fmt.Sprintf("The terminology server for the code system '%s' could not be asked (%s), so the code cannot be validated", e.url, e.down)
	}
	if e.version != "" && len(e.versions) > 0 {
		return fmt.Sprintf("A definition for CodeSystem '%s' version '%s' could not be found, so the code cannot be validated. Valid versions: %s",
			e.url, e.version, strings.Join(e.versions, " or "))
	}
	if e.version != "" {
		return fmt.Sprintf("A definition for CodeSystem '%s' version '%s' could not be found, so the code cannot be validated", e.url, e.version)
	}
	return fmt.Sprintf("A definition for CodeSystem '%s' could not be found, so the code cannot be validated", e.url)
}

func (e *unknownSystem) canonical() string { return canonical(e.url, e.version) }

// expanding is the error for an expansion that cannot go on without the system.
func (e *unknownSystem) expanding() *fhir.Error {
	x := e.asError(404)
	if e.down == "" {
		x.Issues[0].Details = strings.Replace(e.Error(), "so the code cannot be validated", "so the value set cannot be expanded", 1)
	}
	return x
}

// asError is the error for operations that cannot go on without the system.
func (e *unknownSystem) asError(status int) *fhir.Error {
	if e.down != "" {
		x := outcome(503, fhir.CodeTransient, "", fmt.Sprintf("The terminology server for the code system '%s' could not be asked: %s", e.url, e.down))
		x.RetryAfter = 30
		return x
	}
	text := strings.Replace(e.Error(), ", so the code cannot be validated", "", 1)
	return outcome(status, fhir.CodeNotFound, "not-found", text)
}

// unknownValueSet is the error for a value set that nobody defines.
type unknownValueSet struct{ canonical string }

func (e *unknownValueSet) Error() string {
	return fmt.Sprintf("A definition for the value Set '%s' could not be found", e.canonical)
}

func (e *unknownValueSet) asError() *fhir.Error {
	return outcome(404, fhir.CodeNotFound, "not-found", e.Error())
}

// wantedVersion settles which version of a code system an include means:
// force-system-version beats all, then what the value set says, then
// system-version.
func (r *run) wantedVersion(url, said string) (string, error) {
	if v, ok := r.forceVersion[url]; ok {
		return v, nil
	}
	v := said
	if v == "" {
		v = r.defaultVersion[url]
	}
	if want, ok := r.checkVersion[url]; ok {
		if v == "" {
			return want, nil
		}
		if !matchVersion(want, v) && !matchVersion(v, want) {
			return "", outcome(422, "exception", "version-error",
				fmt.Sprintf("The version '%s' is not allowed for system '%s': required to be '%s' by a version-check parameter", v, url, want))
		}
	}
	return v, nil
}

// system finds a code system. A missing one is an *unknownSystem.
func (r *run) system(url, version string) (System, error) {
	key := canonical(url, version)
	if s, ok := r.systems[key]; ok {
		return s, nil
	}
	s, static, err := r.svc.system(r.ctx, r.src, url, version)
	if err != nil {
		return nil, err
	}
	if !static {
		r.static = false
	}
	if list := r.supplemented[url]; len(list) > 0 {
		s = supplementedSystem{s, list}
	}
	if r.systems == nil {
		r.systems = map[string]System{}
	}
	r.systems[key] = s
	return s, nil
}

// lastConcept is the concept that was looked up last: an include, its filters and
// the checks after it ask for the same one.
type lastConcept struct {
	info    *SystemInfo
	code    string
	concept *Concept
}

// concept finds a concept by code, nil if there is none.
func (r *run) concept(sys System, code string) (*Concept, error) {
	if info := sys.Info(); r.last.info != info || r.last.code != code {
		c, err := sys.Concept(r.ctx, code)
		if err != nil {
			return nil, err
		}
		r.last = lastConcept{info, code, c}
	}
	return r.last.concept, nil
}

// loadSupplements finds the supplements that the request or the value set asks
// for. A missing one is an error: what it adds would silently be absent.
func (r *run) loadSupplements(wanted []string) error {
	for _, w := range wanted {
		if slices.Contains(r.supplements, w) {
			continue
		}
		r.supplements = append(r.supplements, w)
		url, version, _ := strings.Cut(w, "|")
		res, err := r.src.Canonical(r.ctx, "CodeSystem", url, version)
		if err != nil {
			return err
		}
		if res == nil {
			return outcome(404, fhir.CodeNotFound, "not-found", "Required supplement not found: "+w)
		}
		doc, err := res.Doc()
		if err != nil {
			return err
		}
		if doc.Root().Get("content").Text() != "supplement" {
			return outcome(422, fhir.CodeBusinessRule, "not-found", fmt.Sprintf("The code system %s is not a supplement", w))
		}
		s, err := compileSystem(doc.Root())
		if err != nil {
			return err
		}
		r.static = r.static && res.Static
		base, _, _ := strings.Cut(doc.Root().Get("supplements").Text(), "|")
		for i := range s.concepts {
			for k := range s.concepts[i].Designations {
				s.concepts[i].Designations[k].Source = s.info.Canonical()
			}
		}
		if r.supplemented == nil {
			r.supplemented = map[string][]*resourceSystem{}
		}
		r.supplemented[base] = append(r.supplemented[base], s)
		clear(r.systems)
		r.last = lastConcept{}
	}
	return nil
}

// valueSet finds a value set by canonical; "#id" is one contained in from.
func (r *run) valueSet(ref string, from *valueSet) (*valueSet, error) {
	if strings.HasPrefix(ref, "#") {
		if from != nil && from.contained[ref] != nil {
			return from.contained[ref], nil
		}
		return nil, &unknownValueSet{ref}
	}
	url, version, _ := strings.Cut(ref, "|")
	if version == "" && from != nil {
		var err error
		if version, err = r.lockedVersion(from, "ValueSet", url); err != nil {
			return nil, err
		}
		ref = canonical(url, version)
	}
	if v, ok := r.sets[ref]; ok {
		return v, nil
	}
	v, err := r.svc.valueSet(r.ctx, r.src, url, version)
	if err != nil {
		return nil, err
	}
	if !v.static {
		r.static = false
	}
	if r.sets == nil {
		r.sets = map[string]*valueSet{}
	}
	r.sets[ref] = v
	return v, nil
}

// enter guards against value sets that include themselves. leave must be called
// when it succeeded.
func (r *run) enter(v *valueSet, verb string) error {
	key := v.canonical()
	if v.url == "" {
		key = fmt.Sprintf("%p", v)
	}
	if slices.Contains(r.visit, key) {
		return outcome(422, fhir.CodeProcessing, "vs-invalid",
			fmt.Sprintf("Cyclic reference detected when %s %s via [%s]", verb, v.shown(), strings.Join(append(r.visit[1:len(r.visit):len(r.visit)], key), ", ")))
	}
	if len(r.visit) >= 64 {
		return outcome(422, fhir.CodeTooCostly, "vs-invalid", "Value sets include each other more than 64 levels deep")
	}
	r.locks = append(r.locks, r.lockedTo(v))
	r.visit = append(r.visit, key)
	return nil
}

func (r *run) leave() { r.visit, r.locks = r.visit[:len(r.visit)-1], r.locks[:len(r.locks)-1] }

// acyclic fails on a value set that includes itself through others, wherever in
// its compose that is.
func (r *run) acyclic(v *valueSet, done map[*valueSet]bool) error {
	if done[v] {
		return nil
	}
	if err := r.enter(v, "including"); err != nil {
		return err
	}
	defer r.leave()
	for _, list := range [][]include{v.include, v.exclude} {
		for i := range list {
			for _, ref := range list[i].valueSets {
				inner, err := r.valueSet(ref, v)
				var missing *unknownValueSet
				if errors.As(err, &missing) {
					continue // said where it is needed
				}
				if err == nil {
					err = r.acyclic(inner, done)
				}
				if err != nil {
					return err
				}
			}
		}
	}
	done[v] = true
	return nil
}

// spend counts work; it fails when the operation looked at too much.
func (r *run) spend(n int) error {
	if r.budget -= n; r.budget < 0 {
		return outcome(422, fhir.CodeTooCostly, "", "The operation would look at too many concepts; narrow the value set with filters, or ask for a page of a simpler value set")
	}
	return r.ctx.Err()
}

// check notes what a client should know about the standing of a resource that
// took part. source is the value set that refers to it: a draft may refer to
// drafts.
func (r *run) check(canonical, kind, status, standards string, experimental bool, source *valueSet) {
	warn := func(w string) {
		u := usedResource{w + " " + kind, canonical}
		if !slices.Contains(r.warnings, u) {
			r.warnings = append(r.warnings, u)
		}
	}
	switch {
	case standards == "deprecated" || standards == "withdrawn":
		warn(standards)
	case status == "retired":
		warn("retired")
	case source == nil:
	case experimental && !source.experimental:
		warn("experimental")
	case (status == "draft" || standards == "draft") && source.status != "draft" && source.standardsStatus != "draft":
		warn("draft")
	}
}

func (r *run) checkSystem(s System, source *valueSet) {
	i := s.Info()
	r.check(i.Canonical(), "CodeSystem", i.Status, i.StandardsStatus, i.Experimental, source)
}

func (r *run) checkValueSet(v, source *valueSet) {
	if v.url != "" {
		r.check(v.canonical(), "ValueSet", v.status, v.standardsStatus, v.experimental, source)
	}
}
