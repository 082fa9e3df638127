package terminology

import "slices"

// contains writes expansion.contains as an array, nothing if there is none.
// props collects the properties that occur: code → URI.
func (e *expansion) contains(r *run, w *writer, props map[string]string) error {
	if len(e.members) == 0 {
		return nil
	}
	children := make(map[int][]int)
	roots := make([]int, 0, len(e.members))
	if e.nested {
		if err := e.hierarchy(r, children, &roots); err != nil {
			return err
		}
	} else {
		for i := range e.members {
			roots = append(roots, i)
		}
	}
	var write func(list []int)
	write = func(list []int) {
		w.open('[')
		for _, i := range list {
			w.open('{')
			e.member(r, w, e.members[i], props)
			if kids := children[i]; len(kids) > 0 {
				w.key("contains")
				write(kids)
			}
			w.close('}')
		}
		w.close(']')
	}
	write(roots)
	return nil
}

// hierarchy puts each member under its nearest ancestor that is a member too.
// Where there are several, the first one in the system's order of parents has it.
func (e *expansion) hierarchy(r *run, children map[int][]int, roots *[]int) error {
	at := make(map[string]int, len(e.members))
	for i, m := range e.members {
		at[m.key()] = i
	}
	placed := make([]int, len(e.members)) // 1 + parent, 0 for none
	for i, m := range e.members {
		if !m.nest || m.concept == nil {
			continue
		}
		seen := map[string]bool{m.code: true}
		level := []*Concept{m.concept}
	climb:
		for len(level) > 0 {
			var next []*Concept
			for _, c := range level {
				parents, err := m.sys.Parents(r.ctx, c)
				if err != nil {
					return err
				}
				for _, p := range parents {
					if seen[p.Code] {
						continue
					}
					seen[p.Code] = true
					if k, ok := at[(&member{system: m.system, version: m.version, code: p.Code}).key()]; ok && !above(placed, i, k) {
						placed[i] = k + 1
						break climb
					}
					next = append(next, p)
				}
			}
			level = next
		}
	}
	for i := range e.members {
		if placed[i] == 0 {
			*roots = append(*roots, i)
		} else {
			children[placed[i]-1] = append(children[placed[i]-1], i)
		}
	}
	return nil
}

// above tells whether i already is k or above k, so that a cyclic hierarchy
// does not lose its members.
func above(placed []int, i, k int) bool {
	for n := 0; n <= len(placed); n++ {
		if k == i {
			return true
		}
		if placed[k] == 0 {
			return false
		}
		k = placed[k] - 1
	}
	return true
}

func (e *expansion) member(r *run, w *writer, m *member, props map[string]string) {
	properties := e.memberProperties(m)
	var exts []Extension
	if m.concept != nil {
		exts = append(exts, m.concept.Extensions...)
	}
	if m.ref != nil {
		for _, x := range m.ref.extensions {
			exts = setExtension(exts, x)
		}
	}
	for i := range properties {
		p := &properties[i]
		uri := extensionProperty[p.Code]
		if m.sys != nil {
			uri = m.sys.Info().propertyURI(p.Code)
		}
		props[p.Code] = uri
		x := &writer{}
		x.open('{').key("extension").open('[')
		x.open('{').str("url", "code").str("valueCode", p.Code).close('}')
		x.open('{').str("url", "value").typed(p).close('}')
		x.close(']').str("url", extContainsProp).close('}')
		exts = append(exts, Extension{"", x.b})
	}
	w.extensions(exts)
	w.str("system", m.system)
	if m.concept != nil && m.concept.Abstract {
		w.boolean("abstract", true)
	}
	if m.inactive() {
		w.boolean("inactive", true)
	}
	if e.showVersions {
		w.str("version", m.version)
	}
	w.str("code", m.code)
	names := m.names()
	display, at := r.lang.pickDisplay(names)
	w.str("display", display)
	if e.designations {
		e.writeDesignations(w, names, at)
	}
}

// memberProperties are the properties of a member that the expansion shows:
// those asked for, and those that say how to present or treat the code.
func (e *expansion) memberProperties(m *member) []Property {
	var all []Property
	if m.concept != nil {
		all = append(all, m.concept.Properties...)
		if slices.Contains(e.properties, "definition") && m.concept.Definition != "" {
			all = setProperty(all, Property{Code: "definition", Type: "String", Value: m.concept.Definition})
		}
	}
	if m.ref != nil {
		for _, p := range m.ref.properties {
			all = setProperty(all, p)
		}
	}
	var out []Property
	for _, p := range all {
		switch p.Code {
		case "status", "label", "order", "weight":
			out = append(out, p)
		default:
			if slices.Contains(e.properties, p.Code) || slices.Contains(e.properties, "*") {
				out = append(out, p)
			}
		}
	}
	return out
}

// writeDesignations writes all names but the one that serves as display.
func (e *expansion) writeDesignations(w *writer, names []name, display int) {
	var out []Designation
	for i := range names {
		n := &names[i]
		if i == display || n.base && display >= 0 && names[display].base && n.Value == names[display].Value {
			continue
		}
		d := n.Designation
		if n.base {
			d.Use = Coding{System: "http://terminology.hl7.org/CodeSystem/hl7TermMaintInfra", Code: "preferredForLanguage", Display: "Preferred For Language"}
		}
		if e.wanted(&d) {
			out = append(out, d)
		}
	}
	if len(out) == 0 {
		return
	}
	w.key("designation").open('[')
	for _, d := range out {
		w.open('{').extensions(d.Extensions).str("language", d.Language)
		if d.Use.Code != "" || d.Use.System != "" {
			w.key("use").coding(d.Use)
		}
		w.str("value", d.Value).close('}')
	}
	w.close(']')
}

// wanted applies the parameter designation: "urn:ietf:bcp:47|de" for a language,
// else "system|code" of the use.
func (e *expansion) wanted(d *Designation) bool {
	if len(e.designationOf) == 0 {
		return true
	}
	for _, t := range e.designationOf {
		if t == "urn:ietf:bcp:47|"+d.Language || t == d.Language && t != "" || t == d.Use.System+"|"+d.Use.Code && d.Use.Code != "" {
			return true
		}
	}
	return false
}
