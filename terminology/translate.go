package terminology

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"ingle/fhir"
)

// conceptMap is a ConceptMap, compiled.
type conceptMap struct {
	url, version   string
	source, target string // value sets that it maps between, "" where not said
	groups         []mapGroup
}

type mapGroup struct {
	source, sourceVersion string
	target, targetVersion string
	elements              map[string][]mapTarget // by source code
	order                 []string
	unmapped              *mapUnmapped
}

type mapTarget struct {
	code, display, equivalence, comment string
	source                              string // display of the source
	dependsOn, product                  []mapDepends
}

type mapDepends struct{ property, system, value, display string }

type mapUnmapped struct{ mode, code, display, url, equivalence string }

// fromRelationship is the R4 equivalence of an R5 relationship. R4 names the
// relation from the target's side.
var fromRelationship = map[string]string{
	"related-to": "relatedto", "equivalent": "equivalent", "source-is-narrower-than-target": "wider",
	"source-is-broader-than-target": "narrower", "not-related-to": "disjoint",
}

// inverse is the equivalence read from the other side.
var inverse = map[string]string{
	"wider": "narrower", "narrower": "wider", "subsumes": "specializes", "specializes": "subsumes",
}

func equivalenceOf(n fhir.Node) string {
	if e := n.Get("equivalence").Text(); e != "" {
		return e
	}
	if e := fromRelationship[n.Get("relationship").Text()]; e != "" {
		return e
	}
	return "relatedto"
}

func firstText(n fhir.Node, names ...string) string {
	for _, k := range names {
		if v := n.Get(k).Text(); v != "" {
			return v
		}
	}
	return ""
}

// compileMap compiles a ConceptMap. The names that R5 gave to scopes and
// relationships are understood too.
func compileMap(n fhir.Node) (*conceptMap, error) {
	m := &conceptMap{url: n.Get("url").Text(), version: n.Get("version").Text(),
		source: firstText(n, "sourceCanonical", "sourceUri", "sourceScopeCanonical", "sourceScopeUri"),
		target: firstText(n, "targetCanonical", "targetUri", "targetScopeCanonical", "targetScopeUri")}
	for g := n.Get("group").First(); g.Valid(); g = g.Next() {
		gr := mapGroup{elements: map[string][]mapTarget{}}
		gr.source, gr.sourceVersion = splitCanonical(g.Get("source").Text(), g.Get("sourceVersion").Text())
		gr.target, gr.targetVersion = splitCanonical(g.Get("target").Text(), g.Get("targetVersion").Text())
		for e := g.Get("element").First(); e.Valid(); e = e.Next() {
			code := e.Get("code").Text()
			if _, twice := gr.elements[code]; !twice {
				gr.order = append(gr.order, code)
				gr.elements[code] = nil
			}
			if e.Get("noMap").Text() == "true" {
				gr.elements[code] = append(gr.elements[code], mapTarget{equivalence: "unmatched", source: e.Get("display").Text()})
			}
			for t := e.Get("target").First(); t.Valid(); t = t.Next() {
				gr.elements[code] = append(gr.elements[code], mapTarget{
					code: t.Get("code").Text(), display: t.Get("display").Text(), equivalence: equivalenceOf(t), comment: t.Get("comment").Text(),
					source: e.Get("display").Text(), dependsOn: dependsOf(t.Get("dependsOn")), product: dependsOf(t.Get("product"))})
			}
		}
		if u := g.Get("unmapped"); u.Valid() {
			gr.unmapped = &mapUnmapped{u.Get("mode").Text(), u.Get("code").Text(), u.Get("display").Text(), firstText(u, "url", "otherMap"), ""}
			if u.Get("relationship").Valid() || u.Get("equivalence").Valid() {
				gr.unmapped.equivalence = equivalenceOf(u)
			}
		}
		m.groups = append(m.groups, gr)
	}
	return m, nil
}

func splitCanonical(url, version string) (string, string) {
	if u, v, ok := strings.Cut(url, "|"); ok {
		return u, v
	}
	return url, version
}

func dependsOf(list fhir.Node) []mapDepends {
	var out []mapDepends
	for d := list.First(); d.Valid(); d = d.Next() {
		out = append(out, mapDepends{firstText(d, "property", "attribute"), d.Get("system").Text(),
			firstText(d, "value", "valueCode", "valueString"), d.Get("display").Text()})
	}
	return out
}

// translation is the input of $translate.
type translation struct {
	codings        []Coding
	reverse        bool
	modern         bool // asked with the parameter names of R5
	source, target string
	targetSystem   string
	sourceSystem   string // of a reverse translation
	depends        []mapDepends
}

// match is one result of $translate.
type match struct {
	equivalence string
	concept     Coding // what is answered
	source      Coding // where the map has it from
	comment     string
	product     []mapDepends
	origin      string
}

// Translate answers ConceptMap/$translate.
func (s *Service) Translate(ctx context.Context, src Source, p *Parameters) ([]byte, error) {
	r := s.newRun(ctx, src)
	if err := s.prepare(r, p); err != nil {
		return nil, err
	}
	t, err := translationOf(p)
	if err != nil {
		return nil, err
	}
	maps, err := s.theMaps(r, p, t)
	if err != nil {
		return nil, err
	}
	maps = slices.DeleteFunc(maps, func(m *conceptMap) bool {
		return t.source != "" && m.source != t.source || t.target != "" && m.target != t.target
	})
	var found []match
	waiting := 0
	for _, c := range t.codings {
		for _, m := range maps {
			got, wait, err := r.translate(m, c, t, 0)
			if err != nil {
				return nil, err
			}
			waiting += wait
			found = append(found, got...)
		}
	}
	return translated(t, found, waiting), nil
}

func translationOf(p *Parameters) (*translation, error) {
	rd := reader{p: p}
	t := &translation{reverse: is(rd.boolean("reverse")), source: orElse(rd.text("source"), rd.text("sourceScope")),
		target: orElse(rd.text("target"), rd.text("targetScope")), targetSystem: orElse(rd.text("targetsystem"), rd.text("targetSystem"))}
	system := orElse(rd.text("system"), rd.text("sourceSystem"))
	version := rd.text("version")
	given := 0
	one := func(code, coding, concept, system string, reverse, modern bool) error {
		if v := rd.text(code); v != "" {
			given++
			t.codings = append(t.codings, Coding{System: system, Version: version, Code: v})
			t.reverse, t.modern = t.reverse || reverse, t.modern || modern
		}
		n, err := p.node(coding)
		if err != nil {
			return err
		}
		if n.Valid() {
			given++
			t.codings = append(t.codings, codingOf(n))
			t.reverse, t.modern = t.reverse || reverse, t.modern || modern
		}
		if n, err = p.node(concept); err != nil {
			return err
		}
		if n.Valid() {
			given++
			for c := n.Get("coding").First(); c.Valid(); c = c.Next() {
				t.codings = append(t.codings, codingOf(c))
			}
			t.reverse, t.modern = t.reverse || reverse, t.modern || modern
		}
		return nil
	}
	if err := one("code", "coding", "codeableConcept", system, false, false); err != nil {
		return nil, err
	}
	if err := one("sourceCode", "sourceCoding", "sourceCodeableConcept", system, false, true); err != nil {
		return nil, err
	}
	if err := one("targetCode", "targetCoding", "targetCodeableConcept", t.targetSystem, true, true); err != nil {
		return nil, err
	}
	if rd.err != nil {
		return nil, rd.err
	}
	if given != 1 {
		return nil, fhir.Errorf(400, fhir.CodeInvalid, "send one of code (with system), coding and codeableConcept; %d of them are there", given)
	}
	if t.modern && t.reverse {
		t.sourceSystem = system
	}
	for i := range t.codings {
		if t.codings[i].System == "" && (!t.modern || !t.reverse) {
			return nil, fhir.Errorf(400, fhir.CodeRequired, "a code needs its system")
		}
	}
	if p.has("date") {
		return nil, fhir.Errorf(422, fhir.CodeNotSupported, "the parameter date is not supported")
	}
	for i := range p.List {
		d := &p.List[i]
		if d.Name != "dependency" {
			continue
		}
		x := mapDepends{}
		for _, part := range d.Part {
			switch part.Name {
			case "element", "attribute":
				x.property = part.Text
			case "concept", "value":
				if c := part.Node.Get("coding").First(); c.Valid() {
					x.system, x.value = c.Get("system").Text(), c.Get("code").Text()
				} else if part.Node.Kind() == fhir.Object {
					x.system, x.value = part.Node.Get("system").Text(), part.Node.Get("code").Text()
				} else {
					x.value = part.Text
				}
			}
		}
		t.depends = append(t.depends, x)
	}
	return t, nil
}

// theMaps finds the concept maps that a call is about.
func (s *Service) theMaps(r *run, p *Parameters, t *translation) ([]*conceptMap, error) {
	rd := reader{p: p}
	url, version := rd.text("url"), rd.text("conceptMapVersion")
	if rd.err != nil {
		return nil, rd.err
	}
	inline, err := p.node("conceptMap")
	if err != nil {
		return nil, err
	}
	switch {
	case p.Resource != nil:
		m, err := compileMap(p.Resource.Root())
		return []*conceptMap{m}, err
	case inline.Valid():
		if k := inline.Get("resourceType").Text(); k != "ConceptMap" {
			return nil, fhir.Errorf(400, fhir.CodeInvalid, "the parameter conceptMap is %s, not a ConceptMap", orNothing(k))
		}
		m, err := compileMap(inline)
		return []*conceptMap{m}, err
	case url != "":
		u, v := splitCanonical(url, version)
		res, err := r.src.Canonical(r.ctx, "ConceptMap", u, v)
		if err != nil {
			return nil, err
		}
		if res == nil {
			return nil, outcome(404, fhir.CodeNotFound, "not-found", fmt.Sprintf("A definition for the ConceptMap '%s' could not be found", canonical(u, v)))
		}
		m, err := compiled(s, res, compileMap)
		return []*conceptMap{m}, err
	}
	var out []*conceptMap
	seen := map[string]bool{}
	for _, c := range t.codings {
		from, to := c.System, t.targetSystem
		if t.reverse {
			from, to = t.sourceSystem, c.System
			if !t.modern {
				from = t.targetSystem
			}
		}
		list, err := r.src.ConceptMaps(r.ctx, from, to)
		if err != nil {
			return nil, err
		}
		for _, res := range list {
			m, err := compiled(s, res, compileMap)
			if err != nil {
				return nil, err
			}
			if seen[canonical(m.url, m.version)] && m.url != "" {
				continue
			}
			seen[canonical(m.url, m.version)] = true
			out = append(out, m)
		}
	}
	return out, nil
}

// translate applies one map. waiting counts targets left out because they
// depend on something that was not sent.
func (r *run) translate(m *conceptMap, c Coding, t *translation, depth int) (out []match, waiting int, err error) {
	origin := canonical(m.url, m.version)
	if err := r.spend(1); err != nil {
		return nil, 0, err
	}
	for i := range m.groups {
		g := &m.groups[i]
		if t.reverse {
			if c.System != "" && g.target != c.System || t.sourceSystem != "" && g.source != t.sourceSystem || !t.modern && t.targetSystem != "" && g.source != t.targetSystem {
				continue
			}
			for _, code := range g.order {
				if err := r.spend(1); err != nil {
					return nil, 0, err
				}
				for _, x := range g.elements[code] {
					if x.code != c.Code || x.equivalence == "unmatched" {
						continue
					}
					if !satisfied(x.dependsOn, t.depends) {
						waiting++
						continue
					}
					from := Coding{System: g.source, Version: g.sourceVersion, Code: code, Display: x.source}
					to := Coding{System: g.target, Version: g.targetVersion, Code: x.code, Display: x.display}
					if t.modern {
						out = append(out, match{equivalence: x.equivalence, concept: to, source: from, comment: x.comment, product: x.product, origin: origin})
					} else {
						out = append(out, match{equivalence: orElse(inverse[x.equivalence], x.equivalence), concept: from, comment: x.comment, origin: origin})
					}
				}
			}
			continue
		}
		if g.source != c.System || t.targetSystem != "" && g.target != t.targetSystem ||
			c.Version != "" && g.sourceVersion != "" && c.Version != g.sourceVersion {
			continue
		}
		targets, mapped := g.elements[c.Code]
		for _, x := range targets {
			if !satisfied(x.dependsOn, t.depends) {
				waiting++
				continue
			}
			out = append(out, match{equivalence: x.equivalence, concept: Coding{System: g.target, Version: g.targetVersion, Code: x.code, Display: x.display}, comment: x.comment, product: x.product, origin: origin})
		}
		if mapped || g.unmapped == nil {
			continue
		}
		switch u := g.unmapped; u.mode {
		case "provided", "use-source-code":
			out = append(out, match{equivalence: orElse(u.equivalence, "equal"), concept: Coding{System: g.target, Version: g.targetVersion, Code: c.Code, Display: c.Display}, origin: origin})
		case "fixed":
			out = append(out, match{equivalence: orElse(u.equivalence, "relatedto"), concept: Coding{System: g.target, Version: g.targetVersion, Code: u.code, Display: u.display}, origin: origin})
		case "other-map":
			if depth >= 8 {
				return nil, 0, outcome(422, fhir.CodeProcessing, "", fmt.Sprintf("The concept map %s refers to other maps in a circle", m.url))
			}
			url, version := splitCanonical(u.url, "")
			res, err := r.src.Canonical(r.ctx, "ConceptMap", url, version)
			if err != nil {
				return nil, 0, err
			}
			if res == nil {
				return nil, 0, outcome(404, fhir.CodeNotFound, "not-found", fmt.Sprintf("A definition for the ConceptMap '%s' could not be found", u.url))
			}
			other, err := compiled(r.svc, res, compileMap)
			if err != nil {
				return nil, 0, err
			}
			more, wait, err := r.translate(other, c, t, depth+1)
			if err != nil {
				return nil, 0, err
			}
			out, waiting = append(out, more...), waiting+wait
		}
	}
	return out, waiting, nil
}

// satisfied tells whether all dependencies of a mapping were sent.
func satisfied(needs, have []mapDepends) bool {
	for _, n := range needs {
		if !slices.ContainsFunc(have, func(h mapDepends) bool {
			return h.property == n.property && h.value == n.value && (n.system == "" || h.system == "" || h.system == n.system)
		}) {
			return false
		}
	}
	return true
}

// translated writes the answer. A call with R5's parameter names gets R5's
// parts beside the equivalence.
func translated(t *translation, found []match, waiting int) []byte {
	ok := slices.ContainsFunc(found, func(m match) bool { return m.equivalence != "unmatched" && m.equivalence != "disjoint" })
	w := &writer{}
	w.open('{').str("resourceType", "Parameters").key("parameter").open('[')
	w.boolParam("result", ok)
	if !ok {
		text := "No mapping was found"
		if len(found) > 0 {
			text = "The maps say that there is no match"
		} else if waiting > 0 {
			text = "There are mappings, but they depend on other elements: send them as dependency"
		}
		w.param("message", "String", text)
	}
	for _, m := range found {
		w.open('{').str("name", "match").key("part").open('[')
		w.param("equivalence", "Code", m.equivalence)
		if m.concept.Code != "" {
			w.open('{').str("name", "concept").key("valueCoding").coding(m.concept).close('}')
		}
		for _, d := range m.product {
			w.open('{').str("name", "product").key("part").open('[')
			w.param("element", "Uri", d.property)
			w.open('{').str("name", "concept").key("valueCoding").coding(Coding{System: d.system, Code: d.value, Display: d.display}).close('}')
			w.close(']').close('}')
		}
		if t.modern {
			w.param("originMap", "Canonical", m.origin)
			if m.source.Code != "" {
				w.open('{').str("name", "source").key("valueCoding").coding(m.source).close('}')
			}
		} else {
			w.param("source", "Uri", m.origin)
		}
		w.close(']').close('}')
	}
	return w.close(']').close('}').b
}
