package store

import (
	"time"

	"ingle/fhir"
	"ingle/search"
)

// Op tells how a version came to be.
type Op int16

// The operations, as stored in resource.op.
const (
	OpCreate Op = 1
	OpUpdate Op = 2
	OpPatch  Op = 3
	OpDelete Op = 4
)

// storedLimits let everything pass that was once let in: a Binary is one long
// string, a Bundle many resources.
var storedLimits = fhir.Limits{Depth: 1 << 10, Nodes: 1 << 25, String: 1 << 30}

// Resource is one version of a resource as it is stored.
type Resource struct {
	Type        string
	ID          string
	Version     int
	LastUpdated time.Time // UTC, milliseconds
	Op          Op
	Body        []byte   // the JSON, without what a policy hides from the caller; nil if this version is a deletion
	Labels      []string // security-label paths, sorted; empty for none

	whole []byte // what is stored, where the caller does not see all of it
	rid   int64
	label int32
	tx    uint64 // transaction that wrote the row: it tells apart what Amend changed within a version
}

// Deleted tells whether this version is a deletion.
func (r *Resource) Deleted() bool { return r.Op == OpDelete }

// Reference returns "Type/id".
func (r *Resource) Reference() string { return r.Type + "/" + r.ID }

// Change is one version to be written.
type Change struct {
	Op          Op
	Old         *Resource // the version that it replaces (possibly a deletion), as read before; nil for a resource that was never there
	Type        string
	ID          string
	Version     int
	LastUpdated time.Time    // see DB.Time
	Body        []byte       // the complete JSON with id and meta; nil for OpDelete
	Rows        *search.Rows // its index rows; nil for OpDelete
	Labels      []string     // its security-label paths, sorted; for OpDelete the old ones stay
}

// Reference returns "Type/id".
func (c *Change) Reference() string { return c.Type + "/" + c.ID }
