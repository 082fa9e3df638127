package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"ingle/internal/cache"
	"ingle/search"
)

// totals remembers exact totals, each with the snapshot that it was counted in.
// Where PostgreSQL gives the same snapshot again nothing was committed in between,
// so the same statement counts the same. A statement holds its caller's scope, so
// a total is remembered only for callers who would count the same rows.
type totals struct {
	kept *cache.Cache[[sha256.Size]byte, total]
} // kept is nil for none

type total struct {
	snapshot string
	n        int
}

// totalAge is how long a total is remembered: a database restored to an earlier
// state could come to a snapshot that it had before.
const totalAge = 10 * time.Minute

// snapshotNow names the snapshot of a statement; a server that takes another's place
// has another start time. A standby does not tell which transactions are under way: there
// no two snapshots have one name.
const snapshotNow = "CASE WHEN pg_is_in_recovery() THEN clock_timestamp()::text ELSE pg_current_snapshot()::text || ' ' || extract(epoch FROM pg_postmaster_start_time()) END"

func newTotals(n int) totals {
	return totals{cache.New(cache.Options[[sha256.Size]byte, total]{Max: n, Age: totalAge})}
}

// remembering is a count that is made only if the snapshot is another than that of
// the remembered total. It returns the snapshot and the total.
type remembering struct {
	totals
	key  [sha256.Size]byte
	sql  string
	args []any
	once bool // see visible.once
}

// remembering turns a statement of search.Registry.CompileCount into a count that
// may be remembered; it is for connections that hold no writes.
func (v *visible) remembering(st *search.Statement) *remembering {
	r := &remembering{totals: v.db.totals, once: v.once(st)}
	if r.kept != nil {
		h := sha256.New()
		h.Write([]byte(st.SQL))
		for _, a := range st.Args {
			if !hashArg(h, a) {
				r.kept = nil
				break
			}
		}
		h.Sum(r.key[:0])
	}
	if r.kept == nil {
		r.sql, r.args = "SELECT '', ("+st.SQL+")", st.Args
		return r
	}
	have, _ := r.kept.Get(r.key)
	r.once = r.once || have.snapshot != "" // it is likely to hold
	n := len(st.Args)
	r.sql = fmt.Sprintf("SELECT %s, CASE WHEN (%[1]s) = $%d::text THEN $%d::int8 ELSE (%s) END", snapshotNow, n+1, n+2, st.SQL)
	r.args = append(st.Args[:n:n], have.snapshot, int64(have.n))
	return r
}

// hashArg adds an argument of a statement to a hash; ok is false for a type that it does not know.
func hashArg(h hash.Hash, a any) (ok bool) {
	part := func(b []byte) {
		h.Write(binary.AppendUvarint(nil, uint64(len(b))))
		h.Write(b)
	}
	switch a := a.(type) {
	case string:
		part([]byte("s" + a))
	case []byte:
		part([]byte("b"))
		part(a)
	case bool, int16, int32, int64, int, []int16, []int32, []int64, float64:
		part(fmt.Appendf(nil, "%T%v", a, a))
	case time.Time:
		part([]byte("t" + strconv.FormatInt(a.UnixNano(), 10)))
	case []string:
		part(fmt.Appendf(nil, "l%d", len(a)))
		for _, s := range a {
			part([]byte(s))
		}
	default:
		return false
	}
	return true
}

// scan reads the row that the statement gave.
func (r *remembering) scan(row pgx.Row) (int, error) {
	var t total
	if err := row.Scan(&t.snapshot, &t.n); err != nil {
		return 0, err
	}
	r.kept.Set(r.key, t)
	return t.n, nil
}

// run counts by a querier.
func (r *remembering) run(ctx context.Context, q querier) (int, error) {
	args := r.args
	if !r.once {
		args = append([]any{pgx.QueryExecModeCacheDescribe}, args...)
	}
	return r.scan(q.QueryRow(ctx, r.sql, args...))
}
