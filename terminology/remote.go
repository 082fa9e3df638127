package terminology

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"ingle/fhir"
	"ingle/internal/cache"
	"ingle/internal/outbound"
)

// RemoteOptions describe another terminology server.
type RemoteOptions struct {
	// Base is its FHIR base URL, with https unless it is on this machine or one of
	// AllowHosts.
	Base string
	// Systems are the code systems it answers for: a URL, "url|version" for one
	// version, or "url*" for all that begin so.
	Systems []string
	// Headers are sent along, for example Authorization.
	Headers map[string]string
	// As asks with a token of the server's own; nil for none.
	As *outbound.ServiceOptions
	// Timeout of one request; default 5 s.
	Timeout time.Duration
	// TrustPEM are the certificates of its authorities; nil for the system's.
	TrustPEM []byte
	// CacheTime is how long an answer is kept; default 10 min; negative for not
	// at all.
	CacheTime time.Duration
	// AllowHosts may be asked over plain HTTP and at private addresses.
	AllowHosts []string
}

// Remote is another terminology server that is asked for the code systems it is
// named for. Only codes leave this server, never what they were found in. It is
// safe for concurrent use.
type Remote struct {
	opt    RemoteOptions
	base   string
	client *http.Client

	answers *cache.Cache[string, remoteAnswer] // nil where none are kept
	silent  atomic.Int64                       // until this time (Unix nanoseconds) it is not asked: it did not answer
}

type remoteAnswer struct {
	body   []byte
	status int
}

const (
	maxRemoteBody  = 8 << 20
	maxRemoteCache = 32 << 20 // bytes of questions and answers
)

// NewRemote checks the options and makes a Remote. It does not connect.
func NewRemote(opt RemoteOptions) (*Remote, error) {
	u, err := url.Parse(opt.Base)
	if err != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("terminology: %q is not the base URL of a FHIR server", opt.Base)
	}
	if len(opt.Systems) == 0 {
		return nil, fmt.Errorf("terminology: the remote server %s is named for no code system", u.Redacted())
	}
	if opt.Timeout == 0 {
		opt.Timeout = 5 * time.Second
	}
	if opt.CacheTime == 0 {
		opt.CacheTime = 10 * time.Minute
	}
	out := outbound.Options{Configured: true, Timeout: opt.Timeout}
	if opt.TrustPEM != nil {
		out.Roots = x509.NewCertPool()
		if !out.Roots.AppendCertsFromPEM(opt.TrustPEM) {
			return nil, fmt.Errorf("terminology: the trust store of %s holds no certificate", u.Redacted())
		}
	}
	guard := outbound.NewGuard(opt.AllowHosts...)
	if opt.As != nil {
		if out.Service, err = guard.NewService(*opt.As); err != nil {
			return nil, fmt.Errorf("terminology: the remote server: %w", err)
		}
	}
	client, err := guard.Client(u, out)
	if err != nil {
		return nil, fmt.Errorf("terminology: the remote server: %w", err)
	}
	// a redirected POST may come back as a GET: its base is to be mended instead
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	r := &Remote{opt: opt, base: strings.TrimSuffix(opt.Base, "/"), client: client}
	if opt.CacheTime > 0 {
		r.answers = cache.New(cache.Options[string, remoteAnswer]{
			Max: maxRemoteCache, Weigh: func(k string, v remoteAnswer) uint32 { return uint32(len(k) + len(v.body)) }, Age: opt.CacheTime,
		})
	}
	return r, nil
}

// system returns the code system if the server is named for it, nil if not.
func (r *Remote) system(url, version string) System {
	for _, s := range r.opt.Systems {
		prefix, open := strings.CutSuffix(s, "*")
		named, only, _ := strings.Cut(s, "|")
		switch {
		case open && strings.HasPrefix(url, prefix):
		case named == url && (only == "" || version == "" || version == only):
			version = orElse(version, only)
		default:
			continue
		}
		return &remoteSystem{r: r, info: SystemInfo{URL: url, Version: version, Name: url, CaseSensitive: true, Content: "complete", Status: "active"}}
	}
	return nil
}

// listed are the code systems that the server is named for, one by one.
func (r *Remote) listed() []Coding {
	var out []Coding
	for _, s := range r.opt.Systems {
		if !strings.HasSuffix(s, "*") {
			url, version, _ := strings.Cut(s, "|")
			out = append(out, Coding{System: url, Version: version})
		}
	}
	return out
}

// call sends a Parameters resource and returns the answer. What went wrong on
// the way is an *unknownSystem with the reason: the caller must not take it for
// "no". A server that does not answer is left alone for a while, so that many
// codes do not wait one after the other.
func (r *Remote) call(ctx context.Context, system, path string, body []byte) (fhir.Node, int, error) {
	key := path + "\x00" + string(body)
	have, ok := r.answers.Get(key)
	if !ok {
		if time.Now().UnixNano() < r.silent.Load() {
			return fhir.Node{}, 0, &unknownSystem{url: system, down: "it did not answer a moment ago"}
		}
		status, raw, err := r.send(ctx, path, body)
		if err != nil {
			if ctx.Err() != nil {
				return fhir.Node{}, 0, ctx.Err()
			}
			return fhir.Node{}, 0, &unknownSystem{url: system, down: err.Error()}
		}
		have = remoteAnswer{raw, status}
		r.answers.Set(key, have)
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
		if ctx.Err() == nil {
			r.silent.Store(time.Now().Add(r.opt.Timeout).UnixNano())
		}
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
	raw, err := outbound.ReadAll(resp.Body, maxRemoteBody)
	if err != nil {
		return 0, nil, errors.New("its answer broke off or is too large")
	}
	return resp.StatusCode, raw, nil
}
