package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"ingle/search"
)

// tokenCache remembers which hashes table token is known to hold, so that a
// write names only those that may be new. Rows of that table are never removed.
type tokenCache struct {
	mu    sync.RWMutex
	known map[int64]struct{}
	// links to contained resources that there are, read at linksAt
	links   map[search.Link]bool
	linksAt time.Time
}

// maxKnownTokens bounds the cache at some 20 MB; past it, it starts again.
const maxKnownTokens = 400_000

// learn adds the tokens of these changes to the dictionary. It does so on its own,
// before the write: a row too many says nothing and harms nobody.
func (c *tokenCache) learn(ctx context.Context, q querier, changes []Change) error {
	var fresh []search.CodedToken
	seen := map[int64]struct{}{}
	c.mu.RLock()
	for i := range changes {
		if changes[i].Rows == nil {
			continue
		}
		for _, t := range changes[i].Rows.Coded {
			if _, ok := c.known[t.H]; ok {
				continue
			}
			if _, ok := seen[t.H]; !ok {
				seen[t.H] = struct{}{}
				fresh = append(fresh, t)
			}
		}
	}
	c.mu.RUnlock()
	if len(fresh) == 0 {
		return nil
	}
	// in one order everywhere, so that two servers do not wait for each other
	slices.SortFunc(fresh, func(a, b search.CodedToken) int { return cmp.Compare(a.H, b.H) })
	hs, ps := make([]int64, len(fresh)), make([]int32, len(fresh))
	systems, codes := make([]string, len(fresh)), make([]string, len(fresh))
	for i, t := range fresh {
		hs[i], ps[i], systems[i], codes[i] = t.H, int32(t.P), t.System, t.Code
	}
	if _, err := q.Exec(ctx, `INSERT INTO token (h, p, system, code)
		SELECT * FROM unnest($1::int8[], $2::int4[], $3::text[], $4::text[]) ON CONFLICT (h) DO NOTHING`, hs, ps, systems, codes); err != nil {
		return fmt.Errorf("add to the dictionary of tokens: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known)+len(fresh) > maxKnownTokens {
		c.known = make(map[int64]struct{}, len(fresh))
	}
	for _, t := range fresh {
		c.known[t.H] = struct{}{}
		if t.P == search.LinkParam {
			c.link(search.ReadLink(t.System, t.Code))
		}
	}
	return nil
}
