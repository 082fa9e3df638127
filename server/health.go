package server

import (
	"context"
	"encoding/json"
	"html/template"
	"net/http"
	"time"

	"ingle/interaction"
	"ingle/store"
)

// live tells that the process answers.
func (s *Server) live(w http.ResponseWriter, r *http.Request) { plain(w, http.StatusOK, "ok") }

// ready tells whether requests can be served: the database answers, is at the
// right schema, and the server is not about to stop.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if s.draining.Load() {
		plain(w, http.StatusServiceUnavailable, "stopping")
		return
	}
	if err := s.ping(r.Context()); err != nil {
		exchangeOf(r).err = err
		plain(w, http.StatusServiceUnavailable, "the database is not ready")
		return
	}
	plain(w, http.StatusOK, "ok")
}

func (s *Server) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return s.cfg.Database.Ping(ctx)
}

// status tells figures for people.
func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	st := s.cfg.Database.Stat()
	out := struct {
		Version  string `json:"version"`
		Started  string `json:"started"`
		Uptime   string `json:"uptime"`
		Ready    bool   `json:"ready"`
		Database struct {
			Used    int32 `json:"connectionsUsed"`
			Idle    int32 `json:"connectionsIdle"`
			Max     int32 `json:"connectionsMax"`
			Waits   int64 `json:"waits"`
			Answers bool  `json:"answers"`
		} `json:"database"`
		Reindexing []store.Reindexing `json:"reindexing"`
	}{Version: s.cfg.Version, Started: s.started.UTC().Format(time.RFC3339), Uptime: time.Since(s.started).Truncate(time.Second).String()}
	out.Database.Used, out.Database.Idle, out.Database.Max, out.Database.Waits = st.AcquiredConns(), st.IdleConns(), st.MaxConns(), st.EmptyAcquireCount()
	out.Database.Answers = s.ping(r.Context()) == nil
	if out.Database.Answers {
		out.Reindexing = s.reindexing(r.Context())
	}
	out.Ready = out.Database.Answers && !s.draining.Load()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(out) // the client went away
}

// reindexing lists the jobs that are not done, nil where that cannot be told.
func (s *Server) reindexing(ctx context.Context) []store.Reindexing {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	jobs, err := s.cfg.Database.Reindexing(ctx)
	if err != nil {
		return nil
	}
	return jobs
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) // the client went away
}

var landing = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><title>FHIR R4 server</title>
<h1>FHIR R4 server</h1>
<p>The FHIR base URL is <a href="{{.}}/metadata">{{.}}</a>.
<ul><li><a href="{{.}}/metadata?_format=json&amp;_pretty=true">CapabilityStatement</a>
<li><a href="{{.}}/Patient?_format=json&amp;_pretty=true">Patients</a>
<li><a href="/_status">Status</a></ul>
`))

// home shows people where the API is.
func (s *Server) home(w http.ResponseWriter, r *http.Request) {
	for _, m := range accepts(r.Header.Values("Accept")) {
		if m.name == "text/html" {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
			_ = landing.Execute(w, s.baseURL(r)) // the client went away
			return
		}
	}
	s.respond(w, r, exchangeOf(r), interaction.Failed(nothingHere(s.baseURL(r))))
}
