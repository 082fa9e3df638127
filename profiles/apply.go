package profiles

import (
	"errors"
	"slices"
	"strings"

	"ingle/fhir"
)

// apply checks an element against the rules of a profile. The step to it is
// already pushed.
func (r *run) apply(ru *rules, it *item) {
	if ru == nil || r.full || r.depth >= maxDepth {
		return
	}
	r.depth++
	defer func() { r.depth-- }()
	for _, c := range ru.checks {
		c(r, it)
	}
	for _, child := range ru.children {
		r.applyChild(child, it)
	}
	if ru.content != nil {
		for _, child := range ru.content.children {
			r.applyChild(child, it)
		}
	}
}

func (r *run) applyChild(ru *rules, parent *item) {
	items := r.children(parent, ru.name, r.list())
	defer func() { r.lists = append(r.lists, items[:0]) }()
	n := len(items)
	if ru.min != notGiven && n < ru.min {
		r.fail(parent.at(), fhir.CodeRequired, ru.cite, "%s occurs %d times, the profile requires at least %d", ru.id, n, ru.min)
	}
	if ru.max != notGiven && n > ru.max {
		first := items[ru.max]
		r.push(&first)
		if ru.max == 0 {
			r.fail(first.at(), fhir.CodeStructure, ru.cite, "the profile does not allow %s", ru.id)
		} else {
			r.fail(first.at(), fhir.CodeStructure, ru.cite, "%s occurs %d times, the profile allows at most %d", ru.id, n, ru.max)
		}
		r.pop()
	}
	for i := range items {
		r.push(&items[i])
		r.apply(ru, &items[i])
		r.pop()
	}
	if ru.sliced != nil {
		r.applySlices(ru.sliced, parent, items)
	}
}

// applySlices sorts the items of a sliced element into its slices.
func (r *run) applySlices(s *slicedRules, parent *item, items []item) {
	counts := make([]int, len(s.slices))
	last, unmatched := -1, -1
	var open []bool // slices that an item may belong to, which could not be told
	for i := range items {
		it := &items[i]
		at, maybe := -1, false
		for j, sl := range s.slices {
			r.undecided = false
			if sl.match(r, it) {
				at = j
				break
			}
			if r.undecided {
				if open == nil {
					open = make([]bool, len(s.slices))
				}
				open[j], maybe = true, true
			}
		}
		r.push(it)
		if at < 0 {
			unmatched = i
			switch {
			case maybe:
			case s.fallback != nil:
				r.apply(s.fallback, it)
			case s.rules == "closed":
				r.fail(it.at(), fhir.CodeStructure, s.cite, "this fits none of the slices of %s (%s), and the profile allows no others; they are told apart by %s", s.id, s.names(), s.by)
			}
			r.pop()
			continue
		}
		sl := s.slices[at]
		counts[at]++
		if s.rules == "openAtEnd" && unmatched >= 0 {
			r.fail(it.at(), fhir.CodeStructure, s.cite, "the slice '%s' of %s must stand before elements that belong to no slice", sl.name, s.id)
		}
		if s.ordered && at < last {
			r.fail(it.at(), fhir.CodeStructure, s.cite, "the slices of %s must be in this order: %s", s.id, s.names())
		}
		last = max(last, at)
		if sl.max != unbounded && sl.max != notGiven && counts[at] == sl.max+1 {
			if sl.max == 0 {
				r.fail(it.at(), fhir.CodeStructure, s.cite, "the profile does not allow %s:%s", s.id, sl.name)
			} else {
				r.fail(it.at(), fhir.CodeStructure, s.cite, "%s:%s occurs more than %d times", s.id, sl.name, sl.max)
			}
		}
		if sl.rules != nil {
			r.apply(sl.rules, it)
		}
		r.pop()
	}
	for j, sl := range s.slices {
		if sl.rules != nil && sl.rules.sliced != nil {
			r.reslice(sl, parent, items)
		}
		if sl.min > 0 && counts[j] < sl.min && (open == nil || !open[j]) {
			r.fail(parent.at(), fhir.CodeRequired, s.cite, "%s:%s occurs %d times, the profile requires at least %d; it is told apart by %s", s.id, sl.name, counts[j], sl.min, s.by)
		}
	}
}

// reslice applies the slices inside a slice to its own items.
func (r *run) reslice(sl *slice, parent *item, items []item) {
	var own []item
	for i := range items {
		if sl.match(r, &items[i]) {
			own = append(own, items[i])
		}
	}
	r.applySlices(sl.rules.sliced, parent, own)
}

func (sl *slice) match(r *run, it *item) bool {
	for _, m := range sl.matches {
		if !m(r, it) {
			return false
		}
	}
	return len(sl.matches) > 0
}

func (s *slicedRules) names() string {
	var names []string
	for _, sl := range s.slices {
		names = append(names, sl.name)
	}
	return strings.Join(names, ", ")
}

// typeProfiles checks an element against the profiles of its type: one of them
// must hold.
func (r *run) typeProfiles(it *item, urls []string) {
	if len(urls) == 1 {
		p, err := r.e.profile(urls[0])
		if err != nil {
			r.unknownTypeProfile(it, urls[0], err)
			return
		}
		r.apply(p.root, it)
		return
	}
	why := ""
	for _, u := range urls {
		p, err := r.e.profile(u)
		if err != nil {
			r.unknownTypeProfile(it, u, err)
			return
		}
		if p.typ != it.typ {
			continue
		}
		ok, first := r.try(func() { r.apply(p.root, it) })
		if ok {
			return
		}
		if why == "" {
			why = first
		}
	}
	r.fail(it.at(), fhir.CodeStructure, "", "this follows none of the profiles %s: %s", oneOf(urls), why)
}

func (r *run) unknownTypeProfile(it *item, url string, err error) {
	if errors.Is(err, errUnknownProfile) {
		r.warn(it.at(), fhir.CodeNotFound, url, "the profile %s of this element is not known, so it was not checked", url)
		return
	}
	r.warn(it.at(), fhir.CodeException, url, "the profile %s of this element cannot be used: %v", url, err)
}

// conformsTo tells whether a resource or element follows a profile: its base
// definition is checked where it stands.
func (r *run) conformsTo(it *item, p *profile) (bool, string) {
	key := conformKey{it.at(), p}
	if ok, done := r.conforms[key]; done {
		return ok, ""
	}
	if r.conforms == nil {
		r.conforms = map[conformKey]bool{}
	}
	r.conforms[key] = true // a circle of references holds unless something else fails
	ok, why := r.try(func() { r.apply(p.root, it) })
	r.conforms[key] = ok
	return ok, why
}

// targetProfiles checks the target of a reference, where it can be found,
// against the profiles that the reference asks for.
func (r *run) targetProfiles(it *item, targets []string, cite string) {
	target := r.target(it)
	if !target.Valid() {
		return
	}
	ti := r.resourceItem(target)
	why, matched := "", false
	for _, u := range targets {
		name, core := strings.CutPrefix(u, sdPrefix)
		if core && (name == ti.typ || name == "Resource" || name == "DomainResource") {
			return
		}
		p, err := r.e.profile(u)
		if err != nil {
			return // an unknown profile may hold
		}
		if p.typ != ti.typ {
			continue
		}
		matched = true
		ok, first := false, ""
		r.within(referenceText(it), &ti, func() { ok, first = r.conformsTo(&ti, p) })
		if ok {
			return
		}
		if why == "" {
			why = first
		}
	}
	if matched {
		if why != "" {
			why = ": " + why
		}
		r.fail(it.n.Get("reference"), fhir.CodeStructure, cite, "the resource that this refers to follows none of the profiles %s%s", oneOf(targets), why)
	}
}

// onlyBase tells that no profile is among the targets of a reference.
func onlyBase(targets []string) bool {
	return !slices.ContainsFunc(targets, func(t string) bool {
		name, core := strings.CutPrefix(t, sdPrefix)
		return !core || name == "" || name[0] < 'A' || name[0] > 'Z'
	})
}
