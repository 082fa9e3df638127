package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"ingle/authz"
	"ingle/fhir"
	"ingle/search"
)

const insertResources = `INSERT INTO resource (rid, rk, lu, version, label, rtype, op, fhir_id, body, body_text)
	SELECT n.rid, n.rk, n.lu, n.version, n.label, n.rtype, n.op, n.fhir_id, n.body::jsonb, n.body_text
	FROM unnest($1::int8[], $2::int8[], $3::timestamptz[], $4::int4[], $5::int4[], $6::int2[], $7::int2[], $8::text[], $9::text[], $10::text[])
		AS n(rid, rk, lu, version, label, rtype, op, fhir_id, body, body_text) ` + ScopeMark

// replaceResources moves the current versions to the history and puts the new
// ones in their place, if they are still the versions that were read, and as
// they were read: Amend may have changed their labels.
const replaceResources = `WITH n AS (
		SELECT * FROM unnest($1::int8[], $2::int4[], $3::timestamptz[], $4::int4[], $5::int4[], $6::int2[], $7::text[], $8::text[], $9::int8[])
			AS n(rid, old, lu, version, label, op, body, body_text, tx)
	), locked AS MATERIALIZED (
		SELECT r.* FROM resource AS r JOIN n ON n.rid = r.rid AND n.old = r.version AND n.tx::text::xid8 = r.tx ORDER BY r.rid FOR UPDATE OF r
	), kept AS (
		INSERT INTO resource_history (rid, lu, until, tx, version, label, rtype, op, body, body_text)
		SELECT o.rid, o.lu, n.lu, o.tx, o.version, o.label, o.rtype, o.op, o.body, o.body_text FROM locked AS o JOIN n ON n.rid = o.rid
	), replaced AS (
		UPDATE resource AS r SET lu = n.lu, tx = pg_current_xact_id(), version = n.version, label = n.label, op = n.op,
			body = n.body::jsonb, body_text = n.body_text
		FROM n JOIN locked ON locked.rid = n.rid WHERE r.rid = n.rid RETURNING 1
	)
	SELECT ingle_expect((SELECT count(*) FROM replaced) = cardinality($1)) ` + ScopeMark

// Write stores all changes or none, in one round trip. Errors: *fhir.Error if
// the caller may not write one of them (403), a reference does not resolve (422)
// or a deletion would leave one dangling (409); ErrConflict if another was
// faster. Whoever may see a version may be told of it; Write does not hide.
func (s *Session) Write(ctx context.Context, changes []Change) error {
	ctx, cancel := context.WithTimeout(ctx, s.db.opts.WriteTimeout)
	defer cancel()
	changes, err := s.keepHidden(changes)
	if err != nil {
		return err
	}
	for attempt := 0; ; attempt++ {
		sent, err := s.write(ctx, changes)
		switch {
		case err == nil:
			s.db.committed(changes)
			return nil
		case transient(err) && attempt < maxRetries:
			if err := pause(ctx, attempt); err != nil {
				return domain(ctx, err)
			}
			continue
		case transient(err):
			return tooContended(err)
		case sent && !answered(err):
			return unknownOutcome(err)
		}
		return writeError(ctx, err, changes)
	}
}

// Write stores changes within the transaction. See Session.Write.
func (tx *Tx) Write(ctx context.Context, changes []Change) error {
	changes, err := tx.keepHidden(changes)
	if err != nil {
		return err
	}
	_, err = tx.write(ctx, changes)
	if err == nil {
		tx.written = append(tx.written, changes...)
		return nil
	}
	if transient(err) {
		return err // InTx runs the closure again
	}
	return writeError(ctx, err, changes)
}

func (db *DB) committed(changes []Change) {
	if db.opts.Committed != nil && len(changes) > 0 {
		db.opts.Committed(changes)
	}
}

func writeError(ctx context.Context, err error, changes []Change) error {
	if ref := taken(err, changes); ref != "" {
		return &takenError{ref}
	}
	err = domain(ctx, err)
	if d, ok := err.(*danglingError); ok {
		return d.at(changes)
	}
	return err
}

// write sends the changes as one pipeline. sent tells whether they may have
// reached the database.
func (r *reader) write(ctx context.Context, changes []Change) (sent bool, err error) {
	if len(changes) == 0 {
		return false, nil
	}
	for i := range changes {
		if err := r.mayWrite(&changes[i]); err != nil {
			return false, err
		}
	}
	if err := r.db.tokens.learn(ctx, r.db.side, changes); err != nil {
		return false, err
	}
	v, err := r.visible(ctx, authz.Read)
	if err != nil {
		return false, err
	}
	b, err := r.batch(ctx, changes, v)
	if err != nil {
		return false, err
	}
	res := r.q.SendBatch(ctx, b)
	for range b.Len() {
		if _, err := res.Exec(); err != nil {
			_ = res.Close()
			return true, err
		}
	}
	return true, res.Close()
}

// mayWrite checks the caller's rights on the labels before and after.
func (r *reader) mayWrite(c *Change) error {
	method := c.method()
	if err := r.scope.PermitType(c.Type, method); err != nil {
		return err
	}
	if c.Old != nil && !c.Old.Deleted() {
		if err := r.scope.MaySteer(c.Type, c.Old.Labels); err != nil {
			return err
		}
	}
	if method == authz.Delete {
		return r.scope.MayDelete(c.Old.Labels)
	}
	if err := r.scope.MaySteer(c.Type, c.Labels); err != nil {
		return err
	}
	switch method {
	case authz.Create:
		if c.Old != nil && !slices.Equal(c.Old.Labels, c.Labels) {
			// with the deleted resource its history would change hands
			if err := r.scope.MayUpdate(c.Old.Labels, c.Labels); err != nil {
				return err
			}
		}
		return r.scope.MayCreate(c.Labels)
	}
	return r.scope.MayUpdate(c.Old.Labels, c.Labels)
}

// method is what the change does to a resource, for authorization.
func (c *Change) method() authz.Method {
	switch {
	case c.Op == OpDelete:
		return authz.Delete
	case c.Old == nil || c.Old.Deleted():
		return authz.Create
	}
	return authz.Update
}

// queueNarrow has the database check what SMART scopes and policies restrict: before the
// changes that what is replaced or deleted was within them, and afterwards that
// what was written is. Without such restrictions it adds nothing.
func (r *reader) queueNarrow(ctx context.Context, b *pgx.Batch, changes []Change, after bool) error {
	type key struct {
		typ    string
		method authz.Method
	}
	restricted := map[key][]string{}
	for i := range changes {
		c := &changes[i]
		k := key{c.Type, c.method()}
		if k.method == authz.Create && !after || k.method == authz.Delete && after || !r.scope.Narrow(k.typ, k.method).Restricted() {
			continue
		}
		restricted[k] = append(restricted[k], c.Reference())
	}
	for k, refs := range restricted {
		v, err := r.visible(ctx, k.method)
		if err != nil {
			return err
		}
		var args search.Args
		b.Queue("SELECT ingle_refuse('"+stateNarrowed+"', (SELECT min(n.ref) FROM unnest("+args.Add(refs)+"::text[], "+args.Add(refKeys(refs))+
			"::int8[]) AS n(ref, rk) WHERE NOT EXISTS (SELECT 1 FROM "+v.From(search.Resource, []string{k.typ}, "r", &args)+" WHERE r.rk = n.rk)))", args.Values()...)
	}
	return nil
}

// batch makes the statements: locks, resources, index rows, checks.
func (r *reader) batch(ctx context.Context, changes []Change, v *visible) (*pgx.Batch, error) {
	var (
		b       = &pgx.Batch{}
		index   = newIndexChanges()
		created columns
		changed columns
		refs    = map[string]bool{} // literal references of what is written
		deleted []string
		fresh   int
		about   = newConcerns()
	)
	for i := range changes {
		if changes[i].Old == nil {
			fresh++
		}
	}
	rids, err := r.db.ids.take(ctx, r.db.side, fresh)
	if err != nil {
		return nil, err
	}
	for i := range changes {
		c := &changes[i]
		var label int32
		if c.Op == OpDelete {
			label = c.Old.label
			deleted = append(deleted, c.Reference())
		} else {
			if label, err = r.db.labels.intern(ctx, r.db.side, c.Labels); err != nil {
				return nil, err
			}
			if c.Rows != nil {
				for _, ref := range c.Rows.Refs {
					if ref.Target != "" {
						refs[ref.Target] = true
					}
				}
			}
		}
		switch {
		case c.Old == nil:
			about.add(&r.db.consent, c, rids[0], nil)
			created.add(rids[0], c, label, r.db.defs.TypeNumber(c.Type))
			index.create(rids[0], label, c.Rows)
			rids = rids[1:]
		case c.Op == OpDelete:
			about.add(&r.db.consent, c, c.Old.rid, r.oldConsent(c.Old))
			changed.add(c.Old.rid, c, label, 0)
			index.remove(c.Old.rid, containedIn(c.Old.rid, c.Old.stored()))
		case c.Old.Deleted():
			about.add(&r.db.consent, c, c.Old.rid, nil)
			changed.add(c.Old.rid, c, label, 0)
			index.create(c.Old.rid, label, c.Rows)
		default:
			old := r.oldRows(c.Old)
			about.add(&r.db.consent, c, c.Old.rid, old)
			changed.add(c.Old.rid, c, label, 0)
			index.replace(c.Old.rid, label, old, c.Rows, label == c.Old.label)
		}
	}
	r.queueLocks(b, refs, deleted)
	about.queueLocks(b)
	if err := r.queueDecider(ctx, b, about); err != nil {
		return nil, err
	}
	if err := r.queueNarrow(ctx, b, changes, false); err != nil {
		return nil, err
	}
	if len(created.rid) > 0 {
		b.Queue(insertResources, created.rid, created.rk, created.lu, created.version, created.label, created.rtype, created.op, created.id, created.body, created.text)
	}
	if len(changed.rid) > 0 {
		b.Queue(replaceResources, changed.rid, changed.old, changed.lu, changed.version, changed.label, changed.op, changed.body, changed.text, changed.tx)
	}
	index.queue(b)
	about.queue(b, &r.db.consent)
	if err := r.queueNarrow(ctx, b, changes, true); err != nil {
		return nil, err
	}
	r.queueChecks(b, v, refs, deleted)
	return b, nil
}

// oldRows extracts the index rows of a version again, to see which tables stay
// as they are; nil where that cannot be told.
func (r *reader) oldRows(old *Resource) *search.Rows {
	doc, err := fhir.Parse(old.stored(), storedLimits)
	if err != nil {
		return nil
	}
	rows, err := r.db.reg.IndexRows(doc)
	if err != nil {
		return nil
	}
	return rows
}

// oldConsent is oldRows of a Consent that is deleted; nil for anything else, of
// which nothing but that it goes matters.
func (r *reader) oldConsent(old *Resource) *search.Rows {
	if !r.db.consent.enforced || old.Type != "Consent" {
		return nil
	}
	return r.oldRows(old)
}

// queueLocks keeps what is referred to from being deleted meanwhile, and what
// is deleted from being referred to. The locks are advisory: they cost no
// write, as row locks on the targets would.
func (r *reader) queueLocks(b *pgx.Batch, refs map[string]bool, deleted []string) {
	if r.db.opts.CheckReferences && len(refs) > 0 {
		b.Queue(`SELECT pg_advisory_xact_lock_shared(k) FROM unnest($1::int8[]) AS k`, sortedKeys(keysOf(refs)))
	}
	if (r.db.opts.CheckReferrers || r.db.opts.CheckReferences) && len(deleted) > 0 {
		b.Queue(`SELECT pg_advisory_xact_lock(k) FROM unnest($1::int8[]) AS k`, sortedKeys(deleted))
	}
}

// queueChecks looks at the state after all changes, so that a set of changes
// may refer within itself and delete referrers with what they refer to. Only
// what the caller may see counts: an answer must not tell of the rest.
func (r *reader) queueChecks(b *pgx.Batch, v *visible, refs map[string]bool, deleted []string) {
	if r.db.opts.CheckReferences && len(refs) > 0 {
		list := keysOf(refs)
		var args search.Args
		sql := "SELECT ingle_refuse('" + stateDangling + "', (SELECT string_agg(n.ref, ' ') FROM unnest(" + args.Add(list) + "::text[], " + args.Add(refKeys(list)) +
			"::int8[]) AS n(ref, rk) WHERE NOT EXISTS (SELECT 1 FROM " + v.From(search.Resource, nil, "r", &args) + " WHERE r.rk = n.rk)))"
		b.Queue(sql, args.Values()...)
	}
	if r.db.opts.CheckReferrers && len(deleted) > 0 {
		var args search.Args
		sql := "SELECT ingle_refuse('" + stateReferrers + "', (SELECT string_agg(DISTINCT t.name || '/' || f.fhir_id, ', ') FROM (SELECT r.rtype, r.fhir_id FROM " +
			v.From(search.Ref, nil, "x", &args) + " JOIN " + v.From(search.Resource, nil, "r", &args) + " ON r.rid = x.rid WHERE x.rk = ANY(" + args.Add(refKeys(deleted)) +
			") ORDER BY r.rid LIMIT 10) AS f JOIN unnest(" + args.Add(r.db.defs.ResourceTypes()) + "::text[], " + args.Add(r.db.typeNumbers(r.db.defs.ResourceTypes())) + "::int2[]) AS t(name, n) ON t.n = f.rtype))"
		b.Queue(sql, args.Values()...)
	}
}

func keysOf(m map[string]bool) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func sortedKeys(refs []string) []int64 {
	keys := refKeys(refs)
	slices.Sort(keys)
	return slices.Compact(keys)
}

// columns are the arrays of a set of resource rows.
type columns struct {
	rid, rk    []int64
	tx         []int64
	lu         []time.Time
	old        []int32
	version    []int32
	label      []int32
	rtype, op  []int16
	id         []string
	body, text []*string
}

func (k *columns) add(rid int64, c *Change, label int32, rtype int16) {
	k.rid = append(k.rid, rid)
	k.rk = append(k.rk, search.RefKey(c.Reference()))
	k.lu = append(k.lu, c.LastUpdated)
	k.version = append(k.version, int32(c.Version))
	k.label = append(k.label, label)
	k.rtype = append(k.rtype, rtype)
	k.op = append(k.op, int16(c.Op))
	k.id = append(k.id, c.ID)
	if c.Old != nil {
		k.old, k.tx = append(k.old, int32(c.Old.Version)), append(k.tx, int64(c.Old.tx))
	}
	var body, text *string
	if c.Op != OpDelete {
		s := string(c.Body)
		body = &s
		if respelled(c.Body) {
			text = &s
		}
	}
	k.body, k.text = append(k.body, body), append(k.text, text)
}

// respelled tells whether jsonb would give a number back in another spelling:
// it expands exponents and knows no negative zero.
func respelled(body []byte) bool {
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case c == '"':
			for i++; i < len(body) && body[i] != '"'; i++ {
				if body[i] == '\\' {
					i++
				}
			}
		case c == '-' || c >= '0' && c <= '9':
			zero := true
			start := i
			for ; i < len(body); i++ {
				d := body[i]
				if d == 'e' || d == 'E' {
					return true
				}
				if d >= '1' && d <= '9' {
					zero = false
				}
				if (d < '0' || d > '9') && d != '.' && d != '-' {
					break
				}
			}
			if zero && body[start] == '-' {
				return true
			}
			i--
		}
	}
	return false
}

func tooContended(err error) error {
	e := fhir.Errorf(409, fhir.CodeConflict, "the write met with other writes to the same resources %d times; try again", maxRetries+1)
	e.RetryAfter = 1
	return e.Because(fmt.Errorf("retries used up: %w", err))
}
