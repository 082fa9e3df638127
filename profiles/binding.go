package profiles

import (
	"context"
	"strings"

	"ingle/fhir"
)

// Coding is a code with its system as a Terminology is asked about it. System
// is "" for an element of type code, whose system the value set tells.
type Coding struct {
	System, Version, Code, Display string
}

// Verdict is what a Terminology knows of a coding and a value set.
type Verdict uint8

// The verdicts.
const (
	Unknown Verdict = iota // cannot be checked: the value set or code system is not known
	In
	NotIn
)

// Terminology answers questions about codes that the registry's own value sets
// cannot: those with filters, and code systems too large to list.
type Terminology interface {
	// ValidateCode tells whether a coding is in a value set, given by its
	// canonical URL. why says why it is not, or what is not known.
	ValidateCode(ctx context.Context, valueSet string, c Coding) (v Verdict, why string)
	// ValidateInSystem tells whether a coding's code is one of its system.
	ValidateInSystem(ctx context.Context, c Coding) (v Verdict, why string)
}

// bound is a compiled binding.
type bound struct {
	strength string
	valueSet string
	cite     string
	max      *bound // what must hold in any case
	textOK   bool   // text without a code is enough
}

func (e *engine) bound(b *binding, s *structure) *bound {
	out := &bound{strength: b.strength, valueSet: b.valueSet, cite: s.canonical()}
	if b.max != "" {
		out.max = &bound{strength: "required", valueSet: b.max, cite: out.cite,
			textOK: b.strength != "required" && b.strength != "extensible"}
	}
	return out
}

// member tells whether a coding is in a value set: first by what the registry
// lists, then by the Terminology.
func (r *run) member(valueSet string, c Coding) (Verdict, string) {
	if vs := r.e.valueSet(valueSet); vs != nil {
		if v, why := vs.has(c); v != Unknown {
			return v, why
		}
	}
	if r.e.terms != nil {
		return r.e.terms.ValidateCode(r.ctx, valueSet, c)
	}
	return Unknown, "the value set is not known or cannot be listed"
}

// bindingRule checks an element against its value set.
func (r *run) bindingRule(b *bound, it *item) {
	if b.max != nil {
		r.bindingRule(b.max, it)
	}
	required := b.strength == "required"
	if !required && (b.strength != "extensible" || !r.warnings || r.silent > 0) {
		return
	}
	switch it.typ {
	case "code", "string", "uri", "url", "canonical", "oid", "uuid", "id", "markdown", "integer", "positiveInt", "unsignedInt":
		if it.n.Kind() == fhir.String || it.n.Kind() == fhir.Number {
			r.boundCode(b, it, it.n, Coding{Code: it.n.Text()})
		}
	case "Coding":
		r.boundCodings(b, it, it.n, it.n)
	case "CodeableConcept":
		r.boundCodings(b, it, it.n, it.n.Get("coding"))
	case "Quantity", "Age", "Duration", "Count", "Distance", "Money", "SimpleQuantity", "MoneyQuantity":
		code := it.n.Get("code")
		if it.typ == "Money" {
			if code = it.n.Get("currency"); code.Valid() {
				r.boundCode(b, it, code, Coding{Code: code.Text()})
			}
			return
		}
		if code.Valid() {
			r.boundCode(b, it, code, Coding{System: it.n.Get("system").Text(), Code: code.Text()})
		} else if required && !r.onlyExtended(it.n) {
			r.fail(it.n, fhir.CodeCodeInvalid, b.cite, "a unit with a code from the value set %s is required", b.valueSet)
		}
	case "Reference":
	}
}

// onlyExtended tells a value that is replaced by an extension.
func (r *run) onlyExtended(n fhir.Node) bool {
	return n.Get("extension").Valid() && n.Len() == 1
}

func (r *run) boundCode(b *bound, it *item, at fhir.Node, c Coding) {
	v, why := r.member(b.valueSet, c)
	switch {
	case v == In:
	case v == Unknown:
		r.report(fhir.SeverityInformation, fhir.CodeNotSupported, at, b.cite, "the code %s cannot be checked against the value set %s: %s", clip(c.Code), b.valueSet, why)
	case b.strength == "required":
		r.fail(at, fhir.CodeCodeInvalid, b.cite, "the code %s is not in the required value set %s%s", clip(c.Code), b.valueSet, r.choices(b, why))
	default:
		r.warn(at, fhir.CodeCodeInvalid, b.cite, "the code %s is not in the value set %s, which is to be used where one of its codes fits (extensible)%s", clip(c.Code), b.valueSet, r.choices(b, why))
	}
}

// choices names the codes of a small value set, so that the message says what
// would be right.
func (r *run) choices(b *bound, why string) string {
	if why != "" {
		why = ": " + why
	}
	if r.silent > 0 {
		return why
	}
	if vs := r.e.valueSet(b.valueSet); vs != nil {
		if list := vs.list(24); list != "" {
			return why + "; its codes are " + list
		}
	}
	return why
}

// boundCodings checks a Coding or the codings of a CodeableConcept: one of them
// must be in the value set.
func (r *run) boundCodings(b *bound, it *item, value, codings fhir.Node) {
	required := b.strength == "required"
	first, n := codings, 1
	if codings.Kind() == fhir.Array {
		first, n = codings.First(), codings.Len()
	} else if !codings.Valid() {
		n = 0
	}
	anyUnknown, anyCode, why := false, false, ""
	for i := 0; i < n; i++ {
		c := readCoding(first)
		if c.Code != "" {
			anyCode = true
			v, w := r.member(b.valueSet, c)
			if v == In {
				return
			}
			if v == Unknown {
				anyUnknown = true
			}
			if why == "" {
				why = w
			}
		}
		first = first.Next()
	}
	switch {
	case anyUnknown:
		r.report(fhir.SeverityInformation, fhir.CodeNotSupported, value, b.cite, "the codes cannot be checked against the value set %s: %s", b.valueSet, why)
	case !anyCode && required:
		if !b.textOK && !r.onlyExtended(value) {
			r.fail(value, fhir.CodeCodeInvalid, b.cite, "no code is given, and one from the required value set %s is needed%s", b.valueSet, r.choices(b, ""))
		}
	case !anyCode:
		if value.Get("text").Valid() {
			return // text alone satisfies an extensible binding
		}
		r.warn(value, fhir.CodeCodeInvalid, b.cite, "no code is given, and one from the value set %s should be (extensible)", b.valueSet)
	case required:
		r.fail(value, fhir.CodeCodeInvalid, b.cite, "none of the codes is in the required value set %s%s", b.valueSet, r.choices(b, why))
	default:
		r.warn(value, fhir.CodeCodeInvalid, b.cite, "none of the codes is in the value set %s, which is to be used where one of its codes fits (extensible)%s", b.valueSet, r.choices(b, why))
	}
}

func readCoding(n fhir.Node) Coding {
	return Coding{System: n.Get("system").Text(), Version: n.Get("version").Text(), Code: n.Get("code").Text(), Display: n.Get("display").Text()}
}

// codingRules checks a Coding whatever its binding: a code of a system that is
// known in full must be one of its codes.
func (r *run) codingRules(it *item) {
	sys, code := it.n.Get("system"), it.n.Get("code")
	if sys.Kind() != fhir.String || code.Kind() != fhir.String {
		return
	}
	cs := r.e.codeSystem(sys.Bytes())
	if cs == nil || !cs.complete {
		if string(sys.Bytes()) == snomed {
			r.snomedRules(code)
		}
		if system := sys.Text(); r.e.valueSetURL(system) {
			r.fail(sys, fhir.CodeValue, "", "%s is a value set, not a code system; the system of a coding is the code system that its code is from", clip(system))
			return
		}
		// Systems that only the Terminology knows are asked where warnings are
		// wanted: a question to the database for each coding of each write
		// would cost more than the write. So it does not refuse either.
		if r.e.terms != nil && r.warnings {
			if v, why := r.e.terms.ValidateInSystem(r.ctx, readCoding(it.n)); v == NotIn {
				r.codeUnknown(fhir.SeverityWarning, code, sys.Text(), why)
			}
		}
		return
	}
	if cs.has(code.Bytes()) {
		return
	}
	r.codeUnknown(fhir.SeverityError, code, cs.url, "")
}

// bindingUnknown tells that whether an element is in a value set cannot be told.
func (r *run) bindingUnknown(b *bound, it *item) bool {
	unknown := func(c Coding) bool {
		v, _ := r.member(b.valueSet, c)
		return v == Unknown
	}
	switch it.typ {
	case "CodeableConcept":
		for c := it.n.Get("coding").First(); c.Valid(); c = c.Next() {
			if unknown(readCoding(c)) {
				return true
			}
		}
	case "Coding":
		return unknown(readCoding(it.n))
	case "Quantity":
		return unknown(Coding{System: it.n.Get("system").Text(), Code: it.n.Get("code").Text()})
	default:
		return it.n.Kind() == fhir.String && unknown(Coding{Code: it.n.Text()})
	}
	return false
}

func (r *run) codeUnknown(severity string, code fhir.Node, system, why string) {
	step := item{name: "code", idx: -1}
	if why != "" {
		why = ": " + why
	}
	if strings.HasPrefix(system, "http://terminology.hl7.org/") {
		severity = fhir.SeverityWarning // these grow apart from the versions of FHIR
	}
	r.push(&step)
	r.report(severity, fhir.CodeCodeInvalid, code, system, "the code %s is not one of the code system %s%s", clip(code.Text()), system, why)
	r.pop()
}

// valueSetURL tells a URL that is of a value set only.
func (e *engine) valueSetURL(url string) bool {
	// asked for unknown systems only
	if !strings.Contains(url, "/ValueSet/") && !strings.Contains(url, "/vs/") {
		return false
	}
	return e.reg.Has("ValueSet", url) && !e.reg.Has("CodeSystem", url)
}
