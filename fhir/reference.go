package fhir

// Reference is a parsed Reference.reference, canonical or reference search
// value. Exactly one form holds, told by Form.
type Reference struct {
	Form     ReferenceForm
	Text     string // as written
	Base     string // service base URL without the last slash, of RefAbsolute
	Type     string // resource type, of RefRelative and RefAbsolute
	ID       string // logical id, of RefRelative and RefAbsolute
	Version  string // versionId after /_history/, or a canonical's version after "|"; "" for none
	Fragment string // after "#"; "" for none
	URL      string // what precedes version and fragment, of RefURL and RefURN
}

// ReferenceForm is the shape of a reference.
type ReferenceForm uint8

// The forms of a reference. RefRelative is also an absolute URL under one of
// the server's own base URLs.
const (
	RefInvalid  ReferenceForm = iota
	RefRelative               // Patient/1, Patient/1/_history/2
	RefAbsolute               // https://other/fhir/Patient/1: RESTful, but not ours
	RefFragment               // #id, or "#" alone: the container
	RefURN                    // urn:uuid:…, urn:oid:…
	RefURL                    // any other absolute URL (canonicals among them)
)

// Relative returns "Type/id".
func (r *Reference) Relative() string { return r.Type + "/" + r.ID }

// ParseReference takes a reference apart. base are the server's own base URLs
// without the last slash: a reference below one of them becomes relative.
// known tells resource types; nil takes any capitalized name for one.
func ParseReference(text string, base []string, known func(string) bool) Reference {
	return Reference{Text: text}
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

// ValidVersion tells whether s can be a versionId (the same rule as an id).
func ValidVersion(s string) bool { return ValidID(s) }
