package interaction

import (
	"sort"

	"ingle/search"
)

// probes are parameters that may be switched off or are no SearchParameter of
// the definitions: they are listed if a search by them is understood.
var probes = []struct{ code, kind, value, documentation string }{
	{"_content", "string", "x", "Search on the entire content of the resource"},
	{"_filter", "special", "_id eq x", "Filter expression (R4 search_filter.html)"},
	{"_has", "special", "", "Reverse chaining: resources that others refer to (R4 search.html#has)"},
	{"_list", "special", "x", "Resources in a List"},
	{"_text", "string", "x", "Search on the narrative of the resource"},
}

// understood tells whether a search by a parameter can be parsed.
func (s *Service) understood(resourceType, name, value string) bool {
	_, _, err := s.registry.Parse(search.Request{Type: resourceType, Params: []search.KV{{Name: name, Value: value}}, Strict: true, Limits: s.cfg.Search})
	return err == nil
}

// probed writes the probes that are understood for a type, "" for all types.
func (s *Service) probed(j *jsonText, resourceType string) {
	for _, p := range probes {
		name, value := p.code, p.value
		if name == "_has" { // any resource that refers to the type tells
			name, value = "_has:Provenance:target:_id", "x"
		}
		if s.understood(resourceType, name, value) {
			j.open("", '{')
			j.text("name", p.code)
			j.text("type", p.kind)
			j.text("documentation", p.documentation)
			j.close('}')
		}
	}
}

// searchable tells whether a parameter of the registry can be searched by now.
func searchable(p *search.Param) bool {
	if p.State() == search.Building {
		return false
	}
	switch p.Code {
	case "_id", "_lastUpdated":
		return true
	case "_query", "_type":
		return false
	}
	for _, probe := range probes {
		if p.Code == probe.code {
			return false // listed by its probe
		}
	}
	return p.Definition == nil || p.Definition.Expression != ""
}

// commonParams are the parameters of every type, for searches over all types.
func (s *Service) commonParams() []*search.Param {
	var out []*search.Param
	for _, p := range s.registry.Params("Basic") {
		if p.Code[0] == '_' && searchable(p) {
			out = append(out, p)
		}
	}
	return out
}

// includes lists what _include and _revinclude know, by resource type.
func (s *Service) includes() (includes, revincludes map[string][]string) {
	includes, revincludes = map[string][]string{}, map[string][]string{}
	defer func() { s.allowed(includes, revincludes) }()
	for _, t := range s.cfg.Definitions.ResourceTypes() {
		found := []string{}
		for _, p := range s.registry.Params(t) {
			if p.Type != "reference" || !searchable(p) {
				continue
			}
			name := t + ":" + p.Code
			found = append(found, name)
			for _, target := range p.Targets {
				revincludes[target] = append(revincludes[target], name)
			}
		}
		if len(found) > 0 {
			includes[t] = append([]string{"*", t + ":*"}, found...)
		}
	}
	for _, list := range revincludes {
		sort.Strings(list)
	}
	return includes, revincludes
}

// allowed takes out of what _include and _revinclude know what the rules of the
// types do not let searches use.
func (s *Service) allowed(includes, revincludes map[string][]string) {
	for _, t := range s.cfg.Definitions.ResourceTypes() {
		rules := s.registry.RulesOf(t)
		if rules.Includes != nil {
			includes[t] = rules.Includes
		}
		if rules.RevIncludes != nil {
			revincludes[t] = rules.RevIncludes
		}
	}
}

// combinations says what a search on a type must use, "" for nothing.
func (s *Service) combinations(resourceType string) string {
	sets := s.registry.RulesOf(resourceType).Combinations
	if sets == nil {
		return ""
	}
	return "A search must use " + search.Combinations(sets) + "."
}
