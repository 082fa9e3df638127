package main

import (
	"context"
	"io"
	"log/slog"
	"os/user"

	"ingle/internal/config"
)

// audit is a log for the audit trail: no log.level keeps its lines back.
func audit(log *slog.Logger) *slog.Logger { return slog.New(trail{log.Handler()}) }

type trail struct{ slog.Handler }

// Enabled implements slog.Handler.
func (trail) Enabled(context.Context, slog.Level) bool { return true }

// operator keeps the audit trail of a command that works on the database itself,
// past every server.
type operator struct {
	name string
	to   *slog.Logger // nil: there is no trail
}

// operating tells who runs a command whose log goes to out.
func operating(c *config.Config, out io.Writer) operator {
	o := operator{name: "operator"}
	if u, err := user.Current(); err == nil {
		o.name += ":" + u.Username
	}
	if c.Access.Audit {
		o.to = audit(logger(c.Log, out))
	}
	return o
}

// did leaves a line like those of the server: the code of AuditEvent.action, the
// command, what it was about, names and values in turn, and whether that went well.
func (o operator) did(action, command string, err error, about ...any) {
	if o.to == nil {
		return
	}
	outcome := "success"
	if err != nil {
		outcome = "serious failure"
	}
	attrs := append([]any{"principal", o.name, "action", action, "interaction", command}, about...)
	o.to.Info("audit", append(attrs, "outcome", outcome)...)
}
