package search

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cockroachdb/apd/v3"

	"ingle/fhir"
	"ingle/fhir/ucum"
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
	if modifier == "missing" {
		return neverMissing(name, value)
	}
	if modifier == "unequal" && p.inFilter > 0 { // there is one id
		modifier = "not"
	}
	if modifier != "" && modifier != "not" {
		return nil, fhir.Errorf(400, fhir.CodeNotSupported, "%s: _id has no modifiers but :missing and :not", name)
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
			if isContained(t) {
				s.keys = append(s.keys, RefKey(containedMark+id))
			} else {
				s.keys = append(s.keys, RefKey(t+"/"+id))
			}
		}
	}
	if slices.ContainsFunc(types, isContained) { // their keys do not hold the type
		s.where = func(c *compilation, a string) string { return in(c, a+".rtype", c.numbers(types)) }
	}
	if modifier == "not" {
		return not{s}, nil
	}
	return s, nil
}

// neverMissing is :missing of what every resource has.
func neverMissing(name, value string) (cond, error) {
	k, err := missing(nil, nil, name, value)
	if err != nil {
		return nil, err
	}
	if _, missing := k.(not); missing {
		return never{}, nil
	}
	return not{never{}}, nil
}

// lastUpdatedCond is _lastUpdated: an instant, compared as dates are.
func (p *parser) lastUpdatedCond(types []string, modifier, name, value string) (cond, error) {
	if modifier == "missing" {
		return neverMissing(name, value)
	}
	if modifier != "" && (modifier != "overlaps" || p.inFilter == 0) {
		return nil, fhir.Errorf(400, fhir.CodeNotSupported, "%s: _lastUpdated has no modifier but :missing", name)
	}
	values, err := p.values(name, value)
	if err != nil {
		return nil, err
	}
	v := &valueReader{p: p, name: name, modifier: modifier}
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
	switch code := ps[0].Code; code {
	case "_text", "_content":
		k, err = p.fullText(types, code, modifier, name, value)
		return k, true, err
	case "_query":
		return nil, true, fhir.Errorf(400, fhir.CodeNotSupported, "_query is not supported: the server has no named queries; search by parameters, with chains, _has and _filter")
	}
	if ps[0].Type == "special" && modifier == "" {
		k, err = p.nearCond(ps, types, name, value)
		return k, true, err
	}
	return nil, false, nil
}

// listCond is _list: the resources that a List names. The functional lists of
// R4 ($current-problems …) are not kept by this server.
func (p *parser) listCond(types []string, modifier, name, value string) (cond, error) {
	if modifier != "" {
		return nil, fhir.Errorf(400, fhir.CodeNotSupported, "_list takes no modifier")
	}
	if err := refuseInside(types, name); err != nil {
		return nil, err
	}
	if strings.HasPrefix(value, "$") {
		return nil, fhir.Errorf(400, fhir.CodeNotSupported, "%s=%s: functional lists are not supported; give the id of a List", name, value)
	}
	value = strings.TrimPrefix(value, "List/")
	inside, err := p.idCond([]string{"List"}, "", name, value)
	if err != nil {
		return nil, err
	}
	item := p.r.Param("List", "item")
	p.use("", item)
	return &reverse{from: "List", ref: item.ID, types: types, cond: inside}, nil
}

// earth is the mean radius of the earth in kilometres.
const earth = 6371.0088

// nearDefault is the distance in kilometres where a client gives none.
const nearDefault = 50.0

// position is a place on the earth, in degrees.
type position struct{ lat, lon float64 }

// positions are those that a search has in near.
type positions struct{ at []position }

// distance is the way in kilometres to the position in a row of Quantity.
func (at position) distance(c *compilation, a string) string {
	half := func(from, to string) string { return "power(sind((" + from + " - " + to + ") / 2), 2)" }
	x, y, lat, lon := a+".lo::float8", a+".hi::float8", c.float(at.lat), c.float(at.lon)
	return "2 * " + c.float(earth) + " * asin(sqrt(least(1, " + half(x, lat) + " + cosd(" + x + ") * cosd(" + lat + ") * " + half(y, lon) + ")))"
}

// distance is the way to the nearest of them.
func (p *positions) distance(c *compilation, a string) string {
	ways := make([]string, len(p.at))
	for i, at := range p.at {
		ways[i] = at.distance(c, a)
	}
	return "least(" + strings.Join(ways, ", ") + ")"
}

// near reads latitude|longitude[|distance[|unit]] (R4 location.html): locations
// within the distance over the surface of the earth. Without a distance it is
// 50 km; without a unit, kilometres.
func (p *parser) nearCond(ps []*Param, types []string, name, value string) (cond, error) {
	values, err := p.values(name, value)
	if err != nil {
		return nil, err
	}
	v := &valueReader{p: p, ps: ps, name: name}
	var parts []cond
	for _, one := range values {
		f := splitEscaped(one, '|')
		if len(f) < 2 || len(f) > 4 {
			return nil, v.fail(one, "latitude|longitude|distance|unit is expected")
		}
		lat, ok1 := degrees(f[0], 90)
		lon, ok2 := degrees(f[1], 180)
		if !ok1 || !ok2 {
			return nil, v.fail(one, "the latitude is a number of degrees from -90 to 90, the longitude one from -180 to 180")
		}
		dist := nearDefault
		if len(f) > 2 && f[2] != "" {
			d, err := fhir.ParseDecimal(f[2])
			if err != nil || d.Value().Negative {
				return nil, v.fail(one, "the distance is a number from 0")
			}
			dist, _ = d.Value().Float64()
		}
		if len(f) > 3 && f[3] != "" {
			unit := f[3]
			switch unit { // what users write
			case "mi", "mile", "miles":
				unit = "[mi_i]"
			case "mi_us":
				unit = "[mi_us]"
			case "ft":
				unit = "[ft_i]"
			}
			km, err := ucum.Convert(apd.New(1, 0), unit, "km")
			if err != nil {
				return nil, v.fail(one, "the unit %q is not a length; km, m and mi are understood, and the lengths of UCUM", f[3])
			}
			factor, _ := km.Float64()
			dist *= factor
		}
		s := &scan{rel: Quantity, types: types, keys: v.keys(), order: rankBounded}
		margin := dist / earth * 180 / math.Pi
		at := position{lat, lon}
		s.where = func(c *compilation, a string) string {
			between := and(a+".lo >= "+c.number(strconv.FormatFloat(lat-margin-1e-6, 'f', 9, 64)), a+".lo <= "+c.number(strconv.FormatFloat(lat+margin+1e-6, 'f', 9, 64)))
			return and(between, at.distance(c, a)+" <= "+c.float(dist))
		}
		parts = append(parts, s)
		p.near.at = append(p.near.at, at)
	}
	return either(parts), nil
}

func degrees(s string, limit float64) (float64, bool) {
	d, err := fhir.ParseDecimal(s)
	if err != nil {
		return 0, false
	}
	f, err := d.Value().Float64()
	return f, err == nil && f >= -limit && f <= limit
}
