package server

import (
	"net/http"
	"net/netip"
	"slices"
	"strconv"

	"ingle/authz/limit"
	"ingle/authz/mtls"
	"ingle/fhir"
	"ingle/interaction"
)

// refuse answers a request with an error.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	x := exchangeOf(r)
	s.respond(w, r, x, interaction.Failed(err))
}

// networks keeps out who does not call from an allowed network, and who came
// without a client certificate by the name for probes. Probes of the process
// itself pass.
func (s *Server) networks(next http.Handler) http.Handler {
	in := func(list []netip.Prefix, a netip.Addr) bool {
		return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		probe := r.URL.Path == "/livez" || r.URL.Path == "/readyz"
		if r.TLS != nil && r.TLS.ServerName == mtls.Probe && !probe {
			s.refuse(w, r, fhir.Errorf(http.StatusForbidden, fhir.CodeForbidden, "only /livez and /readyz are answered here"))
			return
		}
		if len(s.cfg.AllowIPs) == 0 && len(s.cfg.DenyIPs) == 0 {
			next.ServeHTTP(w, r)
			return
		}
		a, err := netip.ParseAddr(s.clientIP(r))
		if !probe && (err != nil || in(s.cfg.DenyIPs, a) || len(s.cfg.AllowIPs) > 0 && !in(s.cfg.AllowIPs, a)) {
			s.refuse(w, r, fhir.Errorf(http.StatusForbidden, fhir.CodeForbidden, "this server does not answer calls from your network"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// pace refuses a caller that asks too often or has used up a quota: each
// principal by itself, callers without one by their address.
func (s *Server) pace(w http.ResponseWriter, r *http.Request, principal string) error {
	if s.cfg.Limiter == nil {
		return nil
	}
	if principal == "" || principal == "anonymous" {
		principal = "address:" + s.clientIP(r)
	}
	d := s.cfg.Limiter.Take(principal, 1)
	if d.Limited {
		h := w.Header()
		h.Set("X-RateLimit-Limit", strconv.FormatInt(d.Limit, 10))
		h.Set("X-RateLimit-Remaining", strconv.FormatInt(d.Remaining, 10))
		h.Set("X-RateLimit-Reset", strconv.Itoa(limit.Seconds(d.Reset)))
	}
	return d.Error()
}
