package store

import (
	"net/url"
	"slices"
	"strings"

	"ingle/authz"
	"ingle/authz/redact"
	"ingle/search"
)

// narrowed writes what SMART scopes leave of a relation, as a condition on
// scope_row, the relation's row: "" for everything. types are the resource
// types whose rows are wanted, nil for any.
//
// A type that the scopes restrict is asked for the patient's compartment (R4
// compartmentdefinition-patient) and the scope's search parameters, both on the
// resource's current index rows. A parameter that the server does not know is
// met by no resource.
func (v *visible) narrowed(rel search.Relation, types []string, args *search.Args) string {
	if v.whole || v.db == nil || rel == contained { // contained: what contains it is asked
		return ""
	}
	if types == nil {
		types = v.db.defs.ResourceTypes()
	}
	var groups []narrowGroup
	for _, t := range types {
		n := v.scope.Narrow(t, v.method)
		if !n.Allowed {
			continue
		}
		alike := func(g narrowGroup) bool { return slices.Equal(g.alternatives, n.Alternatives) && !g.byType() }
		if i := slices.IndexFunc(groups, alike); i >= 0 {
			groups[i].types = append(groups[i].types, t)
			continue
		}
		groups = append(groups, narrowGroup{types: []string{t}, alternatives: n.Alternatives})
	}
	switch {
	case len(groups) == 0:
		return "false"
	case len(groups) == 1 && len(groups[0].types) == len(types):
		return v.alternatives(rel, groups[0], args) // whatever type the row is of
	}
	parts := make([]string, len(groups))
	for i, g := range groups {
		is := "rtype = ANY(" + args.Add(v.db.typeNumbers(g.types)) + "::int2[])"
		ofType := "scope_row." + is
		if !typed(rel) {
			ofType = "EXISTS (SELECT 1 FROM resource AS scope_type WHERE scope_type.rid = scope_row.rid AND scope_type." + is + " " + ScopeMark + ")"
		}
		parts[i] = ofType
		if cond := v.alternatives(rel, g, args); cond != "" {
			parts[i] += " AND " + cond
		}
	}
	return "(" + strings.Join(parts, " OR ") + ")"
}

// narrowGroup are types with the same restrictions.
type narrowGroup struct {
	types        []string
	alternatives []authz.Restriction
}

// byType tells that the condition depends on the type: parameters do.
func (g narrowGroup) byType() bool {
	return slices.ContainsFunc(g.alternatives, func(r authz.Restriction) bool { return r.Query != "" || r.Criteria != "" })
}

// typed tells whether the relation's rows have the column rtype.
func typed(rel search.Relation) bool {
	return rel == search.Resource || rel == withDeleted || rel == superseded
}

// alternatives is the condition of a group; "" where nothing is restricted.
func (v *visible) alternatives(rel search.Relation, g narrowGroup, args *search.Args) string {
	if len(g.alternatives) == 0 {
		return ""
	}
	if rel == superseded {
		// The index knows current versions only: what an old one was about
		// cannot be asked, so it is not shown.
		return "false"
	}
	parts := make([]string, len(g.alternatives))
	for i, r := range g.alternatives {
		cond := "true"
		if r.Patient != "" {
			cond = v.inCompartment(g.types, r.Patient, args)
		}
		if r.Query != "" {
			// the caller chose what its token asks, as it does a search
			cond += " AND " + v.meets(g.types[0], r.Query, v.scope.Hidden(), args)
		}
		if r.Criteria != "" {
			cond += " AND " + v.meets(g.types[0], r.Criteria, nil, args)
		}
		if rel == withDeleted && r.Query+r.Criteria != "" { // nor what a deleted one was like: to the index it lacks everything
			cond += " AND scope_row.op <> 4"
		}
		parts[i] = "(" + cond + ")"
	}
	return "(" + strings.Join(parts, " OR ") + ")"
}

// inCompartment asks whether the row's resource is the patient or refers to it
// by a parameter of the compartment.
func (v *visible) inCompartment(types []string, patient string, args *search.Args) string {
	comp := v.db.defs.Compartment("Patient")
	var params []int32
	self := false
	for _, t := range types {
		self = self || t == "Patient"
		for _, code := range comp.Params[t] {
			params = append(params, int32(search.ParamIDOf(t, code)))
		}
	}
	if !self && len(params) == 0 {
		return "false"
	}
	key := args.Add(search.RefKey("Patient/" + patient))
	var parts []string
	if self {
		parts = append(parts, "EXISTS (SELECT 1 FROM resource AS scope_self WHERE scope_self.rid = scope_row.rid AND scope_self.rk = "+key+" "+ScopeMark+")")
	}
	if len(params) > 0 {
		slices.Sort(params)
		parts = append(parts, "EXISTS (SELECT 1 FROM idx_ref AS scope_ref WHERE scope_ref.rk = "+key+" AND scope_ref.rid = scope_row.rid AND scope_ref.p = ANY("+
			args.Add(params)+"::int4[]) "+ScopeMark+")")
	}
	return "(" + strings.Join(parts, " OR ") + ")"
}

// meets asks whether the row's resource matches search parameters. Those that
// rest on what is hidden are met by none: what is seen would tell of it.
func (v *visible) meets(typ, query string, hidden *redact.Fields, args *search.Args) string {
	values, err := url.ParseQuery(query)
	if err != nil {
		return "false"
	}
	var params []search.KV
	for name, list := range values {
		for _, value := range list {
			params = append(params, search.KV{Name: name, Value: value})
		}
	}
	slices.SortFunc(params, func(a, b search.KV) int { return strings.Compare(a.Name+"="+a.Value, b.Name+"="+b.Value) })
	everything := &visible{db: v.db, all: true, whole: true}
	with := *args // taken if the condition is
	cond, uses, err := v.db.reg.Condition(typ, params, everything, "scope_row.rid", &with)
	if err != nil {
		return "false"
	}
	if _, why := restsOn(hidden, uses); why != "" {
		return "false"
	}
	*args = with
	return "(" + cond + ")"
}
