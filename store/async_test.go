package store_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ingle/authz"
	"ingle/fhir"
	"ingle/store/storetest"
)

// Who begins many exports in one moment has no more of them than one after the other.
func TestStartAsyncAtOnce(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t).As(authz.Open())
	var begun, refused atomic.Int32
	var all sync.WaitGroup
	for range 24 {
		all.Go(func() {
			_, err := s.StartAsync(context.Background(), true, time.Hour)
			switch e := fhir.AsError(err); {
			case err == nil:
				begun.Add(1)
			case e != nil && e.Status == 429:
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if begun.Load() != 3 || refused.Load() != 21 {
		t.Errorf("%d begun, %d refused", begun.Load(), refused.Load())
	}
}
