package authz

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"ingle/fhir"
	"ingle/internal/cache"
	"ingle/internal/outbound"
)

// verifier checks tokens: signed JWTs (RFC 7519) of the configured issuers.
type verifier struct {
	cfg     *Config
	issuers map[string]*trusted
	asked   []*trusted // those that can be asked about a token
	known   *cache.Cache[[sha256.Size]byte, *verified]
}

// trusted is an issuer with its keys.
type trusted struct {
	Issuer
	keys       *keySet
	introspect *introspector // nil: it is not asked
}

// verified is a token that was found good, kept for a short while so that the
// next request with it costs a hash and not a signature.
type verified struct {
	*claims
	from  *trusted
	gen   uint64    // of the keys, 0 for an opaque token
	until time.Time // check all of it again after
	// scope is the last one made of it, for as long as the grants are the same.
	scope atomic.Pointer[composed]
}

const (
	verifiedFor = 60 * time.Second
	maxVerified = 10_000
	maxKid      = 256
	maxScopes   = 256
)

func newVerifier(ctx context.Context, cfg *Config, out *outbound.Guard) (*verifier, error) {
	v := &verifier{cfg: cfg, issuers: map[string]*trusted{}}
	for _, is := range cfg.Issuers {
		read, err := keysOf(is, out)
		if err != nil {
			return nil, fmt.Errorf("keys of issuer %q: %w", is.Issuer, err)
		}
		t := &trusted{Issuer: is, keys: newKeySet(ctx, cfg.Now, read)}
		if is.IntrospectURL != "" {
			if t.introspect, err = newIntrospector(is, out); err != nil {
				return nil, fmt.Errorf("introspection at issuer %q: %w", is.Issuer, err)
			}
			v.asked = append(v.asked, t)
		}
		v.issuers[is.Issuer] = t
	}
	v.known = cache.New(cache.Options[[sha256.Size]byte, *verified]{Max: maxVerified})
	return v, nil
}

// verify returns the claims of a good token. Its errors are *faultError for a
// token that is not, and others when that cannot be told.
func (v *verifier) verify(ctx context.Context, token string) (*verified, error) {
	if len(token) > v.cfg.MaxToken {
		return nil, refuse(fmt.Sprintf("the token is longer than %d bytes", v.cfg.MaxToken))
	}
	now := v.cfg.Now()
	sum := sha256.Sum256([]byte(token))
	if have, ok := v.known.Get(sum); ok {
		if now.Before(have.until) && (have.gen == 0 || have.gen == have.from.keys.generation(ctx)) {
			return have, have.current(v.cfg, now)
		}
	}
	out, err := v.check(ctx, token, now)
	if err != nil {
		return nil, err
	}
	v.known.Set(sum, out)
	return out, nil
}

// check does the whole work. The order matters: nothing of the token is used
// before the signature is good, but iss and kid to find the key.
func (v *verifier) check(ctx context.Context, token string, now time.Time) (*verified, error) {
	if len(v.asked) > 0 && strings.Count(token, ".") != 2 {
		return v.opaque(ctx, token, now)
	}
	head, rest, _ := strings.Cut(token, ".")
	body, signature, ok := strings.Cut(rest, ".")
	if !ok || strings.Contains(signature, ".") {
		return nil, refuse("the token is not a signed JWT of three parts")
	}
	header, err := part(head)
	if err != nil {
		return nil, refuse("the token's header is not acceptable: " + err.Error())
	}
	payload, err := part(body)
	if err != nil {
		return nil, refuse("the token's payload is not acceptable: " + err.Error())
	}
	sig, err := base64.RawURLEncoding.Strict().DecodeString(signature)
	if err != nil || len(sig) == 0 {
		return nil, refuse("the token's signature is not base64url")
	}
	iss := payload.Get("iss")
	from := v.issuers[iss.Text()]
	if from == nil || iss.Kind() != fhir.String {
		return nil, refuse("the token's issuer is not one that this server trusts (iss)")
	}
	alg, kid, err := checkHeader(header, from.Algorithms)
	if err != nil {
		return nil, err
	}
	keys, gen, err := from.keys.lookup(ctx, kid)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(keys, func(k key) bool { return k.verifies(alg, token[:len(head)+1+len(body)], sig) }) {
		return nil, refuse("the token's signature is not good, or its key is not one of the issuer's")
	}
	c, err := claimsOf(&from.Issuer, v.cfg, payload, now, false)
	if err != nil {
		return nil, err
	}
	if from.introspect != nil { // it is good, unless it was revoked
		if _, err := from.introspect.ask(ctx, token); err != nil {
			return nil, err
		}
	}
	return &verified{claims: c, from: from, gen: gen, until: now.Add(verifiedFor)}, nil
}

// part decodes a header or payload strictly: a member that stands twice would
// be read differently by two readers.
func part(text string) (fhir.Node, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return fhir.Node{}, fmt.Errorf("it is not base64url")
	}
	doc, err := fhir.Parse(raw, fhir.Limits{Depth: 16, Nodes: 8192})
	if err != nil || doc.Root().Kind() != fhir.Object {
		return fhir.Node{}, fmt.Errorf("it is not a JSON object, or not a sound one")
	}
	return doc.Root(), nil
}

// checkHeader refuses what could make a token bring its own key or meaning
// (RFC 8725, section 3).
func checkHeader(header fhir.Node, algorithms []string) (alg, kid string, err error) {
	for _, name := range []string{"crit", "jku", "jwk", "x5u", "zip", "b64", "enc"} {
		if header.Get(name).Valid() {
			return "", "", refuse("the token's header has " + name + ", which this server does not accept")
		}
	}
	if typ := header.Get("typ"); typ.Valid() {
		switch strings.TrimPrefix(strings.ToLower(typ.Text()), "application/") {
		case "jwt", "at+jwt":
		default:
			return "", "", refuse("the token is not an access token (typ)")
		}
	}
	alg = header.Get("alg").Text()
	if header.Get("alg").Kind() != fhir.String || !slices.Contains(algorithms, alg) {
		return "", "", refuse("the token's algorithm is not one that this server accepts (alg)")
	}
	kid = header.Get("kid").Text()
	if header.Get("kid").Kind() != fhir.String || kid == "" || len(kid) > maxKid {
		return "", "", refuse("the token does not name its key (kid)")
	}
	return alg, kid, nil
}

// verifies tells whether the key made the signature, by an algorithm that is
// for such a key.
func (k key) verifies(alg, signed string, sig []byte) bool {
	if k.alg != "" && k.alg != alg {
		return false
	}
	switch p := k.public.(type) {
	case *rsa.PublicKey:
		if alg[:2] != "RS" && alg[:2] != "PS" {
			return false
		}
	case *ecdsa.PublicKey:
		if bits := map[string]int{"ES256": 256, "ES384": 384, "ES512": 521}[alg]; bits != p.Curve.Params().BitSize {
			return false
		}
	case ed25519.PublicKey:
		if alg != "EdDSA" {
			return false
		}
	default:
		return false
	}
	return jwt.GetSigningMethod(alg).Verify(signed, sig, k.public) == nil
}
