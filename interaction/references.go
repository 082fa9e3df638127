package interaction

import (
	"strconv"
	"strings"

	"ingle/fhir"
)

// A site is a place in a resource where a reference to another entry of its
// Bundle may stand (R4 http.html#3.1.0.11.2).
type site struct {
	node fhir.Node
	kind siteKind
}

type siteKind uint8

const (
	siteReference siteKind = iota // Reference.reference
	siteURI                       // an element of type uri, url, oid or uuid; canonical is not rewritten
	siteNarrative                 // XHTML with href or src
)

// sites collects the references of a resource, those in contained resources too.
func (s *Service) sites(dst []site, n fhir.Node, t *fhir.Type) []site {
	if t == nil || n.Kind() != fhir.Object {
		return dst
	}
	if t.Abstract && t.Kind == fhir.TypeResource {
		if t = s.cfg.Definitions.Type(n.Get("resourceType").Text()); t == nil {
			return dst
		}
	}
	for m := n.First(); m.Valid(); m = m.Next() {
		f, typ, ext := t.Member(m.Key())
		if f == nil {
			continue
		}
		if ext {
			typ = "Element"
		}
		if m.Kind() != fhir.Array {
			dst = s.siteOf(dst, m, t, f, typ)
			continue
		}
		for e := m.First(); e.Valid(); e = e.Next() {
			dst = s.siteOf(dst, e, t, f, typ)
		}
	}
	return dst
}

func (s *Service) siteOf(dst []site, n fhir.Node, owner *fhir.Type, f *fhir.Field, typ string) []site {
	switch n.Kind() {
	case fhir.Object:
		return s.sites(dst, n, s.cfg.Definitions.Type(typ))
	case fhir.String:
	default:
		return dst
	}
	switch typ {
	case "uri", "url", "oid", "uuid":
		b := n.Bytes()
		// an http URL in a uri element is mostly the name of something (a
		// system, a canonical url), not a link to an entry
		if strings.HasPrefix(string(b), "urn:") || typ == "url" {
			return append(dst, site{n, siteURI})
		}
	case "xhtml":
		if text := n.Bytes(); strings.Contains(string(text), "href") || strings.Contains(string(text), "src") {
			return append(dst, site{n, siteNarrative})
		}
	case "string":
		if owner.Name == "Reference" && f.Name == "reference" {
			if b := n.Bytes(); len(b) > 0 && b[0] != '#' {
				return append(dst, site{n, siteReference})
			}
		}
	}
	return dst
}

// rewriteLinks replaces the targets of links in a narrative; to returns the new
// target, ok false if it stays.
func rewriteLinks(text string, to func(target string) (string, bool)) (string, bool) {
	var out strings.Builder
	changed, rest := false, text
	for {
		at := indexLink(rest)
		if at < 0 {
			break
		}
		quote := rest[at]
		end := strings.IndexByte(rest[at+1:], quote)
		if end < 0 {
			break
		}
		target := rest[at+1 : at+1+end]
		out.WriteString(rest[:at+1])
		if with, ok := to(target); ok {
			out.WriteString(with)
			changed = true
		} else {
			out.WriteString(target)
		}
		out.WriteByte(quote)
		rest = rest[at+1+end+1:]
	}
	out.WriteString(rest)
	return out.String(), changed
}

// indexLink finds the opening quote of the next href or src attribute.
func indexLink(s string) int {
	for at := 0; at < len(s); {
		i := strings.IndexByte(s[at:], '=')
		if i < 0 {
			return -1
		}
		i += at
		name := strings.TrimRight(s[:i], " \t\r\n")
		value := i + 1 + len(s[i+1:]) - len(strings.TrimLeft(s[i+1:], " \t\r\n"))
		if (strings.HasSuffix(name, "href") || strings.HasSuffix(name, "src")) && value < len(s) && (s[value] == '"' || s[value] == '\'') {
			return value
		}
		at = i + 1
	}
	return -1
}

// conditionalReference takes "Practitioner?identifier=s|1" apart.
func (s *Service) conditionalReference(text string) (typ, query string, ok bool) {
	typ, query, ok = strings.Cut(text, "?")
	return typ, query, ok && s.cfg.Definitions.IsResourceType(typ)
}

// restfulBase returns the service base of an absolute RESTful URL of a
// resource ("https://x/fhir/Patient/1" → "https://x/fhir/"), "" for anything else.
func (s *Service) restfulBase(url string) string {
	if !strings.HasPrefix(url, "http://") && !strings.HasPrefix(url, "https://") {
		return ""
	}
	slash := strings.LastIndexByte(url, '/')
	up := strings.LastIndexByte(url[:max(slash, 0)], '/')
	if up < 0 || !fhir.ValidID(url[slash+1:]) || !s.cfg.Definitions.IsResourceType(url[up+1:slash]) {
		return ""
	}
	return url[:up+1]
}

// pathOf spells the FHIRPath of a node in its document, array indexes included.
func pathOf(n fhir.Node) string {
	at := n.Doc().Root()
	path := at.Get("resourceType").Text()
	for at.Index() != n.Index() {
		down, i := at.First(), 0
		for next := down.Next(); next.Valid() && next.Index() <= n.Index(); next = down.Next() {
			down = next
			i++
		}
		if !down.Valid() {
			break
		}
		if at.Kind() == fhir.Array {
			path += "[" + strconv.Itoa(i) + "]"
		} else {
			path += "." + down.Key()
		}
		at = down
	}
	return path
}
