package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"ingle/search"
)

// Consent enforcement: the Consents of a patient decide whether others see the
// patient's compartment. What is withheld stands under a label set of its own, the
// resource's labels and withheldPath, so that reads, searches and totals need no
// further condition. The set changes in the transaction that changes the decision
// or the resource (migrations/sql/0010_access.up.sql).

// Values of Options.Consent: what holds for patients whose Consents say nothing.
const (
	ConsentOptOut = "opt-out" // their data are seen
	ConsentOptIn  = "opt-in"  // they are withheld
)

// withheldPath is in the label sets of what is withheld. No grant covers it.
const withheldPath = "!consent"

// withheld tells whether a label set is one of what is withheld; paths are the
// labels that callers know.
func withheld(set []string) (paths []string, yes bool) {
	if len(set) > 0 && set[0] == withheldPath {
		return set[1:], true
	}
	return set, false
}

// consentTerms are what the statements of consent enforcement need to know.
type consentTerms struct {
	enforced  bool
	otherwise bool    // data of patients without a decision are seen
	inside    []int32 // parameters of the Patient compartment
	decides   int32   // Consent.patient
	data      int32   // Consent.data
	patient   int16
	study     int16
}

func (db *DB) consentTerms() consentTerms {
	t := consentTerms{enforced: db.opts.Consent != "", otherwise: db.opts.Consent != ConsentOptIn,
		decides: int32(search.ParamIDOf("Consent", "patient")), data: int32(search.ParamIDOf("Consent", "data")),
		patient: db.defs.TypeNumber("Patient"), study: db.defs.TypeNumber("ResearchStudy")}
	for typ, codes := range db.defs.Compartment("Patient").Params {
		for _, code := range codes {
			t.inside = append(t.inside, int32(search.ParamIDOf(typ, code)))
		}
	}
	slices.Sort(t.inside)
	return t
}

// seesWithheld tells whether consent does not bind the caller: administrators,
// the server itself, and patients with their own scopes.
func (r *reader) seesWithheld() bool {
	return !r.db.consent.enforced || r.scope.Admin() || r.scope.IsSystem() || r.scope.PatientOnly()
}

// concerns are the patients that changes are about, by key.
type concerns struct {
	inside  map[int64]bool   // in whose compartments something is written
	decided map[int64]string // whose Consents change, with the reference
	made    map[int64]bool   // that are new
	rids    []int64          // of what is written, without deletions
}

func newConcerns() *concerns {
	return &concerns{inside: map[int64]bool{}, decided: map[int64]string{}, made: map[int64]bool{}}
}

// add notes a change; old are the index rows of the version that it replaces.
func (c *concerns) add(t *consentTerms, change *Change, rid int64, old *search.Rows) {
	if !t.enforced {
		return
	}
	if change.Op != OpDelete {
		c.rids = append(c.rids, rid)
	}
	for _, rows := range []*search.Rows{old, change.Rows} {
		if rows == nil {
			continue
		}
		for _, ref := range rows.Refs {
			if change.Type == "Consent" && int32(ref.P) == t.decides {
				c.decided[ref.RK] = ref.Target
			}
			if _, found := slices.BinarySearch(t.inside, int32(ref.P)); found {
				c.inside[ref.RK] = true
			}
		}
	}
	if change.Type == "Patient" {
		rk := search.RefKey(change.Reference())
		c.inside[rk] = true
		if change.Old == nil || change.Old.Deleted() {
			c.made[rk] = true
		}
	}
}

// consentLocks keeps decisions and what they are about apart: a resource is
// written before a decision, which then finds it, or after it, and then it finds
// the decision.
const consentLocks = `SELECT CASE WHEN n.alone THEN pg_advisory_xact_lock(1668247155, n.k) ELSE pg_advisory_xact_lock_shared(1668247155, n.k) END
	FROM (SELECT (k >> 32)::int4 AS k, bool_or(alone) AS alone FROM unnest($1::int8[], $2::bool[]) AS u(k, alone) GROUP BY 1 ORDER BY 1) AS n`

// queueLocks takes the locks before anything is written.
func (c *concerns) queueLocks(b *pgx.Batch) {
	if len(c.inside) == 0 && len(c.decided) == 0 {
		return
	}
	var keys []int64
	var alone []bool
	for rk := range c.inside {
		_, decided := c.decided[rk]
		keys, alone = append(keys, rk), append(alone, decided || c.made[rk])
	}
	for rk := range c.decided {
		keys, alone = append(keys, rk), append(alone, true)
	}
	b.Queue(consentLocks, keys, alone)
}

const withholdWritten = `SELECT ingle_withhold(ARRAY(SELECT unnest($1::int8[])
	UNION SELECT x.rid FROM idx_ref AS x ` + ScopeMark + ` WHERE x.rk = ANY($2::int8[]) AND x.p = ANY($3::int4[])
	UNION SELECT r.rid FROM resource AS r WHERE r.rk = ANY($2::int8[])), $3, $4::int2, $5::bool) ` + ScopeMark

// queue decides anew, and withholds what is to be withheld, after all is written.
func (c *concerns) queue(b *pgx.Batch, t *consentTerms) {
	var patients []int64
	for rk := range c.decided {
		patients = append(patients, rk)
	}
	if len(patients) > 0 {
		b.Queue(`SELECT ingle_decide($1::int8[], $2::int4, $3::int4, $4::int2)`, patients, t.decides, t.data, t.study)
	}
	for rk := range c.made {
		patients = append(patients, rk)
	}
	if len(patients)+len(c.rids) > 0 {
		b.Queue(withholdWritten, c.rids, patients, t.inside, t.patient, t.otherwise)
	}
	for rk, reference := range c.decided {
		b.Queue(`SELECT ingle_withhold_deleted($1, $2::int8, $3::bool)`, reference, rk, t.otherwise)
	}
}

var errNotSystemConsent = errors.New("store: only the server's own work may enforce consent on everything")

// consentRange is how many resources EnforceConsent looks at in one statement.
const consentRange = 2000

// EnforceConsent applies Options.Consent to what is stored, where it was not in
// force or not the same before. progress is told the resources looked at.
// A server calls it before it answers anybody.
func (s *Session) EnforceConsent(ctx context.Context, progress func(resources int64)) error {
	if !s.scope.IsSystem() {
		return errNotSystemConsent
	}
	conn, err := s.db.pool.Acquire(ctx)
	if err != nil {
		return domain(ctx, err)
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock(1668247155, 0)`); err != nil {
		return domain(ctx, err)
	}
	defer func() {
		_, _ = conn.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock(1668247155, 0)`) // it ends with the connection too
	}()
	var have string
	err = conn.QueryRow(ctx, `SELECT convert_from(value, 'UTF8') FROM setting WHERE name = 'consent'`).Scan(&have)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return domain(ctx, err)
	}
	if have == s.db.opts.Consent {
		return nil
	}
	t := &s.db.consent
	if t.enforced {
		if err := s.enforceConsent(ctx, conn.Conn(), t, progress); err != nil {
			return domain(ctx, fmt.Errorf("enforce consent: %w", err))
		}
	}
	_, err = conn.Exec(ctx, `INSERT INTO setting (name, value) VALUES ('consent', convert_to($1, 'UTF8')) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, s.db.opts.Consent)
	return domain(ctx, err)
}

func (s *Session) enforceConsent(ctx context.Context, conn *pgx.Conn, t *consentTerms, progress func(int64)) error {
	if _, err := conn.Exec(ctx, `SELECT ingle_decide(ARRAY(SELECT DISTINCT rk FROM idx_ref WHERE p = $1::int4), $1, $2::int4, $3::int2) `+ScopeMark, t.decides, t.data, t.study); err != nil {
		return err
	}
	for after, done := int64(0), int64(0); ; {
		var end *int64
		var n int64
		if err := conn.QueryRow(ctx, `SELECT max(rid), count(*) FROM (SELECT rid FROM resource WHERE rid > $1 ORDER BY rid LIMIT $2) AS n `+ScopeMark, after, consentRange).Scan(&end, &n); err != nil {
			return err
		}
		if end == nil {
			break
		}
		if _, err := conn.Exec(ctx, `SELECT ingle_withhold(ARRAY(SELECT rid FROM resource WHERE rid > $1 AND rid <= $2), $3::int4[], $4::int2, $5::bool) `+ScopeMark,
			after, *end, t.inside, t.patient, t.otherwise); err != nil {
			return err
		}
		after, done = *end, done+n
		progress(done)
	}
	_, err := conn.Exec(ctx, `SELECT ingle_withhold_deleted('Patient/' || p.fhir_id, p.rk, $2) FROM (
			SELECT DISTINCT m[1] AS id FROM resource AS r `+ScopeMark+` JOIN resource_history AS h `+ScopeMark+` ON h.rid = r.rid AND h.version = r.version - 1
				CROSS JOIN LATERAL regexp_matches(coalesce(h.body_text, h.body::text), '"Patient/([^"/]+)"', 'g') AS m WHERE r.op = 4
			UNION SELECT fhir_id FROM resource `+ScopeMark+` WHERE op = 4 AND rtype = $1::int2
		) AS n JOIN resource AS p ON p.rtype = $1::int2 AND p.fhir_id = n.id `+ScopeMark, t.patient, t.otherwise)
	return err
}
