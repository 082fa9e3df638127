package authz

import (
	"fmt"
	"testing"

	"ingle/authz/arboristtest"
)

// BenchmarkResolve is the cost of a request whose token and grants are known,
// and of one whose token is new.
func BenchmarkResolve(b *testing.B) {
	is := arboristtest.NewIssuer(b)
	front := newFront(b, "http://127.0.0.1:1")
	front.mode.Store(`{"/programs/a":[{"service":"fhir","method":"read"}],"/programs/b":[{"service":"*","method":"*"}]}`)
	cfg := Config{Mode: ModeArborist, Issuers: []Issuer{{Issuer: is.URL, KeysURL: is.KeysURL, AnyAudience: true}}, Arborist: Arborist{URL: front.URL}}
	r := newResolver(b, cfg)
	known := bearer(is.Delegated(b, "alice", "portal"))
	b.Run("known", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if s, err := r.Resolve(b.Context(), known); err != nil || s.None() {
				b.Fatal(err)
			}
		}
	})
	b.Run("new", func(b *testing.B) {
		tokens := make([]Credentials, 512)
		for i := range tokens {
			tokens[i] = bearer(is.Token(b, "alice", map[string]any{"jti": fmt.Sprint(i)}))
		}
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			if i++; i%len(tokens) == 0 {
				r.tokens.known.Clear()
			}
			if _, err := r.Resolve(b.Context(), tokens[i%len(tokens)]); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkAllowsPaths(b *testing.B) {
	var roots []string
	for i := range 5000 {
		roots = append(roots, fmt.Sprintf("/programs/p%04d/projects/x", i))
	}
	g := Grant{Roots: Collapse(roots)}
	label := []string{"/programs/p4321/projects/x/samples/7"}
	b.ReportAllocs()
	for b.Loop() {
		if !g.AllowsPaths(label) {
			b.Fatal()
		}
	}
}
