package terminology

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ingle/fhir"
)

// Many that want the same at once compile it once, and the fault of one who gave
// up is not that of the others.
func TestCompiledOnce(t *testing.T) {
	t.Parallel()
	doc, err := fhir.Parse([]byte(`{"resourceType":"ValueSet","url":"http://t/v","status":"active"}`), fhir.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	compile := func(n fhir.Node) (*valueSet, error) { return compileValueSet(n, 0) }
	for _, gaveUp := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := New(Options{})
			var read, failed, differ atomic.Int32
			first := true
			var mu sync.Mutex
			res := &Resource{Key: "v", doc: func() (*fhir.Doc, error) {
				read.Add(1)
				time.Sleep(time.Second)
				mu.Lock()
				defer mu.Unlock()
				if was := first; gaveUp && was {
					first = false
					return nil, context.Canceled
				}
				return doc, nil
			}}
			var kept atomic.Pointer[valueSet]
			var wg sync.WaitGroup
			for range 100 {
				wg.Go(func() {
					v, err := compiled(s, res, compile)
					if err != nil {
						failed.Add(1)
						if !errors.Is(err, context.Canceled) {
							t.Error(err)
						}
						return
					}
					if !kept.CompareAndSwap(nil, v) && kept.Load() != v {
						differ.Add(1)
					}
				})
			}
			wg.Wait()
			switch {
			case failed.Load() > 0:
				t.Errorf("%d failed", failed.Load())
			case !gaveUp && (read.Load() != 1 || differ.Load() != 0):
				t.Errorf("it was compiled %d times", read.Load())
			}
		})
	}
}
