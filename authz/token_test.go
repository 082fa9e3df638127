package authz

import (
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"ingle/authz/arboristtest"
	"ingle/fhir"
)

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now()} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newResolver(t testing.TB, cfg Config) *Resolver {
	t.Helper()
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// jwtConfig trusts one issuer in mode jwt with Fence's rules.
func jwtConfig(is *arboristtest.Issuer, c *clock) Config {
	return Config{Mode: ModeJWT, Now: c.Now, Issuers: []Issuer{{
		Issuer: is.URL, KeysURL: is.KeysURL, Audiences: []string{"fhir"}, Purpose: "access", UserClaim: "context.user.name"}}}
}

func bearer(token string) Credentials {
	return Credentials{Authorization: []string{"Bearer " + token}}
}

// refused checks for an outcome of the status with a text and returns it.
func refused(t *testing.T, err error, status int, text string) *fhir.Error {
	t.Helper()
	e := fhir.AsError(err)
	if e == nil || e.Status != status || !strings.Contains(e.Issues[0].Diagnostics, text) {
		t.Fatalf("got %v; want %d with %q", err, status, text)
	}
	return e
}

// raw signs any header and payload text.
func raw(t *testing.T, k arboristtest.Key, header, payload string) string {
	t.Helper()
	b64 := base64.RawURLEncoding
	signed := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(payload))
	sig, err := k.Method.Sign(signed, k.Private)
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + b64.EncodeToString(sig)
}

func jsonText(t *testing.T, v any) string {
	t.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestTokenAttacks is the matrix of what must never pass.
func TestTokenAttacks(t *testing.T) {
	t.Parallel()
	is := arboristtest.NewIssuer(t)
	other := arboristtest.NewIssuer(t)
	cl := newClock()
	r := newResolver(t, jwtConfig(is, cl))
	k := is.Key()
	now := cl.Now().Unix()
	b64 := base64.RawURLEncoding
	good := is.Token(t, "alice", nil)
	if _, err := r.Resolve(t.Context(), bearer(good)); err != nil {
		t.Fatalf("the good token: %v", err)
	}
	with := func(changes map[string]any) string { return is.Token(t, "alice", changes) }
	header := func(h map[string]any) string { return is.Sign(t, k, is.Claims("alice", nil), h) }
	parts := strings.Split(good, ".")
	claimsText := jsonText(t, is.Claims("alice", nil))
	public, err := x509.MarshalPKIXPublicKey(k.Private.Public())
	if err != nil {
		t.Fatal(err)
	}
	hs := func(secret []byte) string {
		head := b64.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT","kid":"key-1"}`))
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(head + "." + parts[1]))
		return head + "." + parts[1] + "." + b64.EncodeToString(mac.Sum(nil))
	}
	stranger := arboristtest.NewKey(t, "key-1", "RS256")
	jwk := map[string]any{"kty": "RSA", "kid": "key-1", "e": "AQAB", "n": b64.EncodeToString(stranger.Private.Public().(*rsa.PublicKey).N.Bytes())}
	evil := is.KeysURL
	for name, tc := range map[string]struct {
		token string
		want  string // part of the text
		code  string // default login
	}{
		"nothing":                     {token: "", want: "three parts"},
		"two parts":                   {token: parts[0] + "." + parts[1], want: "three parts"},
		"four parts":                  {token: good + ".x", want: "three parts"},
		"five parts (JWE)":            {token: good + ".x.y", want: "three parts"},
		"too long":                    {token: strings.Repeat("x", 17<<10), want: "longer than"},
		"alg none":                    {token: b64.EncodeToString([]byte(`{"alg":"none","kid":"key-1"}`)) + "." + parts[1] + ".", want: "signature"},
		"alg none with a signature":   {token: b64.EncodeToString([]byte(`{"alg":"none","kid":"key-1"}`)) + "." + parts[1] + "." + parts[2], want: "(alg)"},
		"alg NoNe":                    {token: b64.EncodeToString([]byte(`{"alg":"NoNe","kid":"key-1"}`)) + "." + parts[1] + "." + parts[2], want: "(alg)"},
		"alg missing":                 {token: b64.EncodeToString([]byte(`{"kid":"key-1"}`)) + "." + parts[1] + "." + parts[2], want: "(alg)"},
		"alg is a list":               {token: b64.EncodeToString([]byte(`{"alg":["RS256"],"kid":"key-1"}`)) + "." + parts[1] + "." + parts[2], want: "(alg)"},
		"HS with the PEM":             {token: hs(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})), want: "(alg)"},
		"HS with the DER":             {token: hs(public), want: "(alg)"},
		"HS with nothing":             {token: hs(nil), want: "(alg)"},
		"signature cut":               {token: good[:len(good)-4], want: "signature"},
		"signature of another":        {token: parts[0] + "." + parts[1] + "." + strings.Split(with(map[string]any{"jti": "x"}), ".")[2], want: "signature"},
		"payload of another":          {token: parts[0] + "." + b64.EncodeToString([]byte(jsonText(t, is.Claims("admin", nil)))) + "." + parts[2], want: "signature"},
		"another's key, same kid":     {token: is.Sign(t, stranger, is.Claims("alice", nil), nil), want: "signature"},
		"embedded jwk":                {token: is.Sign(t, stranger, is.Claims("alice", nil), map[string]any{"jwk": jwk}), want: "jwk"},
		"jku":                         {token: header(map[string]any{"jku": evil}), want: "jku"},
		"x5u":                         {token: header(map[string]any{"x5u": evil}), want: "x5u"},
		"crit":                        {token: header(map[string]any{"crit": []string{"exp"}}), want: "crit"},
		"b64 false":                   {token: header(map[string]any{"b64": false}), want: "b64"},
		"zip":                         {token: header(map[string]any{"zip": "DEF"}), want: "zip"},
		"no kid":                      {token: header(map[string]any{"kid": nil}), want: "(kid)"},
		"empty kid":                   {token: header(map[string]any{"kid": ""}), want: "(kid)"},
		"kid is a number":             {token: header(map[string]any{"kid": 1}), want: "(kid)"},
		"unknown kid":                 {token: header(map[string]any{"kid": "key-2"}), want: "signature"},
		"kid as a path":               {token: header(map[string]any{"kid": "../../../../dev/null"}), want: "signature"},
		"kid as SQL":                  {token: header(map[string]any{"kid": "key-1' OR '1'='1"}), want: "signature"},
		"kid endless":                 {token: header(map[string]any{"kid": strings.Repeat("k", 300)}), want: "(kid)"},
		"typ of a logout token":       {token: header(map[string]any{"typ": "logout+jwt"}), want: "(typ)"},
		"typ is a number":             {token: header(map[string]any{"typ": 7}), want: "(typ)"},
		"header is no JSON":           {token: raw(t, k, `{"alg"`, claimsText), want: "header"},
		"header is a list":            {token: raw(t, k, `[]`, claimsText), want: "header"},
		"alg twice":                   {token: raw(t, k, `{"alg":"RS256","alg":"none","kid":"key-1"}`, claimsText), want: "header"},
		"iss twice":                   {token: raw(t, k, `{"alg":"RS256","kid":"key-1"}`, strings.Replace(claimsText, "{", `{"iss":"https://evil.example",`, 1)), want: "payload"},
		"payload is no JSON":          {token: raw(t, k, `{"alg":"RS256","kid":"key-1"}`, "alice"), want: "payload"},
		"padded base64":               {token: parts[0] + "=." + parts[1] + "." + parts[2], want: "header"},
		"wrong iss":                   {token: with(map[string]any{"iss": "https://evil.example/user"}), want: "(iss)"},
		"iss with a slash more":       {token: with(map[string]any{"iss": is.URL + "/"}), want: "(iss)"},
		"no iss":                      {token: with(map[string]any{"iss": nil}), want: "(iss)"},
		"iss is a list":               {token: with(map[string]any{"iss": []string{is.URL}}), want: "(iss)"},
		"our iss, another's keys":     {token: other.Sign(t, other.Key(), is.Claims("alice", nil), nil), want: "signature"},
		"another's iss":               {token: other.Token(t, "alice", nil), want: "(iss)"},
		"wrong aud":                   {token: with(map[string]any{"aud": "other"}), want: "(aud)"},
		"wrong aud list":              {token: with(map[string]any{"aud": []any{"other", 7, nil}}), want: "(aud)"},
		"aud as a part":               {token: with(map[string]any{"aud": "fhir-other"}), want: "(aud)"},
		"no aud":                      {token: with(map[string]any{"aud": nil}), want: "(aud)"},
		"refresh token":               {token: with(map[string]any{"pur": "refresh"}), want: "(pur)"},
		"identity token":              {token: with(map[string]any{"pur": "id"}), want: "(pur)"},
		"no pur":                      {token: with(map[string]any{"pur": nil}), want: "(pur)"},
		"pur is a list":               {token: with(map[string]any{"pur": []string{"access"}}), want: "(pur)"},
		"Cognito identity token":      {token: with(map[string]any{"token_use": "id"}), want: "(token_use)"},
		"Keycloak refresh token":      {token: with(map[string]any{"typ": "Refresh"}), want: "(typ)"},
		"expired":                     {token: with(map[string]any{"exp": now - 31}), want: "expired", code: fhir.CodeExpired},
		"no exp":                      {token: with(map[string]any{"exp": nil}), want: "exp"},
		"exp is a string":             {token: with(map[string]any{"exp": "9999999999"}), want: "exp"},
		"exp beyond time":             {token: raw(t, k, `{"alg":"RS256","kid":"key-1"}`, strings.Replace(claimsText, `"exp":`, `"exp":9e60,"xx":`, 1)), want: "exp"},
		"exp is negative":             {token: with(map[string]any{"exp": -1}), want: "exp"},
		"not valid yet":               {token: with(map[string]any{"nbf": now + 60}), want: "not valid yet"},
		"nbf is a string":             {token: with(map[string]any{"nbf": "soon"}), want: "nbf"},
		"issued in the future":        {token: with(map[string]any{"iat": now + 60}), want: "future"},
		"iat is a string":             {token: with(map[string]any{"iat": "now"}), want: "iat"},
		"azp is a number":             {token: with(map[string]any{"azp": 7}), want: "azp"},
		"sub is a list":               {token: with(map[string]any{"sub": []string{"17"}}), want: "sub"},
		"no user name":                {token: with(map[string]any{"azp": "portal", "context": map[string]any{"user": map[string]any{}}}), want: "context.user.name"},
		"user is null":                {token: with(map[string]any{"azp": "portal", "context": map[string]any{"user": nil}}), want: "context.user.name"},
		"user name is a number":       {token: with(map[string]any{"context": map[string]any{"user": map[string]any{"name": 7}}}), want: "not a name"},
		"user name is empty":          {token: with(map[string]any{"azp": "portal", "context": map[string]any{"user": map[string]any{"name": ""}}}), want: "not a name"},
		"user name with line break":   {token: with(map[string]any{"context": map[string]any{"user": map[string]any{"name": "alice\nadmin"}}}), want: "not a name"},
		"no context, so no client":    {token: with(map[string]any{"azp": "portal", "context": nil}), want: "context.user.name"},
		"context is null":             {token: raw(t, k, `{"alg":"RS256","kid":"key-1"}`, jsonText(t, is.Claims("alice", map[string]any{"azp": "portal", "context": json.RawMessage("null")}))), want: "context.user.name"},
		"neither user nor client":     {token: with(map[string]any{"context": map[string]any{}}), want: "neither"},
		"scope is an object":          {token: with(map[string]any{"scope": map[string]any{"openid": true}}), want: "scope"},
		"scope holds a number":        {token: with(map[string]any{"scope": []any{"openid", 7}}), want: "scope"},
		"bound by an unknown proof":   {token: with(map[string]any{"cnf": map[string]any{"jkt": "x"}}), want: "bound"},
		"bound to a certificate":      {token: with(map[string]any{"cnf": map[string]any{"x5t#S256": "x"}}), want: "bound to a client certificate"},
		"RS token, PS said":           {token: b64.EncodeToString([]byte(`{"alg":"PS256","kid":"key-1"}`)) + "." + parts[1] + "." + parts[2], want: "signature"},
		"RS key, ES said":             {token: b64.EncodeToString([]byte(`{"alg":"ES256","kid":"key-1"}`)) + "." + parts[1] + "." + parts[2], want: "signature"},
		"a key that says another alg": {token: is.Sign(t, arboristtest.Key{ID: k.ID, Private: k.Private, Method: jwt.SigningMethodRS512}, is.Claims("alice", nil), nil), want: "signature"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := r.Resolve(t.Context(), bearer(tc.token))
			e := refused(t, err, 401, tc.want)
			if s != (Scope{}) {
				t.Error("there is a scope as well")
			}
			code := tc.code
			if code == "" {
				code = fhir.CodeLogin
			}
			if e.Issues[0].Code != code {
				t.Errorf("code %q, want %q", e.Issues[0].Code, code)
			}
			c := r.Challenges(err)
			if len(c) != 1 || !strings.HasPrefix(c[0], `Bearer realm="fhir", error="invalid_token", error_description="`) {
				t.Errorf("WWW-Authenticate: %q", c)
			}
			if tc.token != "" && strings.Contains(err.Error(), tc.token) {
				t.Error("the token is in the error")
			}
		})
	}
}

func TestCredentialsWithoutToken(t *testing.T) {
	t.Parallel()
	is := arboristtest.NewIssuer(t)
	r := newResolver(t, jwtConfig(is, newClock()))
	_, err := r.Resolve(t.Context(), Credentials{})
	refused(t, err, 401, "credentials are needed")
	if c := r.Challenges(err); len(c) != 1 || c[0] != `Bearer realm="fhir"` {
		t.Errorf("WWW-Authenticate: %q", c)
	}
	good := is.Token(t, "alice", nil)
	for name, values := range map[string][]string{
		"two headers":   {"Bearer " + good, "Bearer " + good},
		"no scheme":     {good},
		"basic":         {"Basic YTpi"},
		"negotiate":     {"Negotiate " + good},
		"empty":         {""},
		"only a scheme": {"Bearer"},
	} {
		if _, err := r.Resolve(t.Context(), Credentials{Authorization: values}); fhir.AsError(err) == nil || fhir.AsError(err).Status != 401 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := r.Resolve(t.Context(), Credentials{Authorization: []string{"bearer  " + good}}); err != nil {
		t.Errorf("a scheme in lower case: %v", err)
	}
}

func TestAlgorithms(t *testing.T) {
	t.Parallel()
	is := arboristtest.NewIssuer(t)
	r := newResolver(t, jwtConfig(is, newClock()))
	var keys []arboristtest.Key
	for _, alg := range allAlgorithms {
		keys = append(keys, arboristtest.NewKey(t, "key-"+alg, alg))
	}
	is.SetKeys(keys...)
	for _, k := range keys {
		if _, err := r.Resolve(t.Context(), bearer(is.Sign(t, k, is.Claims("alice", nil), nil))); err != nil {
			t.Errorf("%s: %v", k.Method.Alg(), err)
		}
	}
	// What the header says must be what the key is for.
	for i, k := range keys {
		for _, alg := range allAlgorithms {
			said := jwt.GetSigningMethod(alg)
			if alg == k.Method.Alg() {
				continue
			}
			head := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"` + said.Alg() + `","kid":"` + k.ID + `"}`))
			parts := strings.Split(is.Sign(t, k, is.Claims("alice", nil), nil), ".")
			signed := head + "." + parts[1]
			sig, err := k.Method.Sign(signed, k.Private)
			if err != nil {
				t.Fatal(err)
			}
			_, err = r.Resolve(t.Context(), bearer(signed+"."+base64.RawURLEncoding.EncodeToString(sig)))
			if e := fhir.AsError(err); e == nil || e.Status != 401 {
				t.Errorf("key %d for %s, header %s: %v", i, k.Method.Alg(), alg, err)
			}
		}
	}
	cfg := jwtConfig(is, newClock())
	cfg.Issuers[0].Algorithms = []string{"RS256"}
	only := newResolver(t, cfg)
	_, err := only.Resolve(t.Context(), bearer(is.Sign(t, keys[3], is.Claims("alice", nil), nil)))
	refused(t, err, 401, "(alg)")
	cfg.Issuers[0].Algorithms = []string{"HS256"}
	if _, err := New(cfg); err == nil {
		t.Error("HS256 may be configured")
	}
}

func TestTokenTimesPass(t *testing.T) {
	t.Parallel()
	is := arboristtest.NewIssuer(t)
	cl := newClock()
	r := newResolver(t, jwtConfig(is, cl))
	token := is.Token(t, "alice", map[string]any{"exp": cl.Now().Unix() + 10, "nbf": cl.Now().Unix() + 20})
	if _, err := r.Resolve(t.Context(), bearer(token)); err != nil {
		t.Fatalf("within the leeway of nbf: %v", err)
	}
	cl.Add(35 * time.Second)
	if _, err := r.Resolve(t.Context(), bearer(token)); err != nil {
		t.Fatalf("within the leeway of exp: %v", err)
	}
	cl.Add(6 * time.Second)
	_, err := r.Resolve(t.Context(), bearer(token)) // it was verified a moment ago
	refused(t, err, 401, "expired")
}

func TestKeysRotate(t *testing.T) {
	t.Parallel()
	is := arboristtest.NewIssuer(t)
	cl := newClock()
	r := newResolver(t, jwtConfig(is, cl))
	old := is.Key()
	oldToken := is.Token(t, "alice", nil)
	if _, err := r.Resolve(t.Context(), bearer(oldToken)); err != nil {
		t.Fatal(err)
	}
	fresh := arboristtest.NewKey(t, "key-2", "ES256")
	is.SetKeys(old, fresh)
	newToken := is.Token(t, "alice", nil)
	_, err := r.Resolve(t.Context(), bearer(newToken))
	refused(t, err, 401, "key is not one of the issuer's")
	if n := is.Fetched.Load(); n != 1 {
		t.Errorf("an unknown kid made it read the keys at once again: %d", n)
	}
	cl.Add(31 * time.Second)
	if _, err := r.Resolve(t.Context(), bearer(newToken)); err != nil {
		t.Fatalf("the new key after 31 s: %v", err)
	}
	is.SetKeys(fresh) // the old key is withdrawn
	cl.Add(61 * time.Second)
	if _, err := r.Resolve(t.Context(), bearer(newToken)); err != nil {
		t.Fatal(err)
	}
	r.tokens.issuers[is.URL].keys.wait()
	_, err = r.Resolve(t.Context(), bearer(oldToken))
	refused(t, err, 401, "key is not one of the issuer's")
}

// TestKeyWithdrawn: a token that was found good a moment ago is not, once its
// key is gone.
func TestKeyWithdrawn(t *testing.T) {
	t.Parallel()
	is := arboristtest.NewIssuer(t)
	cl := newClock()
	r := newResolver(t, jwtConfig(is, cl))
	fresh := arboristtest.NewKey(t, "key-2", "ES256")
	old := is.Key()
	is.SetKeys(fresh, old)
	oldToken := is.Token(t, "alice", nil)
	newToken := is.Sign(t, fresh, is.Claims("alice", nil), nil)
	if _, err := r.Resolve(t.Context(), bearer(newToken)); err != nil {
		t.Fatal(err)
	}
	cl.Add(50 * time.Second)
	if _, err := r.Resolve(t.Context(), bearer(oldToken)); err != nil {
		t.Fatal(err)
	}
	is.SetKeys(fresh)
	cl.Add(15 * time.Second)
	if _, err := r.Resolve(t.Context(), bearer(newToken)); err != nil {
		t.Fatal(err)
	}
	r.tokens.issuers[is.URL].keys.wait()
	_, err := r.Resolve(t.Context(), bearer(oldToken))
	refused(t, err, 401, "key is not one of the issuer's")
}

func TestUnknownKidFlood(t *testing.T) {
	t.Parallel()
	is := arboristtest.NewIssuer(t)
	cl := newClock()
	r := newResolver(t, jwtConfig(is, cl))
	stranger := arboristtest.NewKey(t, "x", "ES256")
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			for j := range 25 {
				k := stranger
				k.ID = strings.Repeat("k", 1+i*25+j)
				if _, err := r.Resolve(t.Context(), bearer(is.Sign(t, k, is.Claims("alice", nil), nil))); err == nil {
					t.Error("a token with an unknown key passed")
				}
			}
		})
	}
	wait.Wait()
	if n := is.Fetched.Load(); n > 2 {
		t.Errorf("200 unknown kids made it read the keys %d times", n)
	}
}

func TestKeysDown(t *testing.T) {
	t.Parallel()
	is := arboristtest.NewIssuer(t)
	cl := newClock()
	r := newResolver(t, jwtConfig(is, cl))
	is.SetDown(true)
	token := is.Token(t, "alice", map[string]any{"exp": cl.Now().Unix() + 86400})
	_, err := r.Resolve(t.Context(), bearer(token))
	if e := refused(t, err, 503, "cannot be checked now"); e.RetryAfter == 0 {
		t.Error("no Retry-After")
	}
	is.SetDown(false)
	cl.Add(2 * time.Second)
	if _, err := r.Resolve(t.Context(), bearer(token)); err != nil {
		t.Fatalf("back again: %v", err)
	}
	is.SetDown(true)
	for range 10 { // it lives on what it has …
		cl.Add(5 * time.Minute)
		if _, err := r.Resolve(t.Context(), bearer(token)); err != nil {
			t.Fatalf("with keys that are %v old: %v", 5*time.Minute, err)
		}
		r.tokens.issuers[is.URL].keys.wait()
	}
	cl.Add(11 * time.Minute) // … for an hour
	_, err = r.Resolve(t.Context(), bearer(token))
	refused(t, err, 503, "cannot be checked now")
}

func TestKeysFile(t *testing.T) {
	t.Parallel()
	is := arboristtest.NewIssuer(t)
	cl := newClock()
	file := filepath.Join(t.TempDir(), "jwks.json")
	write := func() {
		if err := os.WriteFile(file, is.JWKS(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write()
	cfg := jwtConfig(is, cl)
	cfg.Issuers[0].KeysURL, cfg.Issuers[0].KeysFile = "", file
	r := newResolver(t, cfg)
	if _, err := r.Resolve(t.Context(), bearer(is.Token(t, "alice", nil))); err != nil {
		t.Fatal(err)
	}
	is.SetKeys(arboristtest.NewKey(t, "key-2", "PS256"))
	write()
	cl.Add(31 * time.Second)
	if _, err := r.Resolve(t.Context(), bearer(is.Token(t, "alice", nil))); err != nil {
		t.Fatalf("after the file changed: %v", err)
	}
	if n := is.Fetched.Load(); n != 0 {
		t.Errorf("it asked the issuer %d times", n)
	}
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	is := arboristtest.NewIssuer(t)
	cfg := jwtConfig(is, newClock())
	cfg.Issuers[0].KeysURL = ""
	r := newResolver(t, cfg)
	if _, err := r.Resolve(t.Context(), bearer(is.Token(t, "alice", nil))); err != nil {
		t.Fatal(err)
	}
}

func TestSeveralIssuers(t *testing.T) {
	t.Parallel()
	a, b := arboristtest.NewIssuer(t), arboristtest.NewIssuer(t)
	cl := newClock()
	cfg := jwtConfig(a, cl)
	cfg.Issuers = append(cfg.Issuers, Issuer{Issuer: b.URL, KeysURL: b.KeysURL, AnyAudience: true})
	r := newResolver(t, cfg)
	sa, err := r.Resolve(t.Context(), bearer(a.Token(t, "alice", nil)))
	if err != nil {
		t.Fatal(err)
	}
	sb, err := r.Resolve(t.Context(), bearer(b.Token(t, "", map[string]any{"sub": "alice", "aud": nil, "pur": nil})))
	if err != nil {
		t.Fatal(err)
	}
	if want := "user:" + a.URL + "|alice"; sa.Principal() != want {
		t.Errorf("principal %q, want %q", sa.Principal(), want)
	}
	if sa.Principal() == sb.Principal() {
		t.Error("two issuers' users are one principal")
	}
	b.SetDown(true) // one that is down does not harm the other
	if _, err := r.Resolve(t.Context(), bearer(a.Token(t, "bob", nil))); err != nil {
		t.Error(err)
	}
}

func TestParseKeys(t *testing.T) {
	is := arboristtest.NewIssuer(t)
	n := base64.RawURLEncoding.EncodeToString(is.Key().Private.Public().(*rsa.PublicKey).N.Bytes())
	rsaKey := func(more string) string { return `{"kty":"RSA","e":"AQAB","n":"` + n + `"` + more + `}` }
	for name, tc := range map[string]struct {
		in   string
		want int
	}{
		"good":               {rsaKey(`,"kid":"a","use":"sig","key_ops":["verify"]`), 1},
		"x5u is not read":    {rsaKey(`,"kid":"a","x5u":"http://127.0.0.1:1/"`), 1},
		"without an id":      {rsaKey(``), 0},
		"for encryption":     {rsaKey(`,"kid":"a","use":"enc"`), 0},
		"only for signing":   {rsaKey(`,"kid":"a","key_ops":["sign"]`), 0},
		"symmetric":          {`{"kty":"oct","kid":"a","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}`, 0},
		"too short":          {`{"kty":"RSA","kid":"a","e":"AQAB","n":"` + n[:170] + `"}`, 0},
		"exponent of one":    {`{"kty":"RSA","kid":"a","e":"AQ","n":"` + n + `"}`, 0},
		"not on the curve":   {`{"kty":"EC","kid":"a","crv":"P-256","x":"AQ","y":"AQ"}`, 0},
		"of an unknown type": {`{"kty":"XX","kid":"a"}`, 0},
		"a number":           {`7`, 0},
	} {
		keys, err := parseKeys([]byte(`{"keys":[` + tc.in + `]}`))
		if err != nil || len(keys) != tc.want {
			t.Errorf("%s: %d keys, %v", name, len(keys), err)
		}
	}
	if _, err := parseKeys([]byte(`{"keys":[` + strings.Repeat(`{},`, 256) + `{}]}`)); err == nil {
		t.Error("an endless set is taken")
	}
}

func FuzzToken(f *testing.F) {
	is := arboristtest.NewIssuer(f)
	r := newResolver(f, jwtConfig(is, newClock()))
	good := is.Token(f, "alice", nil)
	f.Add(good)
	f.Add("..")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Fuzz(func(t *testing.T, token string) {
		s, err := r.Resolve(t.Context(), bearer(token))
		if err == nil && strings.TrimLeft(token, " ") != good {
			t.Fatalf("%q passed as %s", token, s.Principal())
		}
		if e := fhir.AsError(err); err != nil && (e == nil || e.Status != 401 && !errors.Is(err, errNoKeys)) {
			t.Fatalf("%q: %v", token, err)
		}
	})
}
