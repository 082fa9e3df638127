package search

import (
	"time"

	"ingle/fhir"
)

// The one parameter of type special in R4 is Location's near. A position has a
// row in idx_quantity: lo is the latitude and hi the longitude, in degrees.

func (x *extraction) special(p *Param, typ string, n fhir.Node) {
	lat, lon := n.Get("latitude"), n.Get("longitude")
	if lat.Kind() == fhir.Number && lon.Kind() == fhir.Number {
		x.rows.Quantities = append(x.rows.Quantities, QuantityRow{K: p.key, Lo: lat.Text(), Hi: lon.Text()})
	}
}

// idCond is _id: the logical id, compared with case.
func (p *parser) idCond(types []string, modifier, name, value string) (cond, error) {
	if modifier != "" && modifier != "not" {
		return nil, fhir.Errorf(400, fhir.CodeNotSupported, "%s: _id has no modifier but :not", name)
	}
	values, err := p.values(name, value)
	if err != nil {
		return nil, err
	}
	s := &scan{rel: Resource, types: types, unique: true, order: rankID}
	for _, v := range values {
		id := unescape(v)
		if !fhir.ValidID(id) {
			return nil, fhir.Errorf(400, fhir.CodeValue, "%s=%s: an id has 1 to 64 letters, digits, - and .", name, v)
		}
		for _, t := range types {
			s.keys = append(s.keys, RefKey(t+"/"+id))
		}
	}
	if modifier == "not" {
		return not{s}, nil
	}
	return s, nil
}

// lastUpdatedCond is _lastUpdated: an instant, compared as dates are.
func (p *parser) lastUpdatedCond(types []string, modifier, name, value string) (cond, error) {
	if modifier != "" {
		return nil, fhir.Errorf(400, fhir.CodeNotSupported, "%s: _lastUpdated has no modifiers", name)
	}
	values, err := p.values(name, value)
	if err != nil {
		return nil, err
	}
	v := &valueReader{p: p, name: name}
	var parts []cond
	for _, one := range values {
		d, err := v.dateValue(one)
		if err != nil {
			return nil, err
		}
		s := &scan{rel: Resource, types: types, unique: true, order: rankOpen}
		if d.prefix == eq || d.prefix == ap {
			s.order = rankBounded
		}
		s.where = func(c *compilation, a string) string {
			parts := []string{d.instant(c, a+".lu")}
			if len(types) < len(c.r.defs.ResourceTypes()) {
				parts = append(parts, in(c, a+".rtype", c.numbers(types)))
			}
			return and(parts...)
		}
		parts = append(parts, s)
	}
	return either(parts), nil
}

// instant compares a column that holds a moment; it is a range of no length.
func (d dateValue) instant(c *compilation, column string) string {
	at := func(micro int64) string { return c.args.Add(time.UnixMicro(micro).UTC()) + "::timestamptz" }
	switch d.prefix {
	case ne:
		return "(" + column + " < " + at(d.lo) + " OR " + column + " > " + at(d.hi) + ")"
	case gt, sa:
		return column + " > " + at(d.hi)
	case lt, eb:
		return column + " < " + at(d.lo)
	case ge:
		return column + " >= " + at(d.lo)
	case le:
		return column + " <= " + at(d.hi)
	}
	return and(column+" >= "+at(d.lo), column+" <= "+at(d.hi))
}

// special reads the parameters that are not a comparison of one element.
func (p *parser) special(ps []*Param, types []string, modifier, name, value string) (k cond, done bool, err error) {
	switch ps[0].Code {
	case "_text", "_content", "_query", "_list", "_filter":
		return nil, true, &unknownParameter{fhir.Errorf(400, fhir.CodeNotSupported, "%s is not supported", ps[0].Code)}
	}
	if ps[0].Type == "special" && modifier != "missing" {
		return nil, true, &unknownParameter{fhir.Errorf(400, fhir.CodeNotSupported, "%s is not supported", name)}
	}
	return nil, false, nil
}
