package server

import (
	"log/slog"
	"net/http"
	"time"

	"ingle/interaction"
)

// finished writes the access log and the metrics of a request. Neither holds
// ids, parameter values or content: they are patient data.
func (s *Server) finished(r *http.Request, w *recorder, x *exchange) {
	took := time.Since(x.start)
	status := w.status
	if status == 0 {
		status = http.StatusOK
	}
	kind, typ, path := "none", "", x.path
	if x.req != nil {
		kind, typ, path = kindOf(x.req), x.req.Type, s.cfg.BasePath+pathTemplate(x.req)
	}
	s.metrics.observe(kind, typ, status, took, x.rows)
	s.audit(r.Context(), r, x, status)
	level := slog.LevelInfo
	attrs := []slog.Attr{
		slog.String("request", x.id), slog.String("method", r.Method), slog.String("path", path), slog.String("interaction", kind),
		slog.Int("status", status), slog.Float64("ms", float64(took.Microseconds())/1000), slog.Int64("bytes", w.bytes),
		slog.Int("resources", x.rows), slog.String("principal", x.principal), slog.String("client", s.clientIP(r)),
	}
	if status >= 500 {
		level = slog.LevelError
		if x.err != nil {
			attrs = append(attrs, slog.String("error", x.err.Error()))
		}
	} else if x.path != "other" && x.deed == nil && x.req == nil {
		level = slog.LevelDebug // health checks and metrics
	}
	s.cfg.Log.LogAttrs(r.Context(), level, "request", attrs...)
}

// kindOf names the interaction for log and metrics: one of a fixed set.
func kindOf(req *interaction.Request) string {
	if req.Operation != nil {
		return "$" + req.Operation.Name
	}
	return req.Kind.String()
}

// pathTemplate is the shape of a request's path, without ids.
func pathTemplate(req *interaction.Request) string {
	path := ""
	if req.Compartment != "" {
		path = "/" + req.Compartment + "/{id}"
		if req.Type == "" {
			return path + "/*"
		}
	}
	if req.Type != "" {
		path += "/" + req.Type
	}
	if req.ID != "" {
		path += "/{id}"
	}
	switch req.Kind {
	case interaction.VRead:
		path += "/_history/{version}"
	case interaction.HistoryInstance, interaction.HistoryType, interaction.HistorySystem:
		path += "/_history"
	case interaction.Capabilities:
		path += "/metadata"
	case interaction.AsyncStatus, interaction.AsyncCancel:
		path = "/_async/{id}"
	case interaction.AsyncFile:
		path = "/_async/{id}/{file}"
	case interaction.Operate:
		path += "/$" + req.Operation.Name
	}
	return path
}
