package authz

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"ingle/internal/cache"
)

// errBusy says that too many passwords are being checked.
var errBusy = errors.New("too many passwords are being checked")

// basicUsers checks passwords (RFC 7617). A check costs a tenth of a second by
// design, so what was found is kept for a minute, under a keyed hash.
type basicUsers struct {
	now    func() time.Time
	users  map[string]passwordHash
	known  *cache.Cache[[sha256.Size]byte, found]
	secret []byte
	places chan struct{}
}

type found struct {
	good  bool
	until time.Time
}

const (
	checkedFor = 60 * time.Second
	checkWait  = 2 * time.Second
)

func newBasicUsers(cfg *Config) (*basicUsers, error) {
	b := &basicUsers{now: cfg.Now, users: map[string]passwordHash{}, secret: make([]byte, 32), places: make(chan struct{}, 2)}
	_, _ = rand.Read(b.secret)
	for _, u := range cfg.Basic {
		h, err := parseHash(u.Password)
		if err != nil {
			return nil, err
		}
		b.users[u.Name] = h
	}
	b.known = cache.New(cache.Options[[sha256.Size]byte, found]{Max: 4096})
	return b, nil
}

// nobody takes as long to check as a user does.
var nobody = passwordHash{hashIterations, make([]byte, 16), make([]byte, sha256.Size)}

// check returns the name of the user whose credentials these are.
func (b *basicUsers) check(ctx context.Context, text string) (string, error) {
	bad := refuse("the user name or the password is wrong")
	raw, err := base64.StdEncoding.DecodeString(text)
	name, password, ok := strings.Cut(string(raw), ":")
	if err != nil || !ok || len(raw) > maxPassword+512 {
		return "", bad
	}
	mac := hmac.New(sha256.New, b.secret)
	mac.Write(raw)
	sum := [sha256.Size]byte(mac.Sum(nil))
	have, ok := b.known.Get(sum)
	if !ok || !b.now().Before(have.until) {
		wait, cancel := context.WithTimeout(ctx, checkWait)
		defer cancel()
		select {
		case b.places <- struct{}{}:
		case <-wait.Done():
			return "", errBusy
		}
		h, known := b.users[name]
		if !known {
			h = nobody
		}
		have = found{good: h.matches(password) && known, until: b.now().Add(checkedFor)}
		<-b.places
		b.known.Set(sum, have)
	}
	if !have.good {
		return "", bad
	}
	return name, nil
}

// fromCertificate finds the user whose certificate it is.
func (r *Resolver) fromCertificate(ctx context.Context, c *x509.Certificate) (Scope, error) {
	for _, m := range matchesOf(c) {
		if u := r.certs[m]; u != nil {
			return r.current(ctx, identity{Kind: kindCert, Name: u.Name}, "")
		}
	}
	return Scope{}, refuse("the client certificate belongs to nobody that this server knows")
}

var matchKinds = []string{"sha256:", "uri:", "dns:", "email:", "cn:"}

func validMatch(m string) bool {
	return slices.ContainsFunc(matchKinds, func(k string) bool { return strings.HasPrefix(m, k) && len(m) > len(k) })
}

// matchesOf returns what a certificate can be matched by, the surest first.
func matchesOf(c *x509.Certificate) []string {
	sum := sha256.Sum256(c.Raw)
	out := []string{"sha256:" + hex.EncodeToString(sum[:])}
	for _, u := range c.URIs {
		out = append(out, "uri:"+u.String())
	}
	for _, d := range c.DNSNames {
		out = append(out, "dns:"+strings.ToLower(d))
	}
	for _, e := range c.EmailAddresses {
		out = append(out, "email:"+e)
	}
	if c.Subject.CommonName != "" {
		out = append(out, "cn:"+c.Subject.CommonName)
	}
	return out
}
