package search

import "strings"

// mimeTypes is the value set of elements that hold MIME types.
const mimeTypes = "http://hl7.org/fhir/ValueSet/mimetypes"

// mimeTypes tells that the parameter finds MIME types.
func (v *valueReader) mimeTypes() bool {
	for _, sp := range v.ps {
		if len(sp.valueSets) == 0 {
			return false
		}
		for _, vs := range sp.valueSets {
			if bare, _, _ := strings.Cut(vs, "|"); bare != mimeTypes {
				return false
			}
		}
	}
	return true
}

// mimeBelow finds a MIME type with whatever parameters, "text/xml" and
// "text/xml; charset=UTF-8", and "text" all that are text (R4 search,
// "Searching Mime Types").
func (v *valueReader) mimeBelow() cond {
	var parts []cond
	for _, value := range v.values {
		base := foldCode(unescape(value))
		ends := []string{base + ";", base + " "}
		if !strings.Contains(base, "/") {
			ends = []string{base + "/"}
		}
		parts = append(parts, &scan{rel: Token, types: v.types, order: rankToken, dict: &lookup{ps: v.ids(), where: func(c *compilation, a string) string {
			list := []string{a + ".code = " + c.arg(base)}
			for _, end := range ends {
				list = append(list, "starts_with("+a+".code, "+c.arg(end)+")")
			}
			return "(" + strings.Join(list, " OR ") + ")"
		}}})
	}
	return either(parts)
}
