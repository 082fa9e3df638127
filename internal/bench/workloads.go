package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ingle/fhir/r4"
)

// The goals are the least ratios of rates to the limit.
const (
	goalRead        = 0.6
	goalCreate      = 0.4
	goalTransaction = 0.3
	goalSearch      = 0.4
	goalPaging      = 1 / 1.25 // page 1,000 over page 1
)

func otherDatabase(conn, name string) (string, error) {
	u, err := url.Parse(conn)
	if err != nil || u.Scheme == "" {
		return "", errors.New("the database URL must begin with postgres://")
	}
	u.Path = "/" + name
	return u.String(), nil
}

// post sends one Bundle and checks that all of it was created.
func (b *bench) post(ctx context.Context, bun bundle) error {
	r, err := b.c.do(ctx, http.MethodPost, "", bun.body, "Prefer", "return=minimal")
	if err != nil {
		return err
	}
	defer r.release()
	if r.status != http.StatusOK {
		return r.refused()
	}
	if n := bytes.Count(r.body, []byte(`"201`)); n != bun.entries {
		return fmt.Errorf("%d of %d entries were created", n, bun.entries)
	}
	return nil
}

// each lets workers take the items 0 … n-1 and tells how long it took.
func each(ctx context.Context, n, workers int, do func(i int) error) (time.Duration, []time.Duration, error) {
	var next atomic.Int64
	latencies := make([]time.Duration, n)
	errs := make([]error, workers)
	started := time.Now()
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				at := time.Now()
				if err := do(i); err != nil {
					errs[w] = err
					return
				}
				latencies[i] = time.Since(at)
			}
		})
	}
	wg.Wait()
	return time.Since(started), latencies, errors.Join(append(errs, ctx.Err())...)
}

// chunk runs one chunk of transactions and books it. Rates and CPU time are of resources.
func (r *running) chunk(ctx context.Context, c clock, resources, n, workers int, do func(i int) error) error {
	cpu, known := c()
	elapsed, latencies, err := each(ctx, n, workers, do)
	if err != nil {
		return err
	}
	after, _ := c()
	r.Requests += resources
	r.Rates = append(r.Rates, float64(resources)/elapsed.Seconds())
	r.latencies = append(r.latencies, latencies...)
	r.cpu, r.cpuKnown = r.cpu+after-cpu, known
	return nil
}

const loadWorkers = 2

// load fills the server; in the rounds the same Bundles go to the limit as well.
func (b *bench) load(ctx context.Context) error {
	src := newSource(ctx, b.Data, b.Labels)
	defer src.stop()
	var (
		server, limit running
		loaded        int
		first         = int64(1)
		size          = max(500, min(3000, b.Size/(2*b.Rounds)))
		wal           int64
	)
	if b.pool != nil {
		_ = b.pool.QueryRow(ctx, "SELECT (pg_current_wal_insert_lsn() - '0/0')::int8").Scan(&wal)
	}
	started := time.Now()
	for turn := 0; loaded < b.Size; turn++ {
		list, err := src.take(min(size, b.Size-loaded))
		if err != nil {
			return err
		}
		n := 0
		for _, x := range list {
			n += x.entries
		}
		mine := func() error {
			return server.chunk(ctx, b.server, n, len(list), loadWorkers, func(i int) error { return b.post(ctx, list[i]) })
		}
		theirs := func() error { return nil }
		if b.pool != nil && turn < 2*b.Rounds {
			ready := make([]*prepared, len(list))
			at := make([]int64, len(list))
			for i, x := range list {
				if ready[i], err = prepare(x, r4.Definitions(), b.reg); err != nil {
					return fmt.Errorf("prepare the limit: %w", err)
				}
				at[i], first = first, first+int64(x.entries)
			}
			theirs = func() error {
				return limit.chunk(ctx, together(b.pg, b.self), n, len(list), loadWorkers, func(i int) error { return ready[i].write(ctx, b.scratch, at[i]) })
			}
		}
		order := []func() error{mine, theirs}
		if turn%2 == 1 {
			slices.Reverse(order)
		}
		for _, f := range order {
			if err := f(); err != nil {
				return err
			}
		}
		loaded += n
		if turn%10 == 9 {
			b.say("%d resources, %.0f a second over all", loaded, float64(loaded)/time.Since(started).Seconds())
		}
	}
	row := Row{Workload: "load (transaction Bundles)", Unit: "resources", Clients: loadWorkers, Goal: goalTransaction, Note: fmt.Sprintf("resources; latency of a Bundle of %.0f", float64(loaded)/float64(len(server.latencies)))}
	row.Server = server.close()
	if b.pool != nil {
		// only the chunks that both had
		if n := len(limit.Rates); n > 0 && n < len(row.Server.Rates) {
			b.report.note("load: the later chunks, without the limit beside them, went at %s resources a second", figure(median(row.Server.Rates[n:])))
			row.Server.Rates = row.Server.Rates[:n]
		}
		f := limit.close()
		row.Limit = &f
		var after int64
		if b.pool.QueryRow(ctx, "SELECT (pg_current_wal_insert_lsn() - '0/0')::int8").Scan(&after) == nil && len(limit.Rates) == 0 {
			b.report.note("%d bytes of write-ahead log a resource", (after-wal)/int64(loaded))
		}
	}
	b.add(row)
	return b.copyRate(ctx)
}

// copyRate is COPY of the bodies into a table with a primary key, for orientation.
func (b *bench) copyRate(ctx context.Context) error {
	if b.pool == nil {
		return nil
	}
	conn, err := b.scratch.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	rows, err := b.pool.Query(ctx, "SELECT fhir_id, body::text FROM resource WHERE op <> 4 LIMIT 50000")
	if err != nil {
		return err
	}
	var lines bytes.Buffer
	n := 0
	for rows.Next() {
		raw := rows.RawValues()
		lines.Write(raw[0])
		lines.WriteByte('\t')
		lines.Write(bytes.ReplaceAll(raw[1], []byte(`\`), []byte(`\\`)))
		lines.WriteByte('\n')
		n++
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, `CREATE TABLE limit_copy (id text COLLATE "C" PRIMARY KEY, body jsonb COMPRESSION lz4)`); err != nil {
		return err
	}
	started := time.Now()
	if _, err := conn.Conn().PgConn().CopyFrom(ctx, &lines, "COPY limit_copy FROM STDIN"); err != nil {
		return fmt.Errorf("COPY: %w", err)
	}
	b.report.note("for orientation: COPY of %d bodies as jsonb with a primary key, %s a second", n, figure(float64(n)/time.Since(started).Seconds()))
	_, err = conn.Exec(ctx, "DROP TABLE limit_copy")
	return err
}

// reads are reads by id of resources of all types that were sampled.
func (b *bench) reads(ctx context.Context) error {
	if !b.wants("read") {
		return nil
	}
	refs := b.sample.refs
	get := func(c *client, prefix string) func(ctx context.Context, w *worker) error {
		return func(ctx context.Context, w *worker) error {
			ref := pick(w.Rand, refs)
			r, err := c.do(ctx, http.MethodGet, prefix+ref, nil)
			if err != nil {
				return err
			}
			defer r.release()
			if r.status != http.StatusOK {
				return r.refused()
			}
			if !bytes.Contains(r.body, []byte(id(ref))) {
				return errors.New("another resource")
			}
			return nil
		}
	}
	var limit *arm
	if b.limit != nil {
		limit = &arm{get(b.limit, "read/"), b.limits}
	}
	return b.row(ctx, Row{Workload: "read", Goal: goalRead}, arm{get(b.c, ""), b.server}, limit)
}

// transactions posts Bundles of 1,000 entries and more.
func (b *bench) transactions(ctx context.Context) error {
	if !b.wants("transaction") || len(b.Data) == 0 {
		return nil
	}
	src := newSource(ctx, b.Data, b.Labels)
	defer src.stop()
	var server, limit running
	first := int64(1) << 40
	entries := 0
	list, err := src.about(1000)
	if err != nil {
		return err
	}
	for turn := range 2 * b.Rounds {
		for i := range list { // new ids each time
			list[i].body = renew(list[i].body, uint32(1<<30+turn))
		}
		big, err := joined(list)
		if err != nil {
			return err
		}
		entries = big.entries
		mine := func() error {
			return server.chunk(ctx, b.server, entries, 1, 1, func(int) error { return b.post(ctx, big) })
		}
		theirs := func() error { return nil }
		if b.pool != nil {
			ready, err := prepare(big, r4.Definitions(), b.reg)
			if err != nil {
				return err
			}
			theirs = func() error {
				return limit.chunk(ctx, together(b.pg, b.self), entries, 1, 1, func(int) error { return ready.write(ctx, b.scratch, first) })
			}
			first += int64(entries)
		}
		order := []func() error{mine, theirs}
		if turn%2 == 1 {
			slices.Reverse(order)
		}
		for _, f := range order {
			if err := f(); err != nil {
				b.add(Row{Workload: "transaction of 1,000 entries", Note: err.Error()})
				return nil
			}
		}
	}
	row := Row{Workload: "transaction of 1,000 entries", Clients: 1, Unit: "resources", Goal: goalTransaction, Server: server.close()}
	if row.Server.P50 > time.Second {
		row.Note = "takes more than a second"
	}
	row.Note = strings.TrimPrefix(row.Note+fmt.Sprintf("; resources; %d entries", entries), "; ")
	if b.pool != nil {
		f := limit.close()
		row.Limit = &f
	}
	b.add(row)
	return nil
}

// paging follows the links of a search and holds a late page against the first.
func (b *bench) paging(ctx context.Context) error {
	const last = 1000
	for _, q := range []string{"Observation?_count=20", "Observation?_sort=-date&_count=20"} {
		name := "page 1,000 over page 1: " + q
		if !b.wants(name) {
			continue
		}
		seen := map[string]bool{}
		at, n := q, 0
		for ; n < last; n++ {
			p, err := b.c.search(ctx, at)
			if err != nil {
				b.add(Row{Workload: name, Note: fmt.Sprintf("page %d: %v", n+1, err)})
				break
			}
			for _, ref := range p.ids {
				if seen[ref] {
					b.add(Row{Workload: name, Note: fmt.Sprintf("%s is on two pages", ref)})
				}
				seen[ref] = true
			}
			if p.next == "" || n == last-1 {
				break
			}
			at = p.next
		}
		if n < 10 {
			continue
		}
		row := Row{Workload: name, Goal: goalPaging}
		if n < last-1 {
			row.Note = fmt.Sprintf("only %d pages", n+1)
		}
		get := func(request string) arm {
			return arm{clock: b.server, do: func(ctx context.Context, _ *worker) error {
				r, err := b.c.do(ctx, http.MethodGet, request, nil)
				if err != nil {
					return err
				}
				defer r.release()
				if r.status != http.StatusOK {
					return r.refused()
				}
				if n := bytes.Count(r.body, []byte(`"match"`)); n != 20 && row.Note == "" {
					return fmt.Errorf("%d matches on the page", n)
				}
				return nil
			}}
		}
		firstPage := get(q)
		if err := b.row(ctx, row, get(at), &firstPage, 1); err != nil {
			return err
		}
	}
	return nil
}
