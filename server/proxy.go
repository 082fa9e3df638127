package server

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// remote returns the address of the connection's other end.
func remote(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	a, _ := netip.ParseAddr(host)
	return a.Unmap()
}

func (s *Server) trusted(a netip.Addr) bool {
	for _, p := range s.cfg.TrustedProxies {
		if a.IsValid() && p.Contains(a) {
			return true
		}
	}
	return false
}

// forwarded is what proxies say of the original request; empty where they say
// nothing or are not believed.
type forwarded struct{ proto, host, prefix string }

// forwardedOf reads Forwarded (RFC 7239), or X-Forwarded-* where there is none.
// The values of the last proxy count, since a client can send the first ones.
func (s *Server) forwardedOf(r *http.Request) forwarded {
	var f forwarded
	if !s.trusted(remote(r)) {
		return f
	}
	if h := r.Header.Values("Forwarded"); len(h) > 0 {
		elements := strings.Split(strings.Join(h, ","), ",")
		for pair := range strings.SplitSeq(elements[len(elements)-1], ";") {
			name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
			value = strings.Trim(value, `"`)
			switch strings.ToLower(name) {
			case "proto":
				f.proto = value
			case "host":
				f.host = value
			}
		}
		return f
	}
	f.proto = lastValue(r, "X-Forwarded-Proto")
	f.host = lastValue(r, "X-Forwarded-Host")
	if port := lastValue(r, "X-Forwarded-Port"); port != "" && f.host != "" && !strings.Contains(f.host, ":") &&
		!(port == "443" && f.proto == "https") && !(port == "80" && f.proto == "http") {
		f.host += ":" + port
	}
	if p := lastValue(r, "X-Forwarded-Prefix"); strings.HasPrefix(p, "/") && plainPath(p) {
		f.prefix = strings.TrimSuffix(p, "/")
	}
	return f
}

func lastValue(r *http.Request, header string) string {
	h := r.Header.Values(header)
	if len(h) == 0 {
		return ""
	}
	parts := strings.Split(h[len(h)-1], ",")
	return strings.TrimSpace(parts[len(parts)-1])
}

// baseURL is the FHIR base URL as the client knows it, without the last slash.
func (s *Server) baseURL(r *http.Request) string {
	if s.cfg.PublicURL != "" {
		return strings.TrimSuffix(s.cfg.PublicURL, "/")
	}
	f := s.forwardedOf(r)
	proto, host := "http", r.Host
	if r.TLS != nil {
		proto = "https"
	}
	if f.proto == "http" || f.proto == "https" {
		proto = f.proto
	}
	if f.host != "" {
		host = f.host
	}
	if !plainHost(host) {
		host = "localhost"
	}
	return proto + "://" + host + f.prefix + s.cfg.BasePath
}

// clientIP is the address of the client: behind trusted proxies the last one
// that is not theirs.
func (s *Server) clientIP(r *http.Request) string {
	a := remote(r)
	if !s.trusted(a) {
		return a.String()
	}
	chain := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	if h := r.Header.Values("Forwarded"); len(h) > 0 {
		chain = nil
		for element := range strings.SplitSeq(strings.Join(h, ","), ",") {
			for pair := range strings.SplitSeq(element, ";") {
				name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
				if strings.EqualFold(name, "for") {
					chain = append(chain, strings.Trim(value, `"`))
				}
			}
		}
	}
	for i := len(chain) - 1; i >= 0; i-- {
		text := strings.TrimSpace(chain[i])
		if host, _, err := net.SplitHostPort(text); err == nil {
			text = host
		}
		next, err := netip.ParseAddr(strings.Trim(text, "[]"))
		if err != nil {
			break
		}
		if a = next.Unmap(); !s.trusted(a) {
			break
		}
	}
	return a.String()
}

func plainHost(host string) bool {
	for i := range len(host) {
		c := host[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte(".-:[]_", c) < 0 {
			return false
		}
	}
	return host != ""
}

func plainPath(p string) bool {
	for i := range len(p) {
		c := p[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte(".-_~/", c) < 0 {
			return false
		}
	}
	return true
}
