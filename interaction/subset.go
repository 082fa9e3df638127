package interaction

import (
	"fmt"
	"slices"
	"strings"

	"ingle/fhir"
	"ingle/search"
)

// A subset is the part of a resource that _summary or _elements ask for (R4
// search.html#summary, #elements).
type subset struct {
	defs     *fhir.Definitions
	summary  string   // true, text or data; "" for _elements
	elements []string // top-level elements
}

const subsettedTag = `{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED","display":"Resource encoded in summary mode"}`

// subset reads _summary and _elements of a read, which knows no other
// parameters; nil for the whole resource.
func (s *Service) subset(req *Request) (*subset, error) {
	if len(req.Query) == 0 {
		return nil, nil
	}
	if err := s.onlyParams(req, "_summary", "_elements"); err != nil {
		return nil, err
	}
	summary, _ := req.param("_summary")
	switch summary {
	case "", "false":
		summary = ""
	case "true", "text", "data":
	default:
		return nil, fhir.Errorf(400, fhir.CodeValue, "_summary is true, text, data or false here, not %q", printable(summary))
	}
	var elements []string
	for _, p := range req.Query {
		if p.Name == "_elements" {
			elements = append(elements, strings.Split(p.Value, ",")...)
		}
	}
	return s.newSubset(summary, elements), nil
}

func (s *Service) newSubset(summary string, elements []string) *subset {
	if summary == search.SummaryNone && len(elements) == 0 {
		return nil
	}
	for i, e := range elements {
		// "Patient.birthDate" is the same as "birthDate"
		if dot := strings.IndexByte(e, '.'); dot >= 0 && s.cfg.Definitions.IsResourceType(e[:dot]) {
			elements = slices.Clone(elements)
			elements[i] = e[dot+1:]
		}
	}
	return &subset{defs: s.cfg.Definitions, summary: summary, elements: elements}
}

// of returns the part of a stored resource, with the tag SUBSETTED.
func (p *subset) of(body []byte) ([]byte, error) {
	doc, err := fhir.Parse(body, fhir.Limits{Nodes: 1 << 30, String: len(body) + 1})
	if err != nil {
		return nil, fmt.Errorf("read a stored resource: %w", err)
	}
	root := doc.Root()
	name := root.Get("resourceType").Text()
	t := p.defs.Type(name)
	if t == nil {
		return nil, fmt.Errorf("a stored resource has the type %q", name)
	}
	out := make([]byte, 0, len(body)/2+len(subsettedTag)+64)
	out = append(out, `{"resourceType":`...)
	out = fhir.AppendString(out, name)
	if root.Get("meta").Kind() != fhir.Object {
		out = append(out, `,"meta":{"tag":[`+subsettedTag+`]}`...)
	}
	for m := root.First(); m.Valid(); m = m.Next() {
		if m.KeyIs("resourceType") {
			continue
		}
		f, typ, ext := t.Member(m.Key())
		if f == nil || !p.keeps(f, m.Key()) {
			continue
		}
		out = append(out, ',')
		out = append(fhir.AppendString(out, m.Key()), ':')
		switch {
		case f.Name == "meta" && !ext:
			out = append(out, tagged(m)...)
		case p.summary == search.SummaryTrue && !ext:
			out = p.nested(out, m, typ)
		default:
			out = append(out, m.Raw()...)
		}
	}
	return append(out, '}'), nil
}

// keeps decides on a top-level element. Mandatory elements always stay.
func (p *subset) keeps(f *fhir.Field, key string) bool {
	switch f.Name {
	case "id", "meta":
		return true
	}
	if f.Min > 0 {
		return true
	}
	switch p.summary {
	case search.SummaryTrue:
		if !f.Summary {
			return false
		}
	case search.SummaryText:
		if f.Name != "text" {
			return false
		}
	case search.SummaryData:
		if f.Name == "text" {
			return false
		}
	}
	return len(p.elements) == 0 || p.chosen(f, key)
}

// chosen tells whether _elements has an element. What may turn the meaning of all
// others round stays beside them; of modifier elements clients think themselves
// (R4 search.html#elements).
func (p *subset) chosen(f *fhir.Field, key string) bool {
	switch f.Name {
	case "modifierExtension", "implicitRules":
		return true
	}
	return slices.Contains(p.elements, f.Name) || slices.Contains(p.elements, strings.TrimPrefix(key, "_"))
}

// nested writes the summary elements inside an element.
func (p *subset) nested(dst []byte, n fhir.Node, typ string) []byte {
	if n.Kind() == fhir.Array {
		dst = append(dst, '[')
		for e := n.First(); e.Valid(); e = e.Next() {
			if e.Index() != n.First().Index() {
				dst = append(dst, ',')
			}
			dst = p.nested(dst, e, typ)
		}
		return append(dst, ']')
	}
	t := p.defs.Type(typ)
	if n.Kind() != fhir.Object || t == nil || t.Kind == fhir.TypeResource {
		return append(dst, n.Raw()...)
	}
	start := len(dst)
	dst = append(dst, '{')
	for m := n.First(); m.Valid(); m = m.Next() {
		f, sub, ext := t.Member(m.Key())
		if f == nil || !f.Summary && f.Min == 0 && f.Name != "id" {
			continue
		}
		if len(dst) > start+1 {
			dst = append(dst, ',')
		}
		dst = append(fhir.AppendString(dst, m.Key()), ':')
		if ext {
			dst = append(dst, m.Raw()...)
		} else {
			dst = p.nested(dst, m, sub)
		}
	}
	if len(dst) == start+1 { // nothing of it is summary: an empty object is not allowed
		return append(dst[:start], n.Raw()...)
	}
	return append(dst, '}')
}

// tagged adds the tag to meta.
func tagged(meta fhir.Node) []byte {
	raw := meta.Raw()
	at, _ := meta.Span()
	tags := meta.Get("tag")
	for tag := tags.First(); tag.Valid(); tag = tag.Next() {
		if tag.Get("code").Text() == "SUBSETTED" {
			return raw
		}
	}
	s := &splice{src: meta.Doc().Source()[:at+len(raw)]}
	if tags.Kind() == fhir.Array {
		s.insert(tags, tags.Len(), []byte(subsettedTag))
	} else {
		s.add(meta, "tag", []byte("["+subsettedTag+"]"))
	}
	return s.bytes()[at:]
}
