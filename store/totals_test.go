package store_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"ingle/authz"
	"ingle/fhir/r4"
	"ingle/search"
	"ingle/store"
	"ingle/store/storetest"
)

func countPatients(t *testing.T, db *store.DB, s *store.Session, family string, page int) int {
	t.Helper()
	q, _, err := search.NewRegistry(r4.Definitions()).Parse(search.Request{Type: "Patient", Strict: true, Params: []search.KV{
		{Name: "family", Value: family}, {Name: "_count", Value: fmt.Sprint(page)}, {Name: "_total", Value: "accurate"}}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Search(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	if page > 0 && len(p.Matches) > *p.Total {
		t.Errorf("%d matches, total %d", len(p.Matches), *p.Total)
	}
	return *p.Total
}

// A total is remembered while nothing is written, for who asks with the same
// scope, alone and beside a page; and never a moment longer.
func TestTotalsAreRemembered(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := storetest.Open(t, func(o *store.Options) { o.Totals = 100 })
	s := db.As(authz.Open())
	// Other tests write to the same server, so that a snapshot may be gone at once.
	remembered := func(page, want int) bool {
		for range 200 {
			countPatients(t, db, s, "a", page)
			store.ForgeTotals(db, 77_777)
			if n := countPatients(t, db, s, "a", page); n == 77_777 {
				return true
			} else if n != want {
				t.Fatalf("total %d, want %d", n, want)
			}
		}
		return false
	}
	for page := range 2 {
		must(t, s.Write(ctx, []store.Change{create(db, fmt.Sprint("p", page))}))
		if !remembered(page, page+1) {
			t.Errorf("page of %d: the total is counted each time", page)
		}
	}
	if n := countPatients(t, db, db.As(authz.Scope{}), "a", 1); n != 0 {
		t.Errorf("who may see nothing is told a total of %d", n)
	}
}

// Totals asked for beside writes are never older than what was acknowledged.
func TestTotalsFollowWrites(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := storetest.Open(t, func(o *store.Options) { o.Totals = 100 })
	s := db.As(authz.Open())
	var written atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 60 {
			if err := s.Write(ctx, []store.Change{create(db, fmt.Sprint("p", i))}); err != nil {
				t.Error(err)
				return
			}
			written.Add(1)
		}
	}()
	for i := 0; ; i++ {
		least := written.Load()
		if n := countPatients(t, db, s, "a", i%2); int64(n) < least {
			t.Fatalf("total %d after %d writes", n, least)
		}
		select {
		case <-done:
			if n := countPatients(t, db, s, "a", 0); n != 60 {
				t.Errorf("total %d, want 60", n)
			}
			return
		default:
		}
	}
}
