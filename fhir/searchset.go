package fhir

import (
	"cmp"
	"slices"
	"strings"
	"sync"
)

// searchSet holds search parameters and compartments, read all at once when
// the first one is asked for.
type searchSet struct {
	once             sync.Once
	byType           map[string][]*SearchParam
	byURL            map[string]*SearchParam
	all              []*SearchParam
	compartments     map[string]*Compartment
	compartmentNames []string
}

func (d *Definitions) searchSet() *searchSet {
	d.search.once.Do(func() {
		d.search.read(d.embedded.Search, d.embedded.ResourceTypes)
		d.search.correct(d.embedded.Corrections)
	})
	return d.search
}

// read parses the lines (see internal/definitions for their shape).
func (s *searchSet) read(data []byte, resourceTypes []string) {
	text := string(decompress(data))
	n := strings.Count(text, "\nS\t")
	s.all = make([]*SearchParam, 0, n)
	s.byURL = make(map[string]*SearchParam, n)
	s.compartments = map[string]*Compartment{}
	params := make([]SearchParam, n)
	targets := slices.DeleteFunc(slices.Clone(resourceTypes), func(name string) bool { return name == "Parameters" })
	var plain []string // types without the parameters of DomainResource
	for line := range lines(text) {
		var tag string
		columns(line, &tag)
		switch line = line[2:]; tag {
		case "R":
			plain = strings.Split(line, ",")
		case "S":
			p := &params[len(s.all)]
			p.parse(line, targets)
			s.all = append(s.all, p)
			s.byURL[p.URL] = p
		case "C":
			c := &Compartment{Params: map[string][]string{}}
			var members string
			columns(line, &c.Name, &c.URL, &members)
			for _, m := range strings.Split(members, "|") {
				name, codes, _ := strings.Cut(m, "=")
				c.Params[name] = strings.Split(codes, ",")
			}
			s.compartments[c.Name] = c
			s.compartmentNames = append(s.compartmentNames, c.Name)
		}
	}
	slices.Sort(s.compartmentNames)
	byBase := make(map[string][]*SearchParam, len(resourceTypes)+2)
	for _, p := range s.all {
		for _, base := range p.Base {
			byBase[base] = append(byBase[base], p)
		}
	}
	s.byType = make(map[string][]*SearchParam, len(resourceTypes)+2)
	s.byType["Resource"] = byBase["Resource"]
	s.byType["DomainResource"] = slices.Concat(byBase["Resource"], byBase["DomainResource"])
	for _, name := range resourceTypes {
		inherited := s.byType["DomainResource"]
		if slices.Contains(plain, name) {
			inherited = byBase["Resource"]
		}
		s.byType[name] = slices.Concat(byBase[name], inherited)
	}
	for _, list := range s.byType {
		slices.SortFunc(list, func(a, b *SearchParam) int { return strings.Compare(a.Code, b.Code) })
	}
}

func (s *searchSet) correct(corrections []SearchCorrection) {
	for _, c := range corrections {
		p := s.byURL[c.URL]
		p.Correction = c.Reason
		p.Expression = cmp.Or(c.Expression, p.Expression)
		if c.Components != nil {
			p.Components = c.Components
		}
	}
}

// parse reads one line; anyTarget is what the target "*" stands for.
func (p *SearchParam) parse(line string, anyTarget []string) {
	var base, target, flags, comparators, modifiers, chain, components string
	columns(line, &p.URL, &p.Code, &p.Type, &base, &p.Expression, &target, &flags,
		&comparators, &modifiers, &chain, &components, &p.XPathUsage, &p.DerivedFrom, &p.Description)
	p.Base = split(base, ",")
	if p.Target = split(target, ","); target == "*" {
		p.Target, p.AnyTarget = anyTarget, true
	}
	p.MultipleOr = !strings.Contains(flags, "o")
	p.MultipleAnd = !strings.Contains(flags, "a")
	p.Experimental = strings.Contains(flags, "x")
	p.Comparators, p.Modifiers, p.Chain = split(comparators, ","), split(modifiers, ","), split(chain, ",")
	for parts := split(components, "|||"); len(parts) > 1; parts = parts[2:] {
		p.Components = append(p.Components, SearchComponent{Definition: parts[0], Expression: parts[1]})
	}
}
