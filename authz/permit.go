package authz

import (
	"errors"

	"ingle/fhir"
)

// errScope marks a refusal that another token of the same user would not meet.
var errScope = errors.New("insufficient scope")

// Permit tells whether an interaction of this kind may be tried at all; what it
// then sees is up to Grant and Narrow. Its errors are *fhir.Error with status
// 403. resourceType may be empty for an interaction of the whole system.
func (s Scope) Permit(resourceType string, m Method) error {
	if s.Grant(m).None() {
		return fhir.Errorf(403, fhir.CodeForbidden, "you have no grant to %s resources here", verb(m))
	}
	if resourceType != "" && !s.Narrow(resourceType, m).Allowed {
		return fhir.Errorf(403, fhir.CodeForbidden, "the scopes of your token do not allow to %s %s", verb(m), resourceType).Because(errScope)
	}
	return nil
}

func verb(m Method) string {
	if m == Search {
		return "search"
	}
	return m.String()
}

// MayCreate checks the labels of a new resource. Its errors are *fhir.Error with status 403.
func (s Scope) MayCreate(labels []string) error {
	return s.may(Create, labels, "create a resource with")
}

// MayUpdate checks the labels of the version that is replaced and of the new
// one: who moves a resource from one label to another needs update on both.
// Its errors are *fhir.Error with status 403.
func (s Scope) MayUpdate(old, labels []string) error {
	if err := s.may(Update, old, "update a resource with"); err != nil {
		return err
	}
	return s.may(Update, labels, "update a resource to")
}

// MayDelete checks the labels of the version that is deleted. Its errors are
// *fhir.Error with status 403.
func (s Scope) MayDelete(labels []string) error {
	return s.may(Delete, labels, "delete a resource with")
}

// may names no label: those of a resource are told to no one who may not see it.
func (s Scope) may(m Method, labels []string, what string) error {
	if s.Grant(m).AllowsPaths(labels) {
		return nil
	}
	if len(labels) == 0 {
		return fhir.Errorf(403, fhir.CodeForbidden, "you may not %s no security label", what)
	}
	return fhir.Errorf(403, fhir.CodeForbidden, "you may not %s these security labels; a grant of %s is needed on each of them", what, m)
}
