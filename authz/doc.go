// Package authz turns a caller's credentials into a Scope: what the caller may
// read, create, update and delete. It knows tokens and their issuers, the Gen3
// Arborist and its grants, SMART on FHIR scopes, and the security labels that
// resources carry in meta.security. It knows neither HTTP routes nor tables.
//
// Policies take away from what is granted: types, resources by search, elements
// (package redact).
//
// The walk of a request: Resolver.Resolve checks the credentials and returns a
// Scope; store.DB.As(scope) is the only way to data, and puts Scope.Grant (by
// label) and Scope.Narrow (by SMART scope and policy) inside every relation that is read.
//
// Everything fails closed. The zero Scope allows nothing, an unreadable scope
// or label narrows, and an Arborist that cannot be asked is an error and never
// an empty restriction.
package authz
