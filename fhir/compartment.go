package fhir

// Compartment is a CompartmentDefinition. It must not be changed.
type Compartment struct {
	Name   string              // Patient, Encounter, RelatedPerson, Practitioner or Device
	URL    string              // canonical URL of the definition
	Params map[string][]string // resource type → codes of the search parameters that tie it to the compartment; types that are never in it are absent. The resource that the compartment is named after is in it besides
}

// Compartment returns the compartment with the given name ("Patient"), nil if
// there is none.
func (d *Definitions) Compartment(name string) *Compartment {
	return d.searchSet().compartments[name]
}

// Compartments returns the names of the compartments, sorted.
func (d *Definitions) Compartments() []string {
	return d.searchSet().compartmentNames
}
