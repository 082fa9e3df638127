package load

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// progress reports until the returned function is called: a bar that is drawn
// over and over on a terminal, a line every ten seconds elsewhere.
func (l *loader) progress(started time.Time) (stop func()) {
	if l.Status == nil {
		return func() {}
	}
	every := 10 * time.Second
	if l.Bar {
		every = 200 * time.Millisecond
	}
	done := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				l.show(started, false)
			case <-done:
				l.show(started, true)
				return
			}
		}
	})
	return func() {
		close(done)
		wait.Wait()
	}
}

func (l *loader) show(started time.Time, last bool) {
	elapsed := time.Since(started)
	stored := atomic.LoadInt64(&l.res.Stored)
	part := 1.0
	if l.res.Bytes > 0 && !last {
		part = min(float64(l.res.bytesDone.Load())/float64(l.res.Bytes), 0.999)
	}
	left := ""
	if !last && part > 0.005 {
		left = ", " + (time.Duration(float64(elapsed) * (1 - part) / part)).Round(time.Second).String() + " left"
	}
	text := fmt.Sprintf("%3.0f %%  %d resources, %d refused, %.0f a second%s", part*100, stored, atomic.LoadInt64(&l.res.Refused),
		float64(stored)/max(elapsed.Seconds(), 0.001), left)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.Bar {
		fmt.Fprintln(l.Status, text)
		return
	}
	const width = 30
	full := int(part * width)
	fmt.Fprintf(l.Status, "\r\x1b[K[%s%s] %s", strings.Repeat("█", full), strings.Repeat("·", width-full), text)
	if last {
		fmt.Fprintln(l.Status)
	}
}
