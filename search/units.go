package search

import (
	"strings"

	"github.com/cockroachdb/apd/v3"

	"ingle/fhir/ucum"
)

// canonical is a UCUM unit's way to its canonical form, the product of base units.
type canonical struct{ code, unit string }

// canonicalUnit reads a UCUM unit; ok is false where it is none.
func canonicalUnit(code string) (canonical, bool) {
	u, err := ucum.Parse(code)
	if err != nil || strings.Contains(code, "{") || u.IsSpecial() && code != "Cel" && code != "[degF]" && code != "[degRe]" {
		// An annotation tells what is counted: {score} and {beats} are both the
		// number 1, but are not to be taken for each other. The other special units are logarithms, some of which fall as the
		// value rises ([pH]): they are compared as they are written.
		return canonical{}, false
	}
	return canonical{code: code, unit: u.Base()}, true
}

// convert brings a number in the unit to its canonical form.
func (u canonical) convert(v string) (string, bool) {
	if v == "Infinity" || v == "-Infinity" {
		return v, true
	}
	var d apd.Decimal
	if _, _, err := d.SetString(v); err != nil {
		return "", false
	}
	out, _, err := ucum.Canonical(&d, u.code)
	if err != nil {
		return "", false
	}
	return out.Text('f'), true
}
