package server

import (
	"net/http"
	"slices"
	"strconv"
)

// What browser applications of other origins may use.
const (
	corsMethods = "GET, HEAD, POST, PUT, PATCH, DELETE"
	corsHeaders = "Accept, Authorization, Content-Type, If-Match, If-Modified-Since, If-None-Exist, If-None-Match, Prefer, X-Gen3-Resource-Path, X-Request-Id, X-Security-Context"
	corsExposed = "Allow, Content-Location, ETag, Last-Modified, Location, Preference-Applied, Retry-After, WWW-Authenticate, X-Progress, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, X-Request-Id"
)

// cors lets the applications of the configured origins in (Fetch Standard, CORS
// protocol). A preflight needs no credentials and gets none. Of other origins
// nothing is said, so that their browsers refuse them.
func (s *Server) cors(next http.Handler) http.Handler {
	if len(s.cfg.Origins) == 0 {
		return next
	}
	any := slices.Contains(s.cfg.Origins, "*")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		origin := r.Header.Get("Origin")
		if origin == "" || !any && !slices.Contains(s.cfg.Origins, origin) {
			next.ServeHTTP(w, r)
			return
		}
		if any {
			origin = "*"
		}
		h.Set("Access-Control-Allow-Origin", origin)
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			h.Set("Access-Control-Allow-Methods", corsMethods)
			h.Set("Access-Control-Allow-Headers", corsHeaders)
			h.Set("Access-Control-Max-Age", strconv.Itoa(int(s.cfg.CORSMaxAge.Seconds())))
			w.WriteHeader(http.StatusNoContent)
			return
		}
		h.Set("Access-Control-Expose-Headers", corsExposed)
		next.ServeHTTP(w, r)
	})
}
