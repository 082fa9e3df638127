package authz

import (
	"time"

	"ingle/fhir"
)

// Method is what an interaction does to a resource. Arborist's grants name the
// same four.
type Method uint8

// The methods. Read covers read, vread, search, history, operations that read
// and export; Update covers patch.
const (
	Read Method = iota
	Create
	Update
	Delete
	methods // their number
)

func (m Method) String() string {
	if m < methods {
		return [...]string{"read", "create", "update", "delete"}[m]
	}
	return "no method"
}

// Grant is what a Scope allows for one Method, by label. The zero Grant allows
// nothing.
type Grant struct {
	All        bool     // everything, labelled or not: no predicate is needed
	Roots      []string // paths whose subtrees are granted, collapsed and sorted; not to be changed
	Unlabelled bool     // resources without a label too
	// NeedAll asks for every label of a resource to be granted, not just one.
	// It is always so for the methods that write: who may write only one of two
	// projects does not change what both share.
	NeedAll bool
}

// AllowsPaths tells whether a resource with these labels is granted. No paths
// is a resource without a label.
func (g Grant) AllowsPaths(paths []string) bool {
	if g.All {
		return true
	}
	if len(paths) == 0 {
		return g.Unlabelled
	}
	for _, p := range paths {
		switch covered := coveredBy(g.Roots, p); {
		case covered && !g.NeedAll:
			return true
		case !covered && g.NeedAll:
			return false
		}
	}
	return g.NeedAll
}

// None tells whether nothing at all is granted.
func (g Grant) None() bool { return !g.All && !g.Unlabelled && len(g.Roots) == 0 }

// Scope is what one caller may do, at the time of one request. It is a small
// immutable value. The zero Scope allows nothing; there are no others than
// those of a Resolver, Open, System and FromSnapshot.
type Scope struct{ s *scope }

type scope struct {
	principal string // stable id
	name      string // for people: a user name, a certificate's CN
	client    string // OAuth client acting, "" for none
	reason    string // System only
	admin     bool
	expires   time.Time
	grants    [methods]Grant
	smart     *Permissions // nil: not narrowed
	sources   []Source     // what the grants come from, for Explain
	labels    Labels
}

// Open returns the scope of AUTH_MODE=open: everything is allowed to everyone.
func Open() Scope {
	s := &scope{principal: "anonymous", admin: true}
	s.allowAll()
	return Scope{s}
}

// System returns the scope of the server's own work, which sees everything.
// reason says what for ("reindex") and becomes part of the principal. A test
// lists the callers.
func System(reason string) Scope {
	s := &scope{principal: "system:" + reason, reason: reason, admin: true}
	s.allowAll()
	return Scope{s}
}

func (s *scope) allowAll() {
	for m := range s.grants {
		s.grants[m] = Grant{All: true}
	}
}

// Principal returns the stable id of the caller, for cursors, the audit trail,
// jobs and rate limits: "user:<issuer>|<subject>", "client:<issuer>|<id>",
// "basic:<name>", "cert:<name>", "system:<reason>", "anonymous", and "" for the
// zero Scope. A client acting for a user adds "@<client>".
func (s Scope) Principal() string {
	if s.s == nil {
		return ""
	}
	return s.s.principal
}

// Name returns the caller's name for people to read, "" if there is none.
func (s Scope) Name() string {
	if s.s == nil {
		return ""
	}
	return s.s.name
}

// Client returns the OAuth client that acts (for the user or for itself), "" if none.
func (s Scope) Client() string {
	if s.s == nil {
		return ""
	}
	return s.s.client
}

// Admin tells whether the caller administers the server.
func (s Scope) Admin() bool { return s.s != nil && s.s.admin }

// IsSystem tells whether this is the server's own work.
func (s Scope) IsSystem() bool { return s.s != nil && s.s.reason != "" }

// Expires returns when the caller's credentials end: a connection that is held
// open must end with them. The zero Time means never.
func (s Scope) Expires() time.Time {
	if s.s == nil {
		return time.Time{}
	}
	return s.s.expires
}

// Grant returns what is allowed for a method, by label.
func (s Scope) Grant(m Method) Grant {
	if s.s == nil || m >= methods {
		return Grant{}
	}
	return s.s.grants[m]
}

// Narrow returns what the caller's SMART scopes leave of a Grant for one
// resource type. It never widens: both must allow.
func (s Scope) Narrow(resourceType string, m Method) Narrowing {
	if s.s == nil {
		return Narrowing{}
	}
	if s.s.smart == nil {
		return Narrowing{Allowed: true}
	}
	return s.s.smart.Narrow(resourceType, m)
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

// may says the least: the labels of a resource are told to no one who may not see it.
func (s Scope) may(m Method, labels []string, what string) error {
	if s.Grant(m).AllowsPaths(labels) {
		return nil
	}
	if len(labels) == 0 {
		return fhir.Errorf(403, fhir.CodeForbidden, "you may not %s no security label", what)
	}
	return fhir.Errorf(403, fhir.CodeForbidden, "you may not %s these security labels; method %q is needed on each of them", what, m)
}
