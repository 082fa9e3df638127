package store

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"ingle/fhir"
)

// Async is an asynchronous request (R4 async.html): its caller gets an id at
// once and the answer later. Only the principal who made it can find it, and only
// with the rights that it was made with (authz.Scope.Digest). Who is bound by the
// Consents of patients finds it until one of them is written; not so an export,
// whose files are read with the decisions of then.
type Async struct {
	ID      string
	Export  bool
	Done    bool      // the content is there
	Status  int       // of the answer, once it is there
	Lost    bool      // the server that worked on it is gone
	Created time.Time // when it was asked
	Expires time.Time // when it is forgotten
}

const (
	asyncLease = 30 * time.Second // how long a silent server keeps its work
	asyncOpen  = 20               // requests of one principal that are not forgotten yet
	asyncPart  = 1 << 20          // bytes of one row of content

	exportsOpen    = 50 // exports of one principal that are not forgotten yet
	exportsRunning = 3  // of those, that are not done
)

// ErrAsyncSize is the error of content beyond the limit.
var ErrAsyncSize = errors.New("store: the answer is larger than it may be")

// StartAsync makes a request that is forgotten after keep, finished or not. A
// principal with too many of them is told so (429).
func (s *Session) StartAsync(ctx context.Context, export bool, keep time.Duration) (id string, err error) {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	id = hex.EncodeToString(random[:])
	open, running := asyncOpen, asyncOpen
	if export {
		open, running = exportsOpen, exportsRunning
	}
	// both in one transaction: of those that begin at once each counts the others
	batch := &pgx.Batch{}
	batch.Queue(`SELECT pg_advisory_xact_lock(hashtextextended('async_request ' || $1, 0))`, s.scope.Principal())
	batch.Queue(`INSERT INTO async_request (id, principal, leased, expires, rights, export) SELECT $1, $2, now() + $3, now() + $4, $6, $8
		WHERE (SELECT count(*) < $5 AND count(*) FILTER (WHERE NOT done AND leased > now()) < $7 FROM async_request WHERE principal = $2 AND expires > now() AND export = $8)`,
		id, s.scope.Principal(), asyncLease, keep, open, s.scope.Digest(), running, export)
	var tag pgconn.CommandTag
	answers := s.db.pool.SendBatch(ctx, batch)
	for range batch.Len() {
		if tag, err = answers.Exec(); err != nil {
			break
		}
	}
	if closed := answers.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return "", domain(ctx, fmt.Errorf("start an asynchronous request: %w", err))
	}
	if tag.RowsAffected() == 0 {
		e := fhir.Errorf(429, fhir.CodeThrottled, "you have %d asynchronous requests already; fetch and DELETE some of them", asyncOpen)
		if export {
			e = fhir.Errorf(429, fhir.CodeThrottled, "you have %d exports that are not done, or %d in all; wait for one of them, or DELETE some", exportsRunning, exportsOpen)
		}
		e.RetryAfter = 10
		return "", e
	}
	return id, nil
}

// KeepAsync tells the others that this server works on a request; wanted is
// false once it was cancelled. It is to be called every few seconds.
func (s *Session) KeepAsync(ctx context.Context, id string) (wanted bool, err error) {
	tag, err := s.db.pool.Exec(ctx, `UPDATE async_request SET leased = now() + $2 WHERE id = $1`, id, asyncLease)
	return err == nil && tag.RowsAffected() == 1, domain(ctx, err)
}

// FinishAsync stores what write writes as the content of a request, and its status.
// If that fails, or is more than limit bytes (ErrAsyncSize), nothing is stored. A
// request that was cancelled meanwhile stays so.
func (s *Session) FinishAsync(ctx context.Context, id string, status, limit int, write func(io.Writer) error) error {
	err := pgx.BeginFunc(ctx, s.db.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE async_request SET done = true, status = $2 WHERE id = $1`, id, status)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		w := &asyncWriter{ctx: ctx, tx: tx, id: id, left: limit}
		if err := write(w); err != nil {
			return err
		}
		return w.flush()
	})
	if errors.Is(err, ErrAsyncSize) {
		return err
	}
	return domain(ctx, err)
}

// asyncWriter writes content in rows of asyncPart bytes.
type asyncWriter struct {
	ctx  context.Context
	tx   pgx.Tx
	id   string
	part int
	left int
	buf  []byte
}

func (w *asyncWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, ErrAsyncSize
	}
	w.buf = append(w.buf, p...)
	if len(w.buf) < asyncPart {
		return len(p), nil
	}
	return len(p), w.flush()
}

func (w *asyncWriter) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	w.part++
	_, err := w.tx.Exec(w.ctx, `INSERT INTO async_content (id, part, content) VALUES ($1, $2, $3)`, w.id, w.part, w.buf)
	w.buf = w.buf[:0]
	return err
}

// Async returns the caller's request, nil if there is none or it is forgotten.
func (s *Session) Async(ctx context.Context, id string) (*Async, error) {
	a := &Async{ID: id}
	err := s.db.pool.QueryRow(ctx, `SELECT export, done, status, NOT done AND leased < now(), created, expires FROM async_request
		WHERE id = $1 AND principal = $2 AND rights = $3 AND expires > now()
		AND NOT ($4 AND NOT export AND EXISTS (SELECT 1 FROM resource AS c WHERE c.rtype = $5 AND c.lu >= async_request.created `+ScopeMark+`))`,
		id, s.scope.Principal(), s.scope.Digest(), !s.seesWithheld(), s.db.defs.TypeNumber("Consent")).Scan(&a.Export, &a.Done, &a.Status, &a.Lost, &a.Created, &a.Expires)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return a, domain(ctx, err)
}

// AsyncContent writes the content of the caller's request, part by part.
func (s *Session) AsyncContent(ctx context.Context, id string, w io.Writer) error {
	for part := 1; ; part++ {
		content, err := s.asyncPart(ctx, id, part)
		if err != nil || content == nil {
			return err
		}
		if _, err := w.Write(content); err != nil {
			return err
		}
	}
}

// asyncPart reads one row of content, nil beyond the last. A request that is gone is
// an error: what came before is not all.
func (s *Session) asyncPart(ctx context.Context, id string, part int) (content []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.readTime())
	defer cancel()
	err = s.db.pool.QueryRow(ctx, `SELECT c.content FROM async_request r LEFT JOIN async_content c ON c.id = r.id AND c.part = $4
		WHERE r.id = $1 AND r.principal = $2 AND r.rights = $3`, id, s.scope.Principal(), s.scope.Digest(), part).Scan(&content)
	return content, domain(ctx, err)
}

// CancelAsync forgets the caller's request; found tells whether there was one.
func (s *Session) CancelAsync(ctx context.Context, id string) (found bool, err error) {
	tag, err := s.db.pool.Exec(ctx, `DELETE FROM async_request WHERE id = $1 AND principal = $2 AND rights = $3`, id, s.scope.Principal(), s.scope.Digest())
	return err == nil && tag.RowsAffected() == 1, domain(ctx, err)
}

// ForgetAsync deletes the requests of anybody that have expired, and what exports of
// a year ago saw.
func (db *DB) ForgetAsync(ctx context.Context) error {
	b := &pgx.Batch{}
	b.Queue(`DELETE FROM async_request WHERE expires < now()`)
	b.Queue(`DELETE FROM export_time WHERE at < now() - interval '1 year'`)
	return domain(ctx, db.pool.SendBatch(ctx, b).Close())
}

// Unhurried runs fn with a reader of one snapshot whose searches may take as
// long as the limit, beyond what other reads may.
func (s *Session) Unhurried(ctx context.Context, limit time.Duration, fn func(tx *Tx) error) error {
	err := pgx.BeginTxFunc(ctx, s.db.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(ptx pgx.Tx) error {
		if _, err := ptx.Exec(ctx, fmt.Sprintf("SET LOCAL statement_timeout = %d", limit.Milliseconds())); err != nil {
			return err
		}
		return fn(&Tx{reader: reader{db: s.db, q: ptx, scope: s.scope, time: limit}, pgx: ptx})
	})
	return domain(ctx, err)
}
