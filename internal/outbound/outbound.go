// Package outbound makes the HTTP clients by which the server asks others:
// issuers of tokens, policy engines, terminology servers. A Guard connects to no
// private, loopback, link-local or metadata address unless the configuration
// allowed the host; the address is checked after the name is resolved, so a name
// that changes its mind is no way around.
package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Guard decides which addresses may be asked. It is safe for concurrent use.
type Guard struct {
	allow []string // host or host:port, lower case

	mu   sync.Mutex
	open []*http.Client
}

// NewGuard makes a Guard. allow are the hosts ("fence-service", "10.0.0.7:8080")
// that may be asked over plain HTTP and at addresses that are not public.
func NewGuard(allow ...string) *Guard {
	g := &Guard{}
	for _, host := range allow {
		g.allow = append(g.allow, strings.ToLower(host))
	}
	return g
}

// ErrNotAllowed is the error of an address that may not be asked.
var ErrNotAllowed = errors.New("the address is not allowed; name the host in the configuration's allowed hosts if it should be")

// allowed tells whether the host of u was allowed by the configuration.
func (g *Guard) allowed(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	return slices.Contains(g.allow, host) || slices.Contains(g.allow, strings.ToLower(u.Host))
}

// check tells why u may not be asked. configured says that the URL stands in
// the configuration itself: a loopback address there means what it says.
func (g *Guard) check(u *url.URL, configured bool) error {
	if u.Host == "" || u.User != nil {
		return fmt.Errorf("%s is not an absolute URL without credentials", u.Redacted())
	}
	loopback := configured && isLoopback(u.Hostname())
	switch {
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && (loopback || g.allowed(u)):
		return nil
	}
	return fmt.Errorf("%s is not https: %w", u.Redacted(), ErrNotAllowed)
}

// Options of a client.
type Options struct {
	// Configured tells that the base URL stands in the configuration itself, not
	// in a document that came from elsewhere: a loopback address means what it says.
	Configured bool
	Timeout    time.Duration  // of one request
	Roots      *x509.CertPool // authorities of the server's certificate; nil for the system's
	Service    *Service       // whose tokens go along; nil for none
}

// Client returns a client for one base URL.
func (g *Guard) Client(base *url.URL, opt Options) (*http.Client, error) {
	if err := g.check(base, opt.Configured); err != nil {
		return nil, err
	}
	free := g.allowed(base)
	loopback := opt.Configured && isLoopback(base.Hostname())
	dialer := &net.Dialer{Timeout: opt.Timeout, ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		ip := ap.Addr().Unmap()
		if free || loopback && ip.IsLoopback() || public(ip) {
			return nil
		}
		return fmt.Errorf("%s: %w", ip, ErrNotAllowed)
	}}
	client := &http.Client{
		Timeout: opt.Timeout,
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: opt.Roots, MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2:      true,
			MaxIdleConnsPerHost:    8,
			MaxConnsPerHost:        32,
			IdleConnTimeout:        90 * time.Second,
			TLSHandshakeTimeout:    opt.Timeout,
			ResponseHeaderTimeout:  opt.Timeout,
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > 3 || r.URL.Scheme != base.Scheme || !strings.EqualFold(r.URL.Host, base.Host) {
				return errors.New("redirected to another origin or too often")
			}
			return nil
		},
	}
	if opt.Service != nil {
		client.Transport = &bearer{opt.Service, client.Transport}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = append(g.open, client)
	return client, nil
}

// Close ends the connections that wait for another question.
func (g *Guard) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.open {
		c.CloseIdleConnections()
	}
}

var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2002::/16"), // IPv4 inside IPv6
}

func public(ip netip.Addr) bool {
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() {
		return false
	}
	return !slices.ContainsFunc(notPublic, func(p netip.Prefix) bool { return p.Contains(ip) })
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// Get reads a JSON document of at most limit bytes.
func Get(ctx context.Context, client *http.Client, address string, limit int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s", req.URL.Redacted(), resp.Status)
	}
	return ReadAll(resp.Body, limit)
}

// ReadAll reads to the end, but no more than limit bytes.
func ReadAll(r io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) > limit {
		return nil, fmt.Errorf("the answer is larger than %d bytes", limit)
	}
	return body, nil
}
