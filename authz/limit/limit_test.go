package limit

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ingle/fhir"
)

type clock struct{ now time.Time }

func newLimiter(t testing.TB, cfg Config) (*Limiter, *clock) {
	t.Helper()
	c := &clock{time.Unix(1_800_000_000, 0)}
	cfg.Now = func() time.Time { return c.now }
	l := New(cfg)
	return l, c
}

func TestRate(t *testing.T) {
	l, c := newLimiter(t, Config{Default: Rule{PerSecond: 2, Burst: 4}})
	for i := range 4 {
		d := l.Take("user:a", 1)
		if !d.Allowed || d.Error() != nil || d.Limit != 4 || d.Remaining != int64(3-i) {
			t.Fatalf("%d: %+v", i, d)
		}
	}
	d := l.Take("user:a", 1)
	if d.Allowed || d.Remaining != 0 || d.RetryAfter != 500*time.Millisecond || d.Reset != 2*time.Second {
		t.Errorf("%+v", d)
	}
	if e := fhir.AsError(d.Error()); e == nil || e.Status != 429 || e.RetryAfter != 1 || e.Issues[0].Code != fhir.CodeThrottled {
		t.Errorf("%v", d.Error())
	}
	if !l.Take("user:b", 1).Allowed {
		t.Error("one principal's requests are charged to another")
	}
	c.now = c.now.Add(500 * time.Millisecond)
	if !l.Take("user:a", 1).Allowed || l.Take("user:a", 1).Allowed {
		t.Error("half a second is worth one request")
	}
}

func TestCostOverBurst(t *testing.T) {
	l, c := newLimiter(t, Config{Default: Rule{PerSecond: 10, Burst: 10}})
	if !l.Take("a", 30).Allowed {
		t.Fatal("a whole burst does not pay for one large request")
	}
	for range 20 { // 2 s pay the debt of 20
		if l.Take("a", 1).Allowed {
			t.Fatal("the debt is forgotten")
		}
		c.now = c.now.Add(100 * time.Millisecond)
	}
	c.now = c.now.Add(100 * time.Millisecond)
	if !l.Take("a", 1).Allowed {
		t.Error("the debt is never paid")
	}
}

func TestQuota(t *testing.T) {
	l, c := newLimiter(t, Config{Default: Rule{Quota: 3, Window: time.Hour}, Principals: map[string]Rule{"free": {}}})
	for range 3 {
		if !l.Take("a", 1).Allowed {
			t.Fatal("within the quota")
		}
	}
	c.now = c.now.Add(20 * time.Minute)
	if d := l.Take("a", 1); d.Allowed || d.RetryAfter != 40*time.Minute {
		t.Errorf("%+v", d)
	}
	c.now = c.now.Add(40 * time.Minute)
	if d := l.Take("a", 1); !d.Allowed || d.Remaining != 2 {
		t.Errorf("%+v", d)
	}
	for range 10 {
		if d := l.Take("free", 1); !d.Allowed || d.Limited {
			t.Errorf("%+v", d)
		}
	}
}

// TestNeverMore: whatever the times, no window lets more through than the burst
// and what the rate brings meanwhile.
func TestNeverMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := Rule{PerSecond: rapid.Float64Range(0.5, 50).Draw(t, "rate"), Burst: rapid.IntRange(1, 20).Draw(t, "burst")}
		now := time.Unix(1_800_000_000, 0)
		start, allowed := now, 0
		l := New(Config{Default: rule, Now: func() time.Time { return now }})
		for range 200 {
			now = now.Add(time.Duration(rapid.IntRange(0, 200).Draw(t, "ms")) * time.Millisecond)
			if d := l.Take("a", 1); d.Allowed {
				allowed++
			} else if d.RetryAfter <= 0 {
				t.Fatalf("refused without a time: %+v", d)
			}
		}
		if most := float64(rule.Burst) + rule.PerSecond*now.Sub(start).Seconds() + 0.001; float64(allowed) > most {
			t.Fatalf("%d allowed, at most %v may be", allowed, most)
		}
	})
}

func TestConcurrent(t *testing.T) {
	l, _ := newLimiter(t, Config{Default: Rule{PerSecond: 1, Burst: 100, Quota: 60}, MaxPrincipals: 1000})
	var allowed atomic.Int64
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			for j := range 50 {
				if l.Take("a", 1).Allowed {
					allowed.Add(1)
				}
				l.Take(fmt.Sprint(i, j), 1)
			}
		})
	}
	wait.Wait()
	if n := allowed.Load(); n != 60 {
		t.Errorf("%d of 60 allowed", n)
	}
}
