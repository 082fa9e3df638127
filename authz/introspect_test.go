package authz

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"ingle/authz/arboristtest"
)

// TestIntrospection: tokens that are no JWTs are known only by asking, and
// revoked ones end within a minute.
func TestIntrospection(t *testing.T) {
	is := arboristtest.NewIssuer(t)
	var asked atomic.Int64
	var answer atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		user, password, _ := r.BasicAuth()
		if r.Method != "POST" || r.FormValue("token") == "" || r.URL.RawQuery != "" || user != "ingle" || password != "a%2Bb" {
			w.WriteHeader(401)
			return
		}
		_, _ = w.Write([]byte(answer.Load().(string)))
	}))
	defer server.Close()
	cl := newClock()
	cfg := jwtConfig(is, cl)
	cfg.Issuers[0].UserClaim, cfg.Issuers[0].Purpose = "sub", ""
	cfg.Issuers[0].IntrospectURL, cfg.Issuers[0].IntrospectUser, cfg.Issuers[0].IntrospectPassword = server.URL, "ingle", "a+b"
	r := newResolver(t, cfg)
	const good = `{"active":true,"sub":"17","aud":"fhir","scope":"user/*.rs"}`
	answer.Store(good)
	jwt := is.Token(t, "alice", map[string]any{"scope": "user/*.rs"})
	for _, token := range []string{"opaque-token", jwt} {
		before := asked.Load()
		for range 3 {
			s, err := r.Resolve(t.Context(), bearer(token))
			if err != nil || s.Principal() != "user:"+is.URL+"|17" || !s.Narrow("Patient", Read).Allowed || s.Narrow("Patient", Create).Allowed {
				t.Fatalf("%q %v", s.Principal(), err)
			}
		}
		if n := asked.Load() - before; n != 1 {
			t.Errorf("the issuer was asked %d times", n)
		}
	}
	answer.Store(`{"active":false}`)
	cl.Add(61 * time.Second)
	for _, token := range []string{"opaque-token", jwt} {
		_, err := r.Resolve(t.Context(), bearer(token))
		refused(t, err, 401, "revoked")
	}
	for _, bad := range []string{`{}`, `{"active":"true"}`, `[]`, `<html>`, ``} {
		answer.Store(bad)
		_, err := r.Resolve(t.Context(), bearer("opaque-token"))
		refused(t, err, 503, "does not answer")
	}
	for bad, want := range map[string]string{
		`{"active":true,"sub":"17"}`:                                    "(aud)",
		`{"active":true,"sub":"17","aud":"fhir","iss":"https://x"}`:     "(iss)",
		`{"active":true,"aud":"fhir"}`:                                  "neither",
		`{"active":true,"sub":"17","aud":"fhir","exp":1}`:               "expired",
		`{"active":true,"sub":"17","aud":"fhir","pur":"refresh"}`:       "(pur)",
		`{"active":true,"sub":"17","aud":"fhir","nbf":99999999999}`:     "not valid yet",
		`{"active":true,"sub":"17","aud":"fhir","token_use":"id"}`:      "(token_use)",
		`{"active":true,"active":false,"sub":"17","aud":"fhir"}`:        "",
		`{"active":true,"sub":"17","aud":"fhir","cnf":{"jkt":"x"}}`:     "bound",
		`{"active":true,"sub":"17","aud":"fhir","exp":"9999999999"}`:    "exp",
		`{"active":true,"sub":["17"],"client_id":"app","aud":["fhir"]}`: "sub",
	} {
		answer.Store(bad)
		_, err := r.Resolve(t.Context(), bearer("opaque-token"))
		status := 401
		if want == "" {
			status = 503
		}
		refused(t, err, status, want)
	}
	server.Close()
	_, err := r.Resolve(t.Context(), bearer("opaque-token"))
	refused(t, err, 503, "does not answer")
}
