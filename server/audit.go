package server

import (
	"context"
	"log/slog"
	"net/http"

	"ingle/interaction"
)

// audit writes the trail of one request: who did what to which resource, with
// what outcome. Each entry of a Bundle is an event of its own. Unlike the access
// log it names resources; it never holds content or search values.
func (s *Server) audit(ctx context.Context, r *http.Request, x *exchange, status int) {
	if s.cfg.Audit == nil || x.req == nil {
		return
	}
	client := s.clientIP(r)
	event := func(kind interaction.Kind, op *interaction.Operation, typ, id, version string, status int) {
		attrs := []slog.Attr{
			slog.String("request", x.id), slog.String("principal", x.principal), slog.String("client", client),
			slog.String("action", action(kind)), slog.String("interaction", kind.String()),
		}
		if op != nil {
			attrs = append(attrs, slog.String("operation", op.Name))
		}
		if typ != "" {
			attrs = append(attrs, slog.String("type", typ))
		}
		if id != "" {
			attrs = append(attrs, slog.String("reference", typ+"/"+id))
		}
		if version != "" {
			attrs = append(attrs, slog.String("version", version))
		}
		outcome := "success"
		switch {
		case status >= 500:
			outcome = "serious failure"
		case status >= 400:
			outcome = "minor failure"
		}
		s.cfg.Audit.LogAttrs(ctx, slog.LevelInfo, "audit", append(attrs, slog.Int("status", status), slog.String("outcome", outcome))...)
	}
	q := x.req
	switch {
	case len(x.entries) > 0:
		for _, e := range x.entries {
			event(e.Kind, nil, e.Type, e.ID, e.Version, e.Status)
		}
		return
	case q.Compartment != "":
		event(q.Kind, nil, q.Compartment, q.CompartmentID, "", status)
		return
	}
	id, version := q.ID, q.Version
	if x.made.ID != "" {
		id, version = x.made.ID, x.made.Version
	}
	event(q.Kind, q.Operation, q.Type, id, version, status)
}

// action is the code of AuditEvent.action: C, R, U, D or E.
func action(kind interaction.Kind) string {
	switch kind {
	case interaction.Create:
		return "C"
	case interaction.Update, interaction.Patch:
		return "U"
	case interaction.Delete:
		return "D"
	case interaction.Batch, interaction.Operate:
		return "E"
	}
	return "R"
}
