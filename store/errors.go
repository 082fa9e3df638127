package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"ingle/fhir"
	"ingle/search"
)

// ErrConflict means that another transaction was first: the version to be
// replaced is no longer the current one, or the new resource is there already.
// Nothing was written; read again and decide again.
var ErrConflict = errors.New("another transaction changed the resource first")

// takenError is ErrConflict where a new resource is there already: another
// transaction was first, or it is one that the caller may not see.
type takenError struct{ reference string }

func (e *takenError) Error() string { return ErrConflict.Error() + ": " + e.reference + " is there" }

func (e *takenError) Is(target error) bool { return target == ErrConflict }

// taken tells which of the new resources is there already, "" if it is not that.
func taken(err error, changes []Change) string {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != "23505" || pg.ConstraintName != "resource_rk" {
		return ""
	}
	for i := range changes { // the detail: Key (rk)=(123) already exists.
		ref := changes[i].Reference()
		if changes[i].Old == nil && strings.Contains(pg.Detail, "("+strconv.FormatInt(search.RefKey(ref), 10)+")") {
			return ref
		}
	}
	return ""
}

// The SQLSTATEs that the functions of our own schema raise.
const (
	stateConflict  = "IN001" // ingle_expect: a version moved on
	stateDangling  = "IN002" // ingle_refuse: references without target; the message lists them
	stateReferrers = "IN003" // ingle_refuse: others refer to it; the message lists them
	stateNarrowed  = "IN004" // ingle_refuse: SMART scopes and policies do not reach it; the message names it
	stateDecider   = "IN005" // ingle_refuse: a Consent about a patient for whom the caller may not decide
)

// domain turns an error of the driver into what the rest of Ingle knows. It is
// the only place that looks at SQLSTATEs.
func domain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if fhir.AsError(err) != nil || errors.Is(err, ErrConflict) {
		return err
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code {
		case stateConflict:
			return ErrConflict
		case stateDangling:
			return &danglingError{refs: strings.Split(pg.Message, " ")}
		case stateReferrers:
			return fhir.Errorf(409, fhir.CodeConflict, "the resource cannot be deleted, because others refer to it: %s", pg.Message)
		case stateNarrowed:
			return fhir.Errorf(403, fhir.CodeForbidden, "your scopes or the access policy do not reach %s with the content it has or would have", pg.Message)
		case stateDecider:
			return fhir.Errorf(403, fhir.CodeForbidden, "you may not decide for the patient of this Consent; a grant of update on all labels of the Patient is needed, or the patient's own token").At(pg.Message)
		case "23505": // unique_violation
			if pg.ConstraintName == "resource_rk" || pg.ConstraintName == "resource_history_pkey" {
				return ErrConflict
			}
		case "57014": // query_canceled: by statement_timeout, or because the caller went away
			if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("the request was cancelled: %w", err)
			}
			return timeout(err)
		case "55P03": // lock_not_available
			e := fhir.Errorf(503, fhir.CodeLockError, "the resource is being changed by others; try again")
			e.RetryAfter = 1
			return e.Because(err)
		case "53100", "53200", "58030": // disk_full, out_of_memory, io_error
			e := fhir.Errorf(507, fhir.CodeException, "the database has no room for this write; nothing was stored")
			return e.Because(err)
		case "53300", "57P01", "57P02", "57P03": // too_many_connections, admin_shutdown, crash_shutdown, cannot_connect_now
			return unavailable(err)
		case "25006": // read_only_sql_transaction: a standby after a failover
			return unavailable(err)
		}
		return fmt.Errorf("database: %w", err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return timeout(err)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("the request was cancelled: %w", err)
	}
	var connect *pgconn.ConnectError
	var network net.Error
	if errors.As(err, &connect) || errors.As(err, &network) || pgconn.SafeToRetry(err) || errors.Is(err, net.ErrClosed) ||
		strings.Contains(err.Error(), "conn closed") || strings.Contains(err.Error(), "unexpected EOF") {
		return unavailable(err)
	}
	return fmt.Errorf("database: %w", err)
}

func timeout(err error) error {
	e := fhir.Errorf(503, fhir.CodeTimeout, "the request took longer than the server allows; narrow it (a smaller _count, a more selective parameter) or try again later")
	e.RetryAfter = 5
	return e.Because(err)
}

func unavailable(err error) error {
	e := fhir.Errorf(503, fhir.CodeTransient, "the database cannot be reached at the moment; try again")
	e.RetryAfter = 2
	return e.Because(err)
}

// unknownOutcome is for a connection that was lost after a write was sent: it
// may have been committed or not, and it must not be repeated blindly.
func unknownOutcome(err error) error {
	return fhir.Errorf(500, "incomplete", "the connection to the database was lost during the write: whether it was stored is unknown; read before you send it again").Because(err)
}

// transient tells whether a whole transaction may be run again.
func transient(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01") // serialization_failure, deadlock_detected
}

func answered(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) || errors.Is(err, pgx.ErrNoRows)
}

// danglingError is turned into an answer where the references' paths are known.
type danglingError struct{ refs []string }

func (e *danglingError) Error() string {
	return "references without target: " + strings.Join(e.refs, ", ")
}

// maxPaths is how many elements are looked for.
const maxPaths = 100

// at names the elements of the first references that do not resolve.
func (e *danglingError) at(changes []Change) error {
	out := &fhir.Error{Status: 422}
	from := map[string]search.RefRow{} // the first that refers, by target
	for i := range changes {
		if changes[i].Rows == nil {
			continue
		}
		for _, r := range changes[i].Rows.Refs {
			if _, have := from[r.Target]; !have {
				from[r.Target] = r
			}
		}
	}
	for n, ref := range e.refs {
		is := fhir.Issue{Severity: fhir.SeverityError, Code: fhir.CodeNotFound,
			Diagnostics: fmt.Sprintf("the reference %q points to a resource that is not there", ref)}
		if n < maxPaths {
			if path := from[ref].Path(); path != "" {
				is.Expression = []string{path}
			}
		}
		out.Issues = append(out.Issues, is)
	}
	return out
}
