package server_test

import (
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"ingle/authz"
	"ingle/authz/limit"
	"ingle/interaction"
	"ingle/server"
	"ingle/server/servertest"
	"ingle/store/storetest"
)

func TestNetworks(t *testing.T) {
	t.Parallel()
	net := func(s string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(s)} }
	s := servertest.Start(t, servertest.Options{Server: func(c *server.Config) {
		c.TrustedProxies, c.AllowIPs, c.DenyIPs = net("127.0.0.0/8"), net("10.0.0.0/8"), net("10.6.0.0/16")
	}})
	for from, status := range map[string]int{"10.1.1.1": 200, "10.6.1.1": 403, "11.1.1.1": 403, "::ffff:10.1.1.1": 200} {
		s.Get("/Patient", "X-Forwarded-For", from).Is(status)
	}
	s.Get("/Patient").Is(403)
	s.Get(s.Root + "/livez").Is(200)
	s.Get(s.Root + "/metrics").Is(403)
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{Server: func(c *server.Config) {
		c.Limiter = limited(t, limit.Config{Default: limit.Rule{PerSecond: 1, Burst: 5}})
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	}})
	refused := 0
	for range 12 {
		a := s.Get("/Patient")
		if a.Status == 429 {
			refused++
			a.Is(429)
			if a.Header.Get("Retry-After") == "" || a.Header.Get("X-RateLimit-Limit") != "5" || a.Text("issue.0.code") != "throttled" {
				t.Errorf("%v %s", a.Header, a.Body)
			}
		}
	}
	if refused == 0 || refused > 7 {
		t.Errorf("%d of 12 refused", refused)
	}
	s.Get("/Patient", "X-Forwarded-For", "9.9.9.9").Is(200)
	s.Get(s.Root + "/livez").Is(200)
}

func limited(t *testing.T, c limit.Config) *limit.Limiter {
	t.Helper()
	l := limit.New(c)
	return l
}

// A quota outlives the server, and is one for all servers of a database.
func TestQuota(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	url := storetest.URL(t)
	start := func() (*servertest.Server, *limit.Limiter) {
		l := limited(t, limit.Config{Default: limit.Rule{Quota: 10}, Now: func() time.Time { return now }})
		s := servertest.Start(t, servertest.Options{URL: url, Server: func(c *server.Config) { c.Limiter = l }})
		if err := l.Carry(t.Context(), s.Database.Usage()); err != nil {
			t.Fatal(err)
		}
		return s, l
	}
	settle := func(s *servertest.Server, l *limit.Limiter) {
		t.Helper()
		if err := l.Settle(t.Context(), s.Database.Usage()); err != nil {
			t.Fatal(err)
		}
	}
	first, a := start()
	other, b := start()
	for i := range 4 {
		if got := first.Get("/Patient").Is(200).Header.Get("X-RateLimit-Remaining"); got != strconv.Itoa(9-i) {
			t.Errorf("remaining %s after %d", got, i+1)
		}
	}
	other.Get("/Patient").Is(200)
	settle(first, a)
	settle(other, b)
	for range 5 { // it knows of the others' four
		other.Get("/Patient").Is(200)
	}
	refused := other.Get("/Patient").Is(429)
	if refused.Text("issue.0.code") != "throttled" || refused.Header.Get("Retry-After") != "43200" || refused.Header.Get("X-RateLimit-Remaining") != "0" {
		t.Errorf("%v %s", refused.Header, refused.Body)
	}
	settle(other, b)
	settle(other, b)
	restarted, _ := start()
	restarted.Get("/Patient").Is(429).Has("quota")
	now = now.Add(12 * time.Hour)
	restarted.Get("/Patient").Is(200)
	other.Get("/Patient").Is(200)
}

// TestAdministratorsArePaced proves that questions about authorization count.
func TestAdministratorsArePaced(t *testing.T) {
	t.Parallel()
	l := limited(t, limit.Config{Default: limit.Rule{PerSecond: 0.001, Burst: 3}})
	resolver, err := authz.New(authz.Config{Mode: authz.ModeOpen})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(resolver.Close)
	s := servertest.Start(t, servertest.Options{Server: func(c *server.Config) {
		c.Limiter, c.Wrap = l, append(c.Wrap, server.Administrators(resolver, server.AccessAdministration(resolver, c.Database)))
	}})
	for range 3 {
		s.Do("POST", s.Root+"/admin/authz/drop", "").Is(204)
	}
	if s.Do("POST", s.Root+"/admin/authz/drop", "").Is(429).Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

func TestCORS(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{
		Server:      func(c *server.Config) { c.Origins, c.Resolver = []string{"https://app.org"}, refusing{} },
		Interaction: func(c *interaction.Config) { c.CORS = true },
	})
	pre := s.Do("OPTIONS", "/Patient", "", "Origin", "https://app.org", "Access-Control-Request-Method", "PUT").Is(204)
	if h := pre.Header; h.Get("Access-Control-Allow-Origin") != "https://app.org" || !strings.Contains(h.Get("Access-Control-Allow-Methods"), "PUT") ||
		!strings.Contains(h.Get("Access-Control-Allow-Headers"), "Authorization") || h.Get("Access-Control-Max-Age") != "600" {
		t.Errorf("%v", h)
	}
	a := s.Get("/Patient", "Origin", "https://app.org").Is(401)
	if a.Header.Get("Access-Control-Allow-Origin") != "https://app.org" || !strings.Contains(a.Header.Get("Access-Control-Expose-Headers"), "Location") {
		t.Errorf("%v", a.Header)
	}
	for _, origin := range []string{"https://evil.org", "null", "https://app.org.evil.org"} {
		if a := s.Do("OPTIONS", "/Patient", "", "Origin", origin, "Access-Control-Request-Method", "PUT"); a.Header.Get("Access-Control-Allow-Origin") != "" || a.Status == 200 {
			t.Errorf("%s: %v", origin, a.Header)
		}
	}
	if s.Get("/metadata").Is(200).Text("rest.0.security.cors") != "true" {
		t.Error("cors is not in the CapabilityStatement")
	}
}

func TestAudit(t *testing.T) {
	t.Parallel()
	var log lines
	s := servertest.Start(t, servertest.Options{Server: func(c *server.Config) { c.Audit = slog.New(slog.NewJSONHandler(&log, nil)) }})
	s.Put("/Patient/p", patient).Is(201)
	id := s.Post("/Patient", patient).Is(201).ID()
	s.Get("/Patient/p").Is(200)
	s.Get("/Patient?family=Chalmers").Is(200)
	s.Get("/Patient/none").Is(404)
	s.Get("/Patient/p/Observation").Is(200)
	s.Post("", transaction(entryOf("", `{"resourceType":"Basic","id":"b","code":{"text":"x"}}`, "PUT", "Basic/b"), entryOf("", "", "GET", "Patient/p"))).Is(200)
	s.Post("", transaction(entryOf("", patient, "PUT", "Patient/p"), entryOf("", "", "GET", "Patient/missing"))).Is(400)
	s.Delete("/Patient/" + id).Is(204)
	s.Put("/Basic/c", `{"resourceType":"Basic","id":"c","code":{"text":"x"}}`).Is(201)
	s.Delete("/Basic?_id=b,c").Is(204)
	text := log.String()
	for _, want := range []string{
		`"action":"U","interaction":"update","type":"Patient","reference":"Patient/p","version":"1","status":201,"outcome":"success"`,
		`"action":"C","interaction":"create","type":"Patient","reference":"Patient/` + id + `","version":"1","status":201`,
		`"action":"R","interaction":"read","type":"Patient","reference":"Patient/p","version":"1","status":200`,
		`"action":"R","interaction":"search-type","type":"Patient","status":200`,
		`"reference":"Patient/none","status":404,"outcome":"minor failure"`,
		`"interaction":"search-type","type":"Patient","reference":"Patient/p","status":200`,
		`"action":"U","interaction":"update","type":"Basic","reference":"Basic/b","version":"1","status":201`,
		`"action":"D","interaction":"delete","type":"Patient","reference":"Patient/` + id + `"`,
		`"action":"U","interaction":"update","type":"Patient","reference":"Patient/p","status":400,"outcome":"minor failure"`,
		`"action":"R","interaction":"read","type":"Patient","reference":"Patient/missing","status":400,"outcome":"minor failure"`,
		`"action":"D","interaction":"delete","type":"Basic","reference":"Basic/b","version":"2","status":204,"outcome":"success"`,
		`"action":"D","interaction":"delete","type":"Basic","reference":"Basic/c","version":"2","status":204,"outcome":"success"`,
		`"principal":"anonymous"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the trail lacks %s\n%s", want, text)
		}
	}
	if strings.Contains(text, "Chalmers") || strings.Contains(text, "1974") {
		t.Errorf("the trail holds content\n%s", text)
	}
}
