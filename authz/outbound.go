package authz

import (
	"context"
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

// outbound asks the services that authorization depends on. It connects to no
// private, loopback, link-local or metadata address unless the host was
// allowed; the address is checked after the name is resolved, so a name that
// changes its mind is no way around.
type outbound struct {
	allow []string // host or host:port, lower case

	mu   sync.Mutex
	open []*http.Client
}

var errNotAllowed = errors.New("the address is not allowed; name the host in the configuration's allowed hosts if it should be")

// allowed tells whether the host of u was allowed by the configuration.
func (o *outbound) allowed(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	return slices.Contains(o.allow, host) || slices.Contains(o.allow, strings.ToLower(u.Host))
}

// check tells why u may not be asked. configured says that the URL stands in
// the configuration itself: a loopback address there means what it says.
func (o *outbound) check(u *url.URL, configured bool) error {
	if u.Host == "" || u.User != nil {
		return fmt.Errorf("%s is not an absolute URL without credentials", u.Redacted())
	}
	loopback := configured && isLoopback(u.Hostname())
	switch {
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && (loopback || o.allowed(u)):
		return nil
	}
	return fmt.Errorf("%s is not https: %w", u.Redacted(), errNotAllowed)
}

// client returns a client for one base URL, which stands in the configuration
// or (configured false) in a document that came from elsewhere.
func (o *outbound) client(base *url.URL, configured bool, timeout time.Duration) (*http.Client, error) {
	if err := o.check(base, configured); err != nil {
		return nil, err
	}
	free := o.allowed(base)
	loopback := configured && isLoopback(base.Hostname())
	dialer := &net.Dialer{Timeout: timeout, ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		ip := ap.Addr().Unmap()
		if free || loopback && ip.IsLoopback() || public(ip) {
			return nil
		}
		return fmt.Errorf("%s: %w", ip, errNotAllowed)
	}}
	client := &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			ForceAttemptHTTP2:      true,
			MaxIdleConnsPerHost:    8,
			MaxConnsPerHost:        32,
			IdleConnTimeout:        90 * time.Second,
			TLSHandshakeTimeout:    timeout,
			ResponseHeaderTimeout:  timeout,
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > 3 || r.URL.Scheme != base.Scheme || !strings.EqualFold(r.URL.Host, base.Host) {
				return errors.New("redirected to another origin or too often")
			}
			return nil
		},
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open = append(o.open, client)
	return client, nil
}

// close ends the connections that wait for another question.
func (o *outbound) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.open {
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

// get reads a JSON document of at most limit bytes.
func get(ctx context.Context, client *http.Client, address string, limit int64) ([]byte, error) {
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
	return readLimited(resp.Body, limit)
}

func readLimited(r io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) > limit {
		return nil, fmt.Errorf("the answer is larger than %d bytes", limit)
	}
	return body, nil
}
