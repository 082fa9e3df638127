package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/sync/semaphore"

	"ingle/fhir"
	"ingle/interaction"
)

// Server answers HTTP requests.
type Server struct {
	cfg      Config
	metrics  *Metrics
	writes   *semaphore.Weighted // places for writes
	bodies   *semaphore.Weighted // bytes for bodies
	handler  http.Handler
	started  time.Time
	draining atomic.Bool
}

// New makes a Server.
func New(cfg Config) *Server {
	cfg = cfg.withDefaults()
	s := &Server{cfg: cfg, metrics: cfg.Metrics, writes: semaphore.NewWeighted(int64(cfg.Writes)), bodies: semaphore.NewWeighted(cfg.BodyMemory), started: time.Now()}
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = s.clientIP // the default believes any X-Forwarded-For
	e.HTTPErrorHandler = s.routeFailed
	get := func(path string, h http.HandlerFunc) {
		e.Match([]string{http.MethodGet, http.MethodHead}, path, func(c echo.Context) error {
			exchangeOf(c.Request()).path = path
			h(c.Response(), c.Request())
			return nil
		})
	}
	get("/livez", s.live)
	get("/readyz", s.ready)
	get("/_status", s.status)
	if s.metrics != nil && !cfg.MetricsElsewhere {
		get("/metrics", s.metrics.Handler().ServeHTTP)
	}
	s.handler = s.tenants(s.guard(s.networks(s.cors(s.wrapped(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The FHIR base has one handler for every method and path: its routes
		// are interaction.Service.Resolve's, which serves Bundles too, and sees
		// paths as they were sent (an encoded slash is no slash).
		if s.below(r.URL.EscapedPath()) {
			s.serveFHIR(w, r)
			return
		}
		e.ServeHTTP(w, r)
	}))))))
	if cfg.BasePath != "" {
		get("/", s.home)
	}
	return s
}

// below tells whether a path is at or under the FHIR base.
func (s *Server) below(path string) bool {
	base := s.cfg.BasePath
	if base == "" {
		switch path {
		case "/livez", "/readyz", "/_status", "/metrics":
			return false
		}
		return true
	}
	return path == base || len(path) > len(base) && path[:len(base)] == base && path[len(base)] == '/'
}

func (s *Server) wrapped(h http.Handler) http.Handler {
	for i := len(s.cfg.Wrap) - 1; i >= 0; i-- {
		h = s.cfg.Wrap[i](h)
	}
	return h
}

// routeFailed answers what echo has no route for.
func (s *Server) routeFailed(err error, c echo.Context) {
	r := c.Request()
	var he *echo.HTTPError
	if errors.As(err, &he) {
		switch he.Code {
		case http.StatusNotFound:
			err = nothingHere(s.baseURL(r))
		case http.StatusMethodNotAllowed:
			e := fhir.Errorf(http.StatusMethodNotAllowed, fhir.CodeNotSupported, "%s is not supported here", r.Method)
			e.Allow = []string{http.MethodGet, http.MethodHead}
			err = e
		}
	}
	s.respond(c.Response(), r, exchangeOf(r), interaction.Failed(err))
}

func nothingHere(base string) error {
	return fhir.Errorf(http.StatusNotFound, fhir.CodeNotFound, "there is nothing at this path; the FHIR base URL is %s", base)
}

// Handler returns the server as a handler, for tests and for embedding.
func (s *Server) Handler() http.Handler { return s.handler }

// Serve answers requests on a listener until ctx ends, then lets those that run
// come to their end, for as long as the drain time allows.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	h := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: s.cfg.HeaderTime,
		IdleTimeout:       s.cfg.KeepAliveTime,
		MaxHeaderBytes:    s.cfg.HeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug), // faults of clients: TLS, broken headers
		// requests outlive ctx: they end by the drain
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	failed := make(chan error, 1)
	go func() { failed <- h.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	s.draining.Store(true)
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.DrainTime)
	defer cancel()
	err := h.Shutdown(drain)
	if err != nil {
		_ = h.Close() // what is left is cut off
		err = fmt.Errorf("some requests did not end within %s: %w", s.cfg.DrainTime, err)
	}
	<-failed // http.ErrServerClosed
	return err
}
