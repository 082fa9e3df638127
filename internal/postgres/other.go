//go:build !unix

package postgres

import (
	"context"
	"errors"
	"log/slog"
)

// Options are the same as on Unix systems; see there.
type Options struct {
	Dir, BinDir, CacheDir string
	NoFetch, Volatile     bool
	Settings              map[string]string
	Log                   *slog.Logger
}

// Server cannot be had on this system.
type Server struct{}

// Start refuses: a private server needs unix sockets and file locks.
func Start(context.Context, Options) (*Server, error) {
	return nil, errors.New("a private PostgreSQL runs on Unix systems only; give a database URL in INGLE_DATABASE_URL")
}

func (*Server) LogPath() string                              { return "" }
func (*Server) Version() string                              { return "" }
func (*Server) URL(string) string                            { return "" }
func (*Server) EnsureDatabase(context.Context, string) error { return errors.ErrUnsupported }
func (*Server) PID() int                                     { return 0 }
func (*Server) Stop(context.Context) error                   { return nil }
func (*Server) Kill()                                        {}
func (*Server) Restart(context.Context) error                { return errors.ErrUnsupported }
