package bench

import (
	"bufio"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"ingle/search"
)

// LimitSpec is what the limit server is told: the database and the searches
// with all their parameters, so that a request names two numbers.
type LimitSpec struct {
	Database string
	Scratch  string // database of its own for writes
	Queries  []LimitQuery
	// Templates are the Observations that will be created, open at the end: what
	// a server makes of them before it writes is made beforehand.
	Templates [][]byte
}

// LimitQuery is one search written by hand.
type LimitQuery struct {
	SQL, Count string
	Describe   bool // plan anew for each request; else the driver's prepared statement
	Args       [][]any
}

func init() {
	for _, v := range []any{int64(0), int32(0), int16(0), "", []int64{}, []int32{}, []string{}, time.Time{}} {
		gob.Register(v)
	}
}

// scratchTables are what the limit of single writes fills.
const scratchTables = `CREATE TABLE IF NOT EXISTS limit_resource (id text COLLATE "C" PRIMARY KEY, version int4 NOT NULL, body jsonb COMPRESSION lz4 NOT NULL);
CREATE TABLE IF NOT EXISTS limit_history (id text COLLATE "C", version int4, body jsonb COMPRESSION lz4 NOT NULL, PRIMARY KEY (id, version))`

// ServeLimit serves the limit until ctx ends: net/http and pgx, nothing else. It
// reads a LimitSpec in gob from in and writes its address as one line to out.
func ServeLimit(ctx context.Context, in io.Reader, out io.Writer) error {
	var spec LimitSpec
	if err := gob.NewDecoder(in).Decode(&spec); err != nil {
		return fmt.Errorf("read what to serve: %w", err)
	}
	pool, err := limitPool(ctx, spec.Database)
	if err != nil {
		return err
	}
	defer pool.Close()
	scratch, err := limitPool(ctx, spec.Scratch)
	if err != nil {
		return err
	}
	defer scratch.Close()
	if _, err := scratch.Exec(ctx, scratchTables); err != nil {
		return fmt.Errorf("make the tables of the limit: %w", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	handler, err := limitHandler(&spec, pool, scratch)
	if err != nil {
		return err
	}
	s := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	fmt.Fprintln(out, l.Addr())
	go func() {
		<-ctx.Done()
		_ = s.Close()
	}()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func limitPool(ctx context.Context, url string) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	cfg.MaxConns = max(cfg.MaxConns, 8)
	set := cfg.ConnConfig.RuntimeParams
	set["timezone"], set["jit"], set["max_parallel_workers_per_gather"], set["statement_timeout"] = "UTC", "off", "0", "30s"
	return pgxpool.NewWithConfig(ctx, cfg)
}

func limitHandler(spec *LimitSpec, pool, scratch *pgxpool.Pool) (http.Handler, error) {
	ready, err := prepareTemplates(spec.Templates)
	if err != nil {
		return nil, err
	}
	var rids atomic.Int64
	rids.Store(1 << 42) // beyond those of the other workloads
	mux := http.NewServeMux()
	fail := func(w http.ResponseWriter, err error) { http.Error(w, err.Error(), http.StatusInternalServerError) }
	mux.HandleFunc("GET /null", func(w http.ResponseWriter, _ *http.Request) {})
	mux.HandleFunc("GET /read/{type}/{id}", func(w http.ResponseWriter, r *http.Request) {
		var body []byte
		err := pool.QueryRow(r.Context(), "SELECT body::text FROM resource WHERE rk = $1", search.RefKey(r.PathValue("type")+"/"+r.PathValue("id"))).Scan(&body)
		if err != nil {
			fail(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/fhir+json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	})
	mux.HandleFunc("POST /create/{id}", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			_, err = scratch.Exec(r.Context(), "INSERT INTO limit_resource (id, version, body) VALUES ($1, 1, $2::text::jsonb)", r.PathValue("id"), string(body))
		}
		if err != nil {
			fail(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/fhir+json")
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(body)
	})
	mux.HandleFunc("POST /create/{template}/{id}", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			i, _ := strconv.Atoi(r.PathValue("template"))
			err = ready[i].as(r.PathValue("id"), string(body)).write(r.Context(), scratch, rids.Add(1))
		}
		if err != nil {
			fail(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/fhir+json")
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(body)
	})
	mux.HandleFunc("PUT /update/{id}", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var version int
		if err == nil {
			err = scratch.QueryRow(r.Context(), `WITH old AS (INSERT INTO limit_history SELECT * FROM limit_resource WHERE id = $1)
				UPDATE limit_resource SET version = version + 1, body = $2::text::jsonb WHERE id = $1 RETURNING version`, r.PathValue("id"), string(body)).Scan(&version)
		}
		if err != nil {
			fail(w, err)
			return
		}
		w.Header().Set("ETag", `W/"`+strconv.Itoa(version)+`"`)
		w.Header().Set("Content-Type", "application/fhir+json")
		_, _ = w.Write(body)
	})
	mux.HandleFunc("GET /search/{q}/{i}", func(w http.ResponseWriter, r *http.Request) {
		q, _ := strconv.Atoi(r.PathValue("q"))
		i, _ := strconv.Atoi(r.PathValue("i"))
		query := &spec.Queries[q]
		if err := query.write(r.Context(), w, pool, query.Args[i]); err != nil {
			fail(w, err)
		}
	})
	mux.HandleFunc("GET /count/{q}/{i}", func(w http.ResponseWriter, r *http.Request) {
		q, _ := strconv.Atoi(r.PathValue("q"))
		i, _ := strconv.Atoi(r.PathValue("i"))
		total := 0
		if err := pool.QueryRow(r.Context(), spec.Queries[q].Count, spec.Queries[q].mode(spec.Queries[q].Args[i])...).Scan(&total); err != nil {
			fail(w, err)
			return
		}
		fmt.Fprintf(w, `{"resourceType":"Bundle","type":"searchset","total":%d}`, total)
	})
	return mux, nil
}

func (q *LimitQuery) mode(args []any) []any {
	if q.Describe {
		return append([]any{pgx.QueryExecModeCacheDescribe}, args...)
	}
	return args
}

// write answers with the least Bundle that holds the page.
func (q *LimitQuery) write(ctx context.Context, w http.ResponseWriter, pool *pgxpool.Pool, args []any) error {
	total := -1
	if q.Count != "" {
		if err := pool.QueryRow(ctx, q.Count, q.mode(args)...).Scan(&total); err != nil {
			return err
		}
	}
	rows, err := pool.Query(ctx, q.SQL, q.mode(args)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	w.Header().Set("Content-Type", "application/fhir+json")
	out := bufio.NewWriterSize(w, 64<<10)
	_, _ = out.WriteString(`{"resourceType":"Bundle","type":"searchset"`)
	if total >= 0 {
		fmt.Fprintf(out, `,"total":%d`, total)
	}
	sep := `,"entry":[`
	for rows.Next() {
		raw := rows.RawValues()
		mode := "match"
		if raw[0][len(raw[0])-1] == 1 {
			mode = "include"
		}
		_, _ = out.WriteString(sep)
		_, _ = out.WriteString(`{"resource":`)
		_, _ = out.Write(raw[1])
		_, _ = out.WriteString(`,"search":{"mode":"` + mode + `"}}`)
		sep = ","
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if sep == "," {
		_ = out.WriteByte(']')
	}
	_ = out.WriteByte('}')
	return out.Flush()
}

// process is a child that serves.
type process struct {
	cmd  *exec.Cmd
	base string
}

// startLimit runs the limit server in a process of its own, so that its CPU time
// can be told from the client's.
func startLimit(ctx context.Context, command []string, spec LimitSpec) (*process, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the limit server: %w", err)
	}
	p := &process{cmd: cmd}
	if err := gob.NewEncoder(in).Encode(spec); err != nil {
		p.stop()
		return nil, fmt.Errorf("tell the limit server what to serve: %w", err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("the limit server did not start: %w", err)
	}
	p.base = "http://" + strings.TrimSpace(line)
	return p, nil
}

func (p *process) stop() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}
