package search

import (
	"slices"

	"ingle/fhir"
)

// Code is a code in a code system.
type Code struct{ System, Code string }

// Terminology tells which codes the modifiers :in, :not-in, :above and :below
// stand for. An implementation is bound to the caller's session: it may read
// value sets that the caller may see. Its errors are *fhir.Error where the client
// can mend them: an unknown value set, or one of more than limit codes.
type Terminology interface {
	// Members are the codes of a value set, given by canonical URL.
	Members(valueSet string, limit int) ([]Code, error)
	// Below are a code and all that it subsumes.
	Below(of Code, limit int) ([]Code, error)
	// Above are a code and all that subsume it.
	Above(of Code, limit int) ([]Code, error)
}

// maxCodes is how many codes a value set in a search may stand for.
const maxCodes = 10_000

// tokenSet reads the modifiers that stand for sets of codes, and :text.
func (v *valueReader) tokenSet() (cond, error) {
	if v.modifier == "text" {
		return v.tokenText()
	}
	terms := v.p.req.Terminology
	if terms == nil {
		return nil, fhir.Errorf(400, fhir.CodeNotSupported, "%s: the modifier :%s is not supported here: the server has no terminology service", v.name, v.modifier)
	}
	var keys []int64
	for _, value := range v.values {
		var codes []Code
		var err error
		system, code, hasSystem := cutEscaped(value, '|')
		of := Code{unescape(system), unescape(code)}
		switch v.modifier {
		case "in", "not-in":
			codes, err = terms.Members(unescape(value), maxCodes)
		case "below", "above":
			if !hasSystem || of.System == "" || of.Code == "" {
				return nil, v.fail(value, "a code with its system is expected: system|code")
			}
			if v.modifier == "below" {
				codes, err = terms.Below(of, maxCodes)
			} else {
				codes, err = terms.Above(of, maxCodes)
			}
		}
		if err != nil {
			return nil, v.p.within(err, v.name)
		}
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
	if v.modifier == "not-in" {
		return not{k}, nil
	}
	return k, nil
}
