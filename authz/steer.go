package authz

import "ingle/fhir"

// steering are the types of resource that a server goes by itself: in what it
// lets be searched, and in what it takes for valid.
var steering = map[string]bool{"SearchParameter": true, "StructureDefinition": true, "ValueSet": true, "CodeSystem": true}

// Steers tells whether a stored resource changes how the server works for
// everybody: one of a steering type that belongs to no project. With a label it
// is the project's own: its members read it and expand it, and no more.
func Steers(resourceType string, labels []string) bool {
	return steering[resourceType] && len(labels) == 0
}

// MaySteer checks that only administrators write what Steers. Its errors are
// *fhir.Error with status 403.
func (s Scope) MaySteer(resourceType string, labels []string) error {
	if !Steers(resourceType, labels) || s.Admin() {
		return nil
	}
	return fhir.Errorf(403, fhir.CodeForbidden, "a %s without a security label holds for everybody on this server, so that only administrators write it; "+
		"with the label of a project it is that project's own", resourceType)
}
