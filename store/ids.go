package store

import (
	"context"
	"fmt"
	"sync"
)

// ridBlock hands out numbers of new resources. They come from a sequence in
// blocks of 1,000, so that the number is known before the insert and a create
// needs one round trip.
type ridBlock struct {
	mu        sync.Mutex
	next, end int64
}

const ridBlockSize = 1000 // as INCREMENT of rid_seq

// take returns n numbers in rising order.
func (b *ridBlock) take(ctx context.Context, q querier, n int) ([]int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]int64, n)
	for i := range out {
		if b.next == b.end {
			var last int64
			if err := q.QueryRow(ctx, `SELECT nextval('rid_seq')`).Scan(&last); err != nil {
				return nil, fmt.Errorf("take numbers for new resources: %w", err)
			}
			b.next, b.end = last-ridBlockSize+1, last+1
		}
		out[i] = b.next
		b.next++
	}
	return out, nil
}
