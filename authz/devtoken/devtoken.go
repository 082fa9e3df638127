// Package devtoken makes tokens in the shape of Gen3's Fence, for development:
// it stands in for Fence where there is none. Whoever can read its folder can
// be anybody.
package devtoken

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// The files in an issuer's folder: the private key (PKCS #8, PEM), and the JWK
// set that a server verifies tokens with.
const (
	keyFile = "private.pem"
	setFile = "jwks.json"
)

// Issuer signs tokens.
type Issuer struct{ key *rsa.PrivateKey }

const keyID = "development"

// Open reads the key in a folder; without one it makes it, and the JWK set.
func Open(dir string) (*Issuer, error) {
	raw, err := os.ReadFile(filepath.Join(dir, keyFile))
	if errors.Is(err, os.ErrNotExist) {
		return create(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("development key: %w", err)
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, fmt.Errorf("development key: %s holds no PEM", filepath.Join(dir, keyFile))
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("development key: %w", err)
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("development key: it is no RSA key")
	}
	return &Issuer{key}, nil
}

func create(dir string) (*Issuer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("development key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("development key: %w", err)
	}
	text := base64.RawURLEncoding.EncodeToString
	set, err := json.MarshalIndent(map[string]any{"keys": []map[string]string{{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": keyID, "n": text(key.N.Bytes()), "e": text(big.NewInt(int64(key.E)).Bytes()),
	}}}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("development key: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("development key: %w", err)
	}
	// the private key last: where it is, the set is too
	if err := os.WriteFile(filepath.Join(dir, setFile), set, 0o644); err != nil {
		return nil, fmt.Errorf("development key: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, keyFile), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		return nil, fmt.Errorf("development key: %w", err)
	}
	return &Issuer{key}, nil
}

// Claims say whose token it is.
type Claims struct {
	Issuer   string
	Audience []string
	User     string
	Client   string   // that acts for the user, "" for none
	Scopes   []string // SMART scopes beside "openid" and "user"
	Patient  string   // in context, "" for none
	Lifetime time.Duration
}

// Token returns an access token.
func (is *Issuer) Token(c Claims, now time.Time) (string, error) {
	claims := jwt.MapClaims{
		"pur": "access", "iss": c.Issuer, "aud": c.Audience, "sub": c.User, "azp": c.Client,
		"iat": now.Unix(), "exp": now.Add(c.Lifetime).Unix(), "jti": rand.Text(),
		"scope":   append([]string{"openid", "user"}, c.Scopes...),
		"context": map[string]any{"user": map[string]any{"name": c.User}},
	}
	if c.Patient != "" {
		claims["patient"] = c.Patient
	}
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	token.Header["kid"] = keyID
	return token.SignedString(is.key)
}
