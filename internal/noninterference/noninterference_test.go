package noninterference_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"ingle/internal/noninterference"
)

// TestNonInterference asks random requests of both servers of every kind of
// user: 2,100 of them, 50,000 with INGLE_LONG=1.
func TestNonInterference(t *testing.T) {
	n := 2100
	if os.Getenv("INGLE_LONG") != "" {
		n = 50_000
	}
	if s := os.Getenv("INGLE_REQUESTS"); s != "" {
		_, _ = fmt.Sscan(s, &n)
	}
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("INGLE_SEED"); s != "" {
		_, _ = fmt.Sscan(s, &seed)
	}
	w := noninterference.NewWorld(t)
	users := noninterference.Users()
	asked, failed, found, tried := 0, 0, 0, 0
	for i := range users {
		t.Run(users[i].Name, func(t *testing.T) {
			p := w.Pairs(t, users[i:i+1])[0]
			tried++
			p.Try(seed+uint64(i), n/len(users)+1)
			for _, f := range p.Failed {
				t.Error(f)
			}
			asked, failed, found = asked+p.Asked, failed+len(p.Failed), found+p.Found
		})
	}
	t.Logf("non-interference: %d passed, %d failed; %d answers held data; INGLE_SEED=%d", asked-failed, failed, found, seed)
	if asked < n && tried == len(users) && failed == 0 {
		t.Errorf("%d requests instead of %d", asked, n)
	}
}
