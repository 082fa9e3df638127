package search

import (
	"strings"

	"ingle/fhir"
)

// A uri is compared whole and as it is, with case (R4 3.1.1.5.13). A canonical
// with a version is found with and without it.

func (x *extraction) uri(k int64, typ string, n fhir.Node) {
	if n.Kind() != fhir.String {
		return
	}
	s := n.Text()
	x.addString(uriRow(k, s), false)
	if typ == "canonical" {
		if bare, _, has := strings.Cut(s, "|"); has {
			x.addString(uriRow(k, bare), true)
		}
	}
}

func uriRow(k int64, s string) StringRow {
	row := StringRow{K: k, Val: cut(s)}
	if len(row.Val) < len(s) {
		row.Whole = &s
	}
	return row
}
