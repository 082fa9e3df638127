package search

import (
	"slices"
	"strings"

	"ingle/fhir"
)

// Some references make a hierarchy: a Location is part of another one. For them
// the modifiers :below and :above find what refers to a resource or to any that
// is below or above it, itself included (R4 search, "Searching Hierarchies").

// partOf returns the parameter by which resources of a type are part of others of
// the type, nil if they are not.
func (r *Registry) partOf(resourceType string) *Param {
	for _, sp := range r.Params(resourceType) {
		if sp.Type == "reference" && sp.Definition.Expression == resourceType+".partOf" && slices.Contains(sp.Targets, resourceType) {
			return sp
		}
	}
	return nil
}

// hierarchy reads :above and :below of a reference.
func (v *valueReader) hierarchy() (cond, error) {
	var kinds []string // types that the parameter may point to and that have parts
	for _, sp := range v.ps {
		for _, t := range sp.Targets {
			if v.p.r.partOf(t) != nil && !slices.Contains(kinds, t) {
				kinds = append(kinds, t)
			}
		}
	}
	if kinds == nil {
		return nil, fhir.Errorf(400, fhir.CodeNotSupported, "%s: :%s is for references to what can be part of another: Location, Organization and the like", v.name, v.modifier)
	}
	var parts []ParamID
	for _, t := range kinds {
		parts = append(parts, v.p.r.partOf(t).ID)
	}
	bare := *v
	bare.modifier = ""
	var keys []int64
	for _, value := range v.values {
		targets, err := bare.targets(value)
		if err != nil {
			return nil, err
		}
		for _, t := range targets {
			if typ, _, ok := strings.Cut(t, "/"); ok && slices.Contains(kinds, typ) {
				keys = append(keys, RefKey(t))
			}
		}
	}
	if keys == nil {
		return never{}, nil
	}
	down := v.modifier == "below"
	s := &scan{rel: Ref, types: v.types, ps: v.ids(), order: rankToken}
	s.where = func(c *compilation, a string) string {
		ref, r := c.from(Ref, kinds, "r")
		res, x := c.from(Resource, kinds, "x")
		step := "SELECT " + x + ".rk FROM tree JOIN " + ref + " ON " + r + ".rk = tree.rk JOIN " + res + " ON " + x + ".rid = " + r + ".rid"
		if !down {
			step = "SELECT " + r + ".rk FROM tree JOIN " + res + " ON " + x + ".rk = tree.rk JOIN " + ref + " ON " + r + ".rid = " + x + ".rid"
		}
		// UNION, not UNION ALL: a circle ends
		return a + ".rk = ANY(ARRAY(WITH RECURSIVE tree(rk) AS (SELECT unnest(" + c.arg(distinct(keys)) + ") UNION " + step + " WHERE " + in(c, r+".p", ints(parts)) + ") SELECT rk FROM tree))"
	}
	return s, nil
}
