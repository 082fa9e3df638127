package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"ingle/authz"
	"ingle/fhir"
	"ingle/search"
)

// Relabelling moves all resources under one label path to another, with all
// their versions: what is at From + rest comes to To + rest. Neither versions
// nor times change.
type Relabelling struct {
	From, To string
	Labels   authz.Labels
	DryRun   bool             // count only
	Progress func(Relabelled) // told after each batch; nil for nobody
}

// Relabelled is how far a Relabelling is.
type Relabelled struct {
	Resources int64 // current versions, deletions among them
	Versions  int64 // superseded versions
}

func (r Relabelled) plus(o Relabelled) Relabelled {
	return Relabelled{r.Resources + o.Resources, r.Versions + o.Versions}
}

const (
	relabelRange  = 5000 // resources that are looked through at once
	relabelBatch  = 200  // versions that are locked and written at once
	relabelPasses = 10
)

var errNotSystemRelabel = errors.New("store: only the server's own work may relabel")

// Relabel runs a Relabelling while everything else goes on. Each version moves
// by itself: body, label and index rows in one transaction. What has moved is
// not found again, so that a Relabelling that was broken off, wherever that was,
// is finished by running it again. It looks through the database until nothing
// is left at From; if others keep writing there, that ends in an error.
func (s *Session) Relabel(ctx context.Context, r Relabelling) (Relabelled, error) {
	if !s.scope.IsSystem() {
		return Relabelled{}, errNotSystemRelabel
	}
	for _, p := range []*string{&r.From, &r.To} {
		path, fault := authz.NormalizePath(*p)
		if fault != "" {
			return Relabelled{}, fmt.Errorf("relabel: path %q: %s", *p, fault)
		}
		*p = path
	}
	if authz.Covers(r.From, r.To) {
		return Relabelled{}, fmt.Errorf("relabel: %s is within %s: what is moved would be moved again", r.To, r.From)
	}
	m := &relabelling{Relabelling: r, s: s}
	if err := m.consentBefore(ctx); err != nil {
		return m.done, domain(ctx, err)
	}
	for range relabelPasses {
		found, err := m.pass(ctx)
		if err == nil && found == (Relabelled{}) {
			err = m.consentAfter(ctx)
		}
		if err != nil || found == (Relabelled{}) || r.DryRun {
			return m.done, domain(ctx, err)
		}
	}
	return m.done, fmt.Errorf("relabel: after %d passes there are still new resources at %s: withdraw the grants to create and update there, and run it again", relabelPasses, r.From)
}

type relabelling struct {
	Relabelling
	s    *Session
	v    *visible
	sets map[int32]int32 // from the ids of the sets that move to those that they become
	ids  []int32         // the keys of sets
	done Relabelled
}

// pass goes through all resources once, by number.
func (m *relabelling) pass(ctx context.Context) (found Relabelled, err error) {
	if m.v, err = m.s.visible(ctx, authz.Read); err != nil {
		return found, err
	}
	if err := m.plan(ctx); err != nil || len(m.ids) == 0 {
		return found, err
	}
	for after := int64(0); ; {
		var args search.Args
		var end *int64
		sql := "SELECT max(rid) FROM (SELECT rid FROM " + m.v.From(withDeleted, nil, "r", &args) + " WHERE rid > " + args.Add(after) + " ORDER BY rid LIMIT " + args.Add(relabelRange) + ") AS n"
		if err := m.s.db.pool.QueryRow(ctx, sql, args.Values()...).Scan(&end); err != nil || end == nil {
			return found, err
		}
		for _, rel := range []search.Relation{withDeleted, superseded} {
			for more := true; more; {
				var n int64
				var err error
				if m.DryRun {
					n, err = m.count(ctx, rel, after, *end)
				} else {
					n, err = m.batch(ctx, rel, after, *end)
				}
				if err != nil && inTheWay(err) {
					if err := pause(ctx, 4); err != nil {
						return found, err
					}
					continue
				}
				if err != nil {
					return found, err
				}
				moved := Relabelled{Resources: n}
				if rel == superseded {
					moved = Relabelled{Versions: n}
				}
				found, m.done = found.plus(moved), m.done.plus(moved)
				if m.Progress != nil && n > 0 {
					m.Progress(m.done)
				}
				more = !m.DryRun && n == relabelBatch
			}
		}
		after = *end
	}
}

// inTheWay tells whether a batch may be tried again: others had locked its rows.
func inTheWay(err error) bool {
	var pg *pgconn.PgError
	return transient(err) || errors.Is(err, ErrConflict) || errors.As(err, &pg) && pg.Code == "55P03"
}

// plan finds the sets that move, and what becomes of them.
func (m *relabelling) plan(ctx context.Context) error {
	labels := &m.s.db.labels
	if err := labels.load(ctx, m.s.db.side); err != nil {
		return err
	}
	labels.mu.RLock()
	moving := map[int32][]string{}
	for id, paths := range labels.byID {
		for _, p := range paths {
			if authz.Covers(m.From, p) {
				moving[id] = authz.MovePaths(paths, m.From, m.To)
			}
		}
	}
	labels.mu.RUnlock()
	m.sets, m.ids = map[int32]int32{}, nil
	for id, paths := range moving {
		m.ids = append(m.ids, id)
		if m.DryRun {
			continue
		}
		to, err := labels.intern(ctx, m.s.db.side, paths)
		if err != nil {
			return err
		}
		m.sets[id] = to
	}
	return nil
}

func (m *relabelling) where(after, end int64, args *search.Args) string {
	return " WHERE rid > " + args.Add(after) + " AND rid <= " + args.Add(end) + " AND label = ANY(" + args.Add(m.ids) + "::int4[])"
}

func (m *relabelling) count(ctx context.Context, rel search.Relation, after, end int64) (n int64, err error) {
	var args search.Args
	sql := "SELECT count(*) FROM " + m.v.From(rel, nil, "r", &args) + m.where(after, end, &args)
	err = m.s.db.pool.QueryRow(ctx, sql, args.Values()...).Scan(&n)
	return n, err
}

const amendHistory = `WITH n AS (
		SELECT * FROM unnest($1::int8[], $2::int4[], $3::int4[], $4::text[], $5::text[]) AS n(rid, version, label, body, body_text)
	), amended AS (
		UPDATE resource_history AS h SET label = n.label, body = n.body::jsonb, body_text = n.body_text
		FROM n WHERE h.rid = n.rid AND h.version = n.version RETURNING 1
	)
	SELECT ingle_expect((SELECT count(*) FROM amended) = cardinality($1)) ` + ScopeMark

// batch moves the next versions of a range, in one transaction.
func (m *relabelling) batch(ctx context.Context, rel search.Relation, after, end int64) (n int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, m.s.db.opts.WriteTimeout)
	defer cancel()
	tx, err := m.s.db.pool.Begin(ctx)
	if err != nil {
		return 0, err
	}
	defer func() {
		rollback, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = tx.Rollback(rollback)
	}()
	if m.s.db.consent.enforced { // before the rows, as all who write
		if _, err := tx.Exec(ctx, lockUndecided); err != nil {
			return 0, err
		}
	}
	var args search.Args
	rows, err := tx.Query(ctx, "SELECT rid, version, label, "+bodyText+" FROM "+m.v.From(rel, nil, "r", &args)+m.where(after, end, &args)+
		" ORDER BY rid, version LIMIT "+args.Add(relabelBatch)+" FOR NO KEY UPDATE", args.Values()...)
	if err != nil {
		return 0, err
	}
	moved := &relabelBatchRows{index: newIndexChanges(), byLabel: map[int32][]int64{}}
	if n, err = m.read(rows, rel, moved); err != nil || n == 0 {
		return 0, err
	}
	b := &pgx.Batch{}
	if rel == superseded {
		b.Queue(amendHistory, moved.row.rid, moved.row.version, moved.row.label, moved.row.body, moved.row.text)
	} else {
		if err := m.s.db.tokens.learn(ctx, m.s.db.side, moved.coded); err != nil {
			return 0, err
		}
		b.Queue(amendResources, moved.row.rid, moved.row.version, moved.row.label, moved.row.body, moved.row.text)
		for label, rids := range moved.byLabel {
			for _, t := range indexTables {
				b.Queue(t.relabelSQL, rids, label)
			}
		}
		moved.index.queue(b)
	}
	if t := &m.s.db.consent; t.enforced { // decisions may be about paths
		b.Queue(`SELECT ingle_withhold($1::int8[], $2::int4[], $3::int2, $4::bool)`, moved.row.rid, t.inside, t.patient, t.otherwise)
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return 0, domain(ctx, err)
	}
	return n, tx.Commit(ctx)
}

// relabelBatchRows is what a batch writes.
type relabelBatchRows struct {
	row     columns
	index   *indexChanges
	byLabel map[int32][]int64 // resources by their new label
	coded   []Change
}

func (m *relabelling) read(rows pgx.Rows, rel search.Relation, out *relabelBatchRows) (n int64, err error) {
	defer rows.Close()
	for rows.Next() {
		var rid int64
		var version, label int32
		var body []byte
		if err := rows.Scan(&rid, &version, &label, &body); err != nil {
			return 0, err
		}
		n++
		label = m.sets[label]
		var text, respelling *string
		if body != nil {
			doc, err := fhir.Parse(body, storedLimits)
			if err != nil {
				return 0, fmt.Errorf("relabel: a stored resource cannot be read: %w", err)
			}
			if body, _ = m.Labels.Move(doc, m.From, m.To); rel != superseded {
				if err := m.reindex(rid, label, doc, body, out); err != nil {
					return 0, err
				}
			}
			s := string(body)
			text = &s
			if respelled(body) {
				respelling = &s
			}
		}
		k := &out.row
		k.rid, k.version, k.label = append(k.rid, rid), append(k.version, version), append(k.label, label)
		k.body, k.text = append(k.body, text), append(k.text, respelling)
	}
	return n, rows.Err()
}

// reindex keeps the index rows, under the new label, but for those that the
// label itself made.
func (m *relabelling) reindex(rid int64, label int32, old *fhir.Doc, body []byte, out *relabelBatchRows) error {
	doc, err := fhir.Parse(body, storedLimits)
	if err != nil {
		return fmt.Errorf("relabel: %w", err)
	}
	before, err := m.s.db.reg.IndexRows(old)
	if err != nil {
		return fmt.Errorf("relabel: %w", err)
	}
	rows, err := m.s.db.reg.IndexRows(doc)
	if err != nil {
		return fmt.Errorf("relabel: %w", err)
	}
	out.index.replace(rid, label, before, rows, true)
	out.byLabel[label] = append(append(out.byLabel[label], rid), rows.ContainedRIDs(rid)...)
	out.coded = append(out.coded, Change{Rows: rows})
	return nil
}
