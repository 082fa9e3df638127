package fhirpath

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

// The elements and attributes that a narrative may have (FHIR R4, Narrative,
// 2.4.0: chapters 7-11, 9 and 15 of HTML 4.0 but for forms, and img).
var narrativeElements = words(`a abbr acronym b big blockquote br caption cite code col colgroup dd dfn div dl dt em
	h1 h2 h3 h4 h5 h6 hr i img li ol p pre q samp small span strong sub sup table tbody td tfoot th thead tr tt ul
	var ins del bdo center u s strike font address kbd map area`)

var narrativeAttributes = words(`abbr accesskey align alt axis bgcolor border cellhalign cellpadding cellspacing cellvalign
	char charoff charset cite class color colspan compact coords dir face frame headers height href hreflang hspace id lang
	longdesc name nohref nowrap rel rev rowspan rules scope shape size span src start style summary tabindex title
	type usemap valign value vspace width xml:lang xml:space xmlns clear noshade`)

func words(s string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(s) {
		m[w] = true
	}
	return m
}

const xhtmlNamespace = "http://www.w3.org/1999/xhtml"

// narrativeFault says why a text is not acceptable as Narrative.div (invariants
// txt-1 and txt-2), "" if it is: well-formed XHTML in one div, only the allowed
// elements and attributes, no scripts, and some content.
func narrativeFault(div string) string {
	dec := xml.NewDecoder(strings.NewReader(div))
	dec.Strict = true
	dec.Entity = xml.HTMLEntity
	dec.CharsetReader = func(string, io.Reader) (io.Reader, error) { return nil, errors.New("only UTF-8 is read") }
	depth, content, roots := 0, false, 0
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "it is not well-formed XML: " + strings.TrimPrefix(err.Error(), "XML syntax error on ")
		}
		switch t := tok.(type) {
		case xml.StartElement:
			if depth++; depth == 1 {
				if roots++; t.Name.Local != "div" || t.Name.Space != xhtmlNamespace {
					return "it must be one div element in the namespace " + xhtmlNamespace
				}
			}
			if depth > 200 {
				return "its elements are nested too deep"
			}
			if fault := elementFault(t); fault != "" {
				return fault
			}
			content = content || t.Name.Local == "img"
		case xml.EndElement:
			depth--
		case xml.CharData:
			if strings.TrimSpace(string(t)) != "" {
				if depth == 0 {
					return "there is text outside the div"
				}
				content = true
			}
		case xml.Directive:
			return "a document type or other declaration is not allowed"
		case xml.ProcInst:
			if t.Target != "xml" || depth > 0 {
				return "a processing instruction is not allowed"
			}
		}
	}
	switch {
	case roots != 1:
		return "it must be one div element"
	case !content:
		return "it has no content that can be seen"
	}
	return ""
}

func elementFault(t xml.StartElement) string {
	if t.Name.Space != xhtmlNamespace || !narrativeElements[t.Name.Local] {
		return "the element " + clip(t.Name.Local) + " is not allowed"
	}
	for _, a := range t.Attr {
		name := a.Name.Local
		if a.Name.Space == "xmlns" || a.Name.Space == "" && name == "xmlns" {
			continue
		}
		if a.Name.Space == "xml" || a.Name.Space == "http://www.w3.org/XML/1998/namespace" {
			name = "xml:" + name
		}
		if !narrativeAttributes[name] {
			return "the attribute " + clip(name) + " of " + t.Name.Local + " is not allowed"
		}
		if name == "href" || name == "src" {
			v := strings.ToLower(strings.TrimSpace(a.Value))
			if strings.HasPrefix(v, "javascript:") || strings.HasPrefix(v, "vbscript:") || strings.HasPrefix(v, "data:") && name == "href" {
				return "the address in " + name + " is a script"
			}
		}
	}
	return ""
}
