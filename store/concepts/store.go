package concepts

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Store reads and writes the tables. It is safe for concurrent use.
type Store struct {
	pool *pgxpool.Pool

	mu       sync.Mutex
	versions map[string][]Version // ready ones, by URL
	read     time.Time
}

// New makes a Store over a pool, which stays the caller's.
func New(pool *pgxpool.Pool) *Store { return &Store{pool: pool} }

// fresh is how long the list of versions is believed: an import by another
// process is seen after it. The partitions of a replaced version stay longer
// than that.
const fresh = 2 * time.Second

// Versions lists the versions of a code system that are ready to be read; url ""
// for all code systems.
func (s *Store) Versions(ctx context.Context, url string) ([]Version, error) {
	all, err := s.all(ctx)
	if err != nil {
		return nil, err
	}
	if url != "" {
		return all[url], nil
	}
	var out []Version
	for _, list := range all {
		out = append(out, list...)
	}
	return out, nil
}

func (s *Store) all(ctx context.Context) (map[string][]Version, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.versions != nil && time.Since(s.read) < fresh {
		return s.versions, nil
	}
	rows, err := s.pool.Query(ctx, `SELECT id, url, version, checksum, concepts, info FROM code_system WHERE ready ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("concepts: versions: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (v Version, err error) {
		err = r.Scan(&v.ID, &v.URL, &v.Version, &v.Checksum, &v.Concepts, &v.Info)
		return v, err
	})
	if err != nil {
		return nil, fmt.Errorf("concepts: versions: %w", err)
	}
	s.versions = make(map[string][]Version, len(list))
	for _, v := range list {
		s.versions[v.URL] = append(s.versions[v.URL], v)
	}
	s.read = time.Now()
	return s.versions, nil
}

func (s *Store) forget() {
	s.mu.Lock()
	s.versions = nil
	s.mu.Unlock()
}

const columns = `place, code, coalesce(display, ''), coalesce(definition, ''), abstract, inactive, parents, below, coalesce(more, '')`

func scan(r pgx.CollectableRow) (*Concept, error) { return scanRow(r) }

// scanRow reads columns, and what follows them into more.
func scanRow(r pgx.CollectableRow, more ...any) (*Concept, error) {
	var c Concept
	var parents, below []int32
	var place int32
	into := []any{&place, &c.Code, &c.Display, &c.Definition, &c.Abstract, &c.Inactive, &parents, &below, &c.More}
	if err := r.Scan(append(into, more...)...); err != nil {
		return nil, err
	}
	c.Place = int64(place)
	for _, p := range parents {
		c.Parents = append(c.Parents, int64(p))
	}
	for i := 0; i+1 < len(below); i += 2 {
		c.Below = append(c.Below, Span{int64(below[i]), int64(below[i+1])})
	}
	return &c, nil
}

// Concept finds a concept by code, nil if there is none. With fold, code is in
// lower case and so are the codes that it is compared with.
func (s *Store) Concept(ctx context.Context, id int32, code string, fold bool) (*Concept, error) {
	col := "code"
	if fold {
		col = "fold"
	}
	rows, err := s.pool.Query(ctx, fmt.Sprintf(`SELECT `+columns+` FROM concept_%d WHERE %s = $1 LIMIT 1`, id, col), code)
	if err != nil {
		return nil, fmt.Errorf("concepts: concept: %w", err)
	}
	c, err := pgx.CollectOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("concepts: concept: %w", err)
	}
	return c, nil
}

// ConceptsOf finds concepts by their codes, in no order; codes that there are not
// are left out. fold is as in Concept.
func (s *Store) ConceptsOf(ctx context.Context, id int32, codes []string, fold bool) ([]*Concept, error) {
	col := "code"
	if fold {
		col = "fold"
	}
	rows, err := s.pool.Query(ctx, fmt.Sprintf(`SELECT `+columns+` FROM concept_%d WHERE %s = ANY($1::text[])`, id, col), codes)
	if err != nil {
		return nil, fmt.Errorf("concepts: concepts: %w", err)
	}
	list, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return nil, fmt.Errorf("concepts: concepts: %w", err)
	}
	return list, nil
}

// Page returns the concepts that a selection picks, by place.
func (s *Store) Page(ctx context.Context, id int32, sel *Selection) ([]*Concept, error) {
	if sel.None {
		return nil, nil
	}
	var a args
	sql := fmt.Sprintf(`SELECT `+columns+` FROM concept_%d c WHERE `, id) + a.where(id, sel) + ` ORDER BY place`
	if sel.Limit > 0 {
		sql += ` LIMIT ` + a.add(sel.Limit)
	}
	if sel.Offset > 0 {
		sql += ` OFFSET ` + a.add(sel.Offset)
	}
	rows, err := s.pool.Query(ctx, sql, a.planned()...)
	if err != nil {
		return nil, fmt.Errorf("concepts: page: %w", err)
	}
	list, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return nil, fmt.Errorf("concepts: page: %w", err)
	}
	return list, nil
}

// Count counts the concepts that a selection picks, -1 if there are more than
// limit.
func (s *Store) Count(ctx context.Context, id int32, sel *Selection, limit int) (int, error) {
	if sel.None {
		return 0, nil
	}
	var a args
	from := fmt.Sprintf(`FROM concept_%d c WHERE `, id) + a.where(id, sel)
	var n int
	sql := `SELECT count(*) FROM (SELECT 1 ` + from + ` LIMIT ` + a.add(limit+1) + `) x`
	if err := s.pool.QueryRow(ctx, sql, a.planned()...).Scan(&n); err != nil {
		return 0, fmt.Errorf("concepts: count: %w", err)
	}
	if n > limit {
		return -1, nil
	}
	return n, nil
}

// Ancestors returns the places above a place, in no order.
func (s *Store) Ancestors(ctx context.Context, id int32, place int64) ([]int64, error) {
	rows, err := s.pool.Query(ctx, fmt.Sprintf(`
		WITH RECURSIVE up(p) AS (
		    SELECT unnest(parents) FROM concept_%d WHERE place = $1
		    UNION
		    SELECT unnest(c.parents) FROM up JOIN concept_%d c ON c.place = up.p)
		SELECT p FROM up`, id, id), place)
	if err != nil {
		return nil, fmt.Errorf("concepts: ancestors: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("concepts: ancestors: %w", err)
	}
	return list, nil
}

// InSelection is an SQL condition: that a code, given by an SQL expression for
// it in lower case, is the code of a concept that the selection picks. arg adds
// an argument to the statement and returns its placeholder.
func InSelection(id int32, sel *Selection, code string, arg func(any) string) string {
	if sel.None {
		return "false"
	}
	return fmt.Sprintf("EXISTS (SELECT 1 FROM concept_%d c WHERE c.fold = %s AND %s)", id, code, adder(arg).where(id, sel))
}

// args collects numbered arguments.
type args []any

func (a *args) where(id int32, sel *Selection) string { return adder(a.add).where(id, sel) }

// adder adds an argument and returns its placeholder.
type adder func(any) string

func (a *args) add(v any) string {
	*a = append(*a, v)
	return fmt.Sprintf("$%d", len(*a))
}

// planned are the arguments of a statement that is planned with their values: a
// word may be rare or be in every concept.
func (a args) planned() []any { return append([]any{pgx.QueryExecModeCacheDescribe}, a...) }

// where writes the conditions of a selection on the alias c.
func (a adder) where(id int32, sel *Selection) string {
	conds := []string{"true"}
	and := func(format string, list ...any) { conds = append(conds, fmt.Sprintf(format, list...)) }
	for _, spans := range sel.Spans {
		and("%s", a.spans(spans))
	}
	if len(sel.NotIn) > 0 {
		and("NOT %s", a.spans(sel.NotIn))
	}
	for _, p := range sel.Places {
		and("c.place = ANY(%s::int8[])", a(p))
	}
	for _, p := range sel.ChildOf {
		and("c.place IN (SELECT child FROM concept_edge_%d WHERE parent = %s)", id, a(p))
	}
	if sel.Leaf {
		and("c.below IS NULL")
	}
	if sel.Codes != nil {
		and("c.code = ANY(%s::text[])", a(sel.Codes))
	}
	if sel.NotCodes != nil {
		and("c.code <> ALL(%s::text[])", a(sel.NotCodes))
	}
	for _, p := range sel.Properties {
		not, in := "", ""
		if p.Not {
			not = "NOT "
		}
		if p.Values != nil {
			in = fmt.Sprintf(" AND p.value = ANY(%s::text[])", a(p.Values))
		}
		if p.Not {
			and("%sEXISTS (SELECT 1 FROM concept_property_%d p WHERE p.place = c.place AND p.prop = %s%s)", not, id, a(p.Prop), in)
		} else {
			and("c.place IN (SELECT p.place FROM concept_property_%d p WHERE p.prop = %s%s)", id, a(p.Prop), in)
		}
	}
	conds = append(conds, a.words(sel.Words)...)
	if sel.ActiveOnly {
		and("NOT c.inactive")
	}
	if sel.Abstract != nil {
		and("c.abstract = %s", a(*sel.Abstract))
	}
	if sel.Inactive != nil {
		and("c.inactive = %s", a(*sel.Inactive))
	}
	if sel.After > 0 {
		and("c.place > %s", a(sel.After))
	}
	return strings.Join(conds, " AND ")
}

// maxRanges is how many spans are given as one range each, which the index looks
// up one by one.
const maxRanges = 16

// spans writes the condition that a place lies in one of the spans, which are
// in order. Many are one multirange inside their outer bounds: a binary search for
// each row. It stands in a subquery so that its text is read once, not for each row.
func (a adder) spans(spans []Span) string {
	if len(spans) == 0 {
		return "false"
	}
	if len(spans) <= maxRanges {
		var or []string
		for _, s := range spans {
			or = append(or, fmt.Sprintf("c.place BETWEEN %s AND %s", a(s.Lo), a(s.Hi)))
		}
		return "(" + strings.Join(or, " OR ") + ")"
	}
	lo, hi := spans[0].Lo, spans[0].Hi
	text := make([]byte, 0, 16*len(spans))
	for i, s := range spans {
		lo, hi = min(lo, s.Lo), max(hi, s.Hi)
		sep := byte(',')
		if i == 0 {
			sep = '{'
		}
		text = fmt.Appendf(append(text, sep), "[%d,%d]", s.Lo, s.Hi)
	}
	text = append(text, '}')
	return fmt.Sprintf("(c.place BETWEEN %s AND %s AND c.place <@ (SELECT %s::text::int4multirange))", a(lo), a(hi), a(string(text)))
}
