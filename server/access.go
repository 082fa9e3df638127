package server

import (
	"math"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"ingle/fhir"
	"ingle/interaction"
)

// refuse answers a request with an error.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	x := exchangeOf(r)
	s.respond(w, r, x, interaction.Failed(err))
}

// networks keeps out who does not call from an allowed network. Probes of the
// process itself pass.
func (s *Server) networks(next http.Handler) http.Handler {
	if len(s.cfg.AllowIPs) == 0 && len(s.cfg.DenyIPs) == 0 {
		return next
	}
	in := func(list []netip.Prefix, a netip.Addr) bool {
		return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, err := netip.ParseAddr(s.clientIP(r))
		probe := r.URL.Path == "/livez" || r.URL.Path == "/readyz"
		if !probe && (err != nil || in(s.cfg.DenyIPs, a) || len(s.cfg.AllowIPs) > 0 && !in(s.cfg.AllowIPs, a)) {
			s.refuse(w, r, fhir.Errorf(http.StatusForbidden, fhir.CodeForbidden, "this server does not answer calls from your network"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// limiter is a token bucket for each caller.
type limiter struct {
	rate, burst float64
	mu          sync.Mutex
	buckets     map[string]*bucket
	sweepAt     int
}

type bucket struct {
	tokens float64
	at     time.Time
}

// sweepFrom is the number of callers from which full buckets are forgotten: a
// full one is the same as none.
const sweepFrom = 10_000

func newLimiter(rate, burst int) *limiter {
	if rate <= 0 {
		return nil
	}
	if burst <= 0 {
		burst = 2 * rate
	}
	return &limiter{rate: float64(rate), burst: float64(burst), buckets: map[string]*bucket{}, sweepAt: sweepFrom}
}

// take takes a token; wait is the time until there is one, 0 if it was taken.
func (l *limiter) take(key string, now time.Time) (left int, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buckets[key]
	if b == nil {
		if len(l.buckets) >= l.sweepAt {
			l.sweep(now)
		}
		b = &bucket{tokens: l.burst, at: now}
		l.buckets[key] = b
	}
	b.tokens = min(l.burst, b.tokens+now.Sub(b.at).Seconds()*l.rate)
	b.at = now
	if b.tokens < 1 {
		return 0, time.Duration((1 - b.tokens) / l.rate * float64(time.Second))
	}
	b.tokens--
	return int(b.tokens), 0
}

func (l *limiter) sweep(now time.Time) {
	for key, b := range l.buckets {
		if b.tokens+now.Sub(b.at).Seconds()*l.rate >= l.burst {
			delete(l.buckets, key)
		}
	}
	l.sweepAt = max(sweepFrom, 2*len(l.buckets))
}

// pace refuses a caller that asks too often: each principal by itself, callers
// without one by their address.
func (s *Server) pace(w http.ResponseWriter, r *http.Request, principal string) error {
	if s.limiter == nil {
		return nil
	}
	key := principal
	if key == "" || key == "anonymous" {
		key = "address:" + s.clientIP(r)
	}
	left, wait := s.limiter.take(key, time.Now())
	h := w.Header()
	h.Set("X-RateLimit-Limit", strconv.Itoa(int(s.limiter.burst)))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(left))
	if wait == 0 {
		return nil
	}
	e := fhir.Errorf(http.StatusTooManyRequests, fhir.CodeThrottled, "you ask more often than %d times a second; wait and try again", int(s.limiter.rate))
	e.RetryAfter = max(1, int(math.Ceil(wait.Seconds())))
	h.Set("X-RateLimit-Reset", strconv.Itoa(e.RetryAfter))
	return e
}
