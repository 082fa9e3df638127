package profiles

import (
	"fmt"
	"strconv"
	"strings"

	"ingle/fhir"
)

// unbounded is the max of an element written as "*".
const unbounded = -1

const (
	sdPrefix      = "http://hl7.org/fhir/StructureDefinition/"
	systemPrefix  = "http://hl7.org/fhirpath/System."
	extFHIRType   = sdPrefix + "structuredefinition-fhir-type"
	extRegex      = sdPrefix + "regex"
	extMaxBinding = sdPrefix + "elementdefinition-maxValueSet"
)

// structure is a StructureDefinition as the compiler reads it. Values such as
// fixed[x] stay nodes of the definition's own document.
type structure struct {
	url, version, name string
	typ                string // the type it defines or constrains
	base               string // baseDefinition
	derivation         string // specialization or constraint
	kind               string // primitive-type, complex-type, resource, logical
	abstract           bool
	contexts           []extContext
	contextInvariants  []string
	snapshot           []*element
	differential       []*element
	node               fhir.Node
	cite               string // the URL with the version, as issues cite it
}

// extContext is one StructureDefinition.context of an extension.
type extContext struct{ kind, expression string }

// canonical is the URL with the version, as issues cite it.
func (s *structure) canonical() string { return s.cite }

// isProfile tells a constraint on a type from the definition of a type.
func (s *structure) isProfile() bool { return s.derivation == "constraint" }

// element is one ElementDefinition.
type element struct {
	id, path, sliceName string
	min, max            int // -2 where not given
	base                string
	types               []elementType
	contentRef          string // without "#"
	fixed, pattern      fhir.Node
	minValue, maxValue  fhir.Node
	maxLength           int
	binding             *binding
	constraints         []constraint
	slicing             *slicing
	modifier            bool
	node                fhir.Node
}

const notGiven = -2

type elementType struct {
	code        string
	profiles    []string
	targets     []string
	aggregation []string
	versioning  string
	regex       string
}

type binding struct {
	strength string
	valueSet string
	max      string // value set that holds in any case (elementdefinition-maxValueSet)
}

type constraint struct {
	key, severity, human, expression, source string
}

type slicing struct {
	discriminators []discriminator
	ordered        bool
	rules          string // open, closed, openAtEnd
}

type discriminator struct{ kind, path string }

// last returns the element's name, the last part of its path.
func (e *element) last() string {
	return e.path[strings.LastIndexByte(e.path, '.')+1:]
}

// readStructure reads a StructureDefinition.
func readStructure(doc *fhir.Doc) (*structure, error) {
	n := doc.Root()
	if n.Get("resourceType").Text() != "StructureDefinition" {
		return nil, fmt.Errorf("profiles: not a StructureDefinition")
	}
	s := &structure{
		url: n.Get("url").Text(), version: n.Get("version").Text(), name: n.Get("name").Text(),
		typ: n.Get("type").Text(), base: n.Get("baseDefinition").Text(),
		derivation: n.Get("derivation").Text(), kind: n.Get("kind").Text(),
		abstract: n.Get("abstract").Text() == "true", node: n,
	}
	for c := n.Get("context").First(); c.Valid(); c = c.Next() {
		s.contexts = append(s.contexts, extContext{c.Get("type").Text(), c.Get("expression").Text()})
	}
	s.contextInvariants = texts(n.Get("contextInvariant"))
	s.cite = s.url
	if s.version != "" {
		s.cite += "|" + s.version
	}
	s.snapshot = readElements(n.Get("snapshot").Get("element"))
	s.differential = readElements(n.Get("differential").Get("element"))
	return s, nil
}

func readElements(list fhir.Node) []*element {
	if list.Len() == 0 {
		return nil
	}
	out := make([]*element, 0, list.Len())
	for n := list.First(); n.Valid(); n = n.Next() {
		out = append(out, readElement(n))
	}
	return out
}

func readElement(n fhir.Node) *element {
	e := &element{min: notGiven, max: notGiven, node: n}
	for m := n.First(); m.Valid(); m = m.Next() {
		switch key := m.Key(); key {
		case "id":
			e.id = m.Text()
		case "path":
			e.path = m.Text()
		case "sliceName":
			e.sliceName = m.Text()
		case "min":
			e.min, _ = strconv.Atoi(m.Text())
		case "max":
			e.max = parseMax(m.Text())
		case "base":
			e.base = m.Get("path").Text()
		case "type":
			for t := m.First(); t.Valid(); t = t.Next() {
				e.types = append(e.types, readElementType(t))
			}
		case "contentReference":
			ref := m.Text()
			e.contentRef = ref[strings.LastIndexByte(ref, '#')+1:]
		case "maxLength":
			e.maxLength, _ = strconv.Atoi(m.Text())
		case "binding":
			e.binding = readBinding(m)
		case "constraint":
			for c := m.First(); c.Valid(); c = c.Next() {
				e.constraints = append(e.constraints, constraint{c.Get("key").Text(), c.Get("severity").Text(),
					c.Get("human").Text(), c.Get("expression").Text(), c.Get("source").Text()})
			}
		case "slicing":
			e.slicing = readSlicing(m)
		case "isModifier":
			e.modifier = m.Text() == "true"
		default:
			switch {
			case strings.HasPrefix(key, "fixed"):
				e.fixed = m
			case strings.HasPrefix(key, "pattern"):
				e.pattern = m
			case strings.HasPrefix(key, "minValue"):
				e.minValue = m
			case strings.HasPrefix(key, "maxValue"):
				e.maxValue = m
			}
		}
	}
	return e
}

func readElementType(t fhir.Node) elementType {
	et := elementType{code: t.Get("code").Text(), profiles: unpinned(texts(t.Get("profile"))), targets: unpinned(texts(t.Get("targetProfile"))),
		aggregation: texts(t.Get("aggregation")), versioning: t.Get("versioning").Text()}
	for x := t.Get("extension").First(); x.Valid(); x = x.Next() {
		switch x.Get("url").Text() {
		case extFHIRType:
			if v := x.Get("valueUrl"); v.Valid() {
				et.code = v.Text()
			} else if v := x.Get("valueUri"); v.Valid() {
				et.code = v.Text()
			}
		case extRegex:
			et.regex = x.Get("valueString").Text()
		}
	}
	if rest, ok := strings.CutPrefix(et.code, systemPrefix); ok {
		et.code = strings.ToLower(rest[:1]) + rest[1:]
	}
	et.code = strings.TrimPrefix(et.code, sdPrefix)
	return et
}

func readBinding(m fhir.Node) *binding {
	b := &binding{strength: m.Get("strength").Text(), valueSet: unpin(m.Get("valueSet").Text())}
	for x := m.Get("extension").First(); x.Valid(); x = x.Next() {
		if x.Get("url").Text() == extMaxBinding {
			if v := x.Get("valueCanonical"); v.Valid() {
				b.max = unpin(v.Text())
			} else if v := x.Get("valueReference").Get("reference"); v.Valid() {
				b.max = unpin(v.Text())
			}
		}
	}
	return b
}

// unpin takes the version off a canonical of the core specification, which
// some publishers write and others do not: there is only one.
func unpin(canonical string) string {
	return strings.TrimSuffix(canonical, "|4.0.1")
}

func unpinned(list []string) []string {
	for i, u := range list {
		list[i] = unpin(u)
	}
	return list
}

func readSlicing(m fhir.Node) *slicing {
	s := &slicing{ordered: m.Get("ordered").Text() == "true", rules: m.Get("rules").Text()}
	for d := m.Get("discriminator").First(); d.Valid(); d = d.Next() {
		s.discriminators = append(s.discriminators, discriminator{d.Get("type").Text(), d.Get("path").Text()})
	}
	return s
}

func parseMax(s string) int {
	if s == "*" {
		return unbounded
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return notGiven
	}
	return n
}

// texts reads an array of strings, or one string.
func texts(n fhir.Node) []string {
	if n.Kind() == fhir.String {
		return []string{n.Text()}
	}
	if n.Len() == 0 {
		return nil
	}
	out := make([]string, 0, n.Len())
	for c := n.First(); c.Valid(); c = c.Next() {
		out = append(out, c.Text())
	}
	return out
}

// isPrimitive tells primitive types by their name: only these begin with a
// small letter.
func isPrimitive(typ string) bool { return typ != "" && typ[0] >= 'a' && typ[0] <= 'z' }
