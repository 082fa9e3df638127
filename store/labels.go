package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"ingle/authz"
	"ingle/internal/cache"
)

// labelSet is the process's copy of table label: interned sets of
// security-label paths. Sets are added, never changed or removed. Those of what
// is withheld hold withheldPath.
type labelSet struct {
	mu     sync.RWMutex
	byID   map[int32][]string
	byKey  map[string]int32
	loaded time.Time

	covered *cache.Cache[coverKey, *cover] // what grants cover; nil: it is worked out each time
}

// cover is what a grant covers of the sets that are known.
type cover struct {
	ids   []int32 // sorted
	bits  []byte  // the same as a bitmap, where they are a large part of all
	known int     // sets there were
}

// coverKey is a grant, and whether what is withheld is seen.
type coverKey struct {
	grant                    uint64
	unlabelled, needAll, all bool
}

// maxCovered bounds the covers that are kept, in ids.
const maxCovered = 1 << 20

func newLabelSet() labelSet {
	return labelSet{covered: cache.New(cache.Options[coverKey, *cover]{Max: maxCovered, Weigh: func(_ coverKey, c *cover) uint32 { return uint32(32 + len(c.ids)) }})}
}

// labelsFresh bounds how long a set that another server interned stays unknown
// here. What is unknown is not visible.
const labelsFresh = time.Second

func labelKey(paths []string) string { return strings.Join(paths, "\n") }

func (s *labelSet) load(ctx context.Context, q querier) error {
	started := time.Now()
	rows, err := q.Query(ctx, `SELECT id, paths FROM label`)
	if err != nil {
		return fmt.Errorf("read the security labels: %w", err)
	}
	defer rows.Close()
	byID, byKey := map[int32][]string{}, map[string]int32{}
	for rows.Next() {
		var id int32
		var paths []string
		if err := rows.Scan(&id, &paths); err != nil {
			return fmt.Errorf("read the security labels: %w", err)
		}
		byID[id], byKey[labelKey(paths)] = paths, id
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read the security labels: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byID, s.byKey, s.loaded = byID, byKey, started
	return nil
}

// paths returns the set with the given id.
func (s *labelSet) paths(ctx context.Context, q querier, id int32) ([]string, error) {
	if id == 0 {
		return nil, nil
	}
	for range 2 {
		s.mu.RLock()
		set, ok := s.byID[id]
		s.mu.RUnlock()
		if ok {
			paths, _ := withheld(set)
			return paths, nil
		}
		if err := s.load(ctx, q); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("security label %d is not in table label", id)
}

// intern returns the id of a sorted set of paths, adding it if it is new.
func (s *labelSet) intern(ctx context.Context, q querier, paths []string) (int32, error) {
	if len(paths) == 0 {
		return 0, nil
	}
	key := labelKey(paths)
	s.mu.RLock()
	id, ok := s.byKey[key]
	s.mu.RUnlock()
	if ok {
		return id, nil
	}
	err := q.QueryRow(ctx, `WITH have AS (SELECT id FROM label WHERE paths = $1),
		added AS (INSERT INTO label (paths) SELECT $1 WHERE NOT EXISTS (SELECT 1 FROM have) ON CONFLICT (paths) DO UPDATE SET paths = excluded.paths RETURNING id)
		SELECT id FROM have UNION ALL SELECT id FROM added`, paths).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("intern a security label: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID == nil {
		s.byID, s.byKey = map[int32][]string{}, map[string]int32{}
	}
	s.byID[id], s.byKey[key] = slices.Clone(paths), id
	return id, nil
}

// granted returns the sets that a grant covers; the result is not to be changed. What
// is withheld is among them if all is true. As sets are only ever added, what was
// worked out holds as long as their number is the same.
func (s *labelSet) granted(ctx context.Context, q querier, g authz.Grant, all bool) (*cover, error) {
	s.mu.RLock()
	stale := time.Since(s.loaded) > labelsFresh
	s.mu.RUnlock()
	if stale {
		if err := s.load(ctx, q); err != nil {
			return nil, err
		}
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	key := coverKey{g.ID, g.Unlabelled, g.NeedAll, all}
	if have, ok := s.covered.Get(key); ok && have.known == len(s.byID) { // nothing stands under a grant without an ID
		return have, nil
	}
	c := &cover{ids: []int32{}, known: len(s.byID)}
	for id, set := range s.byID {
		paths, hidden := withheld(set)
		if (all || !hidden) && g.AllowsPaths(paths) {
			c.ids = append(c.ids, id)
		}
	}
	slices.Sort(c.ids)
	if len(c.ids) >= manyLabels && len(c.ids)*4 >= c.known {
		c.bits = bitmap(c.ids)
	}
	if g.ID != 0 {
		s.covered.Set(key, c)
	}
	return c, nil
}
