package concepts

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
)

// Words pages through what a text filter finds. To find all that a common word
// is in takes many times longer than to find the first twenty in the order of
// the hierarchy, so the planner is asked first how many the index would give: up
// to countable are looked up and counted, more are read along the hierarchy, and
// total is -1.
func (s *Store) Words(ctx context.Context, id int32, sel *Selection, countable int) (page []*Concept, total int, err error) {
	if sel.None {
		return nil, 0, nil
	}
	indexed := *sel
	indexed.Words = sel.Words[longest(sel.Words):][:1]
	var plan []struct {
		Plan struct {
			Rows float64 `json:"Plan Rows"`
		}
	}
	var a args
	sql := fmt.Sprintf(`EXPLAIN (FORMAT JSON) SELECT 1 FROM concept_%d c WHERE `, id) + a.where(id, &indexed)
	if err := s.pool.QueryRow(ctx, sql, a.planned()...).Scan(&plan); err != nil {
		return nil, 0, fmt.Errorf("concepts: expect: %w", err)
	}
	if len(plan) != 1 || plan[0].Plan.Rows > float64(countable) {
		page, err = s.Page(ctx, id, sel)
		return page, -1, err
	}
	a = nil
	sql = fmt.Sprintf(`WITH found AS MATERIALIZED (SELECT place FROM concept_%d c WHERE %s)
		SELECT `+columns+`, (SELECT count(*) FROM found) FROM concept_%d
		WHERE place IN (SELECT place FROM found ORDER BY place LIMIT %s OFFSET %s) ORDER BY place`, id, a.where(id, sel), id, a.add(sel.Limit), a.add(sel.Offset))
	rows, err := s.pool.Query(ctx, sql, a.planned()...)
	if err != nil {
		return nil, 0, fmt.Errorf("concepts: words: %w", err)
	}
	page, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (*Concept, error) { return scanRow(r, &total) })
	if err != nil {
		return nil, 0, fmt.Errorf("concepts: words: %w", err)
	}
	if len(page) == 0 && sel.Offset > 0 {
		total = -1 // beyond the end: nobody said how many there are
	}
	return page, total, nil
}

// words writes the conditions of the text filter. Only the longest word, which
// few concepts have, is looked up in the index: what it finds is cheaper to look
// at than a common word is to look up.
func (a adder) words(list []string) []string {
	driver := longest(list)
	conds := make([]string, len(list))
	for i, w := range list {
		for len(w) > maxWord {
			_, n := utf8.DecodeLastRuneInString(w)
			w = w[:len(w)-n]
		}
		conds[i] = fmt.Sprintf("c.words @@ %s::text::tsquery", a("'"+strings.ReplaceAll(w, "'", "")+"':*"))
		if i != driver {
			conds[i] = "(" + conds[i] + ") IS TRUE"
		}
	}
	return conds
}

func longest(list []string) (at int) {
	for i, w := range list {
		if len(w) > len(list[at]) {
			at = i
		}
	}
	return at
}
