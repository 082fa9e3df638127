// Package store keeps resources in PostgreSQL. It is the only room that names a
// table.
//
// A DB has no data methods. Data is reached through a Session, which DB.As binds
// to the scope of one caller, or a Tx within it; both read every relation
// through the same unexported `visible`, with the scope's predicate inside, so
// there is no statement around it.
//
// A resource has one row in table resource for its current version (deleted
// ones stay as tombstones), one in resource_history for each version before,
// and rows in five index tables that search.Registry extracts from its bytes.
// All of them are written in one pipelined round trip, which is one
// transaction. docs/decisions/0002-storage.md tells the reasons.
package store
