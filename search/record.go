package search

import (
	"slices"

	"ingle/fhir"
)

// The record of a patient (R4 patient-operation-everything.html) is the patient's
// compartment, and what its resources refer to outside of any patient's:
// practitioners, organizations, locations, medications, and what these refer to in
// turn. Profiles, questionnaires and other knowledge that has a URL of its own is no
// part of it. That of an Encounter (encounter-operation-everything.html) is made
// likewise; its Patient comes along, with nothing that only the Patient leads to.
// The parameters are
//
//	start, end   when a resource is about: any of its dates overlaps them, those of birth
//	             aside; what has no date, and the Patient, is always there
//	_since       changed after this moment
//	_type        types of the compartment: nothing else is given
//	_count, _total, _explain as in a search

// recordParameter reads a parameter of $everything; known is false for one that is read
// as a search does.
func (p *parser) recordParameter(kv KV) (known bool, err error) {
	if !p.req.Record {
		return false, nil
	}
	switch kv.Name {
	case "start", "end":
		d, err := fhir.ParseDateTime(kv.Value)
		if err != nil {
			return true, fhir.Errorf(400, fhir.CodeValue, "%s=%s: a date is expected: 2020, 2020-05 or 2020-05-31", kv.Name, kv.Value)
		}
		first, last := d.Range()
		if kv.Name == "start" {
			p.care.hiMin = first
		} else {
			p.care.loMax = last
		}
		return true, nil
	case "_since":
		if _, err := fhir.ParseInstant(kv.Value); err != nil {
			return true, fhir.Errorf(400, fhir.CodeValue, "_since: %v", err)
		}
		return true, p.filter(KV{"_lastUpdated", "gt" + kv.Value})
	case "_type", "_count", "_total", "_explain", "_format", "_pretty":
		return false, nil
	}
	return true, &unknownParameter{err: fhir.Errorf(400, fhir.CodeNotSupported, "$everything has no parameter %q; it has start, end, _since, _type and _count", kv.Name)}
}

// record makes the search one for a whole record.
func (p *parser) record() {
	if !p.req.Record {
		return
	}
	p.current = "$everything"
	if p.care != unbounded {
		p.q.conds = append(p.q.conds, p.caredFor())
	}
	if slices.ContainsFunc(p.req.Params, func(kv KV) bool { return kv.Name == "_type" }) {
		return
	}
	inside := p.r.defs.Compartment(p.req.Compartment)
	inc := include{iterate: true}
	for _, t := range p.r.defs.ResourceTypes() {
		if t != inside.Name && len(inside.Params[t]) == 0 && p.r.index(t).self == 0 {
			inc.targets = append(inc.targets, t)
		}
	}
	inc.sources = slices.Concat(p.q.types, inc.targets)
	slices.Sort(inc.sources)
	inc.sources = slices.Compact(inc.sources)
	for _, t := range inc.sources {
		if t == "Patient" && t != inside.Name {
			continue
		}
		for _, sp := range p.r.Params(t) {
			// A reference that is hidden from the caller is followed by no relation: nothing
			// has to be refused because of it.
			if sp.Type == "reference" && sp.indexed && !sp.canonical {
				inc.refs = append(inc.refs, sp.ID)
			}
		}
	}
	p.q.includes = append(p.q.includes, inc)
}

// caredFor holds for what has a date within bounds, and for what has none.
func (p *parser) caredFor() cond {
	dates := &scan{rel: Date, types: p.q.types}
	for _, t := range p.q.types {
		for _, sp := range p.r.Params(t) {
			if t == p.req.Compartment || sp.Type != "date" || !sp.indexed || sp.Code == "birthdate" || sp.key == 0 {
				continue
			}
			p.use("", sp)
			dates.keys = append(dates.keys, sp.key)
		}
	}
	within := *dates
	within.within(p.care, nil)
	return anyOf{&within, not{dates}}
}
