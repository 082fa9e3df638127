package outbound

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// ServiceOptions say how the server gets tokens of its own for other services:
// client credentials (RFC 6749, 4.4).
type ServiceOptions struct {
	TokenURL string
	ClientID string
	Secret   string
	Scope    string // "" for none
	Audience string // "" for none
	Now      func() time.Time
}

// Service is who the server is for other services. Its tokens are cached; one
// question for a token serves all who wait for it. It is safe for concurrent use.
type Service struct {
	opt    ServiceOptions
	client *http.Client
	flight singleflight.Group

	mu      sync.Mutex
	token   string
	renew   time.Time // from then on another one is asked for
	expires time.Time
}

const (
	tokenTimeout  = 10 * time.Second
	tokenLifetime = time.Hour       // where the answer does not say
	tokenEarly    = 5 * time.Minute // before the end a token is renewed
	maxToken      = 64 << 10
)

// NewService makes a Service. It asks nobody yet.
func (g *Guard) NewService(opt ServiceOptions) (*Service, error) {
	u, err := url.Parse(opt.TokenURL)
	if err != nil || opt.ClientID == "" || opt.Secret == "" {
		return nil, errors.New("a service's token needs the URL of a token endpoint, a client id and a secret")
	}
	client, err := g.Client(u, Options{Configured: true, Timeout: tokenTimeout})
	if err != nil {
		return nil, fmt.Errorf("the token endpoint: %w", err)
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	return &Service{opt: opt, client: client}, nil
}

// Token returns a token that is good for a while. Only the first who finds it
// near its end asks for another; if there is none to be had, the old one serves
// until it ends.
func (s *Service) Token(ctx context.Context) (string, error) {
	now := s.opt.Now()
	s.mu.Lock()
	token, renew, expires := s.token, s.renew, s.expires
	s.mu.Unlock()
	if token != "" && now.Before(renew) {
		return token, nil
	}
	result := s.flight.DoChan("", func() (any, error) {
		apart, cancel := context.WithTimeout(context.WithoutCancel(ctx), tokenTimeout)
		defer cancel()
		return s.fetch(apart)
	})
	select {
	case r := <-result:
		if r.Err == nil {
			return r.Val.(string), nil
		}
		if token != "" && now.Before(expires) {
			return token, nil
		}
		return "", r.Err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (s *Service) fetch(ctx context.Context) (string, error) {
	form := url.Values{"grant_type": {"client_credentials"}}
	for name, value := range map[string]string{"scope": s.opt.Scope, "audience": s.opt.Audience} {
		if value != "" {
			form.Set(name, value)
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.opt.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.SetBasicAuth(url.QueryEscape(s.opt.ClientID), url.QueryEscape(s.opt.Secret)) // RFC 6749, 2.3.1
	asked := s.opt.Now()
	resp, err := s.client.Do(req)
	if err != nil {
		return "", fmt.Errorf("get a service token: %w", err)
	}
	defer resp.Body.Close()
	body, err := ReadAll(resp.Body, maxToken)
	if err != nil {
		return "", fmt.Errorf("get a service token: %w", err)
	}
	var answer struct {
		Token   string  `json:"access_token"`
		Type    string  `json:"token_type"`
		Expires float64 `json:"expires_in"`
	}
	if resp.StatusCode != http.StatusOK || json.Unmarshal(body, &answer) != nil || answer.Token == "" || !strings.EqualFold(answer.Type, "bearer") {
		return "", fmt.Errorf("get a service token: %s answered %s without a bearer token", req.URL.Redacted(), resp.Status)
	}
	lifetime := tokenLifetime
	if answer.Expires > 0 {
		lifetime = time.Duration(answer.Expires * float64(time.Second))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token, s.expires, s.renew = answer.Token, asked.Add(lifetime), asked.Add(lifetime-min(tokenEarly, lifetime/2))
	return s.token, nil
}

// forget drops a token that the other service did not take.
func (s *Service) forget(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token == token {
		s.token = ""
	}
}

// notForwarded are headers that belong to one connection (RFC 9110, 7.6.1), or say
// who somebody is: of a request that was made out of another one, they stay behind.
var notForwarded = []string{"Authorization", "Cookie", "Proxy-Authorization", "Proxy-Authenticate", "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// bearer is a transport that says who asks: the service itself, whatever the
// request said.
type bearer struct {
	service *Service
	next    http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := b.service.Token(r.Context())
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // as a RoundTripper must
		}
		return nil, err
	}
	r = r.Clone(r.Context())
	for _, list := range r.Header.Values("Connection") {
		for name := range strings.SplitSeq(list, ",") {
			r.Header.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range notForwarded {
		r.Header.Del(name)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := b.next.RoundTrip(r)
	if err == nil && resp.StatusCode == http.StatusUnauthorized {
		b.service.forget(token)
	}
	return resp, err
}

// CloseIdleConnections lets http.Client close those of the transport below.
func (b *bearer) CloseIdleConnections() {
	if c, ok := b.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
