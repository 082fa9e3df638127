package authz

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"ingle/internal/cache"
	"ingle/internal/outbound"
)

// subject is whose grants Arborist is asked for.
type subject struct {
	kind string // "user", "client" or "anonymous"
	name string
}

func (s subject) String() string {
	if s.kind == "anonymous" {
		return s.kind
	}
	return s.kind + ":" + s.name
}

// errArborist says that Arborist could not be asked: what the caller may do is
// not known.
var errArborist = errors.New("Arborist cannot be asked")

const (
	maxMapping = 64 << 20        // bytes of one answer
	failedFor  = 1 * time.Second // a failure is the answer for so long
	maxAsking  = 64              // questions to one service under way at once
)

// arborist asks Arborist for grants and keeps the answers for CacheTTL, counted
// from the question: a slow answer is an old one.
type arborist struct {
	cfg    *Config
	base   string
	client *http.Client
	cache  *cache.Cache[subject, *answer]
	joint  *cache.Cache[pair, *grantSet] // of a client that acts for a user
	flight singleflight.Group
	places chan struct{}
	life   context.Context // of the resolver

	mu    sync.Mutex
	epoch uint64 // how often something was dropped
}

// answer is what Arborist said, or that it said nothing.
type answer struct {
	grants grantSet
	err    error
	until  time.Time
	weight uint32
}

func newArborist(life context.Context, cfg *Config, out *outbound.Guard) (*arborist, error) {
	u, err := url.Parse(cfg.Arborist.URL)
	if err != nil {
		return nil, err
	}
	opt := outbound.Options{Configured: true, Timeout: cfg.Arborist.Timeout}
	if cfg.Arborist.As != nil {
		if opt.Service, err = out.NewService(*cfg.Arborist.As); err != nil {
			return nil, err
		}
	}
	client, err := out.Client(u, opt)
	if err != nil {
		return nil, err
	}
	return &arborist{
		cfg: cfg, base: strings.TrimSuffix(cfg.Arborist.URL, "/"), client: client, places: make(chan struct{}, maxAsking), life: life,
		cache: cache.New(cache.Options[subject, *answer]{Max: cfg.Arborist.CacheSize, Weigh: func(_ subject, a *answer) uint32 { return a.weight }}),
		joint: cache.New(cache.Options[pair, *grantSet]{Max: cfg.Arborist.CacheSize, Weigh: func(p pair, _ *grantSet) uint32 { return p.user.weight + p.client.weight }}),
	}, nil
}

// grants returns what a subject is granted. token, if not empty, is the
// subject's own, already verified. The error is errArborist when it cannot be
// known, and a *faultError when Arborist refuses the token.
func (a *arborist) grants(ctx context.Context, s subject, token string) (*answer, error) {
	if have, ok := a.cache.Get(s); ok && a.cfg.Now().Before(have.until) {
		return have, have.err
	}
	// Who asks after a drop must not share an answer from before it.
	epoch := a.drops()
	flight := fmt.Sprint(epoch, " ", s, " ", token)
	result := a.flight.DoChan(flight, func() (any, error) {
		return a.load(s, token, epoch), nil
	})
	select {
	case r := <-result:
		got := r.Val.(*answer)
		return got, got.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", errArborist, ctx.Err())
	}
}

// pair is the answers for a user and for the client that acts for it.
type pair struct{ user, client *answer }

// joined is what user and client both are granted, or the one that there is.
// It is worked out once for a pair, and all scopes share it.
func (a *arborist) joined(user, client *answer) grantSet {
	switch {
	case client == nil:
		return user.grants
	case user == nil:
		return client.grants
	}
	p := pair{user, client}
	if have, ok := a.joint.Get(p); ok {
		return *have
	}
	g := both(user.grants, client.grants)
	g.finish(a.cfg.NeedAll)
	a.joint.Set(p, &g)
	return g
}

// load asks, for all who wait; so it ends with the resolver or its timeout and
// not with the first who asked.
func (a *arborist) load(s subject, token string, epoch uint64) *answer {
	ctx, cancel := context.WithTimeout(a.life, a.cfg.Arborist.Timeout)
	defer cancel()
	begun := a.cfg.Now()
	got := &answer{until: begun.Add(a.cfg.Arborist.CacheTTL), weight: 256}
	select {
	case a.places <- struct{}{}:
		got.grants, got.err = a.ask(ctx, s, token)
		<-a.places
	case <-ctx.Done():
		got.err = fmt.Errorf("%w: too many questions are under way", errArborist)
	}
	if got.err != nil {
		got.until = a.cfg.Now().Add(failedFor)
	}
	got.grants.finish(a.cfg.NeedAll)
	for _, src := range got.grants.sources {
		got.weight += uint32(4*len(src.Root)) + 128
	}
	if fault := (*faultError)(nil); errors.As(got.err, &fault) {
		return got // of this token, not of the subject
	}
	a.keep(s, epoch, got)
	return got
}

func (a *arborist) drops() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.epoch
}

// keep keeps the answer unless something was dropped since the question: the
// answer may be from before the change that it was dropped for.
func (a *arborist) keep(s subject, epoch uint64, got *answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.epoch == epoch {
		a.cache.Set(s, got)
	}
}

// drop forgets what is known of a subject.
func (a *arborist) drop(s subject) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.epoch++
	a.cache.Drop(s)
}

func (a *arborist) dropAll() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.epoch++
	a.cache.Clear()
}

// ask puts the one question. The POST form is not authenticated by Arborist:
// the names in it were verified here.
func (a *arborist) ask(ctx context.Context, s subject, token string) (grantSet, error) {
	method, body := http.MethodPost, []byte(nil)
	switch {
	case s.kind == "anonymous":
		method = http.MethodGet
	case s.kind == "user" && token != "":
		method = http.MethodGet
	default:
		field := map[string]string{"user": "username", "client": "clientID"}[s.kind]
		body, _ = json.Marshal(map[string]string{field: s.name})
	}
	req, err := http.NewRequestWithContext(ctx, method, a.base+"/auth/mapping", bytes.NewReader(body))
	if err != nil {
		return grantSet{}, err
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	} else if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return grantSet{}, fmt.Errorf("%w: %w", errArborist, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
		if token != "" && body == nil && (resp.StatusCode == http.StatusBadRequest || resp.StatusCode == http.StatusUnauthorized) {
			return grantSet{}, refuse("Arborist does not accept the token")
		}
		return grantSet{}, fmt.Errorf("%w: it answered %s", errArborist, resp.Status)
	}
	raw, err := outbound.ReadAll(resp.Body, maxMapping)
	if err != nil {
		return grantSet{}, fmt.Errorf("%w: %w", errArborist, err)
	}
	g, err := parseMapping(raw, &a.cfg.Arborist, s.String())
	if err != nil {
		return grantSet{}, fmt.Errorf("%w: its answer is not understood: %w", errArborist, err)
	}
	return g, nil
}

// health asks whether Arborist is well.
func (a *arborist) health(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, a.cfg.Arborist.Timeout)
	defer cancel()
	_, err := outbound.Get(ctx, a.client, a.base+"/health", 64<<10)
	return err
}
