package search

import (
	"slices"
	"strings"

	"ingle/fhir"
)

// A uri is compared whole and as it is, with case (R4 search, "uri"). A canonical
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

// identified finds conformance resources by their URL with the version that they
// have (R4 search, "uri"), by the rows that canonical references meet.
func (v *valueReader) identified(canonical string) cond {
	s := &scan{rel: Ref, types: v.types, unique: true, order: rankExact}
	for _, sp := range v.ps {
		if self := v.p.r.index(sp.resource).self; self != 0 && slices.Equal(sp.elements, []string{"url"}) {
			s.keys, s.ps = append(s.keys, RefKey(canonical)), append(s.ps, self)
		}
	}
	if s.keys == nil {
		return nil
	}
	return s
}

// uri reads the values of a uri parameter. :below finds a URL and what lies
// under it, :above a URL and what it lies under, at the borders of segments;
// they are not for URNs (R4 search, "uri").
func (v *valueReader) uri() (cond, error) {
	if v.modifier == "unequal" {
		return v.uriUnequal()
	}
	var exact []string
	var parts []cond
	for _, value := range v.values {
		s := unescape(value)
		switch v.modifier {
		case "":
			exact = append(exact, s)
			if strings.Contains(s, "|") {
				if k := v.identified(s); k != nil {
					parts = append(parts, k)
				}
			}
			continue
		case "above":
			exact = append(exact, ancestors(s)...)
		case "below":
			exact = append(exact, s)
			begin := strings.TrimSuffix(s, "/") + "/"
			parts = append(parts, &scan{rel: String, types: v.types, keys: v.keys(), order: rankPrefix,
				where: func(c *compilation, a string) string { return prefix(c, a, begin) }})
		}
		if strings.HasPrefix(s, "urn:") {
			return nil, v.fail(value, ":%s is for URLs, not for URNs", v.modifier)
		}
	}
	if exact != nil {
		parts = append(parts, &scan{rel: String, types: v.types, keys: v.keys(), order: rankExact, where: isOneOf(exact)})
	}
	return either(parts), nil
}

// isOneOf is the condition that a uri is one of the given.
func isOneOf(list []string) func(c *compilation, a string) string {
	long := false
	short := make([]string, len(list))
	for i, s := range list {
		short[i] = cut(s)
		long = long || len(s) > maxVal
	}
	return func(c *compilation, a string) string {
		if long {
			return and(in(c, a+".val", short), in(c, "coalesce("+a+".whole, "+a+".val)", list))
		}
		return and(in(c, a+".val", short), a+".whole IS NULL")
	}
}

// ancestors are a URL and the URLs it lies under, with and without their last
// slash, down to the host.
func ancestors(s string) []string {
	out := []string{s}
	host := 0
	if i := strings.Index(s, "://"); i >= 0 {
		host = i + 3
	}
	for at := strings.TrimSuffix(s, "/"); len(out) < 64; {
		i := strings.LastIndexByte(at, '/')
		if i < host {
			return out
		}
		out = append(out, at[:i+1], at[:i])
		at = at[:i]
	}
	return out
}
