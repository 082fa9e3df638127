package profiles

import (
	"errors"
	"strings"
	"sync"

	"ingle/fhir"
)

// extensionEntry is what is known of an extension's URL.
type extensionEntry struct {
	get func() (*profile, error)
}

// extensionProfile returns the compiled definition of an extension, nil if the
// URL is not known.
func (e *engine) extensionProfile(url string) (*profile, error) {
	if v, ok := e.exts.Load(url); ok {
		return v.(*extensionEntry).get()
	}
	if e.lacks("StructureDefinition", url) {
		return nil, nil
	}
	entry := &extensionEntry{get: sync.OnceValues(func() (*profile, error) {
		p, err := e.profile(url)
		if errors.Is(err, errUnknownProfile) || err == nil && p.typ != "Extension" {
			return nil, nil
		}
		return p, err
	})}
	v, _ := e.exts.LoadOrStore(url, entry)
	return v.(*extensionEntry).get()
}

// extension validates one extension against its definition: host is the element
// that carries it. Extensions inside a complex extension have relative URLs and
// are defined by the extension around them.
func (r *run) extension(host, it *item, modifier bool) {
	urlNode := it.n.Get("url")
	hasValue, hasExt := false, it.n.Get("extension").Valid()
	for c := it.n.First(); c.Valid(); c = c.Next() {
		if start, _ := c.KeySpan(); c.Doc().Source()[start+1] == 'v' || c.Doc().Source()[start+1] == '_' && c.Doc().Source()[start+2] == 'v' {
			hasValue = true
		}
	}
	if hasValue == hasExt {
		why := "it has neither"
		if hasValue {
			why = "it has both"
		}
		r.fail(it.n, fhir.CodeInvariant, rule(it.tab.structure, "ext-1"), "an extension must have either extensions or a value, not both (ext-1); %s", why)
	}
	if urlNode.Kind() != fhir.String {
		return
	}
	url := urlNode.Text()
	if host.tab != nil && host.tab.name == "Extension" && !strings.Contains(url, ":") {
		return // part of a complex extension
	}
	if url == "" {
		return
	}
	if !strings.Contains(url, ":") {
		r.fail(urlNode, fhir.CodeValue, it.tab.structure.canonical(), "the url of an extension must be absolute, %s is not", clip(url))
		return
	}
	p, err := r.e.extensionProfile(url)
	if err != nil {
		r.warn(urlNode, fhir.CodeException, url, "the definition of the extension %s cannot be used: %v", clip(url), err)
		return
	}
	if p == nil {
		r.unknownExtension(it, url, modifier)
		return
	}
	if host.tab != nil && host.tab.name == "Element" && r.owner != nil {
		host = r.owner
	}
	if modifier != p.modifier {
		if modifier {
			r.fail(urlNode, fhir.CodeExtension, p.cite, "the extension %s does not modify its element, so it belongs in 'extension', not in 'modifierExtension'", clip(url))
		} else {
			r.fail(urlNode, fhir.CodeExtension, p.cite, "the extension %s modifies its element, so it belongs in 'modifierExtension'", clip(url))
		}
	}
	if !r.contextAllows(p, host) {
		r.fail(urlNode, fhir.CodeExtension, p.cite, "the extension %s is not allowed on %s; it is defined for %s", clip(url), r.hostName(host), contextNames(p))
	}
	for _, rule := range p.structure.contextInvariants {
		if !r.hostHolds(host, it, rule) {
			r.fail(urlNode, fhir.CodeExtension, p.cite, "the extension %s is not allowed here: it is for elements of which %s holds", clip(url), ruleText(rule))
		}
	}
	r.apply(p.root, it)
}

func (r *run) unknownExtension(it *item, url string, modifier bool) {
	at := it.n.Get("url")
	if modifier {
		r.fail(at, fhir.CodeExtension, "", "the modifier extension %s is not known, so the element cannot be understood safely", clip(url))
		return
	}
	if strings.HasPrefix(url, sdPrefix) {
		r.warn(at, fhir.CodeExtension, "", "the extension %s is not one of FHIR %s", clip(url), r.e.reg.defs.Version())
		return
	}
	if isExampleURL(url) {
		if r.v.cfg.RejectExamples {
			r.fail(at, fhir.CodeExtension, "", "the extension %s could not be found, and example URLs are not allowed here", clip(url))
			step := item{name: "url", idx: -1}
			r.push(&step)
			r.fail(at, fhir.CodeValue, "", "the URL %s is for examples only", clip(url))
			r.pop()
			return
		}
	}
	r.warn(at, fhir.CodeExtension, "", "the extension %s is not known, so its content was not checked", clip(url))
}

func isExampleURL(url string) bool {
	return strings.HasPrefix(url, "http://example.org") || strings.HasPrefix(url, "http://acme.com") ||
		strings.HasPrefix(url, "https://example.org") || strings.HasPrefix(url, "http://hl7.org/fhir/StructureDefinition/example-")
}

// contextErrata are contexts that the definitions of R4 do not list, though
// they use them themselves or publishers of R4 guides do, by later versions of
// these extensions.
var contextErrata = map[string][]extContext{
	extFHIRType: {{"element", "ElementDefinition.type"}},
	extRegex:    {{"element", "ElementDefinition.type"}},
	sdPrefix + "capabilitystatement-expectation": {{"element", "Element"}},
}

// contextAllows tells whether an extension may stand on its host
// (StructureDefinition.context).
func (r *run) contextAllows(p *profile, host *item) bool {
	if len(p.structure.contexts) == 0 {
		return true
	}
	for _, c := range append(contextErrata[p.url], p.structure.contexts...) {
		switch c.kind {
		case "element":
			if r.hostIs(host, c.expression) {
				return true
			}
		case "extension":
			if host.tab != nil && host.tab.name == "Extension" {
				u, _, nested := strings.Cut(c.expression, "#")
				if host.n.Get("url").Text() == u && !nested || nested {
					return true
				}
			}
		case "fhirpath":
			if r.hostSelected(host, c.expression) {
				return true
			}
		default:
			return true
		}
	}
	return false
}

// hostIs tells whether the host is what an element context names: "Element",
// a type, a path ("Patient.contact"), or a path in a profile
// ("http://…/StructureDefinition/x#Patient.contact").
func (r *run) hostIs(host *item, name string) bool {
	if url, path, ok := strings.Cut(name, "#"); ok {
		_ = url
		name = path
	}
	switch name {
	case "Element", "*":
		return true
	case "Resource":
		return host.tab != nil && host.tab.resource
	case "DomainResource":
		return host.tab != nil && host.tab.domain
	case "CanonicalResource", "MetadataResource": // R5 names for what R4 calls conformance and knowledge resources
		return host.tab != nil && host.tab.resource && host.tab.byName["url"] != nil
	}
	if host.typ == name || host.path == name || r.definedPath(host) == name {
		return true
	}
	if strings.HasPrefix(name, sdPrefix) && host.typ == name[len(sdPrefix):] {
		return true
	}
	// "Observation.value[x]" and "Observation.value" mean the same, and so does
	// a type that the host specializes.
	if bare := strings.TrimSuffix(name, "[x]"); bare == r.definedPath(host) || bare == strings.TrimSuffix(host.path, "[x]") {
		return true
	}
	return !strings.Contains(name, ".") && !(host.tab != nil && host.tab.resource) && r.e.isA(host.typ, name)
}

// definedPath is the path of the host from its resource: "Patient.contact.name".
// For an element inside a data type also the path from the type is tried.
func (r *run) definedPath(host *item) string {
	if host.tab != nil && host.tab.resource {
		return host.typ
	}
	start := 0
	for i := len(r.steps) - 1; i >= 0; i-- {
		if r.steps[i].note != "" {
			start = i
			break
		}
	}
	path := ""
	for i := start; i < len(r.steps); i++ {
		s := r.steps[i]
		if i == len(r.steps)-1 && (s.name == "extension" || s.name == "modifierExtension") {
			break // the extension in hand
		}
		switch {
		case s.note != "":
			path = s.note
		case path == "":
			path = s.name
		default:
			path += "." + s.name
		}
	}
	return path
}

func (r *run) hostName(host *item) string {
	if p := r.definedPath(host); p != "" {
		return p
	}
	return host.typ
}

func contextNames(p *profile) string {
	var names []string
	for _, c := range p.structure.contexts {
		names = append(names, c.expression)
	}
	return strings.Join(names, ", ")
}
