package search

import (
	"slices"
	"strings"
)

// operators tell for each operator of _filter and each type of parameter the
// search that it stands for (R4 search_filter, "Operators"): a modifier, or a
// prefix of the value behind "=". Operators are not for types that are not here;
// pr is for all.
var operators = map[string]map[string]string{
	"eq": {"string": "exact-folded", "token": "", "reference": "", "uri": "", "composite": "", "special": "",
		"date": "=eq", "number": "=eq", "quantity": "=eq"},
	"ne": {"string": "unequal", "token": "unequal", "uri": "unequal", "date": "=ne", "number": "=ne", "quantity": "=ne"},
	"co": {"string": "contains", "date": "covers", "number": "covers"},
	"sw": {"string": ""},
	"ew": {"string": "ends"},
	"gt": {"string": "gt", "date": "=gt", "number": "=gt", "quantity": "=gt"},
	"lt": {"string": "lt", "date": "=lt", "number": "=lt", "quantity": "=lt"},
	"ge": {"string": "ge", "date": "=ge", "number": "=ge", "quantity": "=ge"},
	"le": {"string": "le", "date": "=le", "number": "=le", "quantity": "=le"},
	"ap": {"date": "=ap", "number": "=ap", "quantity": "=ap"},
	"sa": {"date": "=sa", "number": "=sa", "quantity": "=sa"},
	"eb": {"date": "=eb", "number": "=eb", "quantity": "=eb"},
	"po": {"date": "overlaps"},
	"ss": {"token": "below"}, // the value subsumes what is there
	"sb": {"token": "above"},
	"in": {"token": "in"},
	"ni": {"token": "not-in"},
	"re": {"reference": ""},
}

// filterModifiers are those of operators that are modifiers in _filter only.
var filterModifiers = map[string][]string{
	"string": {"exact-folded", "unequal", "ends", "gt", "lt", "ge", "le"},
	"token":  {"unequal"},
	"uri":    {"unequal"},
	"date":   {"overlaps", "covers"},
	"number": {"covers"},
}

// filterSystems stand for systems (R4 search_filter).
var filterSystems = map[string]string{
	"loinc":  "http://loinc.org",
	"snomed": "http://snomed.info/sct",
	"rxnorm": "http://www.nlm.nih.gov/research/umls/rxnorm",
	"ucum":   ucumSystem,
}

// filterValue writes a value of a filter as that of a search parameter. A comma
// is part of it and separates nothing; texts have no other separators.
func filterValue(kind, value string) string {
	if kind == "string" || kind == "uri" {
		return strings.NewReplacer(`\`, `\\`, ",", `\,`).Replace(value)
	}
	value = strings.Join(splitEscaped(value, ','), `\,`)
	if kind != "token" && kind != "quantity" {
		return value
	}
	parts := splitEscaped(value, '|')
	for i, part := range parts[:len(parts)-1] {
		if system, ok := filterSystems[strings.ToLower(part)]; ok {
			parts[i] = system
		}
	}
	return strings.Join(parts, "|")
}

// tokenUnequal finds what has a token other than the given one.
func (v *valueReader) tokenUnequal() (cond, error) {
	system, code, hasSystem, err := v.systemCode(v.values[0])
	if err != nil {
		return nil, err
	}
	var parts []cond
	for _, sp := range v.ps {
		if !sp.hasIdent {
			parts = append(parts, v.otherToken(sp, system, code, hasSystem))
			continue
		}
		if hasSystem || sp.hasCoding || sp.hasCode {
			return nil, v.fail(v.values[0], "ne compares identifiers and contact points by their value alone; not (%s eq …) finds what has no such one", sp.Code)
		}
		other := cut(foldCode(code)) // among the texts that they are sorted by
		parts = append(parts, &scan{rel: String, types: v.types, keys: []int64{sp.key}, order: rankOpen,
			where: func(c *compilation, a string) string { return a + ".val <> " + c.arg(other) }})
	}
	return either(parts), nil
}

// otherToken finds the tokens of a parameter under other keys than those of one;
// each has one row.
func (v *valueReader) otherToken(p *Param, system, code string, hasSystem bool) cond {
	keys, lookups := p.tokenKeys(v.p.r, system, code, hasSystem)
	keys = distinct(append(keys, tokenPresentKey(p.ID)))
	return &scan{rel: Token, types: v.types, ps: []ParamID{p.ID}, order: rankOpen, where: func(c *compilation, a string) string {
		parts := []string{a + ".h <> ALL(" + c.arg(keys) + ")"}
		for _, l := range lookups {
			dict, where, d := c.dictionary(l)
			parts = append(parts, a+".h <> ALL(ARRAY(SELECT "+d+".h FROM "+dict+" WHERE "+where+"))")
		}
		return and(parts...)
	}}
}

// uriUnequal finds what has a URI other than the given one. A canonical has a row
// with its version and one without.
func (v *valueReader) uriUnequal() (cond, error) {
	s := unescape(v.values[0])
	if strings.Contains(s, "|") {
		return nil, v.fail(v.values[0], "ne compares URLs without their versions")
	}
	return &scan{rel: String, types: v.types, keys: v.keys(), order: rankOpen, where: func(c *compilation, a string) string {
		whole := "coalesce(" + a + ".whole, " + a + ".val)"
		return and(whole+" <> "+c.arg(s), "NOT starts_with("+whole+", "+c.arg(s+"|")+")")
	}}, nil
}

// ownModifier tells that a modifier is one that _filter brings along.
func (p *parser) ownModifier(sp *Param, modifier string) bool {
	return p.inFilter > 0 && slices.Contains(filterModifiers[sp.Type], modifier)
}
