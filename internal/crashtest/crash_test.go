package crashtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestKill kills the server and PostgreSQL in turn, under the load of writers
// that keep a ledger, and checks the books after each round: no acknowledged
// write is lost, no part of a transaction is applied, a refused write left
// nothing, versions are without gaps, and the index is that of the resources.
func TestKill(t *testing.T) {
	rounds := 1
	if long {
		rounds = 20
	}
	pg, url := startDurable(t)
	server := newChild(t, url)
	if err := server.start(); err != nil {
		t.Fatal(err)
	}
	var (
		l      ledger
		gate   sync.RWMutex
		writes atomic.Int64
		wg     sync.WaitGroup
	)
	ctx, stop := context.WithCancel(t.Context())
	defer func() {
		stop()
		wg.Wait()
	}()
	for i := range 12 {
		w := &writer{Rand: rand.New(rand.NewPCG(7, uint64(i))), name: fmt.Sprintf("w%02d", i), base: server.base, ledger: &l, gate: &gate, writes: &writes}
		wg.Go(func() { w.run(ctx) })
	}
	// progress waits for n more writes, so that every crash hits a busy server.
	progress := func(n int64) {
		t.Helper()
		want := writes.Load() + n
		for end := time.Now().Add(30 * time.Second); writes.Load() < want; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%d writes in 30 s, %d are wanted", n-(want-writes.Load()), n)
			}
		}
	}
	for round := range rounds {
		progress(40 + rand.Int64N(160))
		server.kill()
		if err := server.start(); err != nil {
			t.Fatal(err)
		}
		progress(40 + rand.Int64N(160))
		pg.Kill()
		time.Sleep(rand.N(100 * time.Millisecond))
		if err := pg.Restart(ctx); err != nil {
			t.Fatal(err)
		}
		back := time.Now()
		if err := server.ready(10 * time.Second); err != nil {
			t.Fatalf("after PostgreSQL's crash: %v", err)
		}
		progress(1)
		t.Logf("round %d: writes again %s after PostgreSQL's return", round+1, time.Since(back).Round(time.Millisecond))
		if round%4 == 3 { // both at once
			server.kill()
			pg.Kill()
			if err := pg.Restart(ctx); err != nil {
				t.Fatal(err)
			}
			if err := server.start(); err != nil {
				t.Fatal(err)
			}
			progress(10)
		}
		gate.Lock()
		audit(t, url, &l)
		gate.Unlock()
		if t.Failed() {
			return
		}
	}
	progress(50)
	stop()
	wg.Wait()
	audit(t, url, &l)
}

func audit(t *testing.T, url string, l *ledger) {
	t.Helper()
	conn := connect(t, url)
	defer conn.Close(context.Background())
	// A backend whose client was killed may still be at work on what it was sent.
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		var busy int
		if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname = current_database()
			AND pid <> pg_backend_pid() AND state <> 'idle'`).Scan(&busy); err != nil {
			t.Fatal(err)
		}
		if busy == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d connections are at work though nobody writes", busy)
		}
	}
	all := stored(t, conn)
	checkVersions(t, all)
	checkLedger(t, l, all)
	checkIndex(t, conn, all)
}
