package search

import (
	"ingle/fhir"
)

// Numbers share the table of quantities, without units.

func (x *extraction) number(k int64, typ string, n fhir.Node) {
	switch typ {
	case "Range":
		lo, hi := "-Infinity", "Infinity"
		if v := n.Get("low").Get("value"); v.Kind() == fhir.Number {
			lo = v.Text()
		}
		if v := n.Get("high").Get("value"); v.Kind() == fhir.Number {
			hi = v.Text()
		}
		x.addQuantity(QuantityRow{K: k, Lo: lo, Hi: hi})
	default:
		if n.Kind() == fhir.Number {
			x.addQuantity(QuantityRow{K: k, Lo: n.Text(), Hi: n.Text()})
		}
	}
}

// addQuantity keeps a row that has an end, in order.
func (x *extraction) addQuantity(row QuantityRow) {
	if row.Lo == "-Infinity" && row.Hi == "Infinity" || compareDecimals(row.Lo, row.Hi) > 0 {
		return
	}
	x.rows.Quantities = append(x.rows.Quantities, row)
}

// number reads the values of a number parameter.
func (v *valueReader) number() (cond, error) {
	var parts []cond
	for _, value := range v.values {
		n, ok := parseInterval(unescape(value))
		if !ok || v.modifier == covers && n.prefix != eq {
			return nil, v.fail(value, "a number is expected, which may follow one of eq, ne, gt, lt, ge, le, sa, eb and ap")
		}
		if v.modifier == covers {
			n.prefix = covers
		}
		s := &scan{rel: Quantity, types: v.types, keys: v.keys(), unique: v.single()}
		n.on(s, nil)
		parts = append(parts, s)
	}
	return either(parts), nil
}
