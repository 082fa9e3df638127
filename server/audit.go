package server

import (
	"context"
	"log/slog"
	"net/http"
	"strings"

	"ingle/interaction"
)

// deed is what is asked of the administrators' paths, for the trail.
type deed struct {
	action string      // code of AuditEvent.action
	about  []slog.Attr // for whom, which role, of which resource; nothing of who is no administrator
}

func newDeed(method string) *deed {
	switch method {
	case http.MethodGet, http.MethodHead:
		return &deed{action: "R"}
	case http.MethodDelete:
		return &deed{action: "D"}
	}
	return &deed{action: "E"}
}

// concerns adds what it is about.
func (d *deed) concerns(about ...slog.Attr) { d.about = append(d.about, about...) }

// audit writes the trail of one request: who did what to which resource, with
// what outcome. Each entry of a Bundle is an event of its own. Unlike the access
// log it names resources, and whom administrators give what; it never holds
// content or search values.
func (s *Server) audit(ctx context.Context, r *http.Request, x *exchange, status int) {
	if s.cfg.Audit == nil || x.req == nil && x.deed == nil {
		return
	}
	client := s.clientIP(r)
	write := func(action, interaction string, status int, about ...slog.Attr) {
		outcome := "success"
		switch {
		case status >= 500:
			outcome = "serious failure"
		case status >= 400:
			outcome = "minor failure"
		}
		attrs := append([]slog.Attr{
			slog.String("request", x.id), slog.String("principal", x.principal), slog.String("client", client),
			slog.String("action", action), slog.String("interaction", interaction),
		}, about...)
		s.cfg.Audit.LogAttrs(ctx, slog.LevelInfo, "audit", append(attrs, slog.Int("status", status), slog.String("outcome", outcome))...)
	}
	if x.req == nil {
		write(x.deed.action, "administration", status, append([]slog.Attr{slog.String("operation", x.path)}, x.deed.about...)...)
		return
	}
	q := x.req
	event := func(kind interaction.Kind, op *interaction.Operation, typ, id, version string, status int) {
		var attrs []slog.Attr
		if op != nil {
			attrs = append(attrs, slog.String("operation", op.Name))
		}
		if typ != "" {
			attrs = append(attrs, slog.String("type", typ))
		}
		if id != "" {
			reference := typ + "/" + id
			if typ == "" { // what is fetched later
				reference = strings.TrimSuffix("_async/"+id+"/"+q.File, "/")
			}
			attrs = append(attrs, slog.String("reference", reference))
		}
		if version != "" {
			attrs = append(attrs, slog.String("version", version))
		}
		write(action(kind), kind.String(), status, attrs...)
	}
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
