package authz

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/MicahParks/jwkset"
	"golang.org/x/sync/singleflight"

	"ingle/internal/outbound"
)

const (
	keysFresh   = 60 * time.Second // after it the set is read again beside the requests
	keysStale   = 10 * time.Minute // after it a request waits for the reading
	keysEnd     = time.Hour        // without a reading for so long nothing is verified
	keysRefetch = 30 * time.Second // between two readings because of an unknown kid
	keysTimeout = 10 * time.Second
	keysLimit   = 1 << 20
	maxKeys     = 256
)

// errNoKeys says that an issuer's keys cannot be had: the server cannot tell a
// good token from a bad one.
var errNoKeys = errors.New("the issuer's keys cannot be read")

// key is one public key that may verify.
type key struct {
	alg    string // the only algorithm that it is for, "" for any of its type
	public any    // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
}

// keySet is an issuer's public keys, read from a URL or a file and read again
// when they may have changed.
type keySet struct {
	read   func(context.Context) ([]byte, error)
	now    func() time.Time
	flight singleflight.Group
	state  atomic.Pointer[keyState]
	tried  atomic.Int64 // unix nanoseconds of the last reading that was begun
	failed atomic.Int64 // when it last could not be read

	refreshing atomic.Bool
	running    sync.WaitGroup
	ctx        context.Context // ends with the set
}

type keyState struct {
	byID map[string][]key
	at   time.Time
	raw  string
	gen  uint64 // another number once the keys are others
}

func newKeySet(ctx context.Context, now func() time.Time, read func(context.Context) ([]byte, error)) *keySet {
	return &keySet{ctx: ctx, now: now, read: read}
}

// keysOf tells where an issuer's keys are read.
func keysOf(is Issuer, out *outbound.Guard) (func(context.Context) ([]byte, error), error) {
	switch {
	case is.KeysFile != "":
		return func(context.Context) ([]byte, error) {
			f, err := os.Open(is.KeysFile)
			if err != nil {
				return nil, err
			}
			defer f.Close()
			return outbound.ReadAll(f, keysLimit)
		}, nil
	case is.KeysURL != "":
		u, err := url.Parse(is.KeysURL)
		if err != nil {
			return nil, err
		}
		client, err := out.Client(u, outbound.Options{Configured: true, Timeout: keysTimeout})
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) ([]byte, error) { return outbound.Get(ctx, client, is.KeysURL, keysLimit) }, nil
	}
	return discovered(is.Issuer, out)
}

// discovered reads the keys that the issuer's discovery document points to
// (OpenID Connect Discovery 1.0, section 4).
func discovered(issuer string, out *outbound.Guard) (func(context.Context) ([]byte, error), error) {
	base, err := url.Parse(issuer)
	if err != nil {
		return nil, err
	}
	client, err := out.Client(base, outbound.Options{Configured: true, Timeout: keysTimeout})
	if err != nil {
		return nil, err
	}
	address := strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration"
	var mu sync.Mutex
	var keysURL string
	var keysClient *http.Client
	return func(ctx context.Context) ([]byte, error) {
		body, err := outbound.Get(ctx, client, address, keysLimit)
		if err != nil {
			return nil, err
		}
		var doc struct {
			Issuer string `json:"issuer"`
			Keys   string `json:"jwks_uri"`
		}
		if err := json.Unmarshal(body, &doc); err != nil {
			return nil, fmt.Errorf("discovery document: %w", err)
		}
		if doc.Issuer != issuer {
			return nil, fmt.Errorf("discovery document: it is that of %q", doc.Issuer)
		}
		mu.Lock()
		defer mu.Unlock()
		if doc.Keys != keysURL || keysClient == nil {
			u, err := url.Parse(doc.Keys)
			if err != nil {
				return nil, fmt.Errorf("discovery document: jwks_uri: %w", err)
			}
			// On the issuer's own origin it is as good as configured.
			same := u.Scheme == base.Scheme && u.Host == base.Host
			if keysClient != nil {
				keysClient.CloseIdleConnections()
			}
			if keysClient, err = out.Client(u, outbound.Options{Configured: same, Timeout: keysTimeout}); err != nil {
				return nil, fmt.Errorf("discovery document: jwks_uri: %w", err)
			}
			keysURL = doc.Keys
		}
		return outbound.Get(ctx, keysClient, keysURL, keysLimit)
	}, nil
}

// lookup returns the keys with this id and the set's generation. An unknown id
// makes it read the set again, at most every 30 seconds. No keys and no error
// means that the issuer has no such key.
func (s *keySet) lookup(ctx context.Context, kid string) ([]key, uint64, error) {
	st, err := s.current(ctx)
	if err != nil {
		return nil, 0, err
	}
	if keys := st.byID[kid]; keys != nil {
		return keys, st.gen, nil
	}
	if s.now().Sub(time.Unix(0, s.tried.Load())) >= keysRefetch {
		if fresh, err := s.load(ctx); err == nil {
			st = fresh
		}
	}
	return st.byID[kid], st.gen, nil
}

// current returns the set, not older than keysEnd.
func (s *keySet) current(ctx context.Context) (*keyState, error) {
	st := s.state.Load()
	now := s.now()
	if st != nil {
		age := now.Sub(st.at)
		if age < keysFresh {
			return st, nil
		}
		if now.Sub(time.Unix(0, s.tried.Load())) < keysRefetch && age < keysEnd {
			return st, nil // it was tried just now
		}
		if age < keysStale {
			s.refresh()
			return st, nil
		}
	} else if now.Sub(time.Unix(0, s.failed.Load())) < time.Second {
		return nil, errNoKeys // do not let every request wait for a dead issuer; one that is being asked they do wait for
	}
	fresh, err := s.load(ctx)
	switch {
	case err == nil:
		return fresh, nil
	case st != nil && now.Sub(st.at) < keysEnd:
		return st, nil
	}
	return nil, fmt.Errorf("%w: %w", errNoKeys, err)
}

// generation changes when the keys do; 0 when there are none to rely on.
func (s *keySet) generation(ctx context.Context) uint64 {
	st, err := s.current(ctx)
	if err != nil {
		return 0
	}
	return st.gen
}

func (s *keySet) refresh() {
	if !s.refreshing.CompareAndSwap(false, true) {
		return
	}
	s.running.Go(func() {
		defer s.refreshing.Store(false)
		_, _ = s.load(s.ctx) // what cannot be read now is tried again and ends at keysEnd
	})
}

func (s *keySet) wait() { s.running.Wait() }

// load reads the set, once for all who ask at the same time.
func (s *keySet) load(ctx context.Context) (*keyState, error) {
	result := s.flight.DoChan("", func() (any, error) {
		begun := s.now()
		s.tried.Store(begun.UnixNano())
		ctx, cancel := context.WithTimeout(s.ctx, keysTimeout)
		defer cancel()
		body, err := s.read(ctx)
		if err != nil {
			s.failed.Store(s.now().UnixNano())
			return nil, err
		}
		st := &keyState{at: begun, raw: string(body), gen: 1}
		if old := s.state.Load(); old != nil {
			st.gen = old.gen
			if old.raw == st.raw {
				st.byID = old.byID
				s.state.Store(st)
				return st, nil
			}
			st.gen++
		}
		if st.byID, err = parseKeys(body); err != nil {
			s.failed.Store(s.now().UnixNano())
			return nil, err
		}
		s.state.Store(st)
		return st, nil
	})
	select {
	case r := <-result:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*keyState), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// parseKeys reads a JWK set (RFC 7517). Keys that cannot verify a signature
// here (symmetric, for encryption, too short, without an id) are left out.
func parseKeys(body []byte) (map[string][]key, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, fmt.Errorf("JWK set: %w", err)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("JWK set: it holds more than %d keys", maxKeys)
	}
	byID := map[string][]key{}
	for _, raw := range set.Keys {
		var m jwkset.JWKMarshal
		if json.Unmarshal(raw, &m) != nil || m.KID == "" || m.USE != "" && m.USE != jwkset.UseSig ||
			len(m.KEYOPS) > 0 && !slices.Contains(m.KEYOPS, jwkset.KeyOpsVerify) || m.KTY == jwkset.KtyOct {
			continue
		}
		public := jwkset.JWKMarshal{KTY: m.KTY, KID: m.KID, CRV: m.CRV, X: m.X, Y: m.Y, N: m.N, E: m.E}
		jwk, err := jwkset.NewJWKFromMarshal(public, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
		if err != nil {
			continue
		}
		if usable(jwk.Key()) && len(byID[m.KID]) < 4 {
			byID[m.KID] = append(byID[m.KID], key{alg: string(m.ALG), public: jwk.Key()})
		}
	}
	return byID, nil
}

func usable(public any) bool {
	switch k := public.(type) {
	case *rsa.PublicKey:
		return k.N.BitLen() >= 2048 && k.N.BitLen() <= 8192 && k.E >= 3
	case *ecdsa.PublicKey:
		_, err := k.ECDH() // on the curve
		return err == nil
	case ed25519.PublicKey:
		return len(k) == ed25519.PublicKeySize
	}
	return false
}
