package authz

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ingle/authz/arboristtest"
	"ingle/fhir"
)

// front stands before Arborist and can be slow, be down and count.
type front struct {
	*httptest.Server
	asked atomic.Int64
	mode  atomic.Value // "", "down", "slow", "500", or a body to answer with
}

func newFront(t testing.TB, target string) *front {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	f := &front{}
	f.mode.Store("")
	proxy := httputil.NewSingleHostReverseProxy(u)
	done := make(chan struct{})
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.asked.Add(1)
		switch mode := f.mode.Load().(string); mode {
		case "":
			proxy.ServeHTTP(w, r)
		case "down":
			panic(http.ErrAbortHandler)
		case "slow":
			select {
			case <-r.Context().Done():
			case <-done:
			}
		case "500":
			http.Error(w, "mapping query failed", 500)
		default:
			_, _ = w.Write([]byte(mode))
		}
	}))
	t.Cleanup(func() { close(done); f.Server.Close() })
	return f
}

// commons is a real Arborist with the sample policies, an issuer and a Resolver.
type commons struct {
	*arboristtest.Server
	is    *arboristtest.Issuer
	clock *clock
	front *front
	r     *Resolver
}

func newCommons(t *testing.T, change func(*Config)) *commons {
	t.Helper()
	c := &commons{is: arboristtest.NewIssuer(t), clock: newClock()}
	c.Server = arboristtest.Start(t, c.is)
	c.Apply(t, arboristtest.Sample)
	c.front = newFront(t, c.URL)
	cfg := Config{Mode: ModeArborist, Now: c.clock.Now,
		Issuers:  []Issuer{{Issuer: c.is.URL, KeysURL: c.is.KeysURL, Audiences: []string{"fhir"}}},
		Arborist: Arborist{URL: c.front.URL, Timeout: 30 * time.Second}}
	if change != nil {
		change(&cfg)
	}
	c.r = newResolver(t, cfg)
	return c
}

func (c *commons) scope(t *testing.T, token string) Scope {
	t.Helper()
	s, err := c.r.Resolve(t.Context(), bearer(token))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (c *commons) user(t *testing.T, name string) Scope {
	t.Helper()
	return c.scope(t, c.is.Token(t, name, map[string]any{"exp": time.Now().Unix() + 86400}))
}

func roots(s Scope, m Method) string { return strings.Join(s.Grant(m).Roots, " ") }

// TestArboristAgrees puts every question to the scope and to Arborist itself.
func TestArboristAgrees(t *testing.T) {
	t.Parallel()
	paths := []string{
		"/programs", "/programs/a", "/programs/a/projects/b", "/programs/a/projects/c", "/programs/a/projects/c/x", "/programs/a/not/registered",
		"/programs/ab", "/programs/ab/projects/d", "/programs/a-b", "/open", "/open/below", "/opening",
		"/programs/phs000424.c1-GRU", "/programs/phs000424.c1-GRU/projects/GTEx-v8_all~x", "/services/fhir/admin", "/services/fhir",
	}
	for _, send := range []bool{false, true} {
		t.Run(fmt.Sprintf("sendToken=%v", send), func(t *testing.T) {
			t.Parallel()
			c := newCommons(t, func(cfg *Config) { cfg.Arborist.SendToken = send })
			tokens := map[string]string{}
			for _, u := range []string{"alice@example.org", "ALICE@EXAMPLE.ORG", "bob", "carol", "writer", "storage", "admin", "stranger@nowhere"} {
				tokens[u] = c.is.Token(t, u, nil)
				for _, cl := range []string{"client-full", "client-b", "client-none", "client-unknown"} {
					tokens[u+" by "+cl] = c.is.Delegated(t, u, cl)
				}
			}
			for _, cl := range []string{"client-full", "client-b", "client-none", "client-unknown"} {
				tokens[cl] = c.is.ClientToken(t, cl)
			}
			asked, granted := 0, 0
			for name, token := range tokens {
				s := c.scope(t, token)
				for _, p := range paths {
					for _, m := range []Method{Read, Create, Update, Delete} {
						want := c.Allowed(t, token, p, "fhir", m.String())
						if got := s.Grant(m).AllowsPaths([]string{p}); got != want {
							t.Errorf("%s may %s %s: %v; Arborist says %v", name, m, p, got, want)
						}
						asked++
						if want {
							granted++
						}
					}
				}
			}
			t.Logf("%d questions, %d of them granted", asked, granted)
			if granted == 0 || granted == asked {
				t.Error("the questions prove nothing")
			}
		})
	}
}

func TestArboristScopes(t *testing.T) {
	t.Parallel()
	c := newCommons(t, nil)
	alice := c.user(t, "Alice@Example.ORG")
	if alice.Principal() != "user:alice@example.org" || alice.Admin() || alice.Grant(Read).Unlabelled || !alice.Authenticated() {
		t.Errorf("alice: %q %v", alice.Principal(), alice.Grant(Read))
	}
	if got, want := roots(alice, Read), "/open /programs/a /programs/phs000424.c1-GRU"; got != want {
		t.Errorf("alice reads %q, want %q", got, want)
	}
	if alice.Grant(Read).ID == 0 || alice.Grant(Read).ID != c.user(t, "alice@example.org").Grant(Read).ID {
		t.Error("the same grants have two ids")
	}
	if got := roots(alice, Create) + roots(alice, Update) + roots(alice, Delete); got != "" {
		t.Errorf("alice writes %q", got)
	}
	if s := c.user(t, "storage"); roots(s, Read) != roots(c.user(t, "bob"), Read) || roots(s, Create) != "" {
		t.Errorf("a grant of write-storage or of another service reads %q, creates %q", roots(s, Read), roots(s, Create))
	}
	admin := c.user(t, "admin")
	if !admin.Admin() || !admin.Grant(Read).Unlabelled || !admin.Grant(Delete).Unlabelled || admin.Grant(Read).All {
		t.Errorf("admin: %v %+v", admin.Admin(), admin.Grant(Read))
	}
	if s := c.scope(t, c.is.Delegated(t, "admin", "client-full")); s.Admin() || s.Grant(Read).Unlabelled || s.Principal() != "user:admin|client:client-full" {
		t.Errorf("a client that does not administer, for an administrator: %q %v %+v", s.Principal(), s.Admin(), s.Grant(Read))
	}
	smart := c.scope(t, c.is.Token(t, "admin", map[string]any{"scope": []string{"openid", "user/*.read"}}))
	if smart.Admin() || smart.Narrow("Patient", Create).Allowed || !smart.Narrow("Patient", Read).Allowed {
		t.Error("an app that may read administers")
	}
	if s := c.scope(t, c.is.Token(t, "admin", map[string]any{"scope": []string{"openid", "user/*.*"}})); !s.Admin() {
		t.Error("an app that may do everything for an administrator does not administer")
	}
	if s := c.scope(t, c.is.ClientToken(t, "client-full")); s.Principal() != "client:client-full" || roots(s, Read) != "/programs/a" {
		t.Errorf("client: %q %q", s.Principal(), roots(s, Read))
	}
	_, err := c.r.Resolve(t.Context(), Credentials{})
	refused(t, err, 401, "credentials")
}

func TestArboristAnonymous(t *testing.T) {
	t.Parallel()
	c := newCommons(t, func(cfg *Config) { cfg.Anonymous = true })
	s, err := c.r.Resolve(t.Context(), Credentials{})
	if err != nil {
		t.Fatal(err)
	}
	if s.Principal() != "anonymous" || roots(s, Read) != "/open" || s.Authenticated() || s.Admin() {
		t.Errorf("%q reads %q", s.Principal(), roots(s, Read))
	}
	// Bad credentials are no way to be anonymous.
	_, err = c.r.Resolve(t.Context(), bearer("x"))
	refused(t, err, 401, "three parts")
}

// TestArboristExpiry: a grant's end is not in the mapping; the cache's time
// bounds how long it is still seen.
func TestArboristExpiry(t *testing.T) {
	t.Parallel()
	c := newCommons(t, nil)
	ends := time.Now().Add(2 * time.Second)
	c.Must(t, "POST", "/user/bob/policy", map[string]any{"policy": "a-all", "expires_at": ends.UTC().Format(time.RFC3339Nano)})
	before := roots(c.user(t, "bob"), Read)
	if !strings.Contains(before, "/programs/a ") {
		t.Fatalf("bob reads %q", before)
	}
	time.Sleep(time.Until(ends) + 200*time.Millisecond)
	c.clock.Add(29 * time.Second)
	if got := roots(c.user(t, "bob"), Read); got != before {
		t.Errorf("after 29 s: %q", got)
	}
	c.clock.Add(2 * time.Second)
	if got := roots(c.user(t, "bob"), Read); strings.Contains(got, "/programs/a ") {
		t.Errorf("after 31 s: %q", got)
	}
}

func TestArboristRevocation(t *testing.T) {
	t.Parallel()
	c := newCommons(t, nil)
	token := c.is.Token(t, "alice@example.org", nil)
	if got := roots(c.scope(t, token), Read); !strings.Contains(got, "/programs/a ") {
		t.Fatalf("alice reads %q", got)
	}
	job := c.scope(t, token).Snapshot()
	c.Must(t, "DELETE", "/user/Alice@Example.org/policy/a-all", nil)
	c.clock.Add(31 * time.Second)
	if got := roots(c.scope(t, token), Read); strings.Contains(got, "/programs/a ") {
		t.Errorf("31 s after the grant was withdrawn: %q", got)
	}
	s, err := c.r.FromSnapshot(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	if got := roots(s, Read); got != "/open /programs/phs000424.c1-GRU" {
		t.Errorf("a job reads %q after the grant was withdrawn", got)
	}
	// A grant that comes later is not the job's.
	c.Must(t, "POST", "/user/Alice@Example.org/policy", map[string]any{"policy": "ab-all"})
	if !c.r.Drop("user:ALICE@example.org") {
		t.Error("alice cannot be dropped")
	}
	if got := roots(c.scope(t, token), Read); !strings.Contains(got, "/programs/ab") {
		t.Errorf("at once after the drop: %q", got)
	}
	if s, err = c.r.FromSnapshot(t.Context(), job); err != nil || strings.Contains(roots(s, Read), "/programs/ab") {
		t.Errorf("the job reads %q (%v)", roots(s, Read), err)
	}
	if s.Principal() != "user:alice@example.org" {
		t.Errorf("the job's principal: %q", s.Principal())
	}
}

func TestArboristDeletedResource(t *testing.T) {
	t.Parallel()
	c := newCommons(t, nil)
	if !strings.Contains(roots(c.user(t, "carol"), Delete), "/programs/a/projects/c") {
		t.Fatal("carol has no grant to lose")
	}
	c.Must(t, "DELETE", "/resource/programs/a/projects/c", nil)
	c.r.DropAll()
	if got := roots(c.user(t, "carol"), Delete); got != "" {
		t.Errorf("carol deletes %q", got)
	}
	if !c.user(t, "alice@example.org").Grant(Read).AllowsPaths([]string{"/programs/a/projects/c"}) {
		t.Error("alice lost what her grant on the parent covers")
	}
}

func TestArboristDown(t *testing.T) {
	t.Parallel()
	c := newCommons(t, nil)
	alice := c.is.Token(t, "alice@example.org", nil)
	bob := c.is.Token(t, "bob", nil)
	c.scope(t, alice)
	for _, mode := range []string{"down", "500", "null", "[]", `{"/programs/a":"read"}`, "{", `"Healthy"`, `{"/a":[{"service":7}]}`} {
		c.front.mode.Store(mode)
		if got := roots(c.scope(t, alice), Read); !strings.Contains(got, "/programs/a ") {
			t.Errorf("%s: within the cache's time alice reads %q", mode, got)
		}
		s, err := c.r.Resolve(t.Context(), bearer(bob))
		if e := refused(t, err, 503, "cannot be told now"); e.RetryAfter == 0 || e.Issues[0].Code != fhir.CodeTransient {
			t.Errorf("%s: %+v", mode, e)
		}
		if s != (Scope{}) || c.r.Challenges(err) != nil {
			t.Errorf("%s: a scope or a challenge with a 503", mode)
		}
		if strings.Contains(fhir.AsError(err).Issues[0].Diagnostics, "http") {
			t.Errorf("%s: the client is told where Arborist is", mode)
		}
		c.clock.Add(1100 * time.Millisecond)
	}
	c.clock.Add(30 * time.Second)
	_, err := c.r.Resolve(t.Context(), bearer(alice))
	refused(t, err, 503, "cannot be told now")
	if _, err := c.r.FromSnapshot(t.Context(), c.scopeOf(t, "alice@example.org")); fhir.AsError(err) == nil || fhir.AsError(err).Status != 503 {
		t.Errorf("a job goes on without grants: %v", err)
	}
	c.front.mode.Store("")
	c.clock.Add(1100 * time.Millisecond)
	c.scope(t, alice)
	c.scope(t, bob)
}

// scopeOf is a snapshot made beside the front that is down.
func (c *commons) scopeOf(t *testing.T, user string) []byte {
	return Scope{&scope{identity: identity{Kind: kindUser, Name: user}, mode: ModeArborist}}.Snapshot()
}

// TestArboristFailureIsShort: while it is down it is not asked by every request.
func TestArboristFailureIsShort(t *testing.T) {
	t.Parallel()
	c := newCommons(t, nil)
	c.front.mode.Store("500")
	token := c.is.Token(t, "bob", nil)
	for range 50 {
		_, err := c.r.Resolve(t.Context(), bearer(token))
		refused(t, err, 503, "cannot be told now")
	}
	if n := c.front.asked.Load(); n != 1 {
		t.Errorf("it was asked %d times within the second", n)
	}
}

func TestArboristSlow(t *testing.T) {
	t.Parallel()
	c := newCommons(t, func(cfg *Config) { cfg.Arborist.Timeout = 300 * time.Millisecond })
	c.front.mode.Store("slow")
	begun := time.Now()
	_, err := c.r.Resolve(t.Context(), bearer(c.is.Token(t, "bob", nil)))
	refused(t, err, 503, "cannot be told now")
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestArboristSingleFlight(t *testing.T) {
	t.Parallel()
	c := newCommons(t, nil)
	var wait sync.WaitGroup
	for i := range 100 {
		token := c.is.Token(t, "alice@example.org", map[string]any{"jti": fmt.Sprint(i)})
		wait.Go(func() {
			if _, err := c.r.Resolve(t.Context(), bearer(token)); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if n := c.front.asked.Load(); n > 2 {
		t.Errorf("100 requests of one user asked Arborist %d times", n)
	}
	before := c.front.asked.Load()
	c.clock.Add(29 * time.Second)
	c.user(t, "alice@example.org")
	if n := c.front.asked.Load(); n != before {
		t.Error("it asked within the cache's time")
	}
	c.clock.Add(2 * time.Second)
	c.user(t, "alice@example.org")
	if n := c.front.asked.Load(); n != before+1 {
		t.Errorf("after the cache's time it asked %d times", n-before)
	}
}

// TestDropBeatsAnswer: an answer that was asked for before the drop is not kept.
func TestDropBeatsAnswer(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	release := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) == 1 {
			<-release
			_, _ = w.Write([]byte(`{"/old":[{"service":"fhir","method":"read"}]}`))
			return
		}
		_, _ = w.Write([]byte(`{"/new":[{"service":"fhir","method":"read"}]}`))
	}))
	defer slow.Close()
	is := arboristtest.NewIssuer(t)
	r := newResolver(t, Config{Mode: ModeArborist, Issuers: []Issuer{{Issuer: is.URL, KeysURL: is.KeysURL, AnyAudience: true}}, Arborist: Arborist{URL: slow.URL}})
	token := is.Token(t, "alice", nil)
	first := make(chan Scope)
	go func() {
		s, _ := r.Resolve(t.Context(), bearer(token))
		first <- s
	}()
	for calls.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	r.Drop("user:alice")
	s, err := r.Resolve(t.Context(), bearer(token))
	if err != nil || roots(s, Read) != "/new" {
		t.Errorf("after the drop: %q, %v", roots(s, Read), err)
	}
	close(release)
	<-first
	if s, err = r.Resolve(t.Context(), bearer(token)); err != nil || roots(s, Read) != "/new" {
		t.Errorf("after the old answer came: %q, %v", roots(s, Read), err)
	}
}

func TestLookupAndExplain(t *testing.T) {
	t.Parallel()
	c := newCommons(t, nil)
	for principal, want := range map[string]string{
		"user:alice@example.org":                    "/open /programs/a /programs/phs000424.c1-GRU",
		"user:alice@example.org|client:client-full": "/programs/a",
		"user:alice@example.org|client:client-none": "",
		"client:client-full":                        "/programs/a",
		"user:nobody":                               "/open /programs/phs000424.c1-GRU",
	} {
		s, err := c.r.Lookup(t.Context(), principal)
		if err != nil || roots(s, Read) != want || s.Principal() != principal {
			t.Errorf("%s: %q as %q, %v", principal, roots(s, Read), s.Principal(), err)
		}
	}
	for _, bad := range []string{"", "alice", "user:", "system:reindex", "open", "anonymous", "basic:x", "user:a|b"} {
		if _, err := c.r.Lookup(t.Context(), bad); fhir.AsError(err) == nil || fhir.AsError(err).Status/100 != 4 {
			t.Errorf("%q: %v", bad, err)
		}
	}
	s, err := c.r.Lookup(t.Context(), "user:alice@example.org|client:client-full")
	if err != nil {
		t.Fatal(err)
	}
	e := s.Explain(Read, "Patient", []string{"/programs/a/projects/b", "/open"})
	want := []Source{{"/programs/a", "*", "read", "user:alice@example.org"}, {"/programs/a", "*", "read", "client:client-full"}}
	if !e.Allowed || !slices.Equal(e.Labels[0].Grants, want) || e.Labels[1].Allowed {
		t.Errorf("%+v", e)
	}
	// The user has a grant for /open, the client has none: shown, and not allowed.
	if g := e.Labels[1].Grants; len(g) != 1 || g[0].Via != "user:alice@example.org" {
		t.Errorf("%+v", g)
	}
	if e := s.Explain(Create, "Patient", nil); e.Allowed || e.Why == "" {
		t.Errorf("%+v", e)
	}
}

// TestLargeMapping holds the work on a mapping of 5,000 paths to less than the
// time of the call that fetched it.
func TestLargeMapping(t *testing.T) {
	c := newCommons(t, nil)
	const n = 5000
	var children []map[string]any
	for i := range n {
		children = append(children, map[string]any{"name": fmt.Sprintf("p%05d", i)})
	}
	c.Must(t, "POST", "/resource/programs", map[string]any{"name": "large", "subresources": children})
	var paths []string
	for i := 0; i < n; i += 2 {
		paths = append(paths, fmt.Sprintf("/programs/large/p%05d", i))
	}
	c.Must(t, "POST", "/policy", map[string]any{"id": "half", "resource_paths": paths, "role_ids": []string{"fhir-admin"}})
	c.Must(t, "POST", "/policy", map[string]any{"id": "large", "resource_paths": []string{"/programs/large"}, "role_ids": []string{"any-reader"}})
	c.Must(t, "POST", "/user/bob/policy", map[string]any{"policy": "half"})
	c.Must(t, "POST", "/user/bob/policy", map[string]any{"policy": "large"})
	var body []byte
	var g grantSet
	call, work := time.Hour, time.Hour // the least of a few, for the machine is shared
	for range 5 {
		begun := time.Now()
		body = c.Must(t, "POST", "/auth/mapping", map[string]any{"username": "bob"})
		call = min(call, time.Since(begun))
		begun = time.Now()
		var err error
		g, err = parseMapping(body, &Arborist{Service: "fhir", AdminPath: defaultAdminPath, UnlabelledPath: defaultAdminPath}, "user:bob")
		if err != nil {
			t.Fatal(err)
		}
		work = min(work, time.Since(begun))
	}
	if len(g.roots[Create]) != n/2 || !slices.Contains(g.roots[Read], "/programs/large") || len(g.roots[Read]) != 3 {
		t.Errorf("%d roots to create, %v to read", len(g.roots[Create]), g.roots[Read])
	}
	t.Logf("mapping of %d bytes: the call %v, reading and collapsing %v", len(body), call, work)
	if work > call && !raceEnabled {
		t.Errorf("reading a mapping of %d bytes took %v, fetching it %v", len(body), work, call)
	}
}

func TestPreviewAndHealth(t *testing.T) {
	t.Parallel()
	c := newCommons(t, nil)
	mapping := c.Must(t, "POST", "/auth/mapping", map[string]any{"username": "carol"})
	client := c.Must(t, "POST", "/auth/mapping", map[string]any{"clientID": "client-full"})
	s, err := c.r.Preview("user:alice@example.org", mapping, nil)
	if err != nil || roots(s, Delete) != "/programs/a/projects/c" || s.Principal() != "user:alice@example.org" {
		t.Errorf("%q %v", roots(s, Delete), err)
	}
	s, err = c.r.Preview("user:alice@example.org|client:client-full", mapping, client)
	if err != nil || roots(s, Read) != "/programs/a/projects/c" || roots(s, Delete) != "" {
		t.Errorf("%q %v", roots(s, Read), err)
	}
	for _, bad := range []string{"anonymous", "basic:x", ""} {
		if _, err := c.r.Preview(bad, mapping, nil); fhir.AsError(err) == nil {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, bad := range []string{"", "null", "[]"} {
		if _, err := c.r.Preview("user:alice", []byte(bad), nil); fhir.AsError(err) == nil {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if err := c.r.Health(t.Context()); err != nil {
		t.Error(err)
	}
	c.front.mode.Store("500")
	c.is.SetDown(true)
	if err := c.r.Health(t.Context()); err == nil || !strings.Contains(err.Error(), "Arborist") {
		t.Error(err)
	}
}
