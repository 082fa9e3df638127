package profiles

import (
	"context"
	"errors"

	"ingle/fhir"
	"ingle/fhirpath"
)

// maxSteps bounds the evaluation of one expression.
const maxSteps = 1_000_000

// holds evaluates a constraint on an element. A constraint that yields nothing
// is broken, as in other validators: "code.exists() or abstract = true" without
// either must not pass.
func (r *run) holds(expr *fhirpath.Expr, it *item) (bool, error) {
	focus, ok := r.focus(it)
	if !ok {
		return true, nil
	}
	return expr.EvalBool(r.ctx, r.environment(), focus)
}

// focus makes the FHIRPath value of an element.
func (r *run) focus(it *item) (fhirpath.Value, bool) {
	if it.tab != nil && it.tab.resource {
		return fhirpath.ResourceIn(r.e.reg.defs, it.n), true
	}
	return fhirpath.ElementIn(r.e.reg.defs, it.n, it.x, it.typ)
}

// environment is what expressions see around the resource in hand. It is made
// once for each resource.
func (r *run) environment() *fhirpath.Env {
	if len(r.resources) == 0 {
		return &r.env
	}
	at := r.resources[len(r.resources)-1].n
	if r.envFor == at {
		return &r.env
	}
	r.envFor = at
	r.env.Resource = fhirpath.ResourceIn(r.e.reg.defs, at)
	r.env.RootResource = fhirpath.ResourceIn(r.e.reg.defs, r.container())
	if r.env.MemberOf == nil { // a run is used again and again
		r.env.MemberOf, r.env.ConformsTo, r.env.Resolve = r.memberOf, r.conformsToURL, r.outside
		r.env.ElementDefinition, r.env.Slice = r.elementDefinition, r.sliceOf
		r.env.Limits = fhirpath.Limits{Steps: maxSteps, Values: 100_000}
	}
	return &r.env
}

func (r *run) memberOf(_ context.Context, coded fhirpath.Value, valueSet string) (in, known bool, err error) {
	n := coded.Node()
	test := func(c Coding) {
		switch v, _ := r.member(valueSet, c); v {
		case In:
			in, known = true, true
		case NotIn:
			known = true
		}
	}
	switch coded.TypeName() {
	case "CodeableConcept":
		for c := n.Get("coding").First(); c.Valid() && !in; c = c.Next() {
			test(readCoding(c))
		}
	case "Coding":
		test(readCoding(n))
	case "Quantity":
		test(Coding{System: n.Get("system").Text(), Code: n.Get("code").Text()})
	default:
		if s, ok := coded.System(); ok {
			if text, ok := s.Text(); ok {
				test(Coding{Code: text})
			}
		}
	}
	return in, known, nil
}

func (r *run) conformsToURL(_ context.Context, v fhirpath.Value, url string) (bool, error) {
	p, err := r.e.profile(url)
	if err != nil {
		if t := r.e.table(url); t == nil || !errors.Is(err, errUnknownProfile) {
			return false, err
		}
	}
	n := v.Node()
	if !n.Valid() {
		return false, nil
	}
	it := item{n: n, typ: v.TypeName(), tab: r.e.table(v.TypeName()), idx: -1}
	if p.typ != it.typ && p.typ != "Resource" && p.typ != "DomainResource" {
		return false, nil
	}
	ok, _ := r.conformsTo(&it, p)
	return ok, nil
}

// hostSelected tells whether an extension's host is among what a fhirpath
// context selects from the resource. An expression that cannot be evaluated
// allows it.
func (r *run) hostSelected(host *item, expression string) bool {
	if len(r.resources) == 0 {
		return true
	}
	expr, err := r.e.expression(expression)
	if err != nil {
		return true
	}
	res := &r.resources[len(r.resources)-1]
	focus, ok := r.focus(res)
	if !ok {
		return true
	}
	out, err := expr.Eval(r.ctx, r.environment(), focus)
	if err != nil {
		return true
	}
	for _, v := range out {
		if host.n.Valid() && v.Node().Valid() && v.Node().Index() == host.n.Index() {
			return true
		}
		if host.x.Valid() && v.Extra().Valid() && v.Extra().Index() == host.x.Index() {
			return true
		}
		if b, ok := v.Bool(); ok && v.Kind() == fhirpath.KindBoolean && b {
			return true // the expression tests instead of selecting
		}
	}
	return false
}

// hostHolds evaluates a context invariant of an extension on its host; the
// expression knows the extension as %extension. One that cannot be evaluated
// holds.
func (r *run) hostHolds(host, ext *item, expression string) bool {
	expr, err := r.e.expression(expression)
	if err != nil {
		return true
	}
	focus, ok := r.focus(host)
	if !ok {
		return true
	}
	env := *r.environment()
	if v, ok := fhirpath.ElementIn(r.e.reg.defs, ext.n, fhir.Node{}, "Extension"); ok {
		env.Variables = map[string]fhirpath.Collection{"extension": {v}}
	}
	holds, err := expr.EvalBool(r.ctx, &env, focus)
	return holds || err != nil
}
