package profiles

import (
	"strings"
	"sync"

	"ingle/fhir"
)

// codeSystem is the codes of a code system of the registry.
type codeSystem struct {
	url      string
	complete bool // its content is complete, so other codes are wrong
	foldCase bool
	codes    map[string]struct{}
	nameList
	more *fhir.Definitions // resource types that are added to FHIR's are codes too
}

// nameList is the first codes of a list, in its order, for messages.
type nameList struct {
	order []string
	count int // of all
}

func (l *nameList) name(code string) {
	l.count++
	if len(l.order) < 32 {
		l.order = append(l.order, code)
	}
}

func (l *nameList) nameAll(of nameList) {
	for _, code := range of.order {
		l.name(code)
	}
	l.count += of.count - len(of.order)
}

// resourceTypes is the code system of FHIR's resource types.
const resourceTypes = "http://hl7.org/fhir/resource-types"

func (c *codeSystem) has(code []byte) bool {
	if _, ok := c.codes[string(code)]; ok {
		return true
	}
	if c.more != nil && c.more.Added(string(code)) != nil {
		return true
	}
	if c.foldCase {
		_, ok := c.codes[strings.ToLower(string(code))]
		return ok
	}
	return false
}

type codeSystemEntry struct{ get func() *codeSystem }

// codeSystem returns the codes of a system, nil if the registry does not have
// it.
func (e *engine) codeSystem(system []byte) *codeSystem {
	if v, ok := e.codes.Load(string(system)); ok {
		return v.(*codeSystemEntry).get()
	}
	url := string(system)
	if e.lacks("CodeSystem", url) {
		return nil
	}
	entry := &codeSystemEntry{get: sync.OnceValue(func() *codeSystem { return e.readCodeSystem(url) })}
	v, _ := e.codes.LoadOrStore(url, entry)
	return v.(*codeSystemEntry).get()
}

func (e *engine) readCodeSystem(url string) *codeSystem {
	doc, err := e.reg.docOf(e.state, "CodeSystem", url)
	if err != nil || doc == nil {
		return nil
	}
	n := doc.Root()
	bare, _ := splitCanonical(url)
	cs := &codeSystem{url: bare, complete: n.Get("content").Text() == "complete", codes: map[string]struct{}{},
		foldCase: n.Get("caseSensitive").Text() == "false"}
	if n.Get("compositionalGrammar").Text() == "true" {
		cs.complete = false
	}
	cs.add(n.Get("concept"))
	if bare == resourceTypes {
		cs.more = e.reg.defs
	}
	return cs
}

func (c *codeSystem) add(list fhir.Node) {
	for n := list.First(); n.Valid(); n = n.Next() {
		code := n.Get("code").Text()
		c.codes[code] = struct{}{}
		c.name(code)
		if c.foldCase {
			c.codes[strings.ToLower(code)] = struct{}{}
		}
		c.add(n.Get("concept"))
	}
}

// valueSet is a value set whose codes the registry can list: whole code
// systems, listed codes and other such value sets, without filters.
type valueSet struct {
	url      string
	systems  map[string]*codeRange
	exact    bool // nothing is left out: a code that is not listed is not in the value set
	excludes map[string]*codeRange
	anyCode  func(code string) bool // a rule instead of a list
	nameList
}

// codeRange is the codes of one system in a value set.
type codeRange struct {
	whole *codeSystem // all of a system that is known in full
	all   bool        // all of a system that is not known
	open  bool        // there may be codes besides the listed ones (filters)
	codes map[string]struct{}
}

type valueSetEntry struct{ get func() *valueSet }

// valueSet returns a compiled value set, nil if the registry does not have it.
func (e *engine) valueSet(canonical string) *valueSet {
	if v, ok := e.valueSets.Load(canonical); ok {
		return v.(*valueSetEntry).get()
	}
	if bare, _ := splitCanonical(canonical); codeRules[bare] == nil && e.lacks("ValueSet", canonical) {
		return nil
	}
	entry := &valueSetEntry{get: sync.OnceValue(func() *valueSet { return e.readValueSet(canonical, nil) })}
	v, _ := e.valueSets.LoadOrStore(canonical, entry)
	return v.(*valueSetEntry).get()
}

func (e *engine) readValueSet(canonical string, around []string) *valueSet {
	bare, _ := splitCanonical(canonical)
	for _, u := range around {
		if u == bare {
			return nil // a value set that imports itself
		}
	}
	vs := &valueSet{url: bare, systems: map[string]*codeRange{}, excludes: map[string]*codeRange{}, exact: true}
	if rule := codeRules[bare]; rule != nil {
		vs.anyCode = rule
		return vs
	}
	doc, err := e.reg.docOf(e.state, "ValueSet", canonical)
	if err != nil || doc == nil {
		return nil
	}
	compose := doc.Root().Get("compose")
	if !compose.Valid() {
		if exp := doc.Root().Get("expansion"); exp.Valid() {
			vs.expansion(exp.Get("contains"))
			if exp.Get("total").Valid() && exp.Get("total").Text() != itoa(vs.count) {
				vs.exact = false
			}
			return vs
		}
		return nil
	}
	for inc := compose.Get("include").First(); inc.Valid(); inc = inc.Next() {
		e.include(vs, vs.systems, inc, append(around, bare))
	}
	for exc := compose.Get("exclude").First(); exc.Valid(); exc = exc.Next() {
		e.include(vs, vs.excludes, exc, append(around, bare))
	}
	return vs
}

func (v *valueSet) rangeOf(m map[string]*codeRange, system string) *codeRange {
	cr := m[system]
	if cr == nil {
		cr = &codeRange{codes: map[string]struct{}{}}
		m[system] = cr
	}
	return cr
}

func (v *valueSet) expansion(list fhir.Node) {
	for c := list.First(); c.Valid(); c = c.Next() {
		if code := c.Get("code").Text(); code != "" && c.Get("abstract").Text() != "true" {
			v.rangeOf(v.systems, c.Get("system").Text()).codes[code] = struct{}{}
			v.name(code)
		}
		v.expansion(c.Get("contains"))
	}
}

// include adds one compose.include (or exclude) to a set of ranges.
func (e *engine) include(vs *valueSet, into map[string]*codeRange, inc fhir.Node, around []string) {
	system := inc.Get("system").Text()
	imports := inc.Get("valueSet")
	switch {
	case imports.Valid() && (system != "" || imports.Len() > 1):
		vs.exact = false // an intersection
	case imports.Valid():
		other := e.readValueSet(imports.First().Text(), around)
		if other == nil || other.anyCode != nil || len(other.excludes) > 0 || !other.exact {
			vs.exact = false
		}
		if other == nil {
			return
		}
		for sys, cr := range other.systems {
			to := vs.rangeOf(into, sys)
			if cr.whole != nil {
				to.whole = cr.whole
			}
			to.all, to.open = to.all || cr.all, to.open || cr.open
			for code := range cr.codes {
				to.codes[code] = struct{}{}
			}
		}
		vs.nameAll(other.nameList)
	case inc.Get("concept").Len() > 0:
		to := vs.rangeOf(into, system)
		for c := inc.Get("concept").First(); c.Valid(); c = c.Next() {
			to.codes[c.Get("code").Text()] = struct{}{}
			vs.name(c.Get("code").Text())
		}
	case inc.Get("filter").Len() > 0:
		vs.rangeOf(into, system).open = true
	default:
		to := vs.rangeOf(into, system)
		canonical := system
		if v := inc.Get("version").Text(); v != "" && e.reg.Has("CodeSystem", system+"|"+v) {
			canonical += "|" + v
		}
		if cs := e.codeSystem([]byte(canonical)); cs != nil && cs.complete {
			to.whole = cs
			vs.nameAll(cs.nameList)
		} else {
			to.all = true
		}
	}
}

// has tells whether a coding is in the value set, Unknown where the lists do
// not tell.
func (v *valueSet) has(c Coding) (Verdict, string) {
	if v.anyCode != nil {
		if v.anyCode(c.Code) {
			return In, ""
		}
		return NotIn, ""
	}
	if c.System == "" {
		open := !v.exact
		for sys, cr := range v.systems {
			switch cr.has(c.Code) {
			case In:
				if x := v.excludes[sys]; x == nil || x.has(c.Code) == NotIn {
					return In, ""
				}
			case Unknown:
				open = true
			}
		}
		if open {
			return Unknown, "it cannot be listed from the definitions at hand"
		}
		return NotIn, ""
	}
	cr := v.systems[c.System]
	if cr == nil {
		if !v.exact {
			return Unknown, "it cannot be listed from the definitions at hand"
		}
		return NotIn, "the system " + c.System + " is not part of it"
	}
	verdict := cr.has(c.Code)
	if verdict == NotIn && !v.exact {
		verdict = Unknown
	}
	if x := v.excludes[c.System]; x != nil && verdict == In {
		switch x.has(c.Code) {
		case In:
			return NotIn, "it is excluded"
		case Unknown:
			return Unknown, "what it excludes cannot be listed"
		}
	}
	switch verdict {
	case Unknown:
		return Unknown, "the code system " + c.System + " is not at hand"
	case NotIn:
		return NotIn, ""
	}
	return In, ""
}

func (cr *codeRange) has(code string) Verdict {
	if _, ok := cr.codes[code]; ok {
		return In
	}
	if cr.whole != nil && cr.whole.has([]byte(code)) {
		return In
	}
	if cr.all || cr.open {
		return Unknown
	}
	return NotIn
}

// list names the codes of a value set of at most n codes, "" for a larger one.
func (v *valueSet) list(n int) string {
	if v.count == 0 || v.count > n || v.count > len(v.order) || !v.exact || len(v.excludes) > 0 {
		return ""
	}
	return strings.Join(v.order, ", ")
}

// codeRules are the value sets of the specification that a grammar defines.
var codeRules = map[string]func(string) bool{
	"http://hl7.org/fhir/ValueSet/mimetypes":     isMediaType,
	"http://www.rfc-editor.org/bcp/bcp13.txt":    isMediaType,
	"http://hl7.org/fhir/ValueSet/all-languages": isLanguageTag,
}

// isMediaType: type/subtype with parameters (BCP 13). The specification's own
// examples also use the FHIR shorthands and bare types.
func isMediaType(s string) bool {
	s, _, _ = strings.Cut(s, ";")
	main, sub, slash := strings.Cut(strings.TrimSpace(s), "/")
	if !slash {
		return isToken(main)
	}
	return isToken(main) && isToken(sub)
}

func isToken(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?=`, c) >= 0 {
			return false
		}
	}
	return true
}

// isLanguageTag: the shape of a BCP 47 tag.
func isLanguageTag(s string) bool {
	parts := strings.Split(s, "-")
	for i, p := range parts {
		if len(p) == 0 || len(p) > 8 {
			return false
		}
		for j := range len(p) {
			c := p[j]
			letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
			if !letter && (i == 0 || c < '0' || c > '9') {
				return false
			}
		}
	}
	return len(parts[0]) >= 2 || parts[0] == "x" || parts[0] == "i"
}
