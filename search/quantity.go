package search

import (
	"strings"

	"ingle/fhir"
	"ingle/fhir/ucum"
)

// A quantity is a number and a unit (R4 search, "quantity"). The unit is looked for by
// system and code, or by code or human unit alike. Ranges, sampled data and
// quantities with a comparator ("<5") are ranges of numbers. A quantity in a UCUM
// unit has a second row, in the unit's canonical form, so that 1 g finds 1000 mg.

const ucumSystem = ucum.System

// unitKey is the hash of a unit's code, of a human unit (folded) or of a system.
func unitKey(kind, s string) int64 {
	if s == "" {
		return 0
	}
	return hash64(0, kind, s)
}

func unitCode(s string) int64   { return unitKey("uc", s) }
func unitText(s string) int64   { return unitKey("ut", fold(s)) }
func unitSystem(s string) int64 { return unitKey("us", s) }

// quantity takes a value under the key k and its canonical form under canonical.
func (x *extraction) quantity(k, canonical int64, typ string, n fhir.Node) {
	if n.Kind() == fhir.Number {
		x.addQuantity(QuantityRow{K: k, Lo: n.Text(), Hi: n.Text()})
		return
	}
	lo, hi, unit, ok := quantityRange(typ, n)
	if !ok {
		return
	}
	row := QuantityRow{K: k, Lo: lo, Hi: hi}
	if typ == "Money" {
		code := text(n, "currency")
		row.Unit, row.Sys = unitCode(code), unitSystem("urn:iso:std:iso:4217")
		if code == "" {
			row.Sys = 0
		}
		x.addQuantity(row)
		return
	}
	system, code := text(unit, "system"), text(unit, "code")
	row.Unit, row.UText, row.Sys = unitCode(code), unitText(text(unit, "unit")), unitSystem(system)
	x.addQuantity(row)
	if system != ucumSystem || code == "" || canonical == 0 {
		return
	}
	clo, cunit, ok := x.canonicalForm(lo, code)
	if !ok {
		return
	}
	chi := clo
	if hi != lo {
		chi, _, ok = x.canonicalForm(hi, code)
	}
	if ok {
		x.addQuantity(QuantityRow{K: canonical, Lo: clo, Hi: chi, Unit: cunit})
	}
}

// canonicalForm converts a number in a UCUM unit; several parameters ask for
// the same one in a row.
func (x *extraction) canonicalForm(v, code string) (value string, unit int64, ok bool) {
	if x.lastUnit == code && x.lastValue == v {
		return x.lastCanonical, x.lastCanonicalUnit, x.lastCanonicalUnit != 0
	}
	x.lastUnit, x.lastValue, x.lastCanonicalUnit = code, v, 0
	cu, ok := canonicalUnit(code)
	if !ok {
		return "", 0, false
	}
	if x.lastCanonical, ok = cu.convert(v); !ok {
		return "", 0, false
	}
	x.lastCanonicalUnit = unitCode(cu.unit)
	return x.lastCanonical, x.lastCanonicalUnit, true
}

// quantityRange returns the numbers a value stands for and the element that
// names the unit.
func quantityRange(typ string, n fhir.Node) (lo, hi string, unit fhir.Node, ok bool) {
	switch typ {
	case "Range":
		lo, hi = "-Infinity", "Infinity"
		if low := n.Get("low"); low.Get("value").Kind() == fhir.Number {
			lo, unit, ok = low.Get("value").Text(), low, true
		}
		if high := n.Get("high"); high.Get("value").Kind() == fhir.Number {
			hi, ok = high.Get("value").Text(), true
			if !unit.Valid() || !unit.Get("code").Valid() && !unit.Get("unit").Valid() {
				unit = high
			}
		}
		return lo, hi, unit, ok
	case "SampledData":
		return sampledRange(n)
	}
	v := n.Get("value")
	if v.Kind() != fhir.Number {
		return "", "", fhir.Node{}, false
	}
	lo, hi = v.Text(), v.Text()
	switch text(n, "comparator") {
	case "<", "<=":
		lo = "-Infinity"
	case ">", ">=":
		hi = "Infinity"
	}
	return lo, hi, n, true
}

// quantityValue is a quantity of a search: number|system|code.
type quantityValue struct {
	interval
	system, code string
}

func (v *valueReader) quantityValue(value string) (quantityValue, error) {
	parts := splitEscaped(value, '|')
	for i := range parts {
		parts[i] = unescape(parts[i])
	}
	q := quantityValue{}
	n, ok := parseInterval(parts[0])
	if !ok || len(parts) > 3 {
		return q, v.fail(value, "a quantity is expected: number, number|system|code or number||unit, which may follow one of eq, ne, gt, lt, ge, le, sa, eb and ap")
	}
	q.interval = n
	switch len(parts) {
	case 2: // number|unit, as users write it
		q.code = parts[1]
	case 3:
		q.system, q.code = parts[1], parts[2]
	}
	return q, v.knownUnit(value, q)
}

// knownUnit refuses units of UCUM that are none. Handled leniently they are
// looked for as they are written, since data have them too.
func (v *valueReader) knownUnit(value string, q quantityValue) error {
	if q.system != ucumSystem || q.code == "" {
		return nil
	}
	if _, err := ucum.Parse(q.code); err == nil {
		return nil
	}
	err := v.fail(value, "%q is not a unit of UCUM; %s||%s finds quantities with this unit in whatever system", q.code, strings.Split(value, "|")[0], q.code)
	if v.p.req.Strict {
		return err
	}
	v.p.notes = append(v.p.notes, fhir.Issue{Severity: fhir.SeverityWarning, Code: fhir.CodeInvalid, Diagnostics: fhir.AsError(err).Issues[0].Diagnostics})
	return nil
}

// unit is the condition on the unit, nil for none.
func (q quantityValue) unit() func(c *compilation, a string) string {
	if q.system == "" && q.code == "" {
		return nil
	}
	return func(c *compilation, a string) string {
		switch {
		case q.system != "" && q.code != "":
			return and(a+".unit = "+c.arg(unitCode(q.code)), a+".sys = "+c.arg(unitSystem(q.system)))
		case q.system != "":
			return a + ".sys = " + c.arg(unitSystem(q.system))
		}
		return "(" + a + ".unit = " + c.arg(unitCode(q.code)) + " OR " + a + ".utext = " + c.arg(unitText(q.code)) + ")"
	}
}

// scans are the lookups of a quantity: as it is written, and in canonical form
// where its unit has one.
func (q quantityValue) scans(base scan, keys, canonical []int64) []cond {
	written := base
	written.keys = keys
	q.on(&written, q.unit())
	out := []cond{&written}
	if q.code == "" || q.system != "" && q.system != ucumSystem {
		return out
	}
	cu, ok := canonicalUnit(q.code)
	if !ok {
		return out
	}
	n := q.interval
	for _, s := range []*string{&n.value, &n.lo, &n.hi} {
		if *s, ok = cu.convert(*s); !ok {
			return out
		}
	}
	same := base
	same.keys, same.canonical = canonical, true
	unit := unitCode(cu.unit)
	n.on(&same, func(c *compilation, a string) string { return a + ".unit = " + c.arg(unit) })
	if q.system != "" { // every quantity in UCUM has its canonical row
		return []cond{&same}
	}
	return append(out, &same)
}

// quantity reads the values of a quantity parameter.
func (v *valueReader) quantity() (cond, error) {
	var parts []cond
	canonical := make([]int64, len(v.ps))
	for i, sp := range v.ps {
		canonical[i] = sp.ucum
	}
	for _, value := range v.values {
		q, err := v.quantityValue(value)
		if err != nil {
			return nil, err
		}
		parts = append(parts, q.scans(scan{rel: Quantity, types: v.types}, v.keys(), canonical)...)
	}
	return either(parts), nil
}
