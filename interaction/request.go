package interaction

import (
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"ingle/authz"
	"ingle/fhir"
	"ingle/search"
)

// Kind names a RESTful interaction (R4 http.html).
type Kind uint8

// The interactions. Compartment searches are SearchType with a Compartment.
const (
	Read Kind = iota + 1
	VRead
	Create
	Update
	Patch
	Delete
	HistoryInstance
	HistoryType
	HistorySystem
	SearchType
	SearchSystem
	Capabilities
	Batch // batch or transaction, as the Bundle says
	Operate
	AsyncStatus // of a request with Prefer: respond-async (R4 async.html)
	AsyncFile   // of an export
	AsyncCancel
)

// String returns the word of the interaction, with "batch" for both kinds of
// Bundle and "operation" for operations: one of a fixed set.
func (k Kind) String() string {
	return [...]string{"", "read", "vread", "create", "update", "patch", "delete", "history-instance", "history-type",
		"history-system", "search-type", "search-system", "capabilities", "batch", "operation", "async-status", "async-file", "async-cancel"}[k]
}

// Writes tells whether the interaction may change what is stored. Operations
// say so themselves.
func (k Kind) Writes() bool {
	switch k {
	case Create, Update, Patch, Delete, Batch:
		return true
	}
	return false
}

// Request is one interaction, free of HTTP.
type Request struct {
	Kind      Kind
	Type      string // resource type, "" at the system level
	ID        string // logical id, "" where the interaction is conditional or has none
	Version   string // of vread
	File      string // number of an export's file
	Operation *Operation

	// Compartment and CompartmentID are set for a search in a compartment.
	Compartment, CompartmentID string

	Head bool // the answer's body is not wanted

	// Query are the parameters of the URL, or of the form of a POST _search
	// behind those of the URL, decoded and in order.
	Query []search.KV
	// Form tells that parameters came in the body of a POST: they may not
	// appear in any link.
	Form bool
	// Carried are parameters that are about the encoding (_format, _pretty),
	// to be repeated in the links of a Bundle.
	Carried []search.KV

	Body        []byte // the resource, patch or form; nil for none. It is kept: the caller must not change it
	ContentType string // media type of Body, without parameters, lower case
	Raw         bool   // Binary: the answer is wanted in the content's own type

	IfMatch         string // as in the header
	IfNoneMatch     string
	IfNoneExist     string
	IfModifiedSince time.Time
	SecurityContext string // X-Security-Context of a raw Binary
	ResourcePath    string // authz.PathHeader: where a new resource without a security label belongs

	Prefer         Prefer
	AcceptLanguage string // of the header, for displays of codes

	BaseURL string // the service's public base URL without the last slash; links and absolute locations begin with it
	Place   string // FHIRPath of a Bundle's entry that this request comes from, "" for none
}

// Prefer is the Prefer header (RFC 7240; R4 http.html#ops).
type Prefer struct {
	Return   string // minimal, representation, OperationOutcome; "" where not said
	Handling string // strict, lenient; "" where not said
	Async    bool   // respond-async
}

// mayWait tells that work may begin whose answer is fetched later: HEAD begins
// nothing, and the answer in a Bundle has no header for its place.
func (r *Request) mayWait() bool { return !r.Head && r.Place == "" }

// answerable refuses return=minimal of searches and writes where patient scopes
// are all that the caller has: such scopes are about the resources in an answer,
// and an answer without them could not be held against them.
func answerable(scope authz.Scope, req *Request) error {
	if req.Prefer.Return != "minimal" || !scope.PatientOnly() {
		return nil
	}
	if req.Kind.Writes() || req.Kind == SearchType || req.Kind == SearchSystem {
		return fhir.Errorf(403, fhir.CodeForbidden, "Prefer: return=minimal needs a scope that begins with user/ or system/; patient scopes alone are about what an answer holds")
	}
	return nil
}

// ParsePrefer reads the values of all Prefer headers. What is not known is not
// an error (RFC 7240, 2).
func ParsePrefer(headers []string) Prefer {
	var p Prefer
	for _, h := range headers {
		for part := range strings.FieldsFuncSeq(h, func(r rune) bool { return r == ',' || r == ';' }) {
			name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			value = strings.Trim(strings.TrimSpace(value), `"`)
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "return":
				for _, known := range []string{"minimal", "representation", "OperationOutcome"} {
					if p.Return == "" && strings.EqualFold(value, known) {
						p.Return = known
					}
				}
			case "handling":
				if v := strings.ToLower(value); p.Handling == "" && (v == "strict" || v == "lenient") {
					p.Handling = v
				}
			case "respond-async":
				p.Async = true
			}
		}
	}
	return p
}

// ParseQuery decodes the query of a URL or a form into parameters in order.
func ParseQuery(raw string) ([]search.KV, error) {
	var out []search.KV
	for raw != "" {
		var part string
		part, raw, _ = strings.Cut(raw, "&")
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		n, err := url.QueryUnescape(name)
		if err != nil {
			return nil, fhir.Errorf(400, fhir.CodeValue, "the name of a query parameter is not correctly percent-encoded")
		}
		v, err := url.QueryUnescape(value)
		if err != nil {
			return nil, fhir.Errorf(400, fhir.CodeValue, "the value of the query parameter %q is not correctly percent-encoded", n)
		}
		if !utf8.ValidString(n) || !utf8.ValidString(v) || strings.IndexByte(n, 0) >= 0 || strings.IndexByte(v, 0) >= 0 {
			return nil, fhir.Errorf(400, fhir.CodeValue, "the query holds bytes that are not UTF-8, or NUL, which no FHIR value has")
		}
		out = append(out, search.KV{Name: n, Value: v})
	}
	return out, nil
}

// AppendQuery writes parameters as the query of a URL.
func AppendQuery(dst []byte, params []search.KV) []byte {
	for i, p := range params {
		if i > 0 {
			dst = append(dst, '&')
		}
		dst = appendQueryText(dst, p.Name)
		dst = append(dst, '=')
		dst = appendQueryText(dst, p.Value)
	}
	return dst
}

// appendQueryText percent-encodes all but what RFC 3986 allows in a query and
// people want to read: ":", "/", "|" is encoded, "," and "$" are not.
func appendQueryText(dst []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~:/,$!*@", c) >= 0:
			dst = append(dst, c)
		default:
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		}
	}
	return dst
}

// param returns the last value of a parameter and whether it is there.
func (r *Request) param(name string) (string, bool) {
	for i := len(r.Query) - 1; i >= 0; i-- {
		if r.Query[i].Name == name {
			return r.Query[i].Value, true
		}
	}
	return "", false
}

// onlyParams refuses parameters that the interaction does not know, unless the
// client asks for lenient handling.
func (s *Service) onlyParams(r *Request, known ...string) error {
	if s.lenient(r) {
		return nil
	}
next:
	for _, p := range r.Query {
		for _, k := range known {
			if p.Name == k {
				continue next
			}
		}
		return fhir.Errorf(400, fhir.CodeNotSupported, "the parameter %q is not known for this interaction; known are: %s", p.Name, strings.Join(known, ", "))
	}
	return nil
}
