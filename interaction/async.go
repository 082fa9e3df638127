package interaction

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"ingle/fhir"
	"ingle/store"
)

// A search with Prefer: respond-async is answered later (R4 async.html): 202 and
// a place at once; at that place 202 until the answer is there, then 200 with a
// batch-response Bundle around it; DELETE there cancels or forgets it. It may
// take longer than a search that somebody waits for, and runs with the rights
// that its caller had when it was asked, if they have not ended by then. With other
// rights nobody finds it, its caller neither.

// asyncPath is where asynchronous requests are asked for, below the base URL.
const asyncPath = "_async"

const (
	asyncTime    = 5 * time.Minute  // that one may run
	asyncKeep    = time.Hour        // that its answer stays
	asyncBytes   = 256 << 20        // of its answer
	asyncRunning = 2                // at once on this server
	asyncWaiting = 64               // for their turn on this server
	asyncBeat    = 10 * time.Second // between two signs of life
)

// later is what a server does for asynchronous requests.
type later struct {
	turn    chan struct{} // holds one for each that runs
	queue   chan struct{} // one for each that runs or waits
	closing chan struct{}
	once    *sync.Once
	work    *sync.WaitGroup
}

func newLater() later {
	return later{turn: make(chan struct{}, asyncRunning), queue: make(chan struct{}, asyncRunning+asyncWaiting),
		closing: make(chan struct{}), once: &sync.Once{}, work: &sync.WaitGroup{}}
}

// Close ends the asynchronous requests that run here, and waits for them: their
// callers are told to ask again.
func (s *Service) Close() {
	s.later.once.Do(func() { close(s.later.closing) })
	s.later.work.Wait()
}

// searchAsync begins a search. What can be said against it is said at once.
func (s *Service) searchAsync(ctx context.Context, session *store.Session, req *Request) (*Response, error) {
	asked, err := s.understand(ctx, session, session.Scope().Principal(), req)
	if err != nil {
		return nil, err
	}
	return s.respondLater(ctx, session, func(ctx context.Context, tx *store.Tx) (*Response, error) { return s.runSearch(ctx, tx, asked) })
}

// respondLater begins work that reads, and answers 202 with the place where its
// answer will be.
func (s *Service) respondLater(ctx context.Context, session *store.Session, do func(context.Context, *store.Tx) (*Response, error)) (*Response, error) {
	select {
	case s.later.queue <- struct{}{}:
	default:
		e := fhir.Errorf(http.StatusServiceUnavailable, fhir.CodeThrottled, "the server has %d asynchronous requests in hand and takes no more; try again later", asyncRunning+asyncWaiting)
		e.RetryAfter = 30
		return nil, e
	}
	id, err := session.StartAsync(ctx, asyncKeep)
	if err != nil {
		<-s.later.queue
		return nil, err
	}
	apart := context.WithoutCancel(ctx)
	s.later.work.Go(func() {
		defer func() { <-s.later.queue }()
		s.runAsync(apart, session, id, func(ctx context.Context) (*Response, error) {
			var resp *Response
			err := session.Unhurried(ctx, asyncTime, func(tx *store.Tx) (err error) {
				resp, err = do(ctx, tx)
				return err
			})
			return resp, err
		})
	})
	return &Response{Status: http.StatusAccepted, ContentLocation: asyncPath + "/" + id,
		Issues: []fhir.Issue{information("the answer will be at the URL in the header Content-Location")}}, nil
}

// runAsync waits for its turn, works, and stores the answer.
func (s *Service) runAsync(ctx context.Context, session *store.Session, id string, do func(context.Context) (*Response, error)) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	beats := sync.WaitGroup{}
	defer beats.Wait()
	defer cancel()
	beats.Go(func() { s.keepAsync(ctx, session, id, cancel) })
	select {
	case s.later.turn <- struct{}{}:
		defer func() { <-s.later.turn }()
	case <-ctx.Done():
	}
	resp, err := func() (*Response, error) {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if end := session.Scope().Expires(); !end.IsZero() && time.Now().After(end) {
			return nil, fhir.Errorf(http.StatusUnauthorized, fhir.CodeLogin, "the authorization ended before the request's turn came; ask again")
		}
		working, stop := context.WithTimeout(ctx, asyncTime)
		defer stop()
		return do(working)
	}()
	// the answer is stored even while the server stops
	storing, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer stop()
	if ctx.Err() != nil {
		err = fhir.Errorf(http.StatusServiceUnavailable, fhir.CodeTransient, "the server stopped before the request was answered; ask again")
	}
	if err != nil {
		resp = Failed(err)
	}
	err = session.FinishAsync(storing, id, asyncBytes, func(w io.Writer) error { return batchResponse(w, resp) })
	if errors.Is(err, store.ErrAsyncSize) {
		resp = Failed(fhir.Errorf(http.StatusInsufficientStorage, fhir.CodeTooCostly, "the answer has more than %d bytes; ask with a smaller _count", asyncBytes))
		err = session.FinishAsync(storing, id, asyncBytes, func(w io.Writer) error { return batchResponse(w, resp) })
	}
	_ = err // its lease ends, and its caller is told that it is lost
}

// keepAsync gives signs of life, and ends the work when it was cancelled or the
// server stops.
func (s *Service) keepAsync(ctx context.Context, session *store.Session, id string, end func()) {
	beat := time.NewTicker(asyncBeat)
	defer beat.Stop()
	for {
		select {
		case <-beat.C:
			if wanted, err := session.KeepAsync(ctx, id); err == nil && !wanted {
				end()
				return
			}
		case <-s.later.closing:
			end()
			return
		case <-ctx.Done():
			return
		}
	}
}

// batchResponse writes a Bundle with the one answer.
func batchResponse(w io.Writer, resp *Response) error {
	b := bundleWriter{w: w}
	b.begin("batch-response", time.Now(), -1, nil)
	b.entry("")
	var outcome []byte
	if resp.Issues != nil {
		outcome = fhir.AppendOutcome(nil, resp.Issues, "")
	}
	b.member("response", appendEntryResponse(nil, strconv.Itoa(resp.Status)+" "+http.StatusText(resp.Status), "", "", time.Time{}, outcome))
	if resp.Stream != nil {
		if err := b.stream("resource", resp.Stream); err != nil {
			return err
		}
	}
	if resp.Body != nil {
		b.member("resource", resp.Body)
	}
	return b.end()
}

// asyncStatus tells how far an asynchronous request is, and gives its answer.
func (s *Service) asyncStatus(ctx context.Context, session *store.Session, req *Request) (*Response, error) {
	a, err := session.Async(ctx, req.ID)
	switch {
	case err != nil:
		return nil, err
	case a == nil:
		return nil, noAsync()
	case a.Lost:
		return nil, fhir.Errorf(http.StatusInternalServerError, fhir.CodeTransient, "the server that worked on the request was stopped before it was done; ask again")
	case !a.Done:
		return &Response{Status: http.StatusAccepted, Progress: "in progress for " + time.Since(a.Created).Truncate(time.Second).String(), RetryAfter: 1}, nil
	}
	apart := context.WithoutCancel(ctx) // it is sent when this is over
	return &Response{Status: http.StatusOK, Expires: a.Expires, Stream: func(w io.Writer) error { return session.AsyncContent(apart, a.ID, w) }}, nil
}

// asyncCancel ends an asynchronous request, or deletes its answer.
func (s *Service) asyncCancel(ctx context.Context, session *store.Session, req *Request) (*Response, error) {
	found, err := session.CancelAsync(ctx, req.ID)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, noAsync()
	}
	return &Response{Status: http.StatusAccepted}, nil
}

func noAsync() error {
	return fhir.Errorf(http.StatusNotFound, fhir.CodeNotFound, "there is no such asynchronous request: it was deleted, it expired, it is another caller's, or what you may see has changed since")
}
