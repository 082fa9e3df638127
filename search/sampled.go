package search

import (
	"strings"

	"github.com/cockroachdb/apd/v3"

	"ingle/fhir"
)

// exact is the context of index arithmetic: more digits than any number that
// fhir.Parse accepts.
var exact = apd.BaseContext.WithPrecision(160)

// sampledRange returns the least and the greatest sample, which are
// origin + data × factor; "E", "L" and "U" (error, below and above detection)
// stand for no number.
func sampledRange(n fhir.Node) (lo, hi string, unit fhir.Node, ok bool) {
	origin := n.Get("origin")
	if origin.Get("value").Kind() != fhir.Number {
		return "", "", unit, false
	}
	var base, factor, least, most apd.Decimal
	if _, _, err := base.SetString(origin.Get("value").Text()); err != nil {
		return "", "", unit, false
	}
	factor.SetInt64(1)
	if f := n.Get("factor"); f.Kind() == fhir.Number {
		if _, _, err := factor.SetString(f.Text()); err != nil {
			return "", "", unit, false
		}
	}
	for _, word := range strings.Fields(text(n, "data")) {
		if _, err := fhir.ParseDecimal(word); err == nil {
			var v apd.Decimal
			if _, _, err := v.SetString(word); err != nil {
				continue
			}
			_, _ = exact.Mul(&v, &v, &factor)
			_, _ = exact.Add(&v, &v, &base)
			if !ok || v.Cmp(&least) < 0 {
				least.Set(&v)
			}
			if !ok || v.Cmp(&most) > 0 {
				most.Set(&v)
			}
			ok = true
		}
	}
	return least.Text('f'), most.Text('f'), origin, ok
}
