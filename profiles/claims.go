package profiles

import (
	"errors"
	"slices"
	"strings"

	"ingle/fhir"
)

// claims validates a resource against the profiles that it claims in
// meta.profile, and those that the request or the configuration ask for.
func (r *run) claims(it *item, contained bool) {
	top := len(r.resources) == 1
	if top && r.opts.Profiles != nil {
		for _, url := range r.opts.Profiles {
			r.follow(it, url, it.n, true)
		}
		if !r.opts.Rules {
			return
		}
	}
	rules := r.v.cfg.rules(it.typ)
	useRules := r.opts.Rules && !contained
	var claimed []string
	if list := it.n.Get("meta").Get("profile"); list.Valid() {
		twice := map[string]bool{}
		meta, idx := item{name: "meta", idx: -1}, 0
		r.push(&meta)
		for c := list.First(); c.Valid(); c = c.Next() {
			step := item{name: "profile", idx: idx}
			idx++
			if c.Kind() != fhir.String {
				continue
			}
			url := r.withVersion(c.Text(), rules)
			if twice[url] {
				continue
			}
			twice[url] = true
			claimed = append(claimed, url)
			if useRules && slices.ContainsFunc(rules.NotAllowed, func(p string) bool { return sameProfile(url, p) }) {
				r.push(&step)
				r.fail(c, fhir.CodeBusinessRule, url, "the profile %s may not be used for a %s on this server", url, it.typ)
				r.pop()
				continue
			}
			if top && r.opts.Profiles != nil && slices.Contains(r.opts.Profiles, url) {
				continue
			}
			r.claim(it, url, c, &step, rules)
		}
		r.pop()
	}
	if r.v.cfg.VitalSigns && it.typ == "Observation" {
		r.vitalSign(it)
	}
	if useRules && len(rules.AtLeastOne) > 0 && r.bound(it) {
		r.atLeastOne(it, rules.AtLeastOne, claimed)
	}
}

// claim validates against one claimed profile. The step "meta" is pushed.
func (r *run) claim(it *item, url string, at fhir.Node, step *item, rules Rules) {
	if name, ok := strings.CutPrefix(url, sdPrefix); ok && (name == it.typ || name == "Resource" || name == "DomainResource") {
		return // the base definition
	}
	p, err := r.e.profile(url)
	if err != nil {
		r.push(step)
		r.claimUnknown(at, url, err, rules.AllowUnknown == nil || *rules.AllowUnknown)
		r.pop()
		return
	}
	if !r.fits(it, p) {
		r.push(step)
		r.fail(at, fhir.CodeStructure, p.cite, "the profile %s is for %s, not for %s", p.cite, p.typ, it.typ)
		r.pop()
		return
	}
	top := r.steps[len(r.steps)-1]
	r.pop()
	r.apply(p.root, it)
	r.steps = append(r.steps, top)
}

// follow validates against a profile that the request asks for.
func (r *run) follow(it *item, url string, at fhir.Node, must bool) {
	if name, ok := strings.CutPrefix(url, sdPrefix); ok && (name == it.typ || name == "Resource" || name == "DomainResource") {
		return
	}
	p, err := r.e.profile(url)
	if err != nil {
		r.claimUnknown(at, url, err, !must)
		return
	}
	if !r.fits(it, p) {
		r.fail(at, fhir.CodeStructure, p.cite, "the profile %s is for %s, not for %s", p.cite, p.typ, it.typ)
		return
	}
	r.apply(p.root, it)
}

func (r *run) fits(it *item, p *profile) bool {
	return p.typ == it.typ || p.typ == "Resource" || p.typ == "DomainResource" && it.tab.domain
}

func (r *run) claimUnknown(at fhir.Node, url string, err error, allowed bool) {
	severity := fhir.SeverityError
	if allowed {
		severity = fhir.SeverityWarning
	}
	if errors.Is(err, errUnknownProfile) {
		r.report(severity, fhir.CodeNotFound, at, url, "the profile %s is not loaded here, so the resource was not checked against it", url)
		return
	}
	r.report(severity, fhir.CodeException, at, url, "the profile %s cannot be used: %v", url, err)
}

// bound tells whether a resource is of one of the projects that atLeastOne is
// for.
func (r *run) bound(it *item) bool {
	cfg := &r.v.cfg
	if len(cfg.Projects) == 0 {
		return true
	}
	under := func(path string) bool {
		return slices.ContainsFunc(cfg.Projects, func(p string) bool {
			rest, ok := strings.CutPrefix(path, strings.TrimSuffix(p, "/"))
			return ok && (rest == "" || rest[0] == '/')
		})
	}
	if r.opts.Around.Project != "" && under(r.opts.Around.Project) {
		return true
	}
	for l := it.n.Get("meta").Get("security").First(); l.Valid(); l = l.Next() {
		if l.Get("system").Text() == cfg.LabelSystem && under(l.Get("code").Text()) {
			return true
		}
	}
	return false
}

// atLeastOne asks that one of the profiles in a list is claimed and followed.
func (r *run) atLeastOne(it *item, list, claimed []string) {
	why := ""
	for _, want := range list {
		if !slices.ContainsFunc(claimed, func(c string) bool { return sameProfile(c, want) }) {
			continue
		}
		p, err := r.e.profile(want)
		if err != nil {
			why = err.Error()
			continue
		}
		if !r.fits(it, p) {
			continue
		}
		ok, first := r.try(func() { r.apply(p.root, it) })
		if ok {
			return
		}
		why = first
	}
	at := it.n.Get("meta").Get("profile")
	if !at.Valid() {
		at = it.n
	}
	if why != "" {
		why = "; " + why
	}
	r.fail(at, fhir.CodeBusinessRule, "", "a %s on this server must claim and follow at least one of the profiles %s%s", it.typ, strings.Join(list, ", "), why)
}

// sameProfile tells whether a claim means a profile of a list: a version in the
// list must be claimed.
func sameProfile(claim, want string) bool {
	cu, cv := splitCanonical(claim)
	wu, wv := splitCanonical(want)
	return cu == wu && (wv == "" || cv == wv)
}

// withVersion gives an unversioned claim its configured version.
func (r *run) withVersion(url string, rules Rules) string {
	if strings.Contains(url, "|") {
		return url
	}
	if v := rules.DefaultVersions[url]; v != "" {
		return url + "|" + v
	}
	return url
}
