package bench

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// instances is how many sets of parameters a search has.
const instances = 60

// checked is a search of the mix whose answers are known.
type checked struct {
	query
	number   int
	list     []instance
	matches  []int // by instance: matches and included resources on its page
	included []int
	limit    int // its place in LimitSpec.Queries
}

// searches draws the parameters, checks the answers to all of them, then measures.
func (b *bench) searches(ctx context.Context) error {
	var truth *oracle
	if b.pool != nil && b.Checks > 0 {
		b.say("building the oracle from the bodies")
		var err error
		if truth, err = newOracle(ctx, b.DatabaseURL); err != nil {
			return err
		}
		defer truth.close(ctx)
	}
	var list []*checked
	pages := map[string]*page{}
	for i, q := range mix() {
		name := fmt.Sprintf("%d %s", i+1, q.name)
		if !b.wants("search " + name) {
			continue
		}
		c := &checked{query: q, number: i + 1, limit: -1}
		if why := b.draw(ctx, c, pages, truth); why != "" {
			b.add(Row{Workload: name, Note: why})
			continue
		}
		list = append(list, c)
	}
	if b.pool != nil {
		for _, c := range list {
			best, err := b.fastest(ctx, c)
			if err != nil {
				return err
			}
			c.limit = len(b.spec.Queries)
			b.spec.Queries = append(b.spec.Queries, best)
		}
		var err error
		if b.spec.Templates, err = b.sample.templates(); err != nil {
			return err
		}
		p, err := startLimit(ctx, b.Limit, b.spec)
		if err != nil {
			return err
		}
		b.limit = newClient(p.base, nil)
		b.limits = together(processClock(p.cmd.Process.Pid), b.pg)
		b.stops = append(b.stops, p.stop) // the workloads that follow need it
	}
	for _, c := range list {
		name := fmt.Sprintf("%d %s", c.number, c.name)
		var limit *arm
		if b.limit != nil {
			if err := b.compare(ctx, c, pages); err != nil {
				b.report.note("%s: the limit answers differently: %v", name, err)
			}
			limit = &arm{c.get(b.limit, func(i int) string { return fmt.Sprintf("search/%d/%d", c.limit, i) }), b.limits}
		}
		server := arm{c.get(b.c, func(i int) string { return c.list[i].path }), b.server}
		if err := b.row(ctx, Row{Workload: name, Goal: goalSearch}, server, limit); err != nil {
			return err
		}
	}
	return b.totals(ctx, list)
}

// draw fills the instances of a search and asks each once. It returns why that
// could not be done.
func (b *bench) draw(ctx context.Context, c *checked, pages map[string]*page, truth *oracle) string {
	random := rand.New(rand.NewPCG(uint64(c.number), 5))
	drawn := map[string]bool{}
	for range 20 * instances {
		if len(c.list) == instances {
			break
		}
		in, ok := c.query.draw(&b.sample, random)
		if !ok || drawn[in.path] {
			continue
		}
		drawn[in.path] = true
		if b.Page > 0 {
			in.path = strings.TrimSuffix(in.path, "&_count=50") + fmt.Sprintf("&_count=%d", b.Page)
		}
		p, err := b.c.search(ctx, in.path)
		if err != nil {
			return fmt.Sprintf("not supported: %s: %v", in.path, err)
		}
		if truth != nil && len(c.list) < b.Checks {
			if err := truth.check(ctx, &c.query, in, p); err != nil {
				return fmt.Sprintf("WRONG: %s: %v", in.path, err)
			}
		}
		p.doc, p.matches = nil, nil
		pages[in.path] = p
		c.list = append(c.list, in)
		c.matches, c.included = append(c.matches, len(p.ids)), append(c.included, len(p.included))
	}
	if len(c.list) == 0 {
		return "the sample holds no parameters for it"
	}
	return ""
}

// fastest tries the ways to write a search by hand, prepared once or planned
// anew for each request.
func (b *bench) fastest(ctx context.Context, c *checked) (LimitQuery, error) {
	all := make([][]any, len(c.list))
	for i := range c.list {
		all[i] = c.list[i].args
	}
	var best LimitQuery
	least := time.Duration(-1)
	for _, sql := range c.limits {
		for _, describe := range []bool{true, false} {
			q := LimitQuery{SQL: sql, Count: c.count, Describe: describe, Args: all}
			var took time.Duration
			for pass := range 2 { // the first warms up
				started := time.Now()
				for _, args := range all {
					rows, err := b.pool.Query(ctx, sql, q.mode(args)...)
					if err == nil {
						rows.Close()
						err = rows.Err()
					}
					if err != nil {
						return best, fmt.Errorf("the limit of %q: %w", c.name, err)
					}
				}
				if took = time.Since(started); pass == 0 && least >= 0 && took > 4*least {
					break
				}
			}
			if least < 0 || took < least {
				least, best = took, q
			}
		}
	}
	return best, nil
}

// compare asks the limit all searches once and holds its pages against the server's.
func (b *bench) compare(ctx context.Context, c *checked, pages map[string]*page) error {
	for i, in := range c.list {
		p, err := b.limit.search(ctx, fmt.Sprintf("search/%d/%d", c.limit, i))
		if err != nil {
			return err
		}
		mine := pages[in.path]
		a, z := slices.Sorted(slices.Values(mine.included)), slices.Sorted(slices.Values(p.included))
		switch {
		case len(p.ids) != len(mine.ids):
			return fmt.Errorf("%s: %d matches, the server has %d", in.path, len(p.ids), len(mine.ids))
		case !c.sorted && !slices.Equal(p.ids, mine.ids):
			return fmt.Errorf("%s: other matches or another order", in.path)
		case !slices.Equal(a, z):
			return fmt.Errorf("%s: other includes", in.path)
		case c.count != "" && p.total != mine.total:
			return fmt.Errorf("%s: total %d, the server has %d", in.path, p.total, mine.total)
		}
	}
	return nil
}

// get is the request of an arm: a random instance, whose page must have the known size.
func (c *checked) get(to *client, path func(i int) string) func(ctx context.Context, w *worker) error {
	paths := make([]string, len(c.list))
	for i := range paths {
		paths[i] = path(i)
	}
	return func(ctx context.Context, w *worker) error {
		i := w.IntN(len(paths))
		r, err := to.do(ctx, http.MethodGet, paths[i], nil)
		if err != nil {
			return err
		}
		defer r.release()
		if r.status != http.StatusOK {
			return r.refused()
		}
		if m, n := bytes.Count(r.body, []byte(`"match"`)), bytes.Count(r.body, []byte(`"include"`)); m != c.matches[i] || n != c.included[i] {
			return fmt.Errorf("%s: %d matches and %d included, before it were %d and %d", c.list[i].path, m, n, c.matches[i], c.included[i])
		}
		return nil
	}
}

// totals measures the exact total alone, of the common codes.
func (b *bench) totals(ctx context.Context, list []*checked) error {
	const name = "exact total: Observation?code=&_summary=count"
	if !b.wants(name) {
		return nil
	}
	i := slices.IndexFunc(list, func(c *checked) bool { return c.count != "" })
	if i < 0 {
		return nil
	}
	c := list[i]
	want := make([][]byte, len(c.list))
	for i, in := range c.list {
		p, err := b.c.search(ctx, path("Observation", "code", in.oracle[0].([]string)[0], "_summary", "count"))
		if err != nil {
			b.add(Row{Workload: name, Note: fmt.Sprintf("not supported: %v", err)})
			return nil
		}
		if b.pool != nil {
			var total int
			if err := b.pool.QueryRow(ctx, c.count, append([]any{pgx.QueryExecModeCacheDescribe}, in.args...)...).Scan(&total); err != nil {
				return err
			}
			if p.total != total {
				b.add(Row{Workload: name, Note: fmt.Sprintf("WRONG: total %d, it is %d", p.total, total)})
				return nil
			}
		}
		want[i] = fmt.Appendf(nil, "%d", p.total)
	}
	get := func(to *client, path func(i int) string) func(ctx context.Context, w *worker) error {
		return func(ctx context.Context, w *worker) error {
			i := w.IntN(len(c.list))
			r, err := to.do(ctx, http.MethodGet, path(i), nil)
			if err != nil {
				return err
			}
			defer r.release()
			if r.status != http.StatusOK || !bytes.Contains(r.body, want[i]) {
				return fmt.Errorf("another total: %w", r.refused())
			}
			return nil
		}
	}
	server := arm{get(b.c, func(i int) string {
		return path("Observation", "code", c.list[i].oracle[0].([]string)[0], "_summary", "count")
	}), b.server}
	var limit *arm
	if b.limit != nil {
		limit = &arm{get(b.limit, func(i int) string { return fmt.Sprintf("count/%d/%d", c.limit, i) }), b.limits}
	}
	return b.row(ctx, Row{Workload: name, Goal: goalSearch}, server, limit)
}
