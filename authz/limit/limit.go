// Package limit bounds how much one principal may ask for: a rate with a burst,
// and a quota over a longer time. It knows nothing of HTTP; a Decision says
// what to put into headers. A rate is that of one server. A quota is that of
// all servers that settle with one Ledger, and holds over a restart.
package limit

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"ingle/fhir"
	"ingle/internal/cache"
)

// Rule is what a principal may ask for. A zero part is no limit.
type Rule struct {
	PerSecond float64       // requests (of cost 1) a second in the long run
	Burst     int           // at once; default PerSecond, rounded up
	Quota     int64         // cost in all within Window
	Window    time.Duration // default 24 h; windows begin at whole multiples of it, days at midnight UTC
}

// Config is the configuration of a Limiter.
type Config struct {
	Default    Rule
	Principals map[string]Rule // by authz.Scope.Principal
	// MaxPrincipals is how many are remembered; default 100,000. One that is
	// forgotten for lack of room begins anew.
	MaxPrincipals int
	Now           func() time.Time
}

const day = 24 * time.Hour

// Limiter is safe for concurrent use.
type Limiter struct {
	cfg    Config
	states *cache.Cache[string, *state]

	mu      sync.Mutex
	spent   map[string]*state // have spent something of a quota since Settle
	carried carried
}

// state is what one principal has used.
type state struct {
	rule    Rule
	limiter *rate.Limiter // nil: no rate

	mu      sync.Mutex
	used    int64     // within the window, by all servers as far as is known
	pending int64     // of it, what the ledger does not know yet
	until   time.Time // end of the window
	listed  bool      // in Limiter.spent
}

// Decision is the answer to one request.
type Decision struct {
	Allowed    bool
	Limited    bool          // a limit applies, so the numbers below mean something
	Quota      bool          // that limit is the quota
	Limit      int64         // of the limit that is closest
	Remaining  int64         // of it
	Reset      time.Duration // until it is whole again
	RetryAfter time.Duration // when not allowed: how long to wait
}

// New makes a Limiter.
func New(cfg Config) *Limiter {
	if cfg.MaxPrincipals <= 0 {
		cfg.MaxPrincipals = 100_000
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Limiter{cfg: cfg, states: cache.New(cache.Options[string, *state]{Max: cfg.MaxPrincipals}), spent: map[string]*state{}}
}

// Take charges a request to a principal. cost is 1 for an ordinary one; one
// that costs more than the burst is let through when the burst is whole, and
// paid off afterwards.
func (l *Limiter) Take(principal string, cost int) Decision {
	rule, ok := l.cfg.Principals[principal]
	if !ok {
		rule = l.cfg.Default
	}
	if rule.PerSecond <= 0 && rule.Quota <= 0 {
		return Decision{Allowed: true}
	}
	s := l.states.GetOrSet(principal, func() *state { return newState(rule) })
	d, list := s.take(l.cfg.Now(), max(cost, 1), func(window time.Time) int64 { return l.carriedOver(window, principal) })
	if list {
		l.mu.Lock()
		l.spent[principal] = s
		l.mu.Unlock()
	}
	return d
}

func newState(r Rule) *state {
	if r.Burst <= 0 {
		r.Burst = max(1, int(math.Ceil(r.PerSecond)))
	}
	if r.Window <= 0 {
		r.Window = day
	}
	s := &state{rule: r}
	if r.PerSecond > 0 {
		s.limiter = rate.NewLimiter(rate.Limit(r.PerSecond), r.Burst)
	}
	return s
}

// take decides. carried tells what was spent in a window before this process
// began; list, that the state is to be settled.
func (s *state) take(now time.Time, cost int, carried func(window time.Time) int64) (d Decision, list bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rule.Quota > 0 {
		if !now.Before(s.until) {
			start := now.Truncate(s.rule.Window)
			s.used, s.pending, s.until = carried(start), 0, start.Add(s.rule.Window)
		}
		d = Decision{Limited: true, Quota: true, Limit: s.rule.Quota, Remaining: max(0, s.rule.Quota-s.used), Reset: s.until.Sub(now)}
		if d.Remaining == 0 {
			d.RetryAfter = d.Reset
			return d, false
		}
	}
	if s.limiter != nil {
		tokens := s.limiter.TokensAt(now)
		need := float64(min(cost, s.rule.Burst))
		if tokens < need {
			wait := max(seconds((need-tokens)/s.rule.PerSecond), time.Millisecond)
			return Decision{Limited: true, Limit: int64(s.rule.Burst), Remaining: max(0, int64(tokens)), Reset: s.whole(tokens), RetryAfter: wait}, false
		}
		for left := cost; left > 0; left -= s.rule.Burst { // a reservation holds at most the burst
			s.limiter.ReserveN(now, min(left, s.rule.Burst))
		}
		tokens -= float64(cost)
		if rest := max(0, int64(tokens)); !d.Limited || rest < d.Remaining-int64(cost) {
			d = Decision{Limited: true, Limit: int64(s.rule.Burst), Remaining: rest + int64(cost), Reset: s.whole(tokens)}
		}
	}
	d.Allowed = true
	d.Remaining = max(0, d.Remaining-int64(cost))
	if s.rule.Quota > 0 {
		s.used += int64(cost)
		s.pending += int64(cost)
		list, s.listed = !s.listed, true
	}
	return d, list
}

// whole is the time until the burst is whole again.
func (s *state) whole(tokens float64) time.Duration {
	return seconds((float64(s.rule.Burst) - tokens) / s.rule.PerSecond)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// Error returns the refusal of a request that is not allowed (429), nil for one
// that is.
func (d Decision) Error() error {
	if d.Allowed {
		return nil
	}
	text := "you ask more often than you may; wait %d seconds"
	if d.Quota {
		text = "your quota is used up; it begins anew in %d seconds"
	}
	e := fhir.Errorf(429, fhir.CodeThrottled, text, Seconds(d.RetryAfter))
	e.RetryAfter = Seconds(d.RetryAfter)
	return e
}

// Seconds is a duration in whole seconds for a header, rounded up, at least 1.
func Seconds(d time.Duration) int { return max(1, int(math.Ceil(d.Seconds()))) }
