package terminology

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"ingle/fhir"
)

// theCoding reads code+system+version or coding of $lookup.
func theCoding(p *Parameters, name, code, system string) (Coding, bool, error) {
	rd := reader{p: p}
	c := Coding{Code: rd.text(code), System: rd.text(system), Version: rd.text("version")}
	if rd.err != nil {
		return c, false, rd.err
	}
	n, err := p.node(name)
	if err != nil {
		return c, false, err
	}
	if n.Valid() {
		if c.Code != "" {
			return c, false, fhir.Errorf(400, fhir.CodeInvalid, "send either %s or %s, not both", code, name)
		}
		v := c.Version
		if c = codingOf(n); c.Version == "" {
			c.Version = v
		}
	}
	return c, c.Code != "", nil
}

// Lookup answers CodeSystem/$lookup: what a code system says about a code.
func (s *Service) Lookup(ctx context.Context, src Source, p *Parameters) ([]byte, error) {
	r := s.newRun(ctx, src)
	if err := s.prepare(r, p); err != nil {
		return nil, err
	}
	if err := r.pickLanguage(p, nil); err != nil {
		return nil, err
	}
	c, ok, err := theCoding(p, "coding", "code", "system")
	if err != nil {
		return nil, err
	}
	own, err := s.ownSystem(r, p)
	if err != nil {
		return nil, asClientError(err)
	}
	if !ok || c.System == "" && own == nil {
		return nil, fhir.Errorf(400, fhir.CodeRequired, "send code and system, or coding")
	}
	if p.has("date") {
		return nil, fhir.Errorf(422, fhir.CodeNotSupported, "the parameter date is not supported; name the version instead")
	}
	sys := own
	if sys == nil {
		want, err := r.wantedVersion(c.System, c.Version)
		if err != nil {
			return nil, err
		}
		if sys, err = r.system(c.System, want); err != nil {
			return nil, asClientError(err)
		}
	} else if c.System != "" && c.System != sys.Info().URL {
		return nil, fhir.Errorf(400, fhir.CodeInvalid, "the code is of the code system %s, not of %s", c.System, sys.Info().URL)
	}
	concept, err := r.concept(sys, c.Code)
	if err != nil {
		return nil, asClientError(err)
	}
	info := sys.Info()
	if concept == nil {
		text := fmt.Sprintf("Unknown code '%s' in the CodeSystem '%s'", c.Code, info.URL)
		if info.Version != "" {
			text += fmt.Sprintf(" version '%s'", info.Version)
		}
		return nil, outcome(404, fhir.CodeNotFound, "invalid-code", text)
	}
	return r.lookupJSON(sys, concept, p.all("property"))
}

func (r *run) lookupJSON(sys System, c *Concept, wanted []string) ([]byte, error) {
	info := sys.Info()
	all := slices.Contains(wanted, "*")
	// without a list the standard properties come (R4 4.8.14.1)
	asked := func(name string, byDefault bool) bool {
		return all || slices.Contains(wanted, name) || byDefault && len(wanted) == 0
	}
	w := &writer{}
	w.open('{').str("resourceType", "Parameters").key("parameter").open('[')
	label := info.Name
	if label == "" {
		label = info.Title
	}
	if label == "" {
		label = info.URL
	}
	w.param("name", "String", label)
	w.param("code", "Code", c.Code)
	w.param("system", "Uri", info.URL)
	w.param("version", "String", info.Version)
	m := &member{sys: sys, system: info.URL, code: c.Code, concept: c, set: &valueSet{}}
	names := m.names()
	display, _ := r.lang.pickDisplay(names)
	if display == "" {
		display = c.Display
	}
	if display == "" {
		display = c.Code // the element is required
	}
	w.param("display", "String", display)
	w.param("definition", "String", c.Definition)
	w.boolParam("abstract", c.Abstract)
	for _, s := range info.Supplements {
		w.param("used-supplement", "Canonical", s)
	}
	if asked("designation", true) {
		for i := range names {
			n := &names[i]
			w.open('{').str("name", "designation").key("part").open('[')
			w.param("language", "Code", n.Language)
			use := n.Use
			if n.base {
				use = Coding{System: "http://terminology.hl7.org/CodeSystem/hl7TermMaintInfra", Code: "preferredForLanguage", Display: "Preferred For Language"}
			}
			if use.Code != "" {
				if use.Display == "" {
					use.Display = use.Code
				}
				w.open('{').str("name", "use").key("valueCoding").coding(use).close('}')
			}
			w.param("value", "String", n.Value)
			w.param("source", "Canonical", n.Source)
			w.close(']').close('}')
		}
	}
	part := func(code string, p *Property, description string) {
		w.open('{').str("name", "property").key("part").open('[')
		w.param("code", "Code", code)
		w.open('{').str("name", "value").typed(p).close('}')
		w.param("description", "String", description)
		w.close(']').close('}')
	}
	if asked("inactive", true) {
		part("inactive", &Property{Type: "Boolean", Value: fmt.Sprint(c.Inactive)}, "")
	}
	if asked("parent", true) {
		list, err := sys.Parents(r.ctx, c)
		if err != nil {
			return nil, err
		}
		for _, x := range list {
			part("parent", &Property{Type: "Code", Value: x.Code}, x.Display)
		}
	}
	if asked("child", true) {
		list, err := sys.Children(r.ctx, c)
		if err != nil {
			return nil, err
		}
		for _, x := range list {
			part("child", &Property{Type: "Code", Value: x.Code}, x.Display)
		}
	}
	for i := range c.Properties {
		p := &c.Properties[i]
		switch {
		case p.Code == "inactive" || p.Code == "parent" || p.Code == "child":
		case strings.HasPrefix(extensionProperty[p.Code], conceptProperties) && p.Code != "status" && !all && !slices.Contains(wanted, p.Code):
		case asked(p.Code, true):
			part(p.Code, p, "")
		}
	}
	return w.close(']').close('}').b, nil
}
