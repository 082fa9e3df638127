package limit

import (
	"context"
	"time"
)

// Ledger keeps what was spent of quotas for all servers.
type Ledger interface {
	// Spent returns what each principal has spent in a window.
	Spent(ctx context.Context, window time.Time) (map[string]int64, error)
	// Spend adds to it, and returns the new sums of those named.
	Spend(ctx context.Context, window time.Time, spent map[string]int64) (map[string]int64, error)
}

// carried is what was spent in a window before this process began.
type carried struct {
	window time.Time
	spent  map[string]int64
}

// Carry takes over from the ledger what was spent in the current day. Call it
// before the first Take.
func (l *Limiter) Carry(ctx context.Context, ledger Ledger) error {
	window := l.cfg.Now().Truncate(day)
	spent, err := ledger.Spent(ctx, window)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.carried = carried{window, spent}
	return nil
}

func (l *Limiter) carriedOver(window time.Time, principal string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.carried.window.Equal(window) {
		return 0
	}
	return l.carried.spent[principal]
}

// Settle tells the ledger what was spent since the last time, and learns what
// other servers let through. Between two times each server may let a principal
// have what was left at the first.
func (l *Limiter) Settle(ctx context.Context, ledger Ledger) error {
	l.mu.Lock()
	states := l.spent
	l.spent = map[string]*state{}
	l.mu.Unlock()
	windows := map[time.Time]map[string]int64{}
	for principal, s := range states {
		s.mu.Lock()
		start := s.until.Add(-s.rule.Window)
		if windows[start] == nil {
			windows[start] = map[string]int64{}
		}
		windows[start][principal] = s.pending
		s.pending, s.listed = 0, false
		s.mu.Unlock()
	}
	var failed error
	for start, spent := range windows {
		sums, err := ledger.Spend(ctx, start, spent)
		if err != nil {
			failed = err
		}
		for principal, n := range spent {
			s := states[principal]
			s.mu.Lock()
			switch same := s.until.Equal(start.Add(s.rule.Window)); {
			case same && err != nil: // try again
				s.pending += n
				if !s.listed {
					s.listed = true
					l.mu.Lock()
					l.spent[principal] = s
					l.mu.Unlock()
				}
			case same:
				s.used = sums[principal] + s.pending
			}
			s.mu.Unlock()
		}
	}
	return failed
}
