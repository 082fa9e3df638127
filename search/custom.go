package search

import (
	"cmp"
	"slices"
	"strings"

	"ingle/fhir"
)

// State is how far a search parameter is.
type State int

const (
	// Active: every resource is indexed; searches may use it.
	Active State = iota
	// Building: new and changed resources are indexed, those that were there
	// before not all yet. A search that names it is refused.
	Building
	// Absent: there is no such parameter.
	Absent
)

func (s State) String() string { return [...]string{"active", "building", "absent"}[s] }

// custom is a search parameter that users added.
type custom struct {
	def   *fhir.SearchParam
	state State
}

// Add adds a search parameter beside those of the definitions, or gives one
// that was added before a new definition or state. Its errors are *fhir.Error
// with status 400 (422 for one that cannot be indexed): an unknown base, a code
// that the type has already, an expression that is not FHIRPath.
func (r *Registry) Add(def *fhir.SearchParam, state State) error {
	if err := r.check(def); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.custom {
		if c.def.URL != def.URL && c.def.Code == def.Code && r.overlap(c.def.Base, def.Base) {
			return fhir.Errorf(422, fhir.CodeDuplicate, "the search parameter %s has the code %q for the same type already", c.def.URL, def.Code).At("SearchParameter.code")
		}
	}
	r.custom[def.URL] = &custom{def, state}
	r.changed()
	return nil
}

// Check tells whether Add would take a search parameter; its errors are those of Add.
func (r *Registry) Check(def *fhir.SearchParam) error { return r.check(def) }

// Remove takes a search parameter that was added away. Its rows may be deleted
// afterwards; it tells whether there was one.
func (r *Registry) Remove(url string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, had := r.custom[url]
	delete(r.custom, url)
	r.changed()
	return had
}

// State tells how far the search parameter with a canonical URL is.
func (r *Registry) State(url string) State {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if c := r.custom[url]; c != nil {
		return c.state
	}
	if r.defs.SearchParamByURL(url) != nil {
		return Active
	}
	return Absent
}

// State tells how far the parameter is.
func (p *Param) State() State { return p.state }

// Elements are the paths of the elements that the parameter looks at, as Use has
// them; none where only FHIRPath knows.
func (p *Param) Elements() []string { return p.elements }

// Bases are the resource types that a search parameter applies to, sorted.
func (r *Registry) Bases(def *fhir.SearchParam) []string {
	var out []string
	for _, b := range def.Base {
		switch b {
		case "Resource":
			return r.defs.ResourceTypes()
		case "DomainResource":
			for _, t := range r.defs.ResourceTypes() {
				if t != "Bundle" && t != "Binary" && t != "Parameters" {
					out = append(out, t)
				}
			}
		default:
			out = append(out, b)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (r *Registry) overlap(a, b []string) bool {
	one := r.Bases(&fhir.SearchParam{Base: a})
	return slices.ContainsFunc(r.Bases(&fhir.SearchParam{Base: b}), func(t string) bool { return slices.Contains(one, t) })
}

// customOf lists the added parameters of a type in the order of their URLs. The
// caller holds the lock.
func (r *Registry) customOf(resourceType string) []*custom {
	var out []*custom
	for _, c := range r.custom {
		if slices.Contains(r.Bases(c.def), resourceType) {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b *custom) int { return cmp.Compare(a.def.URL, b.def.URL) })
	return out
}

// check tells whether a parameter can be indexed.
func (r *Registry) check(def *fhir.SearchParam) error {
	fail := func(at, format string, args ...any) error {
		return fhir.Errorf(422, fhir.CodeBusinessRule, format, args...).At("SearchParameter." + at)
	}
	switch {
	case def.URL == "":
		return fail("url", "a search parameter needs a canonical URL")
	case r.defs.SearchParamByURL(def.URL) != nil:
		return fail("url", "%s is a search parameter of FHIR %s itself", def.URL, r.defs.Version())
	case !validCode(def.Code):
		return fail("code", "%q cannot be the name of a search parameter: letters, digits, - and _ are allowed", def.Code)
	case strings.HasPrefix(def.Code, "_"):
		return fail("code", "%q: names that begin with _ are those of FHIR", def.Code)
	case len(def.Base) == 0:
		return fail("base", "a search parameter needs a base")
	case def.Expression == "":
		return fail("expression", "a search parameter without an expression cannot be indexed")
	}
	if _, ok := allowed[def.Type]; !ok || def.Type == "special" {
		return fail("type", "a search parameter of type %q cannot be indexed", def.Type)
	}
	for _, b := range def.Base {
		if b != "Resource" && b != "DomainResource" && !r.defs.IsResourceType(b) {
			return fail("base", "%q is not a resource type%s", b, DidYouMean(b, r.defs.ResourceTypes()))
		}
	}
	for _, b := range r.Bases(def) {
		if r.defs.SearchParam(b, def.Code) != nil {
			return fail("code", "%s has a search parameter %q already, which is part of FHIR", b, def.Code)
		}
		// ParamID has 32 bits: a parameter that collides with another is refused.
		id := ParamIDOf(b, def.Code)
		for _, other := range r.Params(b) {
			if other.ID == id && other.Code != def.Code {
				return fail("code", "%q cannot be used as a code: choose another one", def.Code)
			}
		}
	}
	if def.Type == "composite" {
		if len(def.Components) < 2 {
			return fail("component", "a composite parameter needs two components")
		}
		for _, c := range def.Components {
			if r.defs.SearchParamByURL(c.Definition) == nil {
				return fail("component.definition", "%s is not a search parameter of FHIR", c.Definition)
			}
		}
	}
	t := &typeIndex{name: r.Bases(def)[0], tree: &node{}, byCode: map[string]*Param{}}
	p := r.newParam(t.name, def)
	if err := r.tryPlant(t, p); err != nil {
		return fail("expression", "the expression cannot be used: %v", err)
	}
	return nil
}

func validCode(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !isNameByte(c) && c != '-' {
			return false
		}
	}
	return true
}

// ReadSearchParameter reads a SearchParameter resource. Its errors are
// *fhir.Error with status 400.
func ReadSearchParameter(n fhir.Node) (*fhir.SearchParam, error) {
	if text(n, "resourceType") != "SearchParameter" {
		return nil, fhir.Errorf(400, fhir.CodeStructure, "a SearchParameter is expected").At("resourceType")
	}
	texts := func(name string) []string {
		var out []string
		for c := n.Get(name).First(); c.Valid(); c = c.Next() {
			if c.Kind() == fhir.String {
				out = append(out, c.Text())
			}
		}
		return out
	}
	yes := func(name string) bool { return n.Get(name).Text() != "false" }
	p := &fhir.SearchParam{
		URL: text(n, "url"), Code: text(n, "code"), Type: text(n, "type"), Base: texts("base"), Expression: text(n, "expression"),
		Target: texts("target"), MultipleOr: yes("multipleOr"), MultipleAnd: yes("multipleAnd"), Comparators: texts("comparator"),
		Modifiers: texts("modifier"), Chain: texts("chain"), XPathUsage: text(n, "xpathUsage"), DerivedFrom: text(n, "derivedFrom"),
		Description: text(n, "description"), Experimental: n.Get("experimental").Text() == "true",
	}
	for c := n.Get("component").First(); c.Valid(); c = c.Next() {
		p.Components = append(p.Components, fhir.SearchComponent{Definition: text(c, "definition"), Expression: text(c, "expression")})
	}
	return p, nil
}

// Rules restrict what a search on a resource type may use.
type Rules struct {
	// Params are the codes that may be used; nil for all. The parameters that
	// every resource has (_id …) are always allowed.
	Params []string
	// Includes and RevIncludes are the allowed values of _include and
	// _revinclude, "Type:code", the bare "Type:*", or with a target; nil for all.
	Includes, RevIncludes []string
	// Combinations are the sets of codes of which a search must use at least
	// one whole; an empty set allows a search without any parameter. nil: any.
	Combinations [][]string
}

// Restrict sets the rules of resource types; "" stands for every type that is
// not named.
func (r *Registry) Restrict(rules map[string]Rules) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rules = rules
	r.changed()
}

// RulesOf are the rules of a type.
func (r *Registry) RulesOf(resourceType string) Rules {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if rules, ok := r.rules[bareType(resourceType)]; ok {
		return rules
	}
	return r.rules[""]
}

// Permits tells whether the rules of its type let a parameter be used.
func (r *Registry) Permits(resourceType, code string) bool {
	allow := r.RulesOf(resourceType).Params
	return allow == nil || strings.HasPrefix(code, "_") || slices.Contains(allow, code)
}

// combination checks that a search uses an allowed set of parameters.
func (p *parser) combination() error {
	for _, t := range p.searched {
		sets := p.r.RulesOf(t).Combinations
		if sets == nil {
			continue
		}
		ok := slices.ContainsFunc(sets, func(set []string) bool {
			for _, code := range set {
				if !slices.Contains(p.used, code) && !p.compartmentGives(t, code) {
					return false
				}
			}
			return len(set) > 0 || len(p.used) == 0
		})
		if !ok {
			return fhir.Errorf(400, fhir.CodeBusinessRule, "a search on %s must use %s", t, Combinations(sets))
		}
	}
	return nil
}

// compartmentGives tells whether the compartment of the search restricts a
// type's resources as a reference parameter would: one that the compartment's
// definition lists, or that can only point to what the compartment is named after.
func (p *parser) compartmentGives(resourceType, code string) bool {
	def := p.r.defs.Compartment(p.req.Compartment)
	if def == nil {
		return false
	}
	sp := p.r.Param(resourceType, code)
	return slices.Contains(def.Params[resourceType], code) || sp != nil && sp.Type == "reference" && slices.Equal(sp.Targets, []string{def.Name}) ||
		resourceType == def.Name && code == "_id"
}

// Combinations writes Rules.Combinations for people.
func Combinations(sets [][]string) string {
	var names []string
	for _, set := range sets {
		if len(set) == 0 {
			set = []string{"no parameter"}
		}
		names = append(names, strings.Join(set, " and "))
	}
	return "one of: " + strings.Join(names, "; ")
}
