package terminology

import "context"

// System is a code system: one version of it.
type System interface {
	Info() *SystemInfo

	// Concept returns the concept with a code, nil if the system does not define
	// it. Case is ignored where the system ignores it; Concept.Code has the
	// system's own spelling.
	Concept(ctx context.Context, code string) (*Concept, error)

	// Walk calls yield for the concepts that pass the query, in the system's
	// order, until yield returns false. A system that cannot be listed (a
	// grammar) returns errNotListable.
	Walk(ctx context.Context, q *Query, yield func(*Concept) bool) error

	// Count returns how many concepts pass the query, -1 where it cannot say
	// without walking.
	Count(ctx context.Context, q *Query) (int, error)

	// Matches tells whether a concept of this system passes all filters.
	Matches(ctx context.Context, c *Concept, filters []Filter) (bool, error)

	// Accepts returns why a filter cannot be answered, "" if it can.
	Accepts(f *Filter) string

	// Subsumes tells whether a is an ancestor of b. Both exist.
	Subsumes(ctx context.Context, a, b *Concept) (bool, error)

	// Parents and Children return the direct neighbours.
	Parents(ctx context.Context, c *Concept) ([]*Concept, error)
	Children(ctx context.Context, c *Concept) ([]*Concept, error)
}

// SystemInfo is what the CodeSystem resource says about the system as a whole.
type SystemInfo struct {
	URL              string
	Version          string
	Name             string
	Title            string
	Language         string
	Status           string
	StandardsStatus  string
	Experimental     bool
	CaseSensitive    bool
	Content          string // complete, fragment, not-present, example, supplement
	HierarchyMeaning string
	ValueSet         string // canonical of the value set of all its codes
	VersionNeeded    bool
	Compositional    bool
	Properties       []PropertyInfo
	Supplements      []string // canonicals of the supplements merged in
}

// PropertyInfo is CodeSystem.property.
type PropertyInfo struct{ Code, URI, Type, Description string }

// Canonical returns "url|version", or the URL where there is no version.
func (i *SystemInfo) Canonical() string { return canonical(i.URL, i.Version) }

func canonical(url, version string) string {
	if version == "" {
		return url
	}
	return url + "|" + version
}

// propertyURI returns the URI of a property, "" if it has none.
func (i *SystemInfo) propertyURI(code string) string {
	for _, p := range i.Properties {
		if p.Code == code {
			return p.URI
		}
	}
	return extensionProperty[code]
}

// propertyCode returns the code under which the system has a property with one
// of FHIR's URIs; by default it is the last part of the URI.
func (i *SystemInfo) propertyCode(name string) string {
	taken := false
	for _, p := range i.Properties {
		if p.URI == conceptProperties+name {
			return p.Code
		}
		taken = taken || p.Code == name && p.URI != ""
	}
	if taken { // the system means something of its own by the name
		return ""
	}
	return name
}

// Query selects concepts of one system.
type Query struct {
	Filters    []Filter
	Text       string // words that must occur in code, display or designations; "" for any
	ActiveOnly bool
	Offset     int // concepts to skip; only a system that says so in Count is asked
	Limit      int // 0 for no limit
}
