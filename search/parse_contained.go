package search

import (
	"slices"

	"ingle/fhir"
)

// _contained and _containedType (R4 search.html#contained). A search for contained
// resources has one of three forms:
//
//	_contained=true|both&_containedType=container  the matches are resources of any type, of which
//	                                               one condition is that they contain (within) what
//	                                               is searched, or are that themselves
//	_contained=true&_containedType=contained       the types searched are those of contained resources
//	_contained=both&_containedType=contained       the types searched are both

// reading is one way in which the parameters of a search are read: as conditions
// on resources of some types.
type reading struct {
	types []string
	conds *[]cond
}

// notInside is the refusal of what cannot be asked of contained resources. A
// chain does without them then.
type notInside struct{ err *fhir.Error }

func (n *notInside) Error() string { return n.err.Error() }
func (n *notInside) Unwrap() error { return n.err }

func refuseInside(types []string, name string) error {
	if slices.ContainsFunc(types, isContained) {
		return &notInside{fhir.Errorf(400, fhir.CodeNotSupported, "%s: contained resources are not referred to from outside: ask without _contained", name)}
	}
	return nil
}

// contained reads _contained and _containedType, and settles for which types the
// other parameters are read.
func (p *parser) contained() error {
	q := p.q
	p.searched = q.types
	p.reading = []reading{{q.types, &q.conds}}
	values := map[string]string{"_contained": "false", "_containedType": "container"}
	allowed := map[string][]string{"_contained": {"false", "true", "both"}, "_containedType": {"container", "contained"}}
	seen := map[string]bool{}
	for _, kv := range p.req.Params {
		options := allowed[kv.Name]
		switch {
		case options == nil:
			continue
		case !slices.Contains(options, kv.Value):
			return fhir.Errorf(400, fhir.CodeInvalid, "%s=%s: one of %s is expected", kv.Name, kv.Value, list(options))
		case seen[kv.Name]:
			return fhir.Errorf(400, fhir.CodeInvalid, "%s is given twice", kv.Name)
		}
		values[kv.Name], seen[kv.Name] = kv.Value, true
	}
	if values["_contained"] == "false" {
		return nil
	}
	if p.req.Compartment != "" {
		return fhir.Errorf(400, fhir.CodeNotSupported, "_contained=%s: contained resources are in no compartment of their own; search without the compartment, or by what contains them", values["_contained"])
	}
	q.contained, q.alone = values["_contained"], values["_containedType"] == "contained"
	inside := containedTypes(q.types)
	switch {
	case q.alone && q.contained == "true":
		q.types, q.everyType = inside, false
		p.reading = []reading{{q.types, &q.conds}}
	case q.alone:
		q.types, q.everyType = slices.Concat(q.types, inside), false
		p.reading = []reading{{q.types, &q.conds}}
	case q.contained == "true":
		p.reading = []reading{{inside, &p.inside}}
	default:
		p.reading = append(p.reading, reading{inside, &p.inside})
	}
	if !q.alone {
		q.types, q.everyType = p.r.defs.ResourceTypes(), true
	}
	return nil
}

// containers makes the conditions of a search for what contains something.
func (p *parser) containers() {
	q := p.q
	if q.contained == "" || q.alone {
		return
	}
	inside := &within{types: containedTypes(p.searched)}
	if len(p.inside) > 0 {
		inside.cond = both(p.inside)
	}
	if q.contained == "true" {
		q.conds = []cond{inside}
		return
	}
	types := p.searched
	own := &scan{rel: Resource, types: types, unique: true, order: rankOpen, where: func(c *compilation, a string) string {
		return in(c, a+".rtype", c.numbers(types))
	}}
	q.conds = []cond{either([]cond{both(append([]cond{own}, q.conds...)), inside})}
}
