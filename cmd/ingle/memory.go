package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// busyGC is how much garbage may gather before it is collected, in percent of
// the living heap. That is small, a few megabytes, so that more than the usual
// 100 is cheap and spares requests the collector's work.
const busyGC = 200

// quietTime is how long nothing much is done before memory is given back.
const quietTime = 5 * time.Second

// quietAlloc is what a server allocates meanwhile without requests, at most.
const quietAlloc = 4 << 20

// giveBack gives what the start and requests have left behind back to the system
// once the server is idle, until ctx ends. forget is called the first time: it
// drops what the start needed and may never be needed again.
func giveBack(ctx context.Context, forget func()) {
	debug.SetGCPercent(busyGC)
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	allocated := func() uint64 {
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	var freed, last uint64 // of the start, too
	tick := time.NewTicker(quietTime)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := allocated()
		if now-last < quietAlloc && now-freed >= quietAlloc {
			if freed == 0 {
				forget()
			}
			debug.FreeOSMemory()
			unmapProgram()
			freed = allocated()
		}
		last = now
	}
}
