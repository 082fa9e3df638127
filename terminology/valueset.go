package terminology

import (
	"fmt"
	"strings"

	"ingle/fhir"
)

// valueSet is a value set's compose, compiled. It holds no content of code
// systems or of other value sets: those are found when it is asked. It is
// immutable and safe for concurrent use.
type valueSet struct {
	url, version    string
	name, status    string
	standardsStatus string
	language        string
	lockedDate      string // of the compose: when references without a version were current
	experimental    bool
	inactive        *bool // compose.inactive; nil where not stated
	include         []include
	exclude         []include
	supplements     []string
	displayLanguage string // expansion parameter of the compose
	params          map[string]string
	contained       map[string]*valueSet
	expansion       []include // from ValueSet.expansion, where there is no compose
	hasCompose      bool
	static          bool
	node            fhir.Node // the resource, not valid for an implicit value set
}

func (v *valueSet) canonical() string { return canonical(v.url, v.version) }

// shown names the value set in messages.
func (v *valueSet) shown() string {
	if v.url == "" {
		return "(unidentified)"
	}
	return v.canonical()
}

// include is ValueSet.compose.include or exclude: concepts of one system that
// are listed or pass all filters, and that are in all of the value sets.
type include struct {
	system, version string
	concepts        []conceptRef
	listed          map[string]int32 // place in concepts by code
	folded          map[string]int32 // by lower case code
	filters         []Filter
	valueSets       []string
	at              string // FHIRPath
}

// conceptRef is ValueSet.compose.include.concept.
type conceptRef struct {
	code, display string
	designations  []Designation
	properties    []Property
	extensions    []Extension
	deprecated    bool
}

const maxContained = 32

// compileValueSet compiles a ValueSet resource. Its errors are the resource's
// own faults.
func compileValueSet(n fhir.Node, depth int) (*valueSet, error) {
	v := &valueSet{
		url: n.Get("url").Text(), version: n.Get("version").Text(), name: n.Get("name").Text(),
		status: n.Get("status").Text(), language: n.Get("language").Text(),
		experimental: n.Get("experimental").Text() == "true", standardsStatus: standardsStatus(n),
		node: n,
	}
	for e := n.Get("extension").First(); e.Valid(); e = e.Next() {
		if e.Get("url").Text() == extSupplement {
			if c := e.Get("valueCanonical").Text(); c != "" {
				v.supplements = append(v.supplements, c)
			} else if c := e.Get("valueUri").Text(); c != "" {
				v.supplements = append(v.supplements, c)
			}
		}
	}
	if depth == 0 {
		for c := n.Get("contained").First(); c.Valid(); c = c.Next() {
			if c.Get("resourceType").Text() != "ValueSet" {
				continue
			}
			if len(v.contained) >= maxContained {
				return nil, fhir.Errorf(422, fhir.CodeTooCostly, "a value set holds more than %d contained value sets", maxContained)
			}
			inner, err := compileValueSet(c, depth+1)
			if err != nil {
				return nil, err
			}
			if v.contained == nil {
				v.contained = map[string]*valueSet{}
			}
			v.contained["#"+c.Get("id").Text()] = inner
		}
		for _, inner := range v.contained { // they see each other
			inner.contained = v.contained
		}
	}
	compose := n.Get("compose")
	v.hasCompose, v.lockedDate = compose.Valid(), compose.Get("lockedDate").Text()
	if b := compose.Get("inactive"); b.Valid() {
		is := b.Text() == "true"
		v.inactive = &is
	}
	for e := compose.Get("extension").First(); e.Valid(); e = e.Next() {
		if e.Get("url").Text() == extExpansionParam {
			v.expansionParameter(e)
		}
	}
	var err error
	if v.include, err = compileIncludes(compose.Get("include"), "ValueSet.compose.include"); err != nil {
		return nil, err
	}
	if v.exclude, err = compileIncludes(compose.Get("exclude"), "ValueSet.compose.exclude"); err != nil {
		return nil, err
	}
	if !v.hasCompose {
		v.fromExpansion(n.Get("expansion").Get("contains"))
	}
	return v, nil
}

func (v *valueSet) expansionParameter(e fhir.Node) {
	var name, value string
	for x := e.Get("extension").First(); x.Valid(); x = x.Next() {
		text := ""
		for m := x.First(); m.Valid(); m = m.Next() {
			if strings.HasPrefix(m.Key(), "value") {
				text = m.Text()
			}
		}
		switch x.Get("url").Text() {
		case "name":
			name = text
		case "value":
			value = text
		}
	}
	if name == "displayLanguage" {
		v.displayLanguage = value
	}
	if v.params == nil {
		v.params = map[string]string{}
	}
	v.params[name] = value
}

func compileIncludes(list fhir.Node, path string) ([]include, error) {
	var out []include
	i := 0
	for n := list.First(); n.Valid(); n = n.Next() {
		in := include{system: n.Get("system").Text(), version: n.Get("version").Text(), at: fmt.Sprintf("%s[%d]", path, i)}
		i++
		for c := n.Get("concept").First(); c.Valid(); c = c.Next() {
			in.add(conceptRefOf(c))
		}
		k := 0
		for f := n.Get("filter").First(); f.Valid(); f = f.Next() {
			filter, err := newFilter(f, in.system, fmt.Sprintf("%s.filter[%d]", in.at, k))
			if err != nil {
				return nil, err
			}
			in.filters = append(in.filters, filter)
			k++
		}
		for s := n.Get("valueSet").First(); s.Valid(); s = s.Next() {
			in.valueSets = append(in.valueSets, s.Text())
		}
		switch {
		case in.system == "" && len(in.valueSets) == 0:
			return nil, outcome(422, fhir.CodeInvalid, "vs-invalid", in.at+" has neither a system nor a value set").At(in.at)
		case in.system == "" && (len(in.concepts) > 0 || len(in.filters) > 0):
			return nil, outcome(422, fhir.CodeInvalid, "vs-invalid", in.at+" has concepts or filters but no system").At(in.at)
		case len(in.concepts) > 0 && len(in.filters) > 0:
			return nil, outcome(422, fhir.CodeInvalid, "vs-invalid", in.at+" has both concepts and filters").At(in.at)
		}
		out = append(out, in)
	}
	return out, nil
}

func (in *include) add(c conceptRef) {
	if in.listed == nil {
		in.listed, in.folded = map[string]int32{}, map[string]int32{}
	}
	if _, twice := in.listed[c.code]; twice {
		return
	}
	at := int32(len(in.concepts))
	in.listed[c.code] = at
	if k := strings.ToLower(c.code); k != c.code {
		in.folded[k] = at
	}
	in.concepts = append(in.concepts, c)
}

// find returns the listed concept with a code, nil if there is none.
func (in *include) find(code string, caseSensitive bool) *conceptRef {
	if at, ok := in.listed[code]; ok {
		return &in.concepts[at]
	}
	if caseSensitive {
		return nil
	}
	k := strings.ToLower(code)
	if at, ok := in.listed[k]; ok {
		return &in.concepts[at]
	}
	if at, ok := in.folded[k]; ok {
		return &in.concepts[at]
	}
	return nil
}

func conceptRefOf(n fhir.Node) conceptRef {
	c := conceptRef{code: n.Get("code").Text(), display: n.Get("display").Text()}
	for d := n.Get("designation").First(); d.Valid(); d = d.Next() {
		c.designations = append(c.designations, designationOf(d, ""))
	}
	for e := n.Get("extension").First(); e.Valid(); e = e.Next() {
		url := e.Get("url").Text()
		if p, ok := propertyOfExtension(url, e); ok {
			c.properties = setProperty(c.properties, p)
			continue
		}
		switch url {
		case extVSDeprecated:
			c.deprecated = e.Get("valueBoolean").Text() == "true" || e.Get("valueCode").Text() == "true"
		case extStandardsStatus:
			s := e.Get("valueCode").Text()
			c.deprecated = s == "deprecated" || s == "withdrawn"
		}
		if carried(url) {
			c.extensions = append(c.extensions, Extension{url, e.Raw()})
		}
	}
	return c
}

// fromExpansion reads a value set that comes with its expansion only: the codes
// as they are listed.
func (v *valueSet) fromExpansion(contains fhir.Node) {
	var walk func(n fhir.Node)
	at := map[string]int{}
	walk = func(list fhir.Node) {
		for c := list.First(); c.Valid(); c = c.Next() {
			if code := c.Get("code").Text(); code != "" && c.Get("abstract").Text() != "true" {
				k := canonical(c.Get("system").Text(), c.Get("version").Text())
				i, ok := at[k]
				if !ok {
					i = len(v.expansion)
					at[k] = i
					v.expansion = append(v.expansion, include{system: c.Get("system").Text(), version: c.Get("version").Text(), at: "ValueSet.expansion"})
				}
				v.expansion[i].add(conceptRefOf(c))
			}
			walk(c.Get("contains"))
		}
	}
	walk(contains)
	v.include = v.expansion
}
