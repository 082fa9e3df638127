package terminology

import (
	"bytes"
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
	"time"

	"ingle/fhir"
)

// RemoteOptions describe another terminology server.
type RemoteOptions struct {
	// Base is its FHIR base URL. It must be https, unless the host is a loopback
	// address and AllowLoopback is set.
	Base string
	// Systems are the code systems it answers for, by URL; one that ends in "*"
	// stands for all that begin so.
	Systems []string
	// Headers are sent along, for example Authorization.
	Headers map[string]string
	// Timeout of one request; default 5 s.
	Timeout time.Duration
	// TrustPEM are the certificates of its authorities; nil for the system's.
	TrustPEM []byte
	// CacheTime is how long an answer is kept; default 10 min; negative for not
	// at all.
	CacheTime time.Duration
	// AllowLoopback lets Base be http to a loopback address.
	AllowLoopback bool
	// AllowPrivate lets Base resolve to private addresses.
	AllowPrivate bool
}

// Remote is another terminology server that is asked for the code systems it is
// named for. Only codes leave this server, never what they were found in. It is
// safe for concurrent use.
type Remote struct {
	opt    RemoteOptions
	base   string
	client *http.Client

	mu    sync.Mutex
	cache map[string]remoteAnswer
}

type remoteAnswer struct {
	body   []byte
	status int
	until  time.Time
}

const (
	maxRemoteBody  = 8 << 20
	maxRemoteCache = 10_000
)

// NewRemote checks the options and makes a Remote. It does not connect.
func NewRemote(opt RemoteOptions) (*Remote, error) {
	u, err := url.Parse(opt.Base)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("terminology: %q is not the base URL of a FHIR server", opt.Base)
	}
	loopback := isLoopback(u.Hostname())
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && loopback && opt.AllowLoopback:
	default:
		return nil, fmt.Errorf("terminology: the remote server %q must be https", opt.Base)
	}
	if len(opt.Systems) == 0 {
		return nil, fmt.Errorf("terminology: the remote server %q is named for no code system", opt.Base)
	}
	if opt.Timeout == 0 {
		opt.Timeout = 5 * time.Second
	}
	if opt.CacheTime == 0 {
		opt.CacheTime = 10 * time.Minute
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute,
		ForceAttemptHTTP2: true, ResponseHeaderTimeout: opt.Timeout}
	if opt.TrustPEM != nil {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(opt.TrustPEM) {
			return nil, fmt.Errorf("terminology: the trust store of %q holds no certificate", opt.Base)
		}
		tr.TLSClientConfig.RootCAs = pool
	}
	dialer := &net.Dialer{Timeout: opt.Timeout}
	tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		// what the name resolved to decides, not what it is called
		if a, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil && !allowedAddr(a.Addr().Unmap(), &opt) {
			conn.Close()
			return nil, errors.New("its address is not allowed")
		}
		return conn, nil
	}
	return &Remote{opt: opt, base: strings.TrimSuffix(opt.Base, "/"), cache: map[string]remoteAnswer{},
		client: &http.Client{Transport: tr, Timeout: opt.Timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

func allowedAddr(a netip.Addr, opt *RemoteOptions) bool {
	switch {
	case a.IsLoopback():
		return opt.AllowLoopback
	case a.IsUnspecified(), a.IsMulticast(), a.IsLinkLocalUnicast():
		return false
	case a.IsPrivate():
		return opt.AllowPrivate
	}
	return true
}

func (r *Remote) handles(system string) bool {
	return slices.ContainsFunc(r.opt.Systems, func(s string) bool {
		if p, ok := strings.CutSuffix(s, "*"); ok {
			return strings.HasPrefix(system, p)
		}
		return s == system
	})
}

func (r *Remote) urls() []string {
	return slices.DeleteFunc(slices.Clone(r.opt.Systems), func(s string) bool { return strings.HasSuffix(s, "*") })
}

func (r *Remote) system(url, version string) System {
	return &remoteSystem{r: r, info: SystemInfo{URL: url, Version: version, Name: url, CaseSensitive: true, Content: "complete", Status: "active"}}
}

// call sends a Parameters resource and returns the answer. What went wrong on
// the way is an *unknownSystem with the reason: the caller must not take it for
// "no".
func (r *Remote) call(ctx context.Context, system, path string, body []byte) (fhir.Node, int, error) {
	key := path + "\x00" + string(body)
	now := time.Now()
	r.mu.Lock()
	have, ok := r.cache[key]
	r.mu.Unlock()
	if !ok || now.After(have.until) {
		status, raw, err := r.send(ctx, path, body)
		if err != nil {
			if ctx.Err() != nil {
				return fhir.Node{}, 0, ctx.Err()
			}
			return fhir.Node{}, 0, &unknownSystem{url: system, down: err.Error()}
		}
		have = remoteAnswer{raw, status, now.Add(r.opt.CacheTime)}
		if r.opt.CacheTime > 0 {
			r.mu.Lock()
			if len(r.cache) >= maxRemoteCache {
				clear(r.cache)
			}
			r.cache[key] = have
			r.mu.Unlock()
		}
	}
	doc, err := fhir.Parse(have.body, fhir.Limits{})
	if err != nil {
		return fhir.Node{}, 0, &unknownSystem{url: system, down: "its answer is not FHIR JSON"}
	}
	return doc.Root(), have.status, nil
}

// send makes one request. Answers of 5xx, redirects and refusals to let us in
// are errors; 404 and 422 are answers.
func (r *Remote) send(ctx context.Context, path string, body []byte) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.base+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, errors.New("the request could not be made")
	}
	req.Header.Set("Content-Type", "application/fhir+json")
	req.Header.Set("Accept", "application/fhir+json")
	for k, v := range r.opt.Headers {
		req.Header.Set(k, v)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		var ne net.Error
		if errors.As(err, &ne) && ne.Timeout() {
			return 0, nil, fmt.Errorf("no answer in %s", r.opt.Timeout)
		}
		return 0, nil, errors.New("it cannot be reached")
	}
	defer resp.Body.Close()
	switch s := resp.StatusCode; {
	case s >= 500, s == http.StatusTooManyRequests, s == http.StatusRequestTimeout:
		return 0, nil, fmt.Errorf("it answers with status %d", s)
	case s >= 300 && s < 400, s == http.StatusUnauthorized, s == http.StatusForbidden:
		return 0, nil, fmt.Errorf("it answers with status %d; check its configuration here", s)
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxRemoteBody+1))
	if err != nil {
		return 0, nil, errors.New("its answer broke off")
	}
	if len(raw) > maxRemoteBody {
		return 0, nil, errors.New("its answer is too large")
	}
	return resp.StatusCode, raw, nil
}
