package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// arm is one way to do a workload. Do makes one request, checks its answer and
// returns an error if it is not the right one. It is called by several workers
// at once; each has its own random numbers, the same in both arms of a round.
type arm struct {
	do    func(ctx context.Context, w *worker) error
	clock clock // CPU time of everything that serves it; the client's is not in
}

// worker is one client.
type worker struct {
	*rand.Rand
	number int
}

// figures are what one arm showed.
type figures struct {
	Rates         []float64 // requests a second, one for each run
	Requests      int
	CPU           time.Duration // of a request; 0 if unknown
	P50, P95, P99 time.Duration
	Wrong         int
	FirstWrong    string
}

// Rate is the median of the runs.
func (f *figures) Rate() float64 { return median(f.Rates) }

// Spread is the distance between the quartiles of the runs over their median.
func (f *figures) Spread() float64 {
	if len(f.Rates) < 4 || f.Rate() == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(f.Rates))
	return (s[len(s)*3/4] - s[len(s)/4]) / f.Rate()
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(float64(len(sorted))*p), len(sorted)-1)]
}

// running collects the runs of an arm.
type running struct {
	figures
	latencies []time.Duration
	cpu       time.Duration
	cpuKnown  bool
}

func (r *running) close() figures {
	slices.Sort(r.latencies)
	r.P50, r.P95, r.P99 = percentile(r.latencies, .5), percentile(r.latencies, .95), percentile(r.latencies, .99)
	if r.cpuKnown && r.Requests > 0 {
		r.CPU = r.cpu / time.Duration(r.Requests)
	}
	return r.figures
}

// run keeps the workers busy for the time given.
func (r *running) run(ctx context.Context, a arm, workers int, length time.Duration, seed uint64) error {
	type part struct {
		latencies []time.Duration
		wrong     int
		first     string
	}
	parts := make([]part, workers)
	cpu, known := a.clock()
	started := time.Now()
	end := started.Add(length)
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			p := &parts[i]
			w := &worker{rand.New(rand.NewPCG(seed, uint64(i))), i}
			for now := time.Now(); now.Before(end) && ctx.Err() == nil; {
				err := a.do(ctx, w)
				after := time.Now()
				p.latencies = append(p.latencies, after.Sub(now))
				now = after
				if err != nil {
					if p.wrong++; p.first == "" {
						p.first = err.Error()
					}
				}
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(started)
	after, stillKnown := a.clock()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	n := 0
	for i := range parts {
		n += len(parts[i].latencies)
		r.latencies = append(r.latencies, parts[i].latencies...)
		r.Wrong += parts[i].wrong
		if r.FirstWrong == "" {
			r.FirstWrong = parts[i].first
		}
	}
	r.Requests += n
	r.Rates = append(r.Rates, float64(n)/elapsed.Seconds())
	if known && stillKnown {
		r.cpu += after - cpu
		r.cpuKnown = true
	}
	return nil
}

// plan says how a workload is measured.
type plan struct {
	rounds int
	length time.Duration // of one run of an arm
}

// measure lets the arms alternate A B B A. Without a limit arm, A runs alone as often.
func (p plan) measure(ctx context.Context, server arm, limit *arm, workers int) (figures, *figures, error) {
	var a, b running
	for round := range p.rounds {
		for i, isLimit := range []bool{false, true, true, false} {
			seed := uint64(round*2 + i/2)
			var err error
			switch {
			case isLimit && limit != nil:
				err = b.run(ctx, *limit, workers, p.length, seed)
			case !isLimit:
				err = a.run(ctx, server, workers, p.length, seed)
			}
			if err != nil {
				return figures{}, nil, err
			}
		}
	}
	fa := a.close()
	if limit == nil {
		return fa, nil, nil
	}
	fb := b.close()
	return fa, &fb, nil
}

// drift watches a null request: how much its rate moves tells how quiet the machine is.
type drift struct {
	null  arm
	rates []float64
}

func (d *drift) probe(ctx context.Context) error {
	var r running
	if err := r.run(ctx, d.null, 1, 200*time.Millisecond, 0); err != nil {
		return err
	}
	if r.Wrong > 0 {
		return fmt.Errorf("the null request: %s", r.FirstWrong)
	}
	d.rates = append(d.rates, r.Rates...)
	return nil
}

// share is the largest distance from the median.
func (d *drift) share() float64 {
	m := median(d.rates)
	if m == 0 {
		return 0
	}
	worst := 0.0
	for _, r := range d.rates {
		worst = max(worst, max(r-m, m-r)/m)
	}
	return worst
}
