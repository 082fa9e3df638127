package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"ingle/authz"
	"ingle/fhir"
	"ingle/search"
)

// ReindexJob is the work of taking index rows out of stored resources again: a
// search parameter was added, or the extraction has changed.
type ReindexJob struct {
	ID       int64
	Subject  string   // what for; a search parameter's canonical URL with version
	Types    []string // resource types to go through, nil for all
	State    string   // waiting, running, done, failed
	Done     int64    // resources so far
	Percent  int      // of the way
	Message  string   // what went wrong the last time
	position int64
}

// reindexBatch is how many resources are locked and written at once, and
// jobLease how long a silent server keeps its job.
const (
	reindexBatch = 200
	jobLease     = 30 * time.Second
	// jobTries is how often a job is taken without going forward before it is
	// given up, and jobPause how long it rests before the next.
	jobTries = 5
	jobPause = 5 * time.Second
)

var errNotSystem = errors.New("store: only the server's own work may reindex")

// StartReindex adds a job that begins after the delay, unless one for the same
// subject waits or runs. It returns the job's number.
func (s *Session) StartReindex(ctx context.Context, subject string, types []string, delay time.Duration) (int64, error) {
	if !s.scope.IsSystem() {
		return 0, errNotSystem
	}
	numbers := []int16{}
	for _, t := range types {
		numbers = append(numbers, s.db.defs.TypeNumber(t))
	}
	var id int64
	err := s.db.pool.QueryRow(ctx, `WITH open AS (SELECT id FROM job WHERE kind = 'reindex' AND subject = $1 AND state IN ('waiting', 'running') ORDER BY id LIMIT 1),
		added AS (INSERT INTO job (kind, subject, types, begins) SELECT 'reindex', $1, $2, now() + $3 WHERE NOT EXISTS (SELECT 1 FROM open) RETURNING id)
		SELECT id FROM open UNION ALL SELECT id FROM added`, subject, numbers, delay).Scan(&id)
	if err != nil {
		return 0, domain(ctx, fmt.Errorf("start to reindex: %w", err))
	}
	return id, nil
}

const jobColumns = "id, subject, types, state, done, message, position"

// jobPercent is the part of the numbers handed out that lies behind a job, which
// goes through the resources in their order.
const jobPercent = "CASE state WHEN 'done' THEN 100 ELSE least(99, 100 * position / (SELECT last_value FROM rid_seq)) END"

// ReindexJobs returns the newest job of each subject.
func (s *Session) ReindexJobs(ctx context.Context) (map[string]*ReindexJob, error) {
	jobs, err := s.jobs(ctx, "SELECT DISTINCT ON (subject) *", "WHERE kind = 'reindex' ORDER BY subject, id DESC")
	if err != nil {
		return nil, err
	}
	out := map[string]*ReindexJob{}
	for _, j := range jobs {
		out[j.Subject] = j
	}
	return out, nil
}

// ReindexJob returns a job by its number, nil if there is none.
func (s *Session) ReindexJob(ctx context.Context, id int64) (*ReindexJob, error) {
	jobs, err := s.jobs(ctx, "SELECT *", "WHERE id = $1", id)
	if err != nil || len(jobs) == 0 {
		return nil, err
	}
	return jobs[0], nil
}

func (s *Session) jobs(ctx context.Context, which, where string, values ...any) ([]*ReindexJob, error) {
	if !s.scope.IsSystem() {
		return nil, errNotSystem
	}
	rows, err := s.db.pool.Query(ctx, "SELECT "+jobColumns+", "+jobPercent+" FROM ("+which+" FROM job "+where+") j ORDER BY id", values...)
	if err != nil {
		return nil, domain(ctx, fmt.Errorf("read the jobs: %w", err))
	}
	jobs, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*ReindexJob, error) { return s.db.job(row, true) })
	return jobs, domain(ctx, err)
}

func (db *DB) job(row pgx.CollectableRow, percent bool) (*ReindexJob, error) {
	j := &ReindexJob{}
	var types []int16
	to := []any{&j.ID, &j.Subject, &types, &j.State, &j.Done, &j.Message, &j.position}
	if percent {
		to = append(to, &j.Percent)
	}
	if err := row.Scan(to...); err != nil {
		return nil, err
	}
	for _, n := range types {
		j.Types = append(j.Types, db.defs.TypeName(n))
	}
	return j, nil
}

// Reindexing is a job that is not done, for everybody to see.
type Reindexing struct {
	Job     int64  `json:"job"`
	For     string `json:"for"` // ReindexJob.Subject
	State   string `json:"state"`
	Done    int64  `json:"resources"`
	Percent int    `json:"percent"`
}

// Reindexing lists the newest job of each subject that is not done.
func (db *DB) Reindexing(ctx context.Context) ([]Reindexing, error) {
	rows, err := db.pool.Query(ctx, "SELECT id, subject, state, done, "+jobPercent+` FROM
		(SELECT DISTINCT ON (subject) * FROM job WHERE kind = 'reindex' ORDER BY subject, id DESC) j WHERE state <> 'done' ORDER BY id`)
	if err != nil {
		return nil, domain(ctx, err)
	}
	jobs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Reindexing])
	return jobs, domain(ctx, err)
}

// RunReindex takes one job that is due, or that its server left, and works on it
// until it is done or ctx ends. It returns nil if there was none. A job that
// was taken several times without going forward has failed: it is returned so.
func (s *Session) RunReindex(ctx context.Context) (*ReindexJob, error) {
	if !s.scope.IsSystem() {
		return nil, errNotSystem
	}
	rows, err := s.db.pool.Query(ctx, `UPDATE job SET state = CASE WHEN tries >= $2 THEN 'failed' ELSE 'running' END, ended = CASE WHEN tries >= $2 THEN now() END,
		tries = tries + 1, leased = now() + $1 WHERE id = (
		SELECT id FROM job WHERE kind = 'reindex' AND begins <= now() AND (state = 'waiting' OR state = 'running' AND leased < now())
		ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING `+jobColumns, jobLease, jobTries)
	if err != nil {
		return nil, domain(ctx, fmt.Errorf("take a job: %w", err))
	}
	job, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (*ReindexJob, error) { return s.db.job(row, false) })
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil || job.State == "failed" {
		return job, domain(ctx, err)
	}
	for {
		n, err := s.reindexBatch(ctx, job)
		if err != nil {
			if transient(err) {
				continue
			}
			return job, s.rest(ctx, job, domain(ctx, err))
		}
		if n < reindexBatch {
			return job, s.finish(ctx, job)
		}
	}
}

// rest puts a job aside after an error; it goes on later from where it is. When
// ctx ended it is left as it is: its lease runs out.
func (s *Session) rest(ctx context.Context, job *ReindexJob, why error) error {
	if ctx.Err() != nil {
		return why
	}
	_, err := s.db.pool.Exec(ctx, `UPDATE job SET state = 'waiting', begins = now() + $2::interval * tries, message = left($3, 1000) WHERE id = $1 AND state = 'running'`,
		job.ID, jobPause, why.Error())
	return errors.Join(why, domain(ctx, err))
}

// finish marks a job as done, and what the database is then up to.
func (s *Session) finish(ctx context.Context, job *ReindexJob) error {
	b := &pgx.Batch{}
	b.Queue(`UPDATE job SET state = 'done', ended = now(), message = '' WHERE id = $1`, job.ID)
	if version, ok := strings.CutPrefix(job.Subject, extractionSubject); ok {
		b.Queue(setExtraction, []byte(version))
	}
	if err := s.db.pool.SendBatch(ctx, b).Close(); err != nil {
		return domain(ctx, err)
	}
	job.State = "done"
	return nil
}

// reindexBatch writes the index rows of the next resources anew, and the place
// it has come to, in one transaction.
func (s *Session) reindexBatch(ctx context.Context, job *ReindexJob) (n int, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.db.opts.WriteTimeout)
	defer cancel()
	tx, err := s.db.pool.Begin(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	v, err := s.visible(ctx, authz.Read)
	if err != nil {
		return 0, err
	}
	var args search.Args
	sql := "SELECT rid, label, " + bodyText + " FROM " + v.From(search.Resource, job.Types, "r", &args) + " WHERE rid > " + args.Add(job.position)
	if job.Types != nil {
		of := "rtype = ANY(" + args.Add(s.db.typeNumbers(job.Types)) + "::int2[])"
		sql += " AND (" + of + " OR EXISTS (SELECT 1 FROM " + v.From(contained, nil, "i", &args) + " WHERE i.container = r.rid AND i." + of + "))"
	}
	// whoever changes one of them waits, and writes its rows after ours
	rows, err := tx.Query(ctx, sql+" ORDER BY rid LIMIT "+args.Add(reindexBatch)+" FOR NO KEY UPDATE", args.Values()...)
	if err != nil {
		return 0, err
	}
	index := newIndexChanges()
	var coded []Change
	position, n, err := s.reindexed(rows, index, &coded)
	if err != nil || n == 0 {
		return 0, err
	}
	if err := s.db.tokens.learn(ctx, s.db.pool, coded); err != nil {
		return 0, err
	}
	b := &pgx.Batch{}
	index.queue(b)
	b.Queue(`UPDATE job SET position = $2, done = done + $3, leased = now() + $4, tries = 0 WHERE id = $1`, job.ID, position, n, jobLease)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return 0, err
	}
	if err := tx.Commit(ctx); err != nil {
		return 0, err
	}
	job.position, job.Done = position, job.Done+int64(n)
	return n, nil
}

func (s *Session) reindexed(rows pgx.Rows, index *indexChanges, coded *[]Change) (position int64, n int, err error) {
	defer rows.Close()
	for rows.Next() {
		var rid int64
		var label int32
		var body []byte
		if err := rows.Scan(&rid, &label, &body); err != nil {
			return 0, 0, err
		}
		doc, err := fhir.Parse(body, storedLimits)
		if err != nil {
			return 0, 0, fmt.Errorf("reindex: a stored resource cannot be read: %w", err)
		}
		found, err := s.db.reg.IndexRows(doc)
		if err != nil {
			return 0, 0, fmt.Errorf("reindex: %w", err)
		}
		index.replace(rid, label, nil, found, true)
		*coded = append(*coded, Change{Rows: found})
		position = rid
		n++
	}
	return position, n, rows.Err()
}

// ReindexOne writes the index rows of one resource anew.
func (s *Session) ReindexOne(ctx context.Context, typ, id string) error {
	if !s.scope.IsSystem() {
		return errNotSystem
	}
	return s.InTx(ctx, func(tx *Tx) error {
		v, err := tx.visible(ctx, authz.Read)
		if err != nil {
			return err
		}
		var args search.Args
		rows, err := tx.q.Query(ctx, "SELECT rid, label, "+bodyText+" FROM "+v.From(search.Resource, []string{typ}, "r", &args)+
			" WHERE rk = "+args.Add(search.RefKey(typ+"/"+id))+" AND fhir_id = "+args.Add(id)+" FOR NO KEY UPDATE", args.Values()...)
		if err != nil {
			return err
		}
		index := newIndexChanges()
		var coded []Change
		_, n, err := s.reindexed(rows, index, &coded)
		if err != nil {
			return err
		}
		if n == 0 {
			return fhir.Errorf(404, fhir.CodeNotFound, "%s/%s is not known", typ, id)
		}
		if err := s.db.tokens.learn(ctx, s.db.pool, coded); err != nil {
			return err
		}
		b := &pgx.Batch{}
		index.queue(b)
		return tx.q.SendBatch(ctx, b).Close()
	})
}
