package fhir

// SearchParam is a SearchParameter resource of the definitions. It must not be
// changed.
type SearchParam struct {
	URL          string
	Code         string   // the name in a search, "family"
	Type         string   // number, date, string, token, reference, composite, quantity, uri, special
	Base         []string // resource types, "Resource" and "DomainResource" among them
	Expression   string   // FHIRPath, "" for those computed otherwise (_text, _content, _query)
	Target       []string // resource types a reference parameter may point to; nil if the definition does not say, or is of another type
	AnyTarget    bool     // Target are all resource types: those that are added too
	MultipleOr   bool     // true where the definition says nothing
	MultipleAnd  bool     // true where the definition says nothing
	Comparators  []string
	Modifiers    []string
	Chain        []string
	Components   []SearchComponent // of a composite parameter
	XPathUsage   string            // normal, phonetic, nearby, distance, other; "" if none
	DerivedFrom  string            // canonical URL, "" if none
	Description  string            // for CapabilityStatement.rest.resource.searchParam.documentation
	Experimental bool
	Correction   string // why Expression or Components differ from what is published; "" where they are verbatim. Canonical(URL) has the published ones
}

// SearchComponent is one part of a composite parameter.
type SearchComponent struct {
	Definition string // canonical URL of the part's SearchParameter
	Expression string // FHIRPath, relative to each result of the composite's own expression
}

// SearchCorrection replaces parts of a search parameter that cannot work as
// published. An empty Expression or Components leaves the published one.
type SearchCorrection struct {
	URL        string
	Reason     string
	Expression string
	Components []SearchComponent
}

// SearchParams returns the search parameters of a resource type, sorted by
// code, those of Resource and DomainResource included. The slice must not be
// changed. It is nil for an unknown type.
func (d *Definitions) SearchParams(resourceType string) []*SearchParam {
	byType := d.searchSet().byType
	if list, ok := byType[resourceType]; ok {
		return list
	}
	if d.Added(resourceType) != nil { // which has no parameters of its own
		return byType[d.Type(resourceType).Base]
	}
	return nil
}

// SearchParam returns the search parameter of a resource type with the given
// code, nil if there is none.
func (d *Definitions) SearchParam(resourceType, code string) *SearchParam {
	for _, p := range d.SearchParams(resourceType) {
		if p.Code == code {
			return p
		}
	}
	return nil
}

// SearchParamByURL returns the search parameter with the given canonical URL,
// nil if there is none.
func (d *Definitions) SearchParamByURL(url string) *SearchParam {
	return d.searchSet().byURL[url]
}

// AllSearchParams returns all search parameters, sorted by URL. The slice must
// not be changed.
func (d *Definitions) AllSearchParams() []*SearchParam {
	return d.searchSet().all
}
