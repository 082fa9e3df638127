package profiles

import (
	"sync"

	"ingle/fhir"
	"ingle/fhirpath"
)

// invariant is a compiled constraint of a definition.
type invariant struct {
	key, human string
	severity   string
	source     string // canonical of the definition and key
	expression string
	compile    func() (*fhirpath.Expr, error)
}

// native are the constraints that the walk checks itself: they hold for every
// element or resource, or their expressions walk over the whole resource.
var native = map[string]bool{
	"ele-1": true, "ext-1": true, "dom-2": true, "dom-3": true, "dom-4": true, "dom-5": true, "dom-6": true,
	"ref-1": true, "txt-1": true, "txt-2": true,
}

// nativeSource are the definitions whose constraints native means: another
// definition may use the same key for something else.
var nativeSource = map[string]bool{
	"Element": true, "Extension": true, "DomainResource": true, "Reference": true, "Narrative": true, "BackboneElement": true, "": true,
}

type compiledExpr struct {
	get func() (*fhirpath.Expr, error)
}

// errata are expressions of the R4 definitions that do not say what their text
// and XPath say, and what stands in their place.
var errata = map[string]string{
	// que-7: a FHIR boolean is not a System.Boolean
	"operator = 'exists' implies (answer is Boolean)": "operator = 'exists' implies (answer is boolean)",
	// que-12: "more than one"
	"enableWhen.count() > 2 implies enableBehavior.exists()": "enableWhen.count() > 1 implies enableBehavior.exists()",
	// bdl-8: an entry need not have a fullUrl
	"fullUrl.contains('/_history/').not()": "fullUrl.exists() implies fullUrl.contains('/_history/').not()",
	// ras-2: a prediction need not have a probability
	"probability is decimal implies (probability as decimal) <= 100": "probability.ofType(decimal).exists() implies probability.ofType(decimal) <= 100",
	// eld-11: select(…) is there of a false too; and quantities and URIs have special kinds
	"binding.empty() or type.code.empty() or type.select((code = 'code') or (code = 'Coding') or (code='CodeableConcept') or (code = 'Quantity') or (code = 'string') or (code = 'uri')).exists()": "binding.empty() or type.code.empty() or type.code.select($this.toString()).intersect('code'|'Coding'|'CodeableConcept'|'Quantity'|'string'|'uri'" +
		"|'SimpleQuantity'|'Age'|'Count'|'Distance'|'Duration'|'Money'|'url'|'canonical'|'Extension').exists()",
	// adf-0 and others: the name may be absent
	"name.matches('[A-Z]([A-Za-z0-9_]){0,254}')": "name.exists() implies name.matches('^[A-Z]([A-Za-z0-9_]){0,254}$')",
}

// invariant prepares a constraint, nil for one that is checked natively or has
// no expression. It is compiled on first use.
func (e *engine) invariant(c constraint, s *structure) *invariant {
	if c.expression == "" {
		return nil
	}
	if native[c.key] {
		src, _ := splitCanonical(c.source)
		if len(src) > len(sdPrefix) && src[:len(sdPrefix)] == sdPrefix {
			src = src[len(sdPrefix):]
		}
		if nativeSource[src] || s.typ == src || nativeSource[s.typ] {
			return nil
		}
	}
	if fix, ok := errata[c.expression]; ok {
		c.expression = fix
	}
	entry := &compiledExpr{get: sync.OnceValues(func() (*fhirpath.Expr, error) {
		return fhirpath.Compile(c.expression, fhirpath.WithDefinitions(e.reg.defs))
	})}
	v, _ := e.invariants.LoadOrStore(c.expression, entry)
	cite := s
	if c.source != "" && c.source != s.url {
		if other := splitURL(c.source); other != "" {
			cite = &structure{url: other, cite: other}
		}
	}
	return &invariant{key: c.key, human: c.human, severity: c.severity, source: rule(cite, c.key), expression: c.expression,
		compile: v.(*compiledExpr).get}
}

func splitURL(canonical string) string {
	u, _ := splitCanonical(canonical)
	return u
}

// check evaluates an invariant on the element in hand.
func (r *run) check(inv *invariant, it *item) {
	isError := inv.severity != fhir.SeverityWarning
	if r.full || !isError && (!r.warnings || r.silent > 0) {
		return
	}
	expr, err := inv.compile()
	if err != nil {
		if r.warnings {
			r.warn(it.at(), fhir.CodeException, inv.source, "the constraint %s cannot be checked: its expression is not valid: %v", inv.key, err)
		}
		return
	}
	ok, err := r.holds(expr, it)
	switch {
	case err != nil:
		r.warn(it.at(), fhir.CodeException, inv.source, "the constraint %s cannot be checked: %v", inv.key, err)
	case ok:
	case isError:
		r.fail(it.at(), fhir.CodeInvariant, inv.source, "%s: %s (the rule is %s)", inv.key, inv.human, ruleText(inv.expression))
	default:
		r.warn(it.at(), fhir.CodeInvariant, inv.source, "%s: %s (the rule is %s)", inv.key, inv.human, ruleText(inv.expression))
	}
}

// ruleText cuts long rules.
func ruleText(s string) string {
	if r := []rune(s); len(r) > 200 {
		return string(r[:200]) + "…"
	}
	return s
}

// expression compiles an expression that is not a constraint.
func (e *engine) expression(text string) (*fhirpath.Expr, error) {
	entry := &compiledExpr{get: sync.OnceValues(func() (*fhirpath.Expr, error) {
		return fhirpath.Compile(text, fhirpath.WithDefinitions(e.reg.defs))
	})}
	v, _ := e.invariants.LoadOrStore(text, entry)
	return v.(*compiledExpr).get()
}
