package postgres

import "errors"

var (
	// ErrNoBinaries says that no PostgreSQL 14 or newer was found on this machine.
	ErrNoBinaries = errors.New("no PostgreSQL 14 or newer found")
	// ErrInUse says that another live process supervises the same folder.
	ErrInUse = errors.New("the private PostgreSQL is in use by another process")
)
