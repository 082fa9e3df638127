package search

import (
	"slices"

	"ingle/fhir"
)

// Code is a code in a code system.
type Code struct{ System, Code string }

// CodeSet is what a modifier stands for: a list of codes or, where it is too
// large to list, a condition.
type CodeSet struct {
	Codes []Code
	// Where is nil where Codes is the set. Else it writes the condition that a
	// system and a code, folded, are in the set, given as SQL expressions. arg
	// adds an argument to the statement and returns its placeholder.
	Where func(system, code string, arg func(any) string) string
}

// Terminology tells which codes the modifiers in, not-in, above and below stand
// for; for not-in, those that are left out. value is a value set's canonical URL
// or a code as system|code. An implementation is bound to the caller's session:
// it may read value sets that the caller may see. Its errors are *fhir.Error
// where the client can mend them: an unknown value set, or a list too long.
type Terminology interface {
	CodeSet(modifier, value string) (*CodeSet, error)
}

// maxCodes is how many codes a value set in a search may stand for.
const maxCodes = 10_000

// tokenSet reads the modifiers that stand for sets of codes, and :text.
func (v *valueReader) tokenSet() (cond, error) {
	switch {
	case v.modifier == "text":
		return v.tokenText()
	case v.modifier == "below" && v.mimeTypes():
		return v.mimeBelow(), nil
	}
	terms := v.p.req.Terminology
	if terms == nil {
		return nil, fhir.Errorf(400, fhir.CodeNotSupported, "%s: the modifier :%s is not supported here: the server has no terminology service", v.name, v.modifier)
	}
	var keys []int64
	var large []cond
	for _, value := range v.values {
		if v.modifier == "below" || v.modifier == "above" {
			if system, code, ok := cutEscaped(value, '|'); !ok || system == "" || code == "" {
				return nil, v.fail(value, "a code with its system is expected: system|code")
			}
		}
		set, err := v.codeSet(terms, unescape(value))
		if err != nil {
			return nil, v.p.within(err, v.name)
		}
		if set.Where != nil {
			large = append(large, &scan{rel: Token, types: v.types, order: rankToken, dict: &lookup{ps: v.ids(), where: func(c *compilation, a string) string {
				return set.Where(a+".system", a+".code", c.arg)
			}}})
			continue
		}
		codes := set.Codes
		if len(codes) > maxCodes {
			return nil, fhir.Errorf(400, fhir.CodeTooCostly, "%s=%s stands for more than %d codes", v.name, value, maxCodes)
		}
		for _, sp := range v.ps {
			// Which systems the element implies is the same question for each
			// code of one system.
			implied := map[string]bool{}
			for _, c := range codes {
				keys = append(keys, TokenKey(sp.ID, c.System, foldCode(c.Code)))
				if !sp.hasCode {
					continue
				}
				yes, known := implied[c.System]
				if !known {
					yes = v.p.r.implies(sp, c.System, foldCode(c.Code))
					implied[c.System] = yes
				}
				if yes {
					keys = append(keys, TokenKey(sp.ID, "", foldCode(c.Code)))
				}
			}
		}
	}
	var k cond = never{}
	if keys != nil {
		slices.Sort(keys)
		k = &scan{rel: Token, types: v.types, keys: slices.Compact(keys), unique: true, order: rankToken}
	}
	if large != nil {
		k = anyOf(append(large, k))
	}
	if v.modifier == "not-in" {
		return not{k}, nil
	}
	return k, nil
}

// codeSet asks for the codes of a value. A value set is named by its URL, or by
// where it is; an absolute URL of this server is that first (R4 search, "token").
func (v *valueReader) codeSet(terms Terminology, value string) (*CodeSet, error) {
	if v.modifier == "in" || v.modifier == "not-in" {
		if ref := v.parseReference(value); ref.Form == fhir.RefRelative && ref.Relative() != value {
			if set, err := terms.CodeSet(v.modifier, ref.Relative()); err == nil {
				return set, nil
			}
		}
	}
	return terms.CodeSet(v.modifier, value)
}
