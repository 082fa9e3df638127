package store

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Decisions of Consents that name studies are about the studies' labels. While
// these move, resource by resource, denials hold at both places; when all has
// moved, the decisions are made anew.

// consentBefore has denials hold where things move to as well.
func (m *relabelling) consentBefore(ctx context.Context) error {
	if !m.s.db.consent.enforced || m.DryRun {
		return nil
	}
	return m.decisively(ctx, func(b *pgx.Batch) {
		b.Queue(`INSERT INTO consent (rk, path, permits) SELECT rk, rtrim($2, '/') || substr(path, length($1) + 1), false FROM consent
			WHERE NOT permits AND (path = $1 OR starts_with(path, $1 || '/')) ON CONFLICT (rk, path) DO UPDATE SET permits = false`, m.From, m.To)
	})
}

// consentAfter makes the decisions about studies anew.
func (m *relabelling) consentAfter(ctx context.Context) error {
	t := &m.s.db.consent
	if !t.enforced || m.DryRun {
		return nil
	}
	return m.decisively(ctx, func(b *pgx.Batch) {
		const bound = `ARRAY(SELECT ingle_bound_to(ARRAY(SELECT DISTINCT d.rk FROM idx_ref AS d ` + ScopeMark + ` WHERE d.p = $2::int4), $1::int4, $2::int4))`
		b.Queue(`SELECT ingle_decide(`+bound+`, $1::int4, $2::int4, $3::int2)`, t.decides, t.data, t.study)
		b.Queue(`SELECT ingle_withhold(ARRAY(SELECT x.rid FROM compartment AS x WHERE x.rk = ANY(`+bound+`)), $3::int4[], $4::int2, $5::bool)`,
			t.decides, t.data, t.inside, t.patient, t.otherwise)
	})
}

// decisively runs statements in one transaction that nobody decides beside.
func (m *relabelling) decisively(ctx context.Context, queue func(b *pgx.Batch)) error {
	return pgx.BeginFunc(ctx, m.s.db.pool, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		b.Queue(lockDecisions)
		queue(b)
		return tx.SendBatch(ctx, b).Close()
	})
}
