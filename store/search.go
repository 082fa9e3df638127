package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"ingle/search"
)

// Hit is a resource on a search page.
type Hit struct {
	Resource
	Keys []string // the values it is sorted by, for a search.Cursor; nil for includes
	RID  int64    // likewise
	// Container is the reference to what contains a contained resource, "" for
	// any other. ID is then its own, which is unique there.
	Container string
}

// SearchPage is a page of a search. All of it comes from one snapshot.
type SearchPage struct {
	Matches  []Hit // in the order of the page, also when paging backwards
	Includes []Hit
	More     bool // there are matches beyond this page in its direction
	// IncludesCut: there are more included resources than the ceiling allows.
	IncludesCut bool
	Total       *int // of all pages, where it was asked for
	// TotalEstimated: Total is the planner's estimate, either because that was
	// asked for or because the exact count took longer than the budget. It never
	// is for a caller who may not see everything, who may be left without Total.
	TotalEstimated bool
}

// Search runs a search. A query with Count 0 reads the total alone, always exact.
func (r *reader) Search(ctx context.Context, q *search.Query) (*SearchPage, error) {
	ctx, cancel := context.WithTimeout(ctx, r.readTime())
	defer cancel()
	v, err := r.searchable(ctx, q)
	if err != nil {
		return nil, err
	}
	page := &SearchPage{}
	if q.Count == 0 {
		return page, r.count(ctx, q, v, page)
	}
	st, err := r.db.reg.Compile(q, v)
	if err != nil {
		return nil, err
	}
	if q.Total == search.TotalAccurate {
		return page, r.pageWithTotal(ctx, q, v, st, page)
	}
	if err := r.page(ctx, q, v, st, page); err != nil {
		return nil, domain(ctx, fmt.Errorf("search: %w", err))
	}
	if q.Total == search.TotalEstimate {
		return page, r.estimate(ctx, q, v, page)
	}
	return page, nil
}

// once tells that a statement is best planned once for a connection, as one plan
// is best for all values. A long array of labels is planned for, so that a row's
// is looked up by a hash. Any other is planned anew, since a common code and a
// rare one want different plans.
func (v *visible) once(st *search.Statement) bool {
	return st.Stable && (st.Few || v.bits != nil || len(v.labels) < manyLabels)
}

// planned returns the arguments of a statement, led by the way it is planned.
func (v *visible) planned(st *search.Statement) []any {
	if v.once(st) {
		return st.Args
	}
	return append([]any{pgx.QueryExecModeCacheDescribe}, st.Args...)
}

// planOnce has what follows in its transaction planned for all values alike.
// PostgreSQL would plan for the values each time where that promises to cost a
// little less to run, however long the planning takes.
const planOnce = "SELECT set_config('plan_cache_mode', 'force_generic_plan', true)"

// page reads a page.
func (r *reader) page(ctx context.Context, q *search.Query, v *visible, st *search.Statement, page *SearchPage) error {
	if _, tx := r.q.(pgx.Tx); tx || !v.once(st) {
		rows, err := r.q.Query(ctx, st.SQL, v.planned(st)...)
		if err != nil {
			return err
		}
		return r.fill(ctx, q, st, rows, page)
	}
	b := &pgx.Batch{}
	b.Queue(planOnce)
	b.Queue(st.SQL, st.Args...)
	res := r.q.SendBatch(ctx, b)
	err := func() error {
		if _, err := res.Exec(); err != nil {
			return err
		}
		rows, err := res.Query()
		if err != nil {
			return err
		}
		return r.fill(ctx, q, st, rows, page)
	}()
	if closeErr := res.Close(); err == nil {
		err = closeErr
	}
	return err
}

// Match returns up to limit matches of a query, without order, includes or
// total: what conditional interactions ask.
func (r *reader) Match(ctx context.Context, q *search.Query, limit int) ([]*Resource, error) {
	ctx, cancel := context.WithTimeout(ctx, r.readTime())
	defer cancel()
	v, err := r.searchable(ctx, q)
	if err != nil {
		return nil, err
	}
	st, err := r.db.reg.CompileMatch(q, v, limit)
	if err != nil {
		return nil, err
	}
	rows, err := r.q.Query(ctx, st.SQL, v.planned(st)...)
	if err != nil {
		return nil, domain(ctx, fmt.Errorf("match: %w", err))
	}
	var refs []string
	for rows.Next() {
		_, hit, err := r.hit(rows)
		if err != nil {
			rows.Close()
			return nil, domain(ctx, fmt.Errorf("match: %w", err))
		}
		refs = append(refs, hit.Reference())
	}
	if err := rows.Err(); err != nil {
		return nil, domain(ctx, fmt.Errorf("match: %w", err))
	}
	found, err := r.ReadAll(ctx, refs)
	if err != nil {
		return nil, err
	}
	out := make([]*Resource, 0, len(refs))
	for _, ref := range refs {
		if res := found[ref]; res != nil && !res.Deleted() {
			out = append(out, res)
		}
	}
	return out, nil
}

// fill reads the rows of a page.
func (r *reader) fill(ctx context.Context, q *search.Query, st *search.Statement, rows pgx.Rows, page *SearchPage) error {
	defer rows.Close()
	for rows.Next() {
		mode, hit, err := r.hit(rows)
		if err != nil {
			return err
		}
		if mode == 0 {
			page.Matches = append(page.Matches, hit)
		} else {
			page.Includes = append(page.Includes, hit)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if len(page.Matches) >= st.Limit {
		page.Matches, page.More = page.Matches[:st.Limit-1], true
	}
	if limit := q.IncludeLimit(); len(page.Includes) > limit {
		page.Includes, page.IncludesCut = page.Includes[:limit], true
	}
	if q.Cursor != nil && q.Cursor.Back {
		slices.Reverse(page.Matches)
	}
	return nil
}

func (r *reader) hit(rows pgx.Rows) (mode int16, h Hit, err error) {
	var rtype int16
	err = rows.Scan(&mode, &h.RID, &rtype, &h.ID, &h.Version, &h.LastUpdated, &h.Body, &h.Keys)
	h.Type, h.rid, h.Op = r.db.defs.TypeName(rtype), h.RID, OpUpdate
	if box, id, ok := strings.Cut(h.ID, "#"); ok { // as search.Statement has it
		number, boxID, _ := strings.Cut(box, "/")
		n, _ := strconv.ParseInt(number, 10, 16)
		h.Container, h.ID = r.db.defs.TypeName(int16(n))+"/"+boxID, id
	}
	resourceTypeFirst(h.Body, h.Type)
	if err == nil {
		err = r.hide(&h.Resource)
	}
	return mode, h, err
}

// pageWithTotal reads page and total in one pipeline and one snapshot. If the
// count takes longer than its budget, the total is estimated.
func (r *reader) pageWithTotal(ctx context.Context, q *search.Query, v *visible, st *search.Statement, page *SearchPage) error {
	count, err := r.db.reg.CompileCount(q, v.counting())
	if err != nil {
		return err
	}
	if tx, ok := r.q.(pgx.Tx); ok { // it has its snapshot already, and may hold writes
		rows, err := tx.Query(ctx, st.SQL, st.Args...)
		if err == nil {
			err = r.fill(ctx, q, st, rows, page)
		}
		if err != nil {
			return domain(ctx, fmt.Errorf("search with total: %w", err))
		}
		return r.count(ctx, q, v, page)
	}
	c, err := r.db.pool.Acquire(ctx)
	if err != nil {
		return domain(ctx, err)
	}
	defer c.Release()
	conn := c.Conn()
	b := &pgx.Batch{}
	b.Queue("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
	planned := func(once bool) { // a pipeline prepares all its statements
		mode := "force_custom_plan"
		if once {
			mode = "force_generic_plan"
		}
		b.Queue("SET LOCAL plan_cache_mode = " + mode)
	}
	planned(v.once(st))
	b.Queue(st.SQL, st.Args...)
	b.Queue(fmt.Sprintf("SET LOCAL statement_timeout = %d", r.db.opts.CountTime.Milliseconds()))
	counted := v.counting().remembering(count)
	planned(counted.once)
	b.Queue(counted.sql, counted.args...)
	b.Queue("COMMIT")
	res := conn.SendBatch(ctx, b)
	var total int
	err = func() error {
		for range 2 { // BEGIN, SET
			if _, err := res.Exec(); err != nil {
				return err
			}
		}
		rows, err := res.Query()
		if err != nil {
			return err
		}
		if err := r.fill(ctx, q, st, rows, page); err != nil {
			return err
		}
		for range 2 {
			if _, err := res.Exec(); err != nil {
				return err
			}
		}
		total, err = counted.scan(res.QueryRow())
		return err
	}()
	if closeErr := res.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		page.Total = &total
		return nil
	}
	rollback, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_, _ = conn.Exec(rollback, "ROLLBACK")
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "57014" && ctx.Err() == nil && len(page.Matches) > 0 {
		if !v.everything() {
			return nil // no total: see estimate
		}
		return r.estimate(ctx, q, v, page)
	}
	return domain(ctx, fmt.Errorf("search with total: %w", err))
}

// count reads the exact total.
func (r *reader) count(ctx context.Context, q *search.Query, v *visible, page *SearchPage) error {
	v = v.counting()
	st, err := r.db.reg.CompileCount(q, v)
	if err != nil {
		return err
	}
	var total int
	if _, ok := r.q.(pgx.Tx); ok { // which may hold writes
		err = r.q.QueryRow(ctx, st.SQL, v.planned(st)...).Scan(&total)
	} else {
		total, err = v.remembering(st).run(ctx, r.q)
	}
	if err != nil {
		return domain(ctx, fmt.Errorf("count: %w", err))
	}
	page.Total = &total
	return nil
}

// estimate asks the planner how many rows the count would see. A page that
// holds everything is exact. The planner's figures are about everybody's rows,
// so a caller who may not see everything gets the exact total, or none where
// that takes longer than its budget.
func (r *reader) estimate(ctx context.Context, q *search.Query, v *visible, page *SearchPage) error {
	if !page.More && q.Cursor == nil {
		total := len(page.Matches)
		page.Total = &total
		return nil
	}
	if !v.everything() {
		if _, ok := r.q.(pgx.Tx); ok {
			return r.count(ctx, q, v, page)
		}
		budget, cancel := context.WithTimeout(ctx, r.db.opts.CountTime)
		defer cancel()
		if err := r.count(budget, q, v, page); err != nil && (budget.Err() == nil || ctx.Err() != nil) {
			return err
		}
		return nil
	}
	st, err := r.db.reg.CompileCount(q, v)
	if err != nil {
		return err
	}
	var plan []struct{ Plan planNode }
	var text []byte
	if err := r.q.QueryRow(ctx, "EXPLAIN (FORMAT JSON) "+st.SQL, append([]any{pgx.QueryExecModeCacheDescribe}, st.Args...)...).Scan(&text); err != nil {
		return domain(ctx, fmt.Errorf("estimate: %w", err))
	}
	if err := json.Unmarshal(text, &plan); err != nil || len(plan) != 1 {
		return fmt.Errorf("estimate: read the plan: %w", err)
	}
	node := plan[0].Plan
	for node.Type == "Aggregate" && len(node.Plans) > 0 { // the count(*) itself
		node = node.Plans[0]
	}
	total := max(int(node.Rows), len(page.Matches))
	page.Total, page.TotalEstimated = &total, true
	return nil
}
