package search

import (
	"strings"

	"ingle/fhir"
)

// A string is found by its beginning, without regard to case and accents (R4
// 3.1.1.5.8). Names and addresses are found by each of their parts; there, where
// R4 leaves the choice to the server, also by the beginning of any of the first
// words of a part: "berg" finds the family name "van den Berg".

// maxWords is the number of words of a part of a name or address that are found
// by their beginning.
const maxWords = 8

func (x *extraction) addString(row StringRow, suffix bool) {
	x.rows.Strings = append(x.rows.Strings, row)
	x.suffix = append(x.suffix, suffix)
}

// text takes a value of a string parameter.
func (x *extraction) text(k int64, typ string, n fhir.Node) {
	switch typ {
	case "HumanName":
		for _, name := range [...]string{"family", "given", "prefix", "suffix", "text"} {
			x.parts(k, n.Get(name))
		}
	case "Address":
		for _, name := range [...]string{"line", "city", "district", "state", "postalCode", "country", "text"} {
			x.parts(k, n.Get(name))
		}
	case "CodeableConcept":
		if s := text(n, "text"); s != "" {
			x.string(k, s)
		}
		for c := n.Get("coding").First(); c.Valid(); c = c.Next() {
			if s := text(c, "display"); s != "" {
				x.string(k, s)
			}
		}
	default:
		if n.Kind() == fhir.String || n.Kind() == fhir.Number || n.Kind() == fhir.Bool {
			x.string(k, n.Text())
		}
	}
}

// string adds the row of one text.
func (x *extraction) string(k int64, s string) {
	whole := fold(s)
	row := StringRow{K: k, Val: cut(whole)}
	if len(row.Val) < len(whole) {
		row.Whole = &whole
	}
	if row.Val != s {
		row.Raw = &s
	}
	x.addString(row, false)
}

// parts adds the rows of a part of a name or address, which may be a list.
func (x *extraction) parts(k int64, n fhir.Node) {
	if n.Kind() == fhir.Array {
		for c := n.First(); c.Valid(); c = c.Next() {
			x.parts(k, c)
		}
		return
	}
	if n.Kind() != fhir.String {
		return
	}
	s := n.Text()
	x.string(k, s)
	rest := fold(s)
	for range maxWords - 1 {
		_, tail, more := strings.Cut(rest, " ")
		if !more {
			return
		}
		rest = tail
		// Raw is the whole part, so that :exact never takes a tail for it.
		x.addString(StringRow{K: k, Val: cut(rest), Raw: &s}, true)
	}
}
