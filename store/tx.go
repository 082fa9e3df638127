package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"ingle/fhir"
)

// Tx is a transaction of a Session: it reads through the same scope.
type Tx struct {
	reader
	pgx     pgx.Tx
	written []Change
}

// Session is the caller's session outside of the transaction.
func (tx *Tx) Session() *Session { return tx.db.As(tx.scope) }

// maxRetries is how often a transaction that met with others is run again.
const maxRetries = 5

// InTx runs fn in a transaction and commits it if fn returns nil. If another
// transaction was in the way (serialization failure, deadlock, ErrConflict), fn
// is run again from the start, up to five times, then 409: it must begin from a
// fresh copy of its input and do nothing outside the database. What was not there
// for it twice and yet cannot be made is not the caller's to see: 403.
func (s *Session) InTx(ctx context.Context, fn func(tx *Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, 2*s.db.opts.WriteTimeout)
	defer cancel()
	there := ""
	for attempt := 0; ; attempt++ {
		err := s.inTx(ctx, fn)
		if err == nil {
			return nil
		}
		if !transient(err) && !errors.Is(err, ErrConflict) {
			return domain(ctx, err)
		}
		var t *takenError
		if errors.As(err, &t) {
			if t.reference == there {
				return fhir.Errorf(403, fhir.CodeForbidden, "you may not write %s", there)
			}
			there = t.reference
		}
		if attempt == maxRetries {
			return tooContended(err)
		}
		if err := pause(ctx, attempt); err != nil {
			return domain(ctx, err)
		}
	}
}

func (s *Session) inTx(ctx context.Context, fn func(tx *Tx) error) (err error) {
	ptx, err := s.db.pool.BeginTx(ctx, pgx.TxOptions{})
	if err != nil {
		return err
	}
	committed := false
	defer func() {
		if !committed { // also when fn panics
			rollback, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			_ = ptx.Rollback(rollback)
		}
	}()
	tx := &Tx{reader: reader{db: s.db, q: ptx, scope: s.scope}, pgx: ptx}
	if err := fn(tx); err != nil {
		return err
	}
	committed = true
	if err := ptx.Commit(ctx); err != nil {
		if answered(err) || errors.Is(err, pgx.ErrTxCommitRollback) {
			return err
		}
		return unknownOutcome(err)
	}
	s.db.committed(tx.written)
	return nil
}

// Lock takes advisory locks on conditional criteria (in their normalised form)
// until the end of the transaction, in one order everywhere: of transactions
// with the same criterion only one at a time decides whether there is a match.
func (tx *Tx) Lock(ctx context.Context, criteria []string) error {
	if len(criteria) == 0 {
		return nil
	}
	keys := make([]int64, len(criteria))
	for i, c := range criteria {
		sum := sha256.Sum256([]byte("criteria\xff" + c))
		keys[i] = int64(binary.BigEndian.Uint64(sum[:8]))
	}
	slices.Sort(keys)
	_, err := tx.q.Exec(ctx, `SELECT pg_advisory_xact_lock(k) FROM unnest($1::int8[]) AS k`, slices.Compact(keys))
	if err != nil && transient(err) {
		return err
	}
	return domain(ctx, err)
}

// pause waits a little before attempt+1, longer each time and never alike.
func pause(ctx context.Context, attempt int) error {
	wait := time.Duration(1<<attempt) * 5 * time.Millisecond
	timer := time.NewTimer(wait/2 + rand.N(wait))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
