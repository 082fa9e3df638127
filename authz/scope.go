package authz

import (
	"sync/atomic"
	"time"

	"ingle/authz/redact"
)

// Method is what an interaction does to a resource. Arborist's grants name the
// same four.
type Method uint8

// The methods. Read covers read, vread, history, operations that read and
// export; Update covers patch. Search is Read where SMART scopes tell the two
// apart (letters r and s); labels and Arborist do not.
const (
	Read Method = iota
	Create
	Update
	Delete
	Search

	methods = 4 // that grants tell apart
)

func (m Method) String() string {
	if m <= Search {
		return [...]string{"read", "create", "update", "delete", "search"}[m]
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
	// ID is the same for Grants that are the same, within this process: what
	// Roots expand to can be kept under it. 0 means that it is not known.
	ID uint64
}

var lastGrant atomic.Uint64

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

// and is what both grants allow.
func (g Grant) and(o Grant) Grant {
	switch {
	case g.All:
		o.NeedAll = o.NeedAll || g.NeedAll
		return o
	case o.All:
		g.NeedAll = o.NeedAll || g.NeedAll
		return g
	}
	return Grant{
		Roots:      Intersect(g.Roots, o.Roots),
		Unlabelled: g.Unlabelled && o.Unlabelled,
		NeedAll:    g.NeedAll || o.NeedAll,
		ID:         lastGrant.Add(1),
	}
}

// Scope is what one caller may do, at the time of one request. It is a small
// immutable value. The zero Scope allows nothing; there are no others than
// those of a Resolver, Open, and System.
type Scope struct{ s *scope }

type scope struct {
	identity
	mode    Mode // that it was resolved in
	system  bool
	admin   bool
	expires time.Time
	grants  [methods]Grant
	smart   *permissions // nil: not narrowed
	sources []Source     // what the grants come from, for Explain

	policies []*policy
	hidden   *redact.Fields // what they hide together
}

// Open returns the scope of mode open: everything is allowed to everyone.
func Open() Scope {
	s := &scope{identity: identity{Kind: kindOpen}, mode: ModeOpen, admin: true}
	s.allowAll()
	return Scope{s}
}

// System returns the scope of the server's own work, which sees everything.
// reason says what for ("reindex") and becomes part of the principal. A test
// lists the callers.
func System(reason string) Scope {
	s := &scope{identity: identity{Kind: kindSystem, Name: reason}, system: true, admin: true}
	s.allowAll()
	return Scope{s}
}

func (s *scope) allowAll() {
	for m := range s.grants {
		s.grants[m] = Grant{All: true}
	}
}

// and is what both scopes allow; the caller is that of s.
func (s Scope) and(o Scope) Scope {
	if s.s == nil || o.s == nil {
		return Scope{}
	}
	out := *s.s
	out.admin = s.s.admin && o.s.admin
	out.system = s.s.system && o.s.system
	for m := range out.grants {
		out.grants[m] = s.s.grants[m].and(o.s.grants[m])
	}
	switch {
	case out.smart == nil:
		out.smart = o.s.smart
	case o.s.smart != nil:
		out.smart = s.s.smart.with(o.s.smart)
	}
	out.bind(o.s.policies)
	if e := o.s.expires; !e.IsZero() && (out.expires.IsZero() || e.Before(out.expires)) {
		out.expires = e
	}
	return Scope{&out}
}

// Principal returns the stable id of the caller, for cursors, the audit trail,
// jobs and rate limits: "user:<name>" (mode arborist), "user:<issuer>|<user>",
// "client:…" alike, "basic:<name>", "cert:<name>", "system:<reason>",
// "anonymous", and "" for the zero Scope. A client that acts for a user adds
// "|client:<id>".
func (s Scope) Principal() string {
	if s.s == nil {
		return ""
	}
	return s.s.principal()
}

// Name returns the caller's name for people to read, "" if there is none.
func (s Scope) Name() string {
	if s.s == nil {
		return ""
	}
	return s.s.Name
}

// Client returns the OAuth client that acts (for the user or for itself), "" if none.
func (s Scope) Client() string {
	if s.s == nil {
		return ""
	}
	return s.s.Client
}

// FHIRUser returns the resource that stands for the user ("Practitioner/7"), as
// the token's claim fhirUser says, "" if it does not.
func (s Scope) FHIRUser() string {
	if s.s == nil {
		return ""
	}
	return s.s.FHIRUser
}

// Patient and Encounter return the logical ids of the launch context, "" if none.
func (s Scope) Patient() string {
	if s.s == nil {
		return ""
	}
	return s.s.Patient
}

// Encounter returns the encounter in context, "" if none.
func (s Scope) Encounter() string {
	if s.s == nil {
		return ""
	}
	return s.s.Encounter
}

// Admin tells whether the caller administers the server. An app with SMART
// scopes does only if they leave nothing out, and nobody does for whom a policy holds.
func (s Scope) Admin() bool {
	return s.s != nil && s.s.admin && len(s.s.policies) == 0 && (s.s.smart == nil || s.s.smart.unrestricted())
}

// PatientOnly tells whether SMART scopes leave the caller nothing but what a
// patient in context has.
func (s Scope) PatientOnly() bool { return s.s != nil && s.s.smart != nil && s.s.smart.patientOnly() }

// Self returns the logical id of the patient that the caller is: the token names
// it as its user (fhirUser) and as the patient in context. "" for anybody else, a
// practitioner or parent who has that patient in context among them.
func (s Scope) Self() string {
	if id := s.Patient(); id != "" && s.FHIRUser() == "Patient/"+id {
		return id
	}
	return ""
}

// IsSystem tells whether this is the server's own work.
func (s Scope) IsSystem() bool { return s.s != nil && s.s.system }

// Authenticated tells whether the caller is known.
func (s Scope) Authenticated() bool {
	return s.s != nil && s.s.Kind != kindOpen && s.s.Kind != kindAnonymous
}

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
	if m == Search {
		m = Read
	}
	if s.s == nil || m >= methods {
		return Grant{}
	}
	return s.s.grants[m]
}

// None tells whether the caller is granted nothing at all.
func (s Scope) None() bool {
	return s.Grant(Read).None() && s.Grant(Create).None() && s.Grant(Update).None() && s.Grant(Delete).None()
}

// Narrow returns what the caller's SMART scopes and policies leave of a Grant for
// one resource type, "*" for all types at once. It never widens: all must allow.
func (s Scope) Narrow(resourceType string, m Method) Narrowing {
	if s.s == nil || m > Search {
		return Narrowing{}
	}
	n := Narrowing{Allowed: true}
	if s.s.smart != nil {
		n = s.s.smart.narrow(resourceType, m)
	}
	for _, p := range s.s.policies {
		n = n.and(p.narrow(resourceType, m, &s.s.identity))
	}
	return n
}
