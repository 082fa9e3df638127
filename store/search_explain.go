package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"ingle/fhir"
	"ingle/search"
)

// Explanation tells how PostgreSQL runs one statement of a search. It holds no
// value: neither the arguments nor the conditions of the plan.
type Explanation struct {
	Of  string // "page" or "total"
	SQL string // with numbered arguments
	// Plan is a line for each step, indented by what it feeds: the index, the
	// rows that came and those that were planned.
	Plan []string
	// Settings are the planner's settings that are not PostgreSQL's own.
	Settings     map[string]string
	Planning, Ms float64 // milliseconds to plan and to run
}

// ExplainSearch runs the statements of a search once more under EXPLAIN ANALYZE.
// It is for administrators (403), since the planner's figures are about
// everybody's resources.
func (r *reader) ExplainSearch(ctx context.Context, q *search.Query) ([]Explanation, error) {
	if !r.scope.Admin() {
		return nil, fhir.Errorf(403, fhir.CodeForbidden, "_explain is for administrators")
	}
	ctx, cancel := context.WithTimeout(ctx, r.readTime())
	defer cancel()
	v, err := r.searchable(ctx, q)
	if err != nil {
		return nil, err
	}
	var out []Explanation
	explain := func(of string, compile func(*search.Query, search.Source) (*search.Statement, error)) error {
		st, err := compile(q, v)
		if err != nil {
			return err
		}
		e, err := r.explain(ctx, st)
		e.Of = of
		out = append(out, e)
		return err
	}
	if q.Count > 0 {
		if err := explain("page", r.db.reg.Compile); err != nil {
			return nil, err
		}
	}
	if q.Count == 0 || q.Total == search.TotalAccurate {
		if err := explain("total", r.db.reg.CompileCount); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (r *reader) explain(ctx context.Context, st *search.Statement) (Explanation, error) {
	e := Explanation{SQL: strings.ReplaceAll(st.SQL, " "+ScopeMark, "")}
	var text []byte
	err := r.q.QueryRow(ctx, "EXPLAIN (ANALYZE, SETTINGS, FORMAT JSON) "+st.SQL, append([]any{pgx.QueryExecModeCacheDescribe}, st.Args...)...).Scan(&text)
	if err != nil {
		return e, domain(ctx, fmt.Errorf("explain: %w", err))
	}
	var plans []struct {
		Plan     planNode
		Settings map[string]string
		Planning float64 `json:"Planning Time"`
		Ms       float64 `json:"Execution Time"`
	}
	if err := json.Unmarshal(text, &plans); err != nil || len(plans) != 1 {
		return e, fmt.Errorf("explain: read the plan: %w", err)
	}
	e.Settings, e.Planning, e.Ms = plans[0].Settings, plans[0].Planning, plans[0].Ms
	delete(e.Settings, "search_path")
	e.Plan = plans[0].Plan.lines(nil, 0)
	return e, nil
}

// planNode is a step of a plan, as EXPLAIN (FORMAT JSON) writes it; nothing of
// it that could hold a value.
type planNode struct {
	Type      string  `json:"Node Type"`
	Rows      float64 `json:"Plan Rows"`
	Part      string  `json:"Subplan Name"`
	Table     string  `json:"Relation Name"`
	Index     string  `json:"Index Name"`
	CTE       string  `json:"CTE Name"`
	Came      float64 `json:"Actual Rows"` // of each loop
	Loops     float64 `json:"Actual Loops"`
	Discarded float64 `json:"Rows Removed by Filter"`
	Plans     []planNode
}

func (n *planNode) lines(to []string, depth int) []string {
	var b strings.Builder
	b.WriteString(strings.Repeat("  ", depth) + n.Type)
	for _, part := range [][2]string{{" of ", n.Part}, {" using ", n.Index}, {" on ", n.Table + n.CTE}} {
		if part[1] != "" {
			b.WriteString(part[0] + part[1])
		}
	}
	if n.Loops == 0 {
		b.WriteString(": not run")
	} else {
		fmt.Fprintf(&b, ": %.0f rows, planned %.0f", n.Came*n.Loops, n.Rows*n.Loops)
	}
	if n.Loops > 1 {
		fmt.Fprintf(&b, ", in %.0f loops", n.Loops)
	}
	if n.Discarded > 0 {
		fmt.Fprintf(&b, ", %.0f discarded", n.Discarded*n.Loops)
	}
	to = append(to, b.String())
	for i := range n.Plans {
		to = n.Plans[i].lines(to, depth+1)
	}
	return to
}
