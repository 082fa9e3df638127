package authz

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ingle/authz/arboristtest"
)

// TestBoundedMemory: neither many users nor many tokens make the caches grow
// beyond their bounds.
func TestBoundedMemory(t *testing.T) {
	is := arboristtest.NewIssuer(t)
	is.SetKeys(arboristtest.NewKey(t, "key-1", "ES256"))
	front := newFront(t, "http://127.0.0.1:1")
	var mapping strings.Builder
	for i := range 200 {
		fmt.Fprintf(&mapping, `,"/programs/p%03d":[{"service":"fhir","method":"*"}]`, i)
	}
	front.mode.Store("{" + mapping.String()[1:] + "}")
	const size = 1 << 20
	r := newResolver(t, Config{Mode: ModeArborist, Issuers: []Issuer{{Issuer: is.URL, KeysURL: is.KeysURL, AnyAudience: true}}, Arborist: Arborist{URL: front.URL, CacheSize: size}})
	for i := range 300 {
		if s, err := r.Resolve(t.Context(), bearer(is.Delegated(t, fmt.Sprint("user", i), "portal"))); err != nil || len(s.Grant(Read).Roots) != 200 {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) { // what is over gives way behind the writer's back
		var answers, joint uint32
		for _, a := range r.arborist.cache.All() {
			answers += a.weight
		}
		for p := range r.arborist.joint.All() {
			joint += p.user.weight + p.client.weight
		}
		if answers > 0 && answers <= size && joint > 0 && joint <= size {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the caches weigh %d and %d, at most %d each", answers, joint, size)
		}
	}
	if asked := front.asked.Load(); asked < 300 {
		t.Errorf("300 users asked Arborist %d times", asked)
	}
}

// TestPrincipalsDiffer: two callers have the same principal only if they are
// the same, whatever their names hold.
func TestPrincipalsDiffer(t *testing.T) {
	name := rapid.StringOfN(rapid.SampledFrom([]rune("ab|:%7C@client")), 1, 12, -1)
	one := rapid.Custom(func(t *rapid.T) identity {
		i := identity{Kind: rapid.SampledFrom([]string{kindUser, kindClient}).Draw(t, "kind")}
		if i.Kind == kindUser {
			i.Name = name.Draw(t, "name")
		}
		if i.Kind == kindClient || rapid.Bool().Draw(t, "acting") {
			i.Client = name.Draw(t, "client")
		}
		return i
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := one.Draw(t, "a"), one.Draw(t, "b")
		if got, ok := identityOf(a.principal()); !ok || got.Kind != a.Kind || got.Name != a.Name || got.Client != a.Client {
			t.Fatalf("%+v became %q became %+v", a, a.principal(), got)
		}
		same := a.Kind == b.Kind && a.Name == b.Name && a.Client == b.Client
		if (a.principal() == b.principal()) != same {
			t.Fatalf("%+v and %+v: %q and %q", a, b, a.principal(), b.principal())
		}
	})
}
