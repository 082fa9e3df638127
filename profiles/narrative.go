package profiles

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"ingle/fhir"
)

// narrative checks Narrative.div (txt-1, txt-2): well-formed XHTML of the
// allowed elements and attributes with some content.
func (r *run) narrative(it *item) {
	cite := ""
	if t := r.e.table("Narrative"); t != nil {
		cite = t.structure.canonical()
	}
	fault, key := xhtmlFault(it.n.Text())
	if fault != "" {
		r.fail(it.n, fhir.CodeInvariant, cite+"#"+key, "%s (%s)", fault, key)
	}
}

// The elements of chapters 7 to 11 (without section 4 of chapter 9) and 15 of
// HTML 4.0, <a> elements, images and style attributes (R4
// narrative.html#security).
var xhtmlElements = words(`a abbr acronym address b bdo big blockquote br caption center cite code col colgroup dd del dfn div dl dt em
	h1 h2 h3 h4 h5 h6 hr i img ins kbd li map area ol p pre q samp small span strong strike s sub sup table tbody td tfoot th thead tr tt u ul var font`)

var xhtmlAttributes = words(`abbr accesskey align alt axis background bgcolor border cellhalign cellpadding cellspacing cellvalign char
	charoff charset cite class clear color cols colspan compact coords dateTime datetime dir face frame headers height href hreflang hspace id
	lang longdesc name noshade nowrap rel rev rowspan rules scope shape size span src start style summary tabindex target title type usemap
	valign value vlink vspace width xml:lang xml:space xmlns xmlns:xsi`)

func words(list string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(list) {
		m[w] = true
	}
	return m
}

// xhtmlFault tells what is wrong with a div and which rule says so.
func xhtmlFault(s string) (fault, key string) {
	x := xhtml{s: s}
	if err := x.document(); err != "" {
		return err, "txt-1"
	}
	if !x.content {
		return "the narrative has neither text nor an image", "txt-2"
	}
	return "", ""
}

// xhtml reads XML without building anything.
type xhtml struct {
	s       string
	pos     int
	open    []string
	content bool
}

func (x *xhtml) document() string {
	x.space()
	if strings.HasPrefix(x.s[x.pos:], "<?xml") {
		end := strings.Index(x.s[x.pos:], "?>")
		if end < 0 {
			return "the XML declaration is not closed"
		}
		x.pos += end + 2
		x.space()
	}
	if !strings.HasPrefix(x.s[x.pos:], "<div") {
		return "the narrative must be one <div> element"
	}
	for {
		if fault := x.next(); fault != "" {
			return fault
		}
		if len(x.open) == 0 {
			break
		}
		if x.pos >= len(x.s) {
			return fmt.Sprintf("the element <%s> is not closed", x.open[len(x.open)-1])
		}
	}
	x.space()
	if x.pos != len(x.s) {
		return "there is content after the <div>"
	}
	return ""
}

func (x *xhtml) space() {
	for x.pos < len(x.s) && strings.IndexByte(" \t\r\n", x.s[x.pos]) >= 0 {
		x.pos++
	}
}

// next reads a tag, a comment or text.
func (x *xhtml) next() string {
	rest := x.s[x.pos:]
	switch {
	case strings.HasPrefix(rest, "<!--"):
		end := strings.Index(rest[4:], "-->")
		if end < 0 {
			return "a comment is not closed"
		}
		x.pos += end + 7
		return ""
	case strings.HasPrefix(rest, "<![CDATA["):
		end := strings.Index(rest, "]]>")
		if end < 0 {
			return "a CDATA section is not closed"
		}
		x.content = x.content || strings.TrimSpace(rest[9:end]) != ""
		x.pos += end + 3
		return ""
	case strings.HasPrefix(rest, "<!"), strings.HasPrefix(rest, "<?"):
		return "declarations and processing instructions are not allowed in a narrative"
	case strings.HasPrefix(rest, "</"):
		return x.endTag()
	case strings.HasPrefix(rest, "<"):
		return x.startTag()
	}
	return x.text('<')
}

func (x *xhtml) name() string {
	start := x.pos
	for x.pos < len(x.s) {
		c := x.s[x.pos]
		if c <= ' ' || strings.IndexByte("<>/='\"", c) >= 0 {
			break
		}
		x.pos++
	}
	return x.s[start:x.pos]
}

func (x *xhtml) endTag() string {
	x.pos += 2
	name := x.name()
	x.space()
	if x.pos >= len(x.s) || x.s[x.pos] != '>' {
		return fmt.Sprintf("the tag </%s is not closed", name)
	}
	x.pos++
	if len(x.open) == 0 || x.open[len(x.open)-1] != name {
		open := "nothing"
		if len(x.open) > 0 {
			open = "<" + x.open[len(x.open)-1] + ">"
		}
		return fmt.Sprintf("</%s> closes %s", name, open)
	}
	x.open = x.open[:len(x.open)-1]
	return ""
}

func (x *xhtml) startTag() string {
	x.pos++
	name := x.name()
	if !xhtmlElements[name] {
		return fmt.Sprintf("the element <%s> is not allowed in a narrative", name)
	}
	if name == "img" {
		x.content = true
	}
	for {
		x.space()
		rest := x.s[x.pos:]
		switch {
		case rest == "":
			return fmt.Sprintf("the tag <%s is not closed", name)
		case rest[0] == '>':
			x.pos++
			x.open = append(x.open, name)
			if len(x.open) > 200 {
				return "the elements of the narrative are nested more than 200 deep"
			}
			return ""
		case strings.HasPrefix(rest, "/>"):
			x.pos += 2
			return ""
		}
		if fault := x.attribute(name); fault != "" {
			return fault
		}
	}
}

func (x *xhtml) attribute(element string) string {
	name := x.name()
	if name == "" {
		return fmt.Sprintf("the tag <%s> is not well-formed", element)
	}
	x.space()
	if x.pos >= len(x.s) || x.s[x.pos] != '=' {
		return fmt.Sprintf("the attribute %s of <%s> has no value", name, element)
	}
	x.pos++
	x.space()
	if x.pos >= len(x.s) || x.s[x.pos] != '"' && x.s[x.pos] != '\'' {
		return fmt.Sprintf("the value of the attribute %s of <%s> is not in quotes", name, element)
	}
	quote := x.s[x.pos]
	x.pos++
	start := x.pos
	if fault := x.text(quote); fault != "" {
		return fault
	}
	if x.pos >= len(x.s) {
		return fmt.Sprintf("the value of the attribute %s of <%s> is not closed", name, element)
	}
	value := x.s[start:x.pos]
	x.pos++
	if !xhtmlAttributes[name] && !strings.HasPrefix(name, "data-") && !strings.HasPrefix(name, "xmlns:") {
		return fmt.Sprintf("the attribute %s of <%s> is not allowed in a narrative", name, element)
	}
	if name == "href" || name == "src" {
		if v := strings.ToLower(strings.TrimSpace(value)); strings.HasPrefix(v, "javascript:") || strings.HasPrefix(v, "vbscript:") {
			return fmt.Sprintf("the attribute %s of <%s> holds a script", name, element)
		}
	}
	return ""
}

// text reads up to a delimiter: character data or an attribute's value.
func (x *xhtml) text(until byte) string {
	for x.pos < len(x.s) && x.s[x.pos] != until {
		switch c := x.s[x.pos]; {
		case c == '<':
			return "a '<' in the value of an attribute must be written as &lt;"
		case c == '&':
			end := strings.IndexByte(x.s[x.pos:], ';')
			if end < 0 || end > 12 || !knownEntity(x.s[x.pos+1:x.pos+end]) {
				return fmt.Sprintf("an '&' that begins no known entity stands near %s; write &amp;", clip(x.s[x.pos:min(len(x.s), x.pos+12)]))
			}
			x.content = x.content || until == '<'
			x.pos += end + 1
			continue
		case c > ' ' && until == '<':
			x.content = true
		}
		x.pos++
	}
	return ""
}

// knownEntity: character references, those of XML, and the names of HTML 4
// (which the specification allows in JSON by its XHTML schema).
func knownEntity(name string) bool {
	if rest, ok := strings.CutPrefix(name, "#"); ok {
		return rest != "" && utf8.ValidString(rest)
	}
	if name == "" {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}
