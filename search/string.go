package search

import (
	"strings"
	"unicode/utf8"

	"ingle/fhir"
)

// A string is found by its beginning, without regard to case and accents (R4
// 3.1.1.4.8). Names and addresses are found by each of their parts; there also
// by the beginning of any of the first words of a part: "berg" finds the family
// name "van den Berg". Any other string, such as a title, is found by its
// beginning only.

// maxTails is the number of words of a part of a name or address that are found
// by their beginning.
const maxTails = 8

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
	whole := fold(s)
	rest := whole
	for range maxTails - 1 {
		_, tail, more := strings.Cut(rest, " ")
		if !more {
			return
		}
		rest = tail
		// Whole keeps the tail from being taken for the part (:exact).
		x.addString(StringRow{K: k, Val: cut(rest), Whole: &whole}, true)
	}
}

// string reads the values of a string parameter.
func (v *valueReader) string() (cond, error) {
	var parts []cond
	for _, value := range v.values {
		s := unescape(value)
		if v.modifier != "exact" && fold(s) == "" {
			return nil, v.fail(value, "the text is empty")
		}
		if v.modifier == "text" {
			parts = append(parts, v.stringWords(s))
			continue
		}
		parts = append(parts, v.stringScan(s, v.keys()))
	}
	return either(parts), nil
}

// stringWords is :text of a string: each word begins a word of a value, in
// whatever order. Blanks part words.
func (v *valueReader) stringWords(s string) cond {
	var all []cond
	for _, word := range strings.Fields(fold(s)) {
		begin := escapeLike(word) + "%"
		at := func(c *compilation, column string) string {
			return "(" + column + " LIKE " + c.arg(begin) + " OR " + column + " LIKE " + c.arg("% "+begin) + ")"
		}
		all = append(all, &scan{rel: String, types: v.types, keys: v.keys(), order: rankOpen, where: func(c *compilation, a string) string {
			return "(" + at(c, a+".val") + " OR " + and("octet_length("+a+".val) > 590", at(c, a+".whole")) + ")"
		}})
	}
	return both(all)
}

// stringScan compares one text as the modifier says.
func (v *valueReader) stringScan(s string, keys []int64) *scan {
	out := &scan{rel: String, types: v.types, keys: keys}
	switch v.modifier {
	case "exact":
		out.order = rankExact
		val := cut(fold(s))
		out.where = func(c *compilation, a string) string {
			return and(a+".val = "+c.arg(val), "coalesce("+a+".raw, "+a+".whole, "+a+".val) = "+c.arg(s))
		}
	case "exact-folded": // of _filter: the whole text, without regard to case
		out.order = rankExact
		whole := fold(s)
		out.where = func(c *compilation, a string) string {
			return and(a+".val = "+c.arg(cut(whole)), "coalesce("+a+".whole, "+a+".val) = "+c.arg(whole))
		}
	case "unequal": // of _filter
		out.order = rankOpen
		whole := fold(s)
		out.where = func(c *compilation, a string) string {
			return "coalesce(" + a + ".whole, " + a + ".val) <> " + c.arg(whole)
		}
	case gt, lt, ge, le: // of _filter: by the first character
		out.order = rankOpen
		op := map[string]string{gt: " > ", lt: " < ", ge: " >= ", le: " <= "}[v.modifier]
		first, _ := utf8.DecodeRuneInString(fold(s))
		out.where = func(c *compilation, a string) string {
			return "left(coalesce(" + a + ".whole, " + a + ".val), 1)" + op + c.arg(string(first))
		}
	case "ends": // of _filter
		out.order = rankOpen
		pattern := "%" + escapeLike(fold(s))
		out.where = func(c *compilation, a string) string {
			return "coalesce(" + a + ".whole, " + a + ".val) LIKE " + c.arg(pattern)
		}
	case "contains":
		out.order = rankOpen
		pattern := "%" + escapeLike(fold(s)) + "%"
		short := func(c *compilation, a string) string { return a + ".val LIKE " + c.arg(pattern) }
		long := func(c *compilation, a string) string {
			return and("octet_length("+a+".val) > 590", a+".whole LIKE "+c.arg(pattern)) // as idx_string_long has it
		}
		out.where = func(c *compilation, a string) string { return "(" + short(c, a) + " OR " + long(c, a) + ")" }
		out.arms = []func(c *compilation, a string) string{short, long}
	default:
		begin := fold(s)
		out.order, out.values = prefixRank(begin), []string{"val"}
		out.where = func(c *compilation, a string) string { return prefix(c, a, begin) }
	}
	return out
}

// prefixRank ranks a text that values begin with.
func prefixRank(begin string) int {
	if utf8.RuneCountInString(begin) < 3 {
		return rankInitial
	}
	return rankPrefix
}

// prefix is the condition that the folded text begins so, as a range of the
// index and, where the index is cut, a check of the whole.
func prefix(c *compilation, a, begin string) string {
	short := cut(begin)
	parts := []string{a + ".val >= " + c.arg(short)}
	if end, ok := after(short); ok {
		parts = append(parts, a+".val < "+c.arg(end))
	}
	if len(begin) > len(short) {
		parts = append(parts, "starts_with(coalesce("+a+".whole, "+a+".val), "+c.arg(begin)+")")
	}
	return and(parts...)
}

// escapeLike makes a text stand for itself in a pattern of LIKE.
func escapeLike(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s)
}
