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
	if resourceType == "" {
		return nil
	}
	return s.PermitType(resourceType, m)
}

// PermitType tells whether SMART scopes and policies leave anything of a resource
// type to a method. Its errors are *fhir.Error with status 403.
func (s Scope) PermitType(resourceType string, m Method) error {
	switch {
	case s.Narrow(resourceType, m).Allowed:
		return nil
	case s.s != nil && s.s.smart != nil && !s.s.smart.narrow(resourceType, m).Allowed:
		return fhir.Errorf(403, fhir.CodeForbidden, "the scopes of your token do not allow to %s %s", verb(m), resourceType).Because(errScope)
	}
	return fhir.Errorf(403, fhir.CodeForbidden, "the access policy does not allow you to %s %s", verb(m), resourceType)
}

func verb(m Method) string {
	if m == Search {
		return "search"
	}
	return m.String()
}

// MayCreate checks the labels of a new resource. Its errors are *fhir.Error with status 403.
func (s Scope) MayCreate(labels []string) error { return s.put(Create, labels) }

// MayUpdate checks the labels of the version that is replaced and of the new
// one: who moves a resource from one label to another needs update on both.
// Its errors are *fhir.Error with status 403.
func (s Scope) MayUpdate(old, labels []string) error {
	if err := s.touch(Update, old); err != nil {
		return err
	}
	return s.put(Update, labels)
}

// MayDelete checks the labels of the version that is deleted. Its errors are
// *fhir.Error with status 403.
func (s Scope) MayDelete(labels []string) error { return s.touch(Delete, labels) }

// touch checks the labels that a resource has. The refusal is the same whatever
// they are: the caller may not even know of the resource.
func (s Scope) touch(m Method, labels []string) error {
	if s.Grant(m).AllowsPaths(labels) {
		return nil
	}
	return fhir.Errorf(403, fhir.CodeForbidden, "you may not %s this resource; a grant of %s is needed on each of its security labels", m, m)
}

// put checks the labels that the caller wants a resource to have.
func (s Scope) put(m Method, labels []string) error {
	switch {
	case s.Grant(m).AllowsPaths(labels):
		return nil
	case len(labels) == 0:
		return fhir.Errorf(403, fhir.CodeForbidden, "you may not leave a resource without a security label")
	}
	return fhir.Errorf(403, fhir.CodeForbidden, "you may not %s a resource with these security labels; a grant of %s is needed on each of them", m, m)
}
