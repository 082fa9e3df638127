package profiles

import (
	"maps"
	"slices"
	"strings"

	"ingle/fhir"
	"ingle/fhirpath"
)

// conformance checks what definitions of conformance resources ask for in
// words: that what they declare fits together.
func (r *run) conformance(it *item) {
	switch it.typ {
	case "CodeSystem":
		r.codeSystemRules(it)
	case "ValueSet":
		r.valueSetRules(it)
	case "SearchParameter":
		r.searchParameterRules(it)
	case "StructureDefinition":
		r.structureRules(it)
	}
}

// below pushes steps for a path of names and indexes, and calls fn on the node.
func (r *run) below(fn func(), steps ...step) {
	r.steps = append(r.steps, steps...)
	fn()
	r.steps = r.steps[:len(r.steps)-len(steps)]
}

const conceptProperties = "http://hl7.org/fhir/concept-properties#"

// knownProperties are the properties that the specification defines
// (codesystem.html#defined-props), with their types.
var knownProperties = map[string]string{
	"inactive": "boolean", "deprecated": "dateTime", "deprecationDate": "dateTime", "notSelectable": "boolean",
	"parent": "code", "child": "code", "effectiveDate": "dateTime", "retirementDate": "dateTime",
}

func (r *run) codeSystemRules(it *item) {
	cite := it.tab.structure.canonical()
	if it.n.Get("supplements").Valid() && it.n.Get("content").Text() != "supplement" {
		r.below(func() {
			r.fail(it.n.Get("content"), fhir.CodeBusinessRule, cite, "a code system that supplements another one has the content 'supplement'")
		}, step{name: "content", idx: -1})
	}
	types := map[string]string{}
	uris := map[string]bool{}
	i := 0
	for p := it.n.Get("property").First(); p.Valid(); p = p.Next() {
		code, uri, typ := p.Get("code").Text(), p.Get("uri").Text(), p.Get("type").Text()
		r.below(func() {
			if name, ok := strings.CutPrefix(uri, conceptProperties); ok {
				if want := knownProperties[name]; want != "" && want != typ {
					r.fail(p.Get("type"), fhir.CodeBusinessRule, cite, "the property %s is of type %s, not %s", clip(uri), want, clip(typ))
				} else if knownProperties[code] != "" && code != name {
					r.warn(p, fhir.CodeBusinessRule, cite, "the property %s has the code %s by convention; %s means another property", clip(uri), clip(name), clip(code))
				}
			}
			if types[code] != "" {
				r.fail(p, fhir.CodeDuplicate, cite, "a property with the code %s is defined already", clip(code))
			} else {
				types[code] = typ
			}
			if uri != "" && uris[uri] {
				r.fail(p, fhir.CodeDuplicate, cite, "a property with the URI %s is defined already", clip(uri))
			}
			uris[uri] = true
		}, step{name: "property", idx: i})
		i++
	}
	r.conceptRules(it, it.n.Get("concept"), types)
}

func (r *run) conceptRules(it *item, list fhir.Node, types map[string]string) {
	i := 0
	for c := list.First(); c.Valid(); c = c.Next() {
		r.steps = append(r.steps, step{name: "concept", idx: i})
		i++
		j := 0
		for p := c.Get("property").First(); p.Valid(); p = p.Next() {
			want := types[p.Get("code").Text()]
			for v := p.First(); want != "" && v.Valid(); v = v.Next() {
				if typ, ok := strings.CutPrefix(v.Key(), "value"); ok && !strings.EqualFold(typ, want) {
					r.below(func() {
						r.fail(v, fhir.CodeBusinessRule, it.tab.structure.canonical(), "the value of the property %s is of type %s, but the property is defined to be of type %s", clip(p.Get("code").Text()), typ, want)
					}, step{name: "property", idx: j})
				}
			}
			j++
		}
		r.conceptRules(it, c.Get("concept"), types)
		r.pop()
	}
}

func (r *run) valueSetRules(it *item) {
	for _, part := range [...]string{"include", "exclude"} {
		i := 0
		for inc := it.n.Get("compose").Get(part).First(); inc.Valid(); inc = inc.Next() {
			r.below(func() { r.includeRules(it, inc) }, step{name: "compose", idx: -1}, step{name: part, idx: i})
			i++
		}
	}
}

func (r *run) includeRules(it *item, inc fhir.Node) {
	cite := it.tab.structure.canonical()
	system := inc.Get("system").Text()
	cs := r.e.codeSystem([]byte(system))
	i := 0
	for c := inc.Get("concept").First(); c.Valid(); c = c.Next() {
		code := c.Get("code")
		bad := cs != nil && cs.complete && code.Valid() && !cs.has(code.Bytes()) || system == snomed && code.Valid() && !snomedCode(code.Text())
		if bad {
			severity := fhir.SeverityError
			if strings.HasPrefix(system, "http://terminology.hl7.org/") {
				severity = fhir.SeverityWarning
			}
			r.below(func() {
				r.report(severity, fhir.CodeCodeInvalid, code, cite, "the code %s is not one of the code system %s", clip(code.Text()), system)
			}, step{name: "concept", idx: i})
		}
		i++
	}
	i = 0
	for f := inc.Get("filter").First(); f.Valid(); f = f.Next() {
		r.below(func() { r.filterRules(it, system, f) }, step{name: "filter", idx: i})
		i++
	}
}

func (r *run) filterRules(it *item, system string, f fhir.Node) {
	cite := it.tab.structure.canonical()
	value, property, op := f.Get("value"), f.Get("property").Text(), f.Get("op").Text()
	if value.Kind() == fhir.String {
		text := value.Text()
		switch {
		case knownProperties[property] == "boolean" && op == "=" && text != "true" && text != "false":
			r.fail(value, fhir.CodeValue, cite, "the value of a filter on the property %s is true or false, not %s", clip(property), clip(text))
		case system == snomed && property == "constraint" && op == "=":
			if fault := eclFault(text); fault != "" {
				r.fail(value, fhir.CodeValue, cite, "%s is not a valid expression constraint: %s", clip(text), fault)
			}
		case system == snomed && property == "concept" && (op == "is-a" || op == "descendent-of" || op == "is-not-a"):
			if !snomedCode(text) {
				r.fail(value, fhir.CodeCodeInvalid, cite, "the value of a filter on the property 'concept' is a code of %s, which %s is not", system, clip(text))
			}
		}
	}
	i := 0
	for x := f.Get("_value").Get("extension").First(); x.Valid(); x = x.Next() {
		if x.Get("url").Text() == sdPrefix+"cqf-expression" {
			r.below(func() { r.filterExpression(it, x.Get("valueExpression")) },
				step{name: "value", idx: -1}, step{name: "extension", idx: i}, step{name: "value", idx: -1, ofType: "Expression"})
		}
		i++
	}
}

// filterExpression checks the expression that computes a filter's value out of
// the value set's parameters.
func (r *run) filterExpression(it *item, x fhir.Node) {
	cite := it.tab.structure.canonical()
	if lang := x.Get("language").Text(); lang != "text/fhirpath" {
		r.fail(x, fhir.CodeValue, cite, "the language of an expression in a value set is 'text/fhirpath', not %s", clip(lang))
		return
	}
	text := x.Get("expression").Text()
	var known []string
	for p := it.n.Get("extension").First(); p.Valid(); p = p.Next() {
		if strings.HasSuffix(p.Get("url").Text(), "/valueset-parameter") {
			for q := p.Get("extension").First(); q.Valid(); q = q.Next() {
				if q.Get("url").Text() == "name" {
					known = append(known, q.Get("valueCode").Text())
				}
			}
		}
	}
	name, ok := strings.CutPrefix(text, "%")
	if ok && !strings.ContainsAny(name, " .()+*/=<>'") { // one variable; its name may hold hyphens
		if !slices.Contains(known, name) {
			r.fail(x, fhir.CodeValue, cite, "the expression refers to the parameter %s, which the value set does not have", clip(name))
		}
		return
	}
	if _, err := fhirpath.Compile(text); err != nil {
		r.fail(x, fhir.CodeValue, cite, "the expression is not valid FHIRPath: %v", err)
	}
}

func (r *run) searchParameterRules(it *item) {
	cite := it.tab.structure.canonical()
	bases := texts(it.n.Get("base"))
	if derived := it.n.Get("derivedFrom").Text(); derived != "" {
		if doc, _ := r.e.reg.docOf(r.e.reg.state.Load(), "SearchParameter", derived); doc != nil {
			have := texts(doc.Root().Get("base"))
			for _, b := range bases {
				if !slices.Contains(have, b) && !slices.Contains(have, "Resource") {
					r.fail(it.n.Get("base"), fhir.CodeBusinessRule, cite, "the resource type %s is not a base of the search parameter %s that this one is derived from", b, derived)
				}
			}
		}
	}
	expr := it.n.Get("expression")
	if expr.Kind() != fhir.String {
		return
	}
	r.below(func() {
		if _, err := fhirpath.Compile(expr.Text(), fhirpath.WithDefinitions(r.e.reg.defs)); err != nil {
			r.fail(expr, fhir.CodeValue, cite, "the expression is not valid FHIRPath: %v", err)
			return
		}
		if len(bases) > 0 && !slices.ContainsFunc(bases, func(b string) bool { return r.expressionFits(expr.Text(), b) }) {
			r.fail(expr, fhir.CodeBusinessRule, cite, "no part of the expression begins with one of the base types %s", oneOf(bases))
		}
	}, step{name: "expression", idx: -1})
}

// expressionFits tells whether a part of a search expression can apply to a
// resource type: it begins with the type, an abstract one, or with no type.
func (r *run) expressionFits(text, base string) bool {
	if base == "Resource" || base == "DomainResource" {
		return true
	}
	for _, part := range strings.Split(text, "|") {
		part = strings.TrimLeft(strings.TrimSpace(part), "(")
		end := strings.IndexFunc(part, func(c rune) bool { return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') })
		if end >= 0 {
			part = part[:end]
		}
		if part == base || part == "Resource" || part == "DomainResource" || !r.e.reg.defs.IsResourceType(part) {
			return true
		}
	}
	return false
}

// structureRules checks that a profile's differential fits its base: that a
// snapshot can be made.
func (r *run) structureRules(it *item) {
	if !it.n.Get("differential").Valid() || it.n.Get("derivation").Text() != "constraint" || it.n.Get("baseDefinition").Text() == "" {
		return
	}
	for _, fault := range r.e.differentialFaults(it.n) {
		r.fail(it.n.Get("differential"), fhir.CodeProcessing, "", "the snapshot cannot be made: %s", fault)
	}
	r.orderRules(it)
}

// orderRules checks that the elements of a differential come in the order of the
// base (R4 elementdefinition.html: the order of elements is that of the type).
func (r *run) orderRules(it *item) {
	base, err := r.e.structure(it.n.Get("baseDefinition").Text())
	if base == nil || err != nil {
		return
	}
	at := make(map[string]int, len(base.snapshot))
	for i, el := range base.snapshot {
		if _, ok := at[el.path]; !ok {
			at[el.path] = i
		}
	}
	type place struct {
		n     fhir.Node
		index int // in the differential
		path  string
	}
	latest := map[string]place{} // by the path around: the element that comes last in the base
	i := -1
	for d := it.n.Get("differential").Get("element").First(); d.Valid(); d = d.Next() {
		i++
		path := d.Get("path").Text()
		maps.DeleteFunc(latest, func(around string, _ place) bool { return around == path || strings.HasPrefix(around, path+".") })
		dot := strings.LastIndexByte(path, '.')
		if _, known := at[path]; !known || dot < 0 {
			continue
		}
		before, ok := latest[path[:dot]]
		if !ok || at[path] >= at[before.path] {
			latest[path[:dot]] = place{d, i, path}
			continue
		}
		r.below(func() {
			r.fail(before.n, fhir.CodeProcessing, "", "%s comes before %s here, and behind it in the base", clip(before.path), clip(path))
		}, step{name: "differential", idx: -1}, step{name: "element", idx: before.index})
	}
}
