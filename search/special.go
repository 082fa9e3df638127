package search

import "ingle/fhir"

// The one parameter of type special in R4 is Location's near. A position has a
// row in idx_quantity: lo is the latitude and hi the longitude, in degrees.

func (x *extraction) special(p *Param, typ string, n fhir.Node) {
	lat, lon := n.Get("latitude"), n.Get("longitude")
	if lat.Kind() == fhir.Number && lon.Kind() == fhir.Number {
		x.rows.Quantities = append(x.rows.Quantities, QuantityRow{K: p.key, Lo: lat.Text(), Hi: lon.Text()})
	}
}
