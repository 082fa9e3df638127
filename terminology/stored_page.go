package terminology

import (
	"context"
	"reflect"

	"ingle/store/concepts"
)

// storedPage is how many concepts Walk reads at once.
const storedPage = 2000

// Walk reads the concepts page by page.
func (s *storedSystem) Walk(ctx context.Context, q *Query, yield func(*Concept) bool) error {
	sel, rest, err := s.plan(ctx, q)
	if err != nil || sel.None {
		return err
	}
	whole := sel.Limit == 0
	if whole || len(rest) > 0 {
		sel.Limit, sel.Offset, whole = storedPage, 0, true
	}
	for {
		page, err := s.store.Page(ctx, s.id, sel)
		if err != nil {
			return err
		}
		for _, c := range page {
			out, err := s.out(c)
			if err != nil {
				return err
			}
			if ok, err := s.Matches(ctx, out, rest); err != nil {
				return err
			} else if ok && !yield(out) {
				return nil
			}
		}
		if !whole || len(page) < sel.Limit {
			return nil
		}
		sel.After = page[len(page)-1].Place
	}
}

// maxCount is the largest total that is counted row by row; what a text filter
// finds is counted where its rarest word is expected in no more than maxFound.
const (
	maxCount = 10_000
	maxFound = 2_000
)

// uncounted is what Count says of more than that.
const uncounted = -2

// page returns the concepts of one page, and how many there are in all;
// uncounted where that would take much longer than the page. plan must be able to
// apply all filters.
func (s *storedSystem) page(ctx context.Context, q *Query) (list []*Concept, total int, err error) {
	sel, _, err := s.plan(ctx, q)
	if err != nil {
		return nil, 0, err
	}
	var rows []*concepts.Concept
	whole := *sel
	whole.Offset, whole.Limit = 0, 0
	total, known := s.kept.count(s.id, &whole)
	switch {
	case sel.Limit == 0:
	case known || len(sel.Words) == 0:
		rows, err = s.store.Page(ctx, s.id, sel)
	default:
		if rows, total, err = s.store.Words(ctx, s.id, sel, maxFound); err == nil && (total >= 0 || sel.Offset == 0) {
			if known = true; total < 0 {
				total = uncounted
			}
			s.kept.keepCount(s.id, &whole, total)
		}
	}
	if err != nil {
		return nil, 0, err
	}
	for _, row := range rows {
		c, err := s.out(row)
		if err != nil {
			return nil, 0, err
		}
		list = append(list, c)
	}
	switch n := len(rows); {
	case n < sel.Limit && (n > 0 || sel.Offset == 0):
		return list, sel.Offset + n, nil // the last page tells
	case known:
		return list, total, nil
	case len(sel.Words) > 0 && sel.Limit > 0:
		return list, uncounted, nil
	}
	total, err = s.Count(ctx, q)
	return list, total, err
}

// Count counts in the store: -1 where filters remain that the store cannot
// apply, -2 where there are too many to count. With a negative limit it only
// tells whether it could.
func (s *storedSystem) Count(ctx context.Context, q *Query) (int, error) {
	sel, rest, err := s.plan(ctx, q)
	if err != nil || len(rest) > 0 {
		return -1, err
	}
	if sel.None || q.Limit < 0 {
		return 0, nil
	}
	sel.Offset, sel.Limit = 0, 0
	bare := *sel
	bare.Spans = nil
	if len(sel.Spans) <= 1 && reflect.DeepEqual(bare, concepts.Selection{}) {
		if len(sel.Spans) == 0 {
			return s.size, nil
		}
		n := 0 // spans do not overlap
		for _, x := range sel.Spans[0] {
			n += int(x.Hi - x.Lo + 1)
		}
		return n, nil
	}
	if n, ok := s.kept.count(s.id, sel); ok {
		return n, nil
	}
	n, err := s.store.Count(ctx, s.id, sel, maxCount)
	if n == -1 {
		n = uncounted
	}
	if err == nil {
		s.kept.keepCount(s.id, sel, n)
	}
	return n, err
}
