package interaction

import (
	"context"
	"errors"

	"ingle/fhir"
	"ingle/search"
	"ingle/store"
)

// A write is decided by what it finds: the current version, or whether anything
// matches. Two that meet must not both decide by the same state.

// txStore is what a write reads and writes through: a Tx, or, where nothing has
// to be locked or read after the write, the Session, whose one Write is a
// transaction already and saves the round trips of BEGIN and COMMIT.
type txStore interface {
	reader
	ReadAll(ctx context.Context, refs []string) (map[string]*store.Resource, error)
	MatchAll(ctx context.Context, queries []*search.Query, limits []int) ([][]*store.Resource, error)
	Write(ctx context.Context, changes []store.Change) error
}

// settle runs a write that is decided by the current versions of the resources
// named ("Type/id"). At first it hopes that nobody else changes them meanwhile;
// after that it waits for its turn, by locks on the names.
func settle(ctx context.Context, session *store.Session, names []string, write func(txStore) error) error {
	err := write(session)
	if errors.Is(err, store.ErrConflict) {
		err = session.InTx(ctx, func(tx *store.Tx) error {
			if err := tx.Lock(ctx, names); err != nil {
				return err
			}
			return write(tx)
		})
	}
	return conflict(err)
}

// alone runs a conditional write: of those with the same criteria only one at a
// time looks for its match, nil for none, and writes.
func (c *criteria) alone(ctx context.Context, session *store.Session, write func(tx *store.Tx, match *store.Resource) error) error {
	return conflict(session.InTx(ctx, func(tx *store.Tx) error {
		if err := tx.Lock(ctx, []string{c.lock}); err != nil {
			return err
		}
		match, err := c.one(ctx, tx)
		if err != nil {
			return err
		}
		return write(tx, match)
	}))
}

// conflict turns the loss of a race that was not won after several attempts
// into what the client is told.
func conflict(err error) error {
	if errors.Is(err, store.ErrConflict) {
		return fhir.Errorf(409, fhir.CodeConflict, "others are changing the same resource; read it and try again").Because(err)
	}
	return err
}
