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
// rights nobody finds it, its caller neither. Exports (export.go) go the same way.

// asyncPath is where asynchronous requests are asked for, below the base URL.
const asyncPath = "_async"

const (
	asyncTime    = 5 * time.Minute  // that one may run
	asyncKeep    = time.Hour        // that its answer stays
	asyncBytes   = 256 << 20        // of its answer
	asyncRunning = 2                // searches at once on this server; exports one by one
	asyncWaiting = 64               // for their turn on this server
	asyncBeat    = 10 * time.Second // between two signs of life
)

// later is what a server does for asynchronous requests.
type later struct {
	searches, exports lane
	closing           chan struct{}
	once              *sync.Once
	work              *sync.WaitGroup
}

// A lane is where requests of a kind wait for each other.
type lane struct {
	turn  chan struct{} // holds one for each that runs
	queue chan struct{} // one for each that runs or waits
}

func newLane(running int) lane {
	return lane{turn: make(chan struct{}, running), queue: make(chan struct{}, running+asyncWaiting)}
}

func newLater() later {
	return later{searches: newLane(asyncRunning), exports: newLane(1), closing: make(chan struct{}), once: &sync.Once{}, work: &sync.WaitGroup{}}
}

// Close ends the asynchronous requests that run here, and waits for them: their
// callers are told to ask again.
func (s *Service) Close() {
	s.later.once.Do(func() { close(s.later.closing) })
	s.later.work.Wait()
}

// asyncWork is a request that is answered later.
type asyncWork struct {
	lane   lane
	export bool
	keep   time.Duration // that its answer stays
	time   time.Duration // that it may run
	// do reads, in one snapshot; id is the request's.
	do func(ctx context.Context, tx *store.Tx, id string) (*Response, error)
	// status and write are the answer's at its place.
	status func(*Response) int
	write  func(io.Writer, *Response) error
}

// searchAsync begins a search. What can be said against it is said at once.
func (s *Service) searchAsync(ctx context.Context, session *store.Session, req *Request) (*Response, error) {
	asked, err := s.understand(ctx, session, session.Scope().Principal(), req)
	if err != nil {
		return nil, err
	}
	return s.respondLater(ctx, session, req, func(ctx context.Context, tx *store.Tx) (*Response, error) { return s.runSearch(ctx, tx, asked) })
}

// respondLater begins work that reads, whose answer will stand in a Bundle.
func (s *Service) respondLater(ctx context.Context, session *store.Session, req *Request, do func(context.Context, *store.Tx) (*Response, error)) (*Response, error) {
	return s.begin(ctx, session, req, asyncWork{lane: s.later.searches, keep: asyncKeep, time: asyncTime,
		do:     func(ctx context.Context, tx *store.Tx, _ string) (*Response, error) { return do(ctx, tx) },
		status: func(*Response) int { return http.StatusOK }, write: batchResponse})
}

// begin begins work, and answers 202 with the place where its answer will be.
func (s *Service) begin(ctx context.Context, session *store.Session, req *Request, work asyncWork) (*Response, error) {
	if !req.mayWait() {
		return nil, fhir.Errorf(http.StatusBadRequest, fhir.CodeNotSupported, "what is answered later is asked for by GET or POST, and by itself: not by HEAD, nor in a Bundle")
	}
	select {
	case work.lane.queue <- struct{}{}:
	default:
		e := fhir.Errorf(http.StatusServiceUnavailable, fhir.CodeThrottled, "the server has %d asynchronous requests in hand and takes no more; try again later", cap(work.lane.queue))
		e.RetryAfter = 30
		return nil, e
	}
	id, err := session.StartAsync(ctx, work.export, work.keep)
	if err != nil {
		<-work.lane.queue
		return nil, err
	}
	apart := context.WithoutCancel(ctx)
	s.later.work.Go(func() {
		defer func() { <-work.lane.queue }()
		s.runAsync(apart, session, id, work)
	})
	return &Response{Status: http.StatusAccepted, ContentLocation: asyncPath + "/" + id,
		Issues: []fhir.Issue{information("the answer will be at the URL in the header Content-Location")}}, nil
}

// runAsync waits for its turn, works, and stores the answer.
func (s *Service) runAsync(ctx context.Context, session *store.Session, id string, work asyncWork) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	beats := sync.WaitGroup{}
	defer beats.Wait()
	defer cancel()
	beats.Go(func() { s.keepAsync(ctx, session, id, cancel) })
	select {
	case work.lane.turn <- struct{}{}:
		defer func() { <-work.lane.turn }()
	case <-ctx.Done():
	}
	resp, err := func() (resp *Response, err error) {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if end := session.Scope().Expires(); !end.IsZero() && time.Now().After(end) {
			return nil, fhir.Errorf(http.StatusUnauthorized, fhir.CodeLogin, "the authorization ended before the request's turn came; ask again")
		}
		working, stop := context.WithTimeout(ctx, work.time)
		defer stop()
		err = session.Unhurried(working, work.time, func(tx *store.Tx) (err error) {
			resp, err = work.do(working, tx, id)
			return err
		})
		return resp, err
	}()
	// the answer is stored even while the server stops
	storing, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer stop()
	if ctx.Err() != nil {
		err = fhir.Errorf(http.StatusServiceUnavailable, fhir.CodeTransient, "the server stopped before the request was answered; ask again")
	}
	if err != nil {
		if s.cfg.Failed != nil && fhir.AsError(err) == nil {
			s.cfg.Failed(err)
		}
		resp = Failed(err)
	}
	finish := func() error {
		return session.FinishAsync(storing, id, work.status(resp), asyncBytes, func(w io.Writer) error { return work.write(w, resp) })
	}
	if errors.Is(finish(), store.ErrAsyncSize) {
		resp = Failed(fhir.Errorf(http.StatusInsufficientStorage, fhir.CodeTooCostly, "the answer has more than %d bytes; ask with a smaller _count", asyncBytes))
		_ = finish() // else its lease ends, and its caller is told that it is lost
	}
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
	resp := &Response{Status: a.Status, Expires: a.Expires, Stream: func(w io.Writer) error { return session.AsyncContent(apart, a.ID, w) }}
	if a.Export && a.Status == http.StatusOK {
		resp.ContentType = "application/json" // a manifest is no resource
	}
	return resp, nil
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
