package search

import (
	"ingle/fhir"
)

// A token is a code with or without the system that gives it meaning (R4
// 3.1.1.5.10). What is taken for system and code:
//
//	Coding, CodeableConcept  system, code            each coding
//	code, boolean, string    none, the value
//	id, uri and the like     none, the value         compared with case
//	Identifier               system, value
//	ContactPoint             system or use, value
//
// Coded tokens have one row, h(system, code); the dictionary tells which
// systems a code occurs in, so that a search by code alone or by system alone
// needs no rows of its own. Identifiers and contact points are without number,
// so they have a row for each form they are searched by. An element that is
// there but has no code has a row that only :missing finds.

// TokenAnyKey is the key of a code in whatever system: of identifiers and
// contact points only.
func tokenAnyKey(p ParamID, code string) int64 { return hash64(p, "a", code) }

// tokenSystemKey is the key of a system with whatever code: of identifiers and
// contact points only.
func tokenSystemKey(p ParamID, system string) int64 { return hash64(p, "s", system) }

// tokenPresentKey is the key of elements that hold no code.
func tokenPresentKey(p ParamID) int64 { return hash64(p, "!") }

func (x *extraction) token(p *Param, typ string, n fhir.Node) {
	before := len(x.rows.Tokens)
	switch typ {
	case "Coding":
		x.coding(p, n)
	case "CodeableConcept":
		for c := n.Get("coding").First(); c.Valid(); c = c.Next() {
			x.coding(p, c)
		}
	case "Identifier":
		x.identifier(p.ID, p.ofType, p.key, n)
	case "ContactPoint":
		x.contact(p, n)
	default:
		if n.Kind() == fhir.String || n.Kind() == fhir.Bool || n.Kind() == fhir.Number {
			x.code(p, n.Text(), typ)
		}
	}
	if len(x.rows.Tokens) == before && n.Kind() != fhir.Null {
		x.addToken(p.ID, tokenPresentKey(p.ID))
	}
}

func (x *extraction) addToken(p ParamID, h int64) {
	x.rows.Tokens = append(x.rows.Tokens, TokenRow{H: h, P: p})
}

// coded adds a row and its entry in the dictionary.
func (x *extraction) coded(p ParamID, system, code string) {
	h := TokenKey(p, system, code)
	x.addToken(p, h)
	x.rows.Coded = append(x.rows.Coded, CodedToken{H: h, P: p, System: system, Code: code})
}

func (x *extraction) coding(p *Param, n fhir.Node) {
	system, code := text(n, "system"), foldCode(text(n, "code"))
	if system != "" || code != "" {
		x.coded(p.ID, system, code)
	}
}

// code adds a value without a system.
func (x *extraction) code(p *Param, v, typ string) {
	switch typ {
	case "code", "boolean":
		x.coded(p.ID, "", foldCode(v))
	case "string", "markdown":
		x.addToken(p.ID, TokenKey(p.ID, "", foldCode(v)))
		x.sortText(p.key, foldCode(v))
	default:
		x.addToken(p.ID, TokenKey(p.ID, "", v))
		x.sortText(p.key, v)
	}
}

// sortText adds the row by which tokens that the dictionary does not hold are
// sorted. It lies under the token parameter's own key, which no string
// parameter has.
func (x *extraction) sortText(k int64, v string) {
	x.addString(StringRow{K: k, Val: cut(v)}, false)
}

func (x *extraction) identifier(p, ofType ParamID, sortKey int64, n fhir.Node) {
	system, value := text(n, "system"), foldCode(text(n, "value"))
	if value != "" {
		x.addToken(p, TokenKey(p, system, value))
		x.addToken(p, tokenAnyKey(p, value))
		if sortKey != 0 {
			x.sortText(sortKey, value)
		}
	}
	if system != "" {
		x.addToken(p, tokenSystemKey(p, system))
	}
	if ofType == 0 || value == "" {
		return
	}
	for c := n.Get("type").Get("coding").First(); c.Valid(); c = c.Next() {
		if code := text(c, "code"); code != "" {
			x.addToken(ofType, ofTypeKey(ofType, text(c, "system"), foldCode(code), value))
		}
	}
}

// ofTypeKey is the key of an identifier's type and value (:of-type).
func ofTypeKey(p ParamID, system, code, value string) int64 {
	return hash64(p, "t", system, code, value)
}

func (x *extraction) contact(p *Param, n fhir.Node) {
	value := foldCode(text(n, "value"))
	system, use := text(n, "system"), text(n, "use")
	if system != "" {
		x.addToken(p.ID, tokenSystemKey(p.ID, system))
	}
	if value == "" {
		return
	}
	x.sortText(p.key, value)
	x.addToken(p.ID, tokenAnyKey(p.ID, value))
	if system == "" && use == "" {
		x.addToken(p.ID, TokenKey(p.ID, "", value))
	}
	if system != "" {
		x.addToken(p.ID, TokenKey(p.ID, system, value))
	}
	if use != "" {
		x.addToken(p.ID, TokenKey(p.ID, use, value))
	}
}
