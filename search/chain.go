package search

import (
	"fmt"
	"slices"
	"strings"

	"ingle/fhir"
)

// Chains follow references forward, reverse chains (_has) backward (R4
// search, "Chained parameters" and "Reverse chaining"). Both become joins
// of the index within the one statement.

// deeper counts a link and refuses one too many.
func (p *parser) deeper(name string) error {
	if p.depth++; p.depth > p.lim.ChainDepth {
		return fhir.Errorf(400, fhir.CodeTooCostly, "%s: the chain has more than %d links", name, p.lim.ChainDepth)
	}
	return nil
}

// chain reads head.tail=value, where head is a reference parameter with or
// without the type it is to point to.
func (p *parser) chain(types []string, head, tail, name, value string) (cond, error) {
	next, _, _ := strings.Cut(strings.SplitN(tail, ".", 2)[0], ":")
	return p.chainTo(types, head, next, name, func(types []string) (cond, error) { return p.cond(types, tail, value) })
}

// chainTo is a chain from the reference parameter of head; of gives the condition
// on what it points to, for one type or for several alike. next is the parameter that
// the condition begins with.
func (p *parser) chainTo(types []string, head, next, name string, of func(types []string) (cond, error)) (cond, error) {
	if err := p.deeper(name); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	ps, may, err := p.link(types, head, name)
	if err != nil {
		return nil, err
	}
	out := &chain{types: types}
	for _, sp := range ps {
		out.refs = append(out.refs, sp.ID)
	}
	for groups := p.alike(may, next, ps); len(groups) > 0; {
		group := groups[0]
		groups = groups[1:]
		notes := len(p.notes)
		k, err := of(group)
		if u, ok := err.(*unknownParameter); err != nil && len(group) > 1 && !(ok && u.everywhere) { // each may have a fault, or none, of its own
			p.notes = p.notes[:notes]
			groups = append(slices.Collect(slices.Chunk(group, 1)), groups...)
			continue
		}
		if err != nil {
			if _, unknown := err.(*unknownParameter); !unknown || len(may) == 1 {
				return nil, p.within(err, name)
			}
			continue
		}
		to := target{types: group, cond: k, canonical: p.canonicals(ps, group[0])}
		if to.canonical != nil {
			for _, t := range group {
				to.selves = append(to.selves, p.r.index(t).self)
			}
		}
		out.targets = append(out.targets, to)
		for _, t := range group {
			inside := []string{containedMark + t}
			if k, err = of(inside); err == nil {
				out.inside = append(out.inside, target{types: inside, cond: k})
			} else if _, outside := err.(*notInside); !outside {
				return nil, p.within(err, name)
			}
		}
	}
	if len(out.targets) == 0 {
		return nil, &unknownParameter{fhir.Errorf(400, fhir.CodeNotSupported, "%s: none of %s, to which %s points, has a search parameter %q", name, list(may), ps[0].Code, next), true}
	}
	return out, nil
}

// alike groups the types that a chain may lead to: a parameter of one kind is one
// condition on all of its types that are referred to in one way.
func (p *parser) alike(types []string, code string, refs []*Param) [][]string {
	var out [][]string
	of := map[string]int{}
	for _, t := range types {
		kind := fmt.Sprint(p.canonicals(refs, t))
		if sp := p.r.Param(t, code); sp != nil {
			kind += sp.Type
		}
		i, ok := of[kind]
		if !ok {
			i = len(out)
			of[kind] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], t)
	}
	return out
}

// canonicals are the parameters among refs that refer to resources of a type by their URL.
func (p *parser) canonicals(refs []*Param, typ string) []ParamID {
	if i := p.r.index(typ); i == nil || i.self == 0 {
		return nil
	}
	var out []ParamID
	for _, sp := range refs {
		if sp.canonical && (len(sp.Targets) == 0 || slices.Contains(sp.Targets, typ)) {
			out = append(out, sp.ID)
		}
	}
	return out
}

// link reads the head of a chain, code or code:Type: the reference parameters,
// and the types of resource that they may point to.
func (p *parser) link(types []string, head, name string) (ps []*Param, may []string, err error) {
	code, typ, typed := strings.Cut(head, ":")
	ps, err = p.params(types, code, name)
	if err != nil {
		return nil, nil, err
	}
	if ps[0].Type != "reference" {
		return nil, nil, fhir.Errorf(400, fhir.CodeInvalid, "%s: %q is of type %s; only references can be chained", name, code, ps[0].Type)
	}
	for _, sp := range ps {
		may = append(may, sp.Targets...)
	}
	slices.Sort(may)
	may = slices.Compact(may)
	if len(may) == 0 {
		may = p.r.defs.ResourceTypes()
	}
	if !typed {
		return ps, may, nil
	}
	if !p.r.defs.IsResourceType(typ) {
		return nil, nil, fhir.Errorf(400, fhir.CodeInvalid, "%s: %q is not a resource type%s", name, typ, DidYouMean(typ, may))
	}
	if !slices.Contains(may, typ) {
		return nil, nil, fhir.Errorf(400, fhir.CodeInvalid, "%s: %s does not point to %s but to %s", name, code, typ, list(may))
	}
	return ps, []string{typ}, nil
}

// within names the whole parameter in the error of a part of it.
func (p *parser) within(err error, name string) error {
	e := fhir.AsError(err)
	if e == nil || strings.HasPrefix(e.Issues[0].Diagnostics, name) {
		return err
	}
	what := e.Issues[0].Diagnostics
	if part, rest, ok := strings.Cut(what, ": "); ok && strings.HasSuffix(name, part) { // named by its end
		what = rest
	}
	e = fhir.Errorf(e.Status, e.Issues[0].Code, "%s: %s", name, what)
	switch err := err.(type) {
	case *unknownParameter:
		return &unknownParameter{e, err.everywhere}
	case *notInside:
		return &notInside{e}
	}
	return e
}

// reverse reads _has:Type:reference:parameter=value; the parameter may be a
// chain or another _has.
func (p *parser) reverse(types []string, rest, name, value string) (cond, error) {
	if err := refuseInside(types, name); err != nil {
		return nil, err
	}
	if err := p.deeper(name); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	parts := strings.SplitN(rest, ":", 3)
	if len(parts) < 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return nil, fhir.Errorf(400, fhir.CodeInvalid, "%s: what is expected is _has:Type:reference:parameter, as in _has:Observation:patient:code", name)
	}
	from := parts[0]
	if !p.r.defs.IsResourceType(from) {
		return nil, fhir.Errorf(400, fhir.CodeInvalid, "%s: %q is not a resource type%s", name, from, DidYouMean(from, p.r.defs.ResourceTypes()))
	}
	ref := p.r.Param(from, parts[1])
	if ref == nil || ref.Type != "reference" {
		return nil, fhir.Errorf(400, fhir.CodeInvalid, "%s: %s has no reference parameter %q%s", name, from, parts[1], DidYouMean(parts[1], p.r.codes(from, "reference")))
	}
	if !p.r.Permits(from, parts[1]) || ref.state == Building {
		return nil, &unknownParameter{err: fhir.Errorf(400, fhir.CodeNotSupported, "%s: searches may not use %s.%s now", name, from, parts[1])}
	}
	if len(ref.Targets) > 0 && !slices.ContainsFunc(types, func(t string) bool { return slices.Contains(ref.Targets, t) }) {
		return nil, fhir.Errorf(400, fhir.CodeInvalid, "%s: %s.%s does not point to %s but to %s", name, from, parts[1], list(types), list(ref.Targets))
	}
	p.use("", ref)
	k, err := p.cond([]string{from}, parts[2], value)
	if err != nil {
		return nil, p.within(err, name)
	}
	out := &reverse{from: from, ref: ref.ID, types: types, cond: k}
	if ref.canonical {
		for _, t := range p.r.selfTargets(ref) {
			if slices.Contains(types, t) {
				out.selves = append(out.selves, p.r.index(t).self)
			}
		}
	}
	return out, nil
}

// compartment restricts the search to a compartment (R4 compartmentdefinition):
// the resources that refer to the one it is named after, by one of the
// parameters that the definition lists, and that resource itself.
func (p *parser) compartment() error {
	def := p.r.defs.Compartment(p.req.Compartment)
	if def == nil {
		return fhir.Errorf(404, fhir.CodeNotFound, "%q is not a compartment; there are %s", p.req.Compartment, list(p.r.defs.Compartments()))
	}
	if !fhir.ValidID(p.req.CompartmentID) {
		return fhir.Errorf(400, fhir.CodeValue, "%q is not an id", p.req.CompartmentID)
	}
	q := p.q
	inside := slices.DeleteFunc(slices.Clone(q.types), func(t string) bool { return len(def.Params[t]) == 0 && t != def.Name })
	if q.everyType {
		q.types, q.everyType = inside, false
	} else if len(inside) < len(q.types) {
		var outside []string
		for _, t := range q.types {
			if !slices.Contains(inside, t) {
				outside = append(outside, t)
			}
		}
		return fhir.Errorf(400, fhir.CodeNotSupported, "%s is not in the %s compartment", list(outside), def.Name)
	}
	p.current = "the compartment " + def.Name
	self := def.Name + "/" + p.req.CompartmentID
	v := &valueReader{p: p}
	s := &scan{rel: Ref, types: q.types, unique: true, order: rankReference}
	for _, t := range q.types {
		for _, code := range def.Params[t] {
			sp := p.r.Param(t, code)
			if sp == nil || sp.Type != "reference" { // "{def}"
				continue
			}
			p.use("", sp)
			for _, form := range v.local(self) {
				s.keys, s.ps = append(s.keys, RefKey(form)), append(s.ps, sp.ID)
			}
		}
	}
	var parts []cond
	if s.keys != nil {
		parts = append(parts, s)
	}
	if slices.Contains(q.types, def.Name) {
		parts = append(parts, &scan{rel: Resource, types: []string{def.Name}, keys: []int64{RefKey(self)}, unique: true, order: rankID})
	}
	q.conds = append(q.conds, either(parts))
	return nil
}
