package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"ingle/fhir"
	"ingle/search"
)

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
	if err := s.eachRange(ctx, conn, func(after, end, _ int64) error { return s.fillCompartments(ctx, conn, t, after, end) }); err != nil {
		return err
	}
	// what was decided before it was last switched off is no longer true
	if _, err := conn.Exec(ctx, `DELETE FROM consent`); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, `SELECT ingle_count_consents($1::int4, $2::int2)`, t.decides, t.patient); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, `SELECT ingle_decide(ARRAY(SELECT DISTINCT rk FROM idx_ref WHERE p = $1::int4), $1, $2::int4, $3::int2) `+ScopeMark, t.decides, t.data, t.study); err != nil {
		return err
	}
	return s.eachRange(ctx, conn, func(after, end, done int64) error {
		_, err := conn.Exec(ctx, `SELECT ingle_withhold(ARRAY(SELECT rid FROM resource WHERE rid > $1 AND rid <= $2), $3::int4[], $4::int2, $5::bool) `+ScopeMark,
			after, end, t.inside, t.patient, t.otherwise)
		progress(done)
		return err
	})
}

// eachRange calls f for one range of resources after the other, with how many
// they are so far.
func (s *Session) eachRange(ctx context.Context, conn *pgx.Conn, f func(after, end, done int64) error) error {
	for after, done := int64(0), int64(0); ; {
		var end *int64
		var n int64
		if err := conn.QueryRow(ctx, `SELECT max(rid), count(*) FROM (SELECT rid FROM resource WHERE rid > $1 ORDER BY rid LIMIT $2) AS n `+ScopeMark, after, consentRange).Scan(&end, &n); err != nil {
			return err
		}
		if end == nil {
			return nil
		}
		done += n
		if err := f(after, *end, done); err != nil {
			return err
		}
		after = *end
	}
}

// fillCompartments notes in whose compartments the versions of a range of
// resources are and were.
func (s *Session) fillCompartments(ctx context.Context, conn *pgx.Conn, t *consentTerms, after, end int64) error {
	rows, err := conn.Query(ctx, `SELECT r.rid, r.rtype, r.fhir_id, v.body FROM resource AS r `+ScopeMark+` CROSS JOIN LATERAL (SELECT coalesce(r.body_text, r.body::text) AS body
		UNION ALL SELECT coalesce(h.body_text, h.body::text) FROM resource_history AS h `+ScopeMark+` WHERE h.rid = r.rid) AS v WHERE r.rid > $1 AND r.rid <= $2`, after, end)
	if err != nil {
		return err
	}
	defer rows.Close()
	var of, ofRID []int64
	for rows.Next() {
		var rid int64
		var rtype int16
		var id string
		var body []byte
		if err := rows.Scan(&rid, &rtype, &id, &body); err != nil {
			return err
		}
		if rtype == t.patient {
			of, ofRID = append(of, search.RefKey("Patient/"+id)), append(ofRID, rid)
		}
		if body == nil {
			continue
		}
		doc, err := fhir.Parse(body, storedLimits)
		if err != nil {
			return fmt.Errorf("a stored resource cannot be read: %w", err)
		}
		found, err := s.db.reg.IndexRows(doc)
		if err != nil {
			return fmt.Errorf("a stored resource cannot be indexed: %w", err)
		}
		for _, ref := range found.Refs {
			if t.about(&ref) {
				of, ofRID = append(of, ref.RK), append(ofRID, rid)
			}
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, insertCompartment, of, ofRID)
	return err
}
