package store

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"ingle/authz"
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
	return !r.db.consent.enforced || r.scope.Admin() || r.scope.IsSystem() || r.scope.PatientOnly() && r.scope.Self() != ""
}

// concerns are the patients that changes are about, by key.
type concerns struct {
	inside  map[int64]bool // in whose compartments something is written
	decided map[int64]bool // whose Consents change
	made    map[int64]bool // that are new
	fresh   map[int64]bool // that never were before
	rids    []int64        // of what is written

	of, ofRID []int64 // patients, and what is in their compartments from now on
	studies   []int64 // ResearchStudies that come under other labels, or come or go
	consents  []int64 // numbers of the Consents that are written
	versions  []int32 // theirs
}

func newConcerns() *concerns {
	return &concerns{inside: map[int64]bool{}, decided: map[int64]bool{}, made: map[int64]bool{}, fresh: map[int64]bool{}}
}

// add notes a change; old are the index rows of the version that it replaces.
func (c *concerns) add(t *consentTerms, change *Change, rid int64, old *search.Rows) {
	if !t.enforced {
		return
	}
	c.rids = append(c.rids, rid)
	for _, rows := range []*search.Rows{old, change.Rows} {
		if rows == nil {
			continue
		}
		for _, ref := range rows.Refs {
			if change.Type == "Consent" && int32(ref.P) == t.decides {
				c.decided[ref.RK] = true
			}
			if t.about(&ref) {
				c.inside[ref.RK] = true
				c.of, c.ofRID = append(c.of, ref.RK), append(c.ofRID, rid)
			}
		}
	}
	rk := search.RefKey(change.Reference())
	gone := change.Old == nil || change.Old.Deleted()
	switch change.Type {
	case "Patient":
		c.inside[rk] = true
		c.of, c.ofRID = append(c.of, rk), append(c.ofRID, rid)
		if gone {
			c.made[rk] = true
			c.fresh[rk] = change.Old == nil
		}
	case "Consent":
		if change.Op != OpDelete {
			c.consents, c.versions = append(c.consents, rid), append(c.versions, int32(change.Version))
		}
	case "ResearchStudy":
		if gone || change.Op == OpDelete || !slices.Equal(change.Old.Labels, change.Labels) {
			c.studies = append(c.studies, rk)
		}
	}
}

// about tells whether a reference puts what refers into a Patient compartment.
func (t *consentTerms) about(ref *search.RefRow) bool {
	_, found := slices.BinarySearch(t.inside, int32(ref.P))
	return found && strings.HasPrefix(ref.Target, "Patient/")
}

// The locks of consent keep decisions and what they are about apart: a resource is
// written before a decision, which then finds it, or after it, and then it finds
// the decision. Decisions are made one after the other, since a resource may be
// about several patients. A new patient and what refers to it are kept apart by
// the patient.
const (
	lockDecisions   = `SELECT pg_advisory_xact_lock(1668247156, 0)`
	lockUndecided   = `SELECT pg_advisory_xact_lock_shared(1668247156, 0)`
	lockCompartment = `SELECT CASE WHEN n.alone THEN pg_advisory_xact_lock(1668247155, n.k) ELSE pg_advisory_xact_lock_shared(1668247155, n.k) END
	FROM (SELECT (k >> 32)::int4 AS k, bool_or(alone) AS alone FROM unnest($1::int8[], $2::bool[]) AS u(k, alone) GROUP BY 1 ORDER BY 1) AS n`
)

// queueLocks takes the locks before anything is written.
func (c *concerns) queueLocks(b *pgx.Batch) {
	switch {
	case len(c.decided)+len(c.studies) > 0:
		b.Queue(lockDecisions)
	case len(c.rids) > 0:
		b.Queue(lockUndecided)
	}
	if len(c.inside) == 0 {
		return
	}
	var keys []int64
	var alone []bool
	for rk := range c.inside {
		keys, alone = append(keys, rk), append(alone, c.made[rk])
	}
	b.Queue(lockCompartment, keys, alone)
}

// queueDecider has the database check, before anything is written, that the
// caller may decide about the patients whose Consents change: may update the
// Patient as it is stored, is that patient, or makes it. A patient that the caller
// may not see is refused like one that does not exist.
func (r *reader) queueDecider(ctx context.Context, b *pgx.Batch, c *concerns) error {
	if len(c.decided) == 0 || r.scope.Admin() || r.scope.IsSystem() {
		return nil
	}
	self := int64(0)
	if id := r.scope.Self(); id != "" {
		self = search.RefKey("Patient/" + id)
	}
	var others []int64
	for rk := range c.decided {
		if !c.fresh[rk] && (self == 0 || rk != self) {
			others = append(others, rk)
		}
	}
	if len(others) == 0 {
		return nil
	}
	v, err := r.visible(ctx, authz.Update)
	if err != nil {
		return err
	}
	var args search.Args
	b.Queue("SELECT ingle_refuse('"+stateDecider+"', (SELECT 'Consent.patient' FROM unnest("+args.Add(others)+"::int8[]) AS n(rk) WHERE NOT EXISTS (SELECT 1 FROM "+
		v.From(search.Resource, []string{"Patient"}, "r", &args)+" WHERE r.rk = n.rk) LIMIT 1))", args.Values()...)
	return nil
}

const withholdWritten = `SELECT ingle_withhold(ARRAY(SELECT unnest($1::int8[]) UNION SELECT x.rid FROM compartment AS x WHERE x.rk = ANY($2::int8[])), $3::int4[], $4::int2, $5::bool)`

// withholdBound is the same for the patients whose Consents name studies.
const withholdBound = `SELECT ingle_withhold(ARRAY(SELECT x.rid FROM compartment AS x WHERE x.rk IN (SELECT ingle_bound_to($1::int8[], $2::int4, $3::int4))), $4::int4[], $5::int2, $6::bool)`

// queue decides anew, and withholds what is to be withheld, after all is written.
func (c *concerns) queue(b *pgx.Batch, t *consentTerms) {
	if len(c.rids) == 0 {
		return
	}
	if len(c.of) > 0 {
		b.Queue(insertCompartment, c.of, c.ofRID)
	}
	if len(c.consents) > 0 {
		b.Queue(`INSERT INTO consent_counted SELECT * FROM unnest($1::int8[], $2::int4[]) ON CONFLICT (rid) DO UPDATE SET version = excluded.version`, c.consents, c.versions)
	}
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
	b.Queue(withholdWritten, c.rids, patients, t.inside, t.patient, t.otherwise)
	if len(c.studies) > 0 {
		b.Queue(`SELECT ingle_decide(ARRAY(SELECT ingle_bound_to($1::int8[], $2::int4, $3::int4)), $2::int4, $3::int4, $4::int2)`, c.studies, t.decides, t.data, t.study)
		b.Queue(withholdBound, c.studies, t.decides, t.data, t.inside, t.patient, t.otherwise)
	}
}

const insertCompartment = `INSERT INTO compartment (rk, rid) SELECT * FROM unnest($1::int8[], $2::int8[]) ON CONFLICT DO NOTHING`
