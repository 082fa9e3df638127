package search

import (
	"slices"

	"ingle/fhir"
)

// A token is a code with or without the system that gives it meaning (R4
// search, "token"). What is taken for system and code:
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
	if x.r.fullText {
		x.tokenWords(p, typ, n)
	}
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
	if use != "" {
		x.addToken(p.ID, tokenSystemKey(p.ID, use))
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

// token reads the values of a token parameter.
func (v *valueReader) token() (cond, error) {
	switch v.modifier {
	case "", "not":
	case "unequal":
		return v.tokenUnequal()
	case "of-type":
		return v.tokenOfType()
	default:
		return v.tokenSet()
	}
	var keys []int64
	var parts []cond
	rank := rankIdentifier
	for _, sp := range v.ps {
		if sp.hasCoding || sp.hasCode {
			rank = rankToken
		}
	}
	for _, value := range v.values {
		system, code, hasSystem, err := v.systemCode(value)
		if err != nil {
			return nil, err
		}
		for _, sp := range v.ps {
			k, lookups := sp.tokenKeys(v.p.r, system, code, hasSystem)
			keys = append(keys, k...)
			for _, l := range lookups {
				parts = append(parts, &scan{rel: Token, types: v.types, dict: l, ps: []ParamID{sp.ID}, order: rankToken})
			}
		}
	}
	parts = mergeLookups(parts)
	if keys != nil {
		parts = append(parts, &scan{rel: Token, types: v.types, keys: keys, unique: true, order: rank})
	}
	if v.modifier == "not" {
		return not{either(parts)}, nil
	}
	return either(parts), nil
}

// systemCode takes a token apart: code, system|code, |code or system|.
func (v *valueReader) systemCode(value string) (system, code string, hasSystem bool, err error) {
	system, code, hasSystem = cutEscaped(value, '|')
	system, code = unescape(system), unescape(code)
	switch {
	case len(splitEscaped(value, '|')) > 2:
		err = v.fail(value, "system|code is expected; a vertical bar that is part of a value is written \\|")
	case hasSystem && system == "" && code == "":
		err = v.fail(value, "neither system nor code is given")
	case !hasSystem:
		code, system = system, ""
	}
	return system, code, hasSystem, err
}

// tokenKeys are the keys under which a parameter has a token, and what is to be
// looked up in the dictionary for it.
func (p *Param) tokenKeys(r *Registry, system, code string, hasSystem bool) (keys []int64, lookups []*lookup) {
	folded := foldCode(code)
	add := func(system, code string) {
		if k := TokenKey(p.ID, system, code); !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	switch {
	case hasSystem && code == "":
		if p.hasIdent {
			keys = append(keys, tokenSystemKey(p.ID, system))
		}
		if p.hasCoding {
			lookups = append(lookups, bySystem([]ParamID{p.ID}, system))
		}
		if p.hasCode && r.implies(p, system, "") {
			lookups = append(lookups, bySystem([]ParamID{p.ID}, ""))
		}
		if keys == nil && lookups == nil {
			add(system, "")
		}
	case hasSystem:
		add(system, folded)
		if p.hasExact {
			add(system, code)
		}
		if p.hasCode && system != "" && r.implies(p, system, folded) {
			add("", folded)
		}
	default:
		if p.hasExact {
			add("", code)
		}
		if p.hasCode {
			add("", folded)
		}
		if p.hasIdent {
			keys = append(keys, tokenAnyKey(p.ID, folded))
		}
		if p.hasCoding {
			lookups = append(lookups, byCode([]ParamID{p.ID}, folded))
		}
		if keys == nil && lookups == nil { // a parameter without a value anywhere
			add("", folded)
		}
	}
	return keys, lookups
}

func byCode(ps []ParamID, code string) *lookup { return &lookup{ps: ps, codes: []string{code}} }

func bySystem(ps []ParamID, system string) *lookup { return &lookup{ps: ps, systems: []string{system}} }

// mergeLookups makes one scan of those by code alone, and one of those by system
// alone: every value is asked of every parameter.
func mergeLookups(parts []cond) []cond {
	var out []cond
	merged := map[bool]*scan{}
	for _, k := range parts {
		s := k.(*scan)
		by := s.dict.codes != nil
		if first := merged[by]; first != nil {
			first.dict.ps = append(first.dict.ps, s.dict.ps...)
			first.dict.codes = append(first.dict.codes, s.dict.codes...)
			first.dict.systems = append(first.dict.systems, s.dict.systems...)
			first.ps = append(first.ps, s.ps...)
			continue
		}
		merged[by] = s
		out = append(out, s)
	}
	return out
}

// implies tells whether the codes of a parameter without a system of their own
// are of the given one: that of the value set that the element is bound to.
func (r *Registry) implies(p *Param, system, code string) bool {
	if system == "http://terminology.hl7.org/CodeSystem/special-values" {
		return code == "true" || code == "false" // of a boolean (R4 search, "token")
	}
	for _, vs := range p.valueSets {
		if slices.Contains(r.systemsOf(vs, 0), system) {
			return true
		}
	}
	return false
}

// systemsOf are the code systems of a value set in the definitions.
func (r *Registry) systemsOf(valueSet string, depth int) []string {
	if have, ok := r.systems.Load(valueSet); ok {
		return have.([]string)
	}
	raw, ok := r.defs.CanonicalOf("ValueSet", valueSet)
	if !ok || depth > 4 {
		return nil
	}
	doc, err := fhir.Parse(raw, fhir.Limits{})
	if err != nil {
		return nil
	}
	var out []string
	for inc := doc.Root().Get("compose").Get("include").First(); inc.Valid(); inc = inc.Next() {
		if s := text(inc, "system"); s != "" {
			out = append(out, s)
		}
		for vs := inc.Get("valueSet").First(); vs.Valid(); vs = vs.Next() {
			out = append(out, r.systemsOf(vs.Text(), depth+1)...)
		}
	}
	r.systems.Store(valueSet, out)
	return out
}

// tokenOfType reads :of-type, "system|code|value": an identifier by its type.
func (v *valueReader) tokenOfType() (cond, error) {
	var keys []int64
	for _, value := range v.values {
		parts := splitEscaped(value, '|')
		if len(parts) != 3 || parts[1] == "" || parts[2] == "" {
			return nil, v.fail(value, "the type's system, the type's code and the identifier's value are expected: system|code|value")
		}
		for _, sp := range v.ps {
			if !sp.hasIdent {
				return nil, fhir.Errorf(400, fhir.CodeNotSupported, "%s: :of-type is for identifiers only", v.name)
			}
			keys = append(keys, ofTypeKey(sp.ofType, unescape(parts[0]), foldCode(unescape(parts[1])), foldCode(unescape(parts[2]))))
		}
	}
	return &scan{rel: Token, types: v.types, keys: keys, unique: true, order: rankIdentifier}, nil
}
