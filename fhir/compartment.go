package fhir

// Compartment is a CompartmentDefinition. It must not be changed.
type Compartment struct {
	Name   string              // Patient, Encounter, RelatedPerson, Practitioner or Device
	URL    string              // canonical URL of the definition
	Params map[string][]string // resource type → codes of the search parameters that tie it to the compartment. A type that is never in the compartment is absent
	Self   []string            // the types of the compartment's own resource ("{def}"): the resource that the compartment is named after
}

// Compartment returns the compartment with the given name ("Patient"), nil if
// there is none.
func (d *Definitions) Compartment(name string) *Compartment {
	return d.search.load(d.embedded.Search, d).compartments[name]
}

// Compartments returns the names of the compartments, sorted.
func (d *Definitions) Compartments() []string {
	return d.search.load(d.embedded.Search, d).compartmentNames
}
