package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"ingle/authz"
	"ingle/search"
)

// amendResources changes versions in their place, if they are still the current
// ones.
const amendResources = `WITH n AS (
		SELECT * FROM unnest($1::int8[], $2::int4[], $3::int4[], $4::text[], $5::text[]) AS n(rid, version, label, body, body_text)
	), amended AS (
		UPDATE resource AS r SET label = n.label, tx = pg_current_xact_id(), body = n.body::jsonb, body_text = n.body_text
		FROM n WHERE r.rid = n.rid AND r.version = n.version RETURNING 1
	)
	SELECT ingle_expect((SELECT count(*) FROM amended) = cardinality($1)) ` + ScopeMark

// ReadToAmend is Read, and keeps the resource as it is until the transaction
// ends.
func (tx *Tx) ReadToAmend(ctx context.Context, typ, id string) (*Resource, error) {
	v, err := tx.visible(ctx, authz.Read)
	if err != nil {
		return nil, err
	}
	if tx.db.consent.enforced { // before the row, as all who write
		lock := lockUndecided
		if typ == "Consent" || typ == "ResearchStudy" {
			lock = lockDecisions
		}
		if _, err := tx.q.Exec(ctx, lock); err != nil {
			if transient(err) {
				return nil, err
			}
			return nil, domain(ctx, err)
		}
	}
	var args search.Args
	return tx.one(ctx, typ, id, tx.readSQL(v, typ, id, &args)+" FOR NO KEY UPDATE", args.Values())
}

// Amend changes what a version says of itself in meta, and its labels, without
// making a new one (R4 resource-operation-meta-add.html). c.Old is what
// ReadToAmend returned in this transaction, not deleted; version and time stay.
// Its errors are those of Write.
func (tx *Tx) Amend(ctx context.Context, c Change) error {
	c.Op = OpUpdate
	if err := tx.mayWrite(&c); err != nil {
		return err
	}
	changes, err := tx.keepHidden([]Change{c})
	if err != nil {
		return err
	}
	c = changes[0]
	if err := tx.db.tokens.learn(ctx, tx.db.side, changes); err != nil {
		return err
	}
	label, err := tx.db.labels.intern(ctx, tx.db.side, c.Labels)
	if err != nil {
		return err
	}
	var row columns
	row.add(c.Old.rid, &c, label, 0)
	index := newIndexChanges()
	old := tx.oldRows(c.Old)
	about := newConcerns()
	about.add(&tx.db.consent, &c, c.Old.rid, old)
	index.replace(c.Old.rid, label, old, c.Rows, label == c.Old.label)

	b := &pgx.Batch{}
	about.queueLocks(b)
	if err := tx.queueDecider(ctx, b, about); err != nil {
		return err
	}
	if err := tx.queueNarrow(ctx, b, changes, false); err != nil {
		return err
	}
	b.Queue(amendResources, row.rid, row.version, row.label, row.body, row.text)
	index.queue(b)
	about.queue(b, &tx.db.consent)
	if err := tx.queueNarrow(ctx, b, changes, true); err != nil {
		return err
	}
	if err := tx.q.SendBatch(ctx, b).Close(); err != nil {
		if transient(err) {
			return err // InTx runs the closure again
		}
		return writeError(ctx, err, changes)
	}
	tx.written = append(tx.written, changes...)
	return nil
}
