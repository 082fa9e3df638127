package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"ingle/internal/config"
	"ingle/server"
)

// serveMetrics answers /metrics and profiling on a listener of their own, if
// one is configured, until ctx ends. It returns once it listens.
func serveMetrics(ctx context.Context, c *config.Config, m *server.Metrics) error {
	if c.Metrics.Listen == "" {
		return nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Metrics.Listen)
	if err != nil {
		return fmt.Errorf("listen for metrics (INGLE_METRICS_LISTEN=%s): %w", c.Metrics.Listen, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.Handler())
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = srv.Serve(l) }() // ends by Close
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	return nil
}
