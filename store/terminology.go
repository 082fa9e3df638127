package store

import "ingle/store/concepts"

// Concepts gives the imported code systems and the closure tables. They hold no
// data of patients, so no scope is needed.
func (db *DB) Concepts() *concepts.Store { return concepts.New(db.pool) }
