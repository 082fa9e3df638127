package fhir

import "strings"

// Reference is a parsed Reference.reference or the value of a reference search.
// Form tells its shape and which fields hold.
type Reference struct {
	Form     ReferenceForm
	Text     string // as written
	Base     string // of RefAbsolute: the service base URL without the last slash
	Type     string // resource type, of RefRelative, RefAbsolute and RefConditional
	ID       string // logical id, of RefRelative, RefAbsolute and RefID
	Version  string // versionId after /_history/, or a canonical's version after "|"; "" for none
	Fragment string // after "#"; "" for none
	URL      string // of RefAbsolute, RefURN and RefURL: what precedes version and fragment
	Query    string // of RefConditional: what follows "?"
}

// ReferenceForm is the shape of a reference.
type ReferenceForm uint8

// The forms of a reference.
const (
	RefInvalid     ReferenceForm = iota
	RefRelative                  // Patient/1, Patient/1/_history/2, and the same below one of the server's own base URLs
	RefAbsolute                  // https://other/fhir/Patient/1: RESTful, but not ours
	RefFragment                  // #id; "#" alone is the resource that contains this one
	RefURN                       // urn:uuid:…, urn:oid:…
	RefURL                       // any other absolute URL, a canonical with "|version" among them
	RefConditional               // Patient?identifier=…, in transactions
	RefID                        // 1: only the id, in search values
)

// Relative returns "Type/id", without version.
func (r *Reference) Relative() string { return r.Type + "/" + r.ID }

// ParseReference takes a reference apart. own are the server's base URLs
// without the last slash: a reference below one of them becomes RefRelative.
// known tells resource types (Definitions.IsResourceType); nil takes any word of
// letters that begins with a capital. What is no reference at all has the form
// RefInvalid.
func ParseReference(text string, own []string, known func(string) bool) Reference {
	r := Reference{Text: text}
	if text == "" || strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
		return r
	}
	if known == nil {
		known = isTypeName
	}
	if text[0] == '#' {
		if id := text[1:]; id == "" || ValidID(id) {
			r.Form, r.Fragment = RefFragment, id
		}
		return r
	}
	for _, base := range own {
		if rest, ok := strings.CutPrefix(text, base); ok && base != "" && strings.HasPrefix(rest, "/") {
			if r.relative(rest[1:], known) {
				return r
			}
		}
	}
	if scheme := schemeOf(text); scheme != "" {
		r.absolute(scheme, known)
		return r
	}
	if r.relative(text, known) {
		return r
	}
	if name, query, ok := strings.Cut(text, "?"); ok && query != "" && known(name) {
		r.Form, r.Type, r.Query = RefConditional, name, query
		return r
	}
	if ValidID(text) {
		r.Form, r.ID = RefID, text
	}
	return r
}

// relative reads Type/id[/_history/version][#fragment].
func (r *Reference) relative(path string, known func(string) bool) bool {
	path, fragment, _ := strings.Cut(path, "#")
	name, rest, ok := strings.Cut(path, "/")
	id, history, versioned := strings.Cut(rest, "/")
	version, isHistory := strings.CutPrefix(history, "_history/")
	if !ok || !known(name) || !ValidID(id) || versioned && (!isHistory || !ValidVersion(version)) {
		return false
	}
	r.Form, r.Type, r.ID, r.Version, r.Fragment = RefRelative, name, id, version, fragment
	return true
}

// absolute reads a text that begins with a URI scheme.
func (r *Reference) absolute(scheme string, known func(string) bool) {
	r.URL, r.Version, r.Fragment = SplitCanonical(r.Text)
	switch {
	case strings.EqualFold(scheme, "urn"):
		r.Form = RefURN
		return
	case len(r.URL) == len(scheme)+1:
		return // only "http:"
	}
	r.Form = RefURL
	if r.Version != "" || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return
	}
	head := r.URL
	if at := strings.LastIndex(head, "/_history/"); at >= 0 {
		head = head[:at]
	}
	for range 2 { // step back over id and type
		if head = head[:max(strings.LastIndexByte(head, '/'), 0)]; head == "" {
			return
		}
	}
	var path Reference
	if host := head[len(scheme)+1:]; strings.HasPrefix(host, "//") && len(host) > 2 && path.relative(r.URL[len(head)+1:], known) {
		r.Form, r.Base, r.Type, r.ID, r.Version = RefAbsolute, head, path.Type, path.ID, path.Version
		if r.Version != "" {
			r.URL = head + "/" + path.Relative()
		}
	}
}

// SplitCanonical takes a canonical apart: url|version#fragment.
func SplitCanonical(text string) (url, version, fragment string) {
	url, fragment, _ = strings.Cut(text, "#")
	url, version, _ = strings.Cut(url, "|")
	return url, version, fragment
}

// schemeOf returns the URI scheme that the text begins with, "" for none.
func schemeOf(text string) string {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
		case i > 0 && (c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.'):
		case i > 0 && c == ':':
			return text[:i]
		default:
			return ""
		}
	}
	return ""
}

// isTypeName tells a word of letters that begins with a capital.
func isTypeName(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < 'A' || c > 'Z') && (i == 0 || c < 'a' || c > 'z') {
			return false
		}
	}
	return s != ""
}

// ValidID tells whether s is a logical id: [A-Za-z0-9\-\.]{1,64}.
func ValidID(s string) bool {
	if len(s) == 0 || len(s) > 64 {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// ValidVersion tells whether s can be a versionId, which is of type id.
func ValidVersion(s string) bool { return ValidID(s) }
