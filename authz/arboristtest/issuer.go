package arboristtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

// Issuer makes tokens in the shape of Gen3's Fence and serves the keys that
// verify them.
type Issuer struct {
	URL     string // the claim iss
	KeysURL string // its JWK set
	Fetched atomic.Int64

	server *httptest.Server
	mu     sync.Mutex
	keys   []Key
	down   bool
}

// Key is a private key with its id.
type Key struct {
	ID      string
	Private crypto.Signer
	Method  jwt.SigningMethod
}

// NewKey makes a key for an algorithm ("RS256", "ES384", "EdDSA" …).
func NewKey(t testing.TB, id, alg string) Key {
	t.Helper()
	var private crypto.Signer
	var err error
	switch alg {
	case "ES256":
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		private, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA":
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return Key{ID: id, Private: private, Method: jwt.GetSigningMethod(alg)}
}

// NewIssuer starts an issuer on a loopback address, with one RS256 key.
func NewIssuer(t testing.TB) *Issuer {
	t.Helper()
	is := &Issuer{keys: []Key{NewKey(t, "key-1", "RS256")}}
	is.server = httptest.NewServer(http.HandlerFunc(is.serve))
	t.Cleanup(is.Close)
	is.URL = is.server.URL + "/user"
	is.KeysURL = is.server.URL + "/.well-known/jwks"
	return is
}

// Close stops serving; closing twice is harmless.
func (is *Issuer) Close() { is.server.Close() }

func (is *Issuer) serve(w http.ResponseWriter, r *http.Request) {
	is.mu.Lock()
	down := is.down
	is.mu.Unlock()
	switch {
	case down:
		http.Error(w, "down", http.StatusBadGateway)
	case r.URL.Path == "/user/.well-known/openid-configuration":
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": is.URL, "jwks_uri": is.KeysURL})
	case r.URL.Path == "/.well-known/jwks":
		is.Fetched.Add(1)
		_, _ = w.Write(is.JWKS())
	default:
		http.NotFound(w, r)
	}
}

// JWKS returns the public keys as a JWK set.
func (is *Issuer) JWKS() []byte {
	is.mu.Lock()
	defer is.mu.Unlock()
	set := struct {
		Keys []jwkset.JWKMarshal `json:"keys"`
	}{Keys: []jwkset.JWKMarshal{}}
	for _, k := range is.keys {
		jwk, err := jwkset.NewJWKFromKey(k.Private.Public(), jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: k.ID, USE: jwkset.UseSig}})
		if err != nil {
			panic(err)
		}
		m := jwk.Marshal()
		m.ALG = jwkset.ALG(k.Method.Alg())
		set.Keys = append(set.Keys, m)
	}
	raw, err := json.Marshal(set)
	if err != nil {
		panic(err)
	}
	return raw
}

// Key returns the key that signs, the newest.
func (is *Issuer) Key() Key {
	is.mu.Lock()
	defer is.mu.Unlock()
	return is.keys[len(is.keys)-1]
}

// SetKeys replaces the keys.
func (is *Issuer) SetKeys(keys ...Key) {
	is.mu.Lock()
	defer is.mu.Unlock()
	is.keys = keys
}

// SetDown makes the issuer answer 502 to everything, or answer again.
func (is *Issuer) SetDown(down bool) {
	is.mu.Lock()
	defer is.mu.Unlock()
	is.down = down
}

// Claims are the claims of a Fence access token for a user, changed by the
// given ones; a nil value takes a claim away.
func (is *Issuer) Claims(user string, changes map[string]any) map[string]any {
	now := time.Now().Unix()
	c := map[string]any{
		"pur": "access", "iss": is.URL, "aud": []string{"openid", "fhir"}, "iat": now, "exp": now + 1200,
		"jti": "a-" + user, "sub": "17", "azp": "", "scope": []string{"openid", "user"},
		"context": map[string]any{"user": map[string]any{"name": user}},
	}
	maps.Copy(c, changes)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

// Token returns a Fence access token for a user, its claims changed by the
// given ones.
func (is *Issuer) Token(t testing.TB, user string, changes map[string]any) string {
	t.Helper()
	return is.Sign(t, is.Key(), is.Claims(user, changes), nil)
}

// Delegated returns a token of a client that acts for a user.
func (is *Issuer) Delegated(t testing.TB, user, client string) string {
	t.Helper()
	return is.Token(t, user, map[string]any{"azp": client})
}

// ClientToken returns a token of a client on its own (client credentials).
func (is *Issuer) ClientToken(t testing.TB, client string) string {
	t.Helper()
	return is.Token(t, client, map[string]any{"azp": client, "sub": nil, "context": map[string]any{}})
}

// Sign signs any claims, with header members added to alg and kid; a nil value
// takes a member away.
func (is *Issuer) Sign(t testing.TB, k Key, claims map[string]any, header map[string]any) string {
	t.Helper()
	token := jwt.NewWithClaims(k.Method, jwt.MapClaims(claims))
	token.Header["kid"] = k.ID
	maps.Copy(token.Header, header)
	maps.DeleteFunc(token.Header, func(_ string, v any) bool { return v == nil })
	text, err := token.SignedString(k.Private)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
