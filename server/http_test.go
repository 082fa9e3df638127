package server_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ingle/authz"
	"ingle/fhir"
	"ingle/interaction"
	"ingle/server"
	"ingle/server/servertest"
	"ingle/store"
)

func TestProxies(t *testing.T) {
	t.Parallel()
	trusting := servertest.Start(t, servertest.Options{Server: func(c *server.Config) {
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
	}})
	plain := servertest.Start(t)
	public := servertest.Start(t, servertest.Options{Server: func(c *server.Config) { c.PublicURL = "https://public.org/r4/" }})
	for _, c := range []struct {
		s       *servertest.Server
		headers []string
		want    string
	}{
		{plain, nil, plain.Base},
		{plain, []string{"Host", "fhir.org"}, "http://fhir.org/fhir"},
		{plain, []string{"X-Forwarded-Host", "evil.org", "X-Forwarded-Proto", "https", "Forwarded", "host=evil.org"}, plain.Base},
		{trusting, []string{"X-Forwarded-Host", "fhir.org", "X-Forwarded-Proto", "https"}, "https://fhir.org/fhir"},
		{trusting, []string{"X-Forwarded-Host", "a.org, b.org", "X-Forwarded-Proto", "https", "X-Forwarded-Port", "8443"}, "https://b.org:8443/fhir"},
		{trusting, []string{"X-Forwarded-Host", "fhir.org", "X-Forwarded-Proto", "https", "X-Forwarded-Port", "443", "X-Forwarded-Prefix", "/a/"}, "https://fhir.org/a/fhir"},
		{trusting, []string{"Forwarded", `for=1.2.3.4;host="x.org";proto=http, for="[::1]";proto=https;host=fhir.org:444`}, "https://fhir.org:444/fhir"},
		{trusting, []string{"X-Forwarded-Host", `e"vil<`, "X-Forwarded-Proto", "javascript"}, "http://localhost/fhir"},
		{public, []string{"Host", "other.org"}, "https://public.org/r4"},
	} {
		a := c.s.Post("/Patient", patient, c.headers...).Is(201)
		if got := a.Header.Get("Location"); !strings.HasPrefix(got, c.want+"/Patient/") {
			t.Errorf("%v: Location %s, want %s", c.headers, got, c.want)
		}
		if got := c.s.Get("/Patient", c.headers...).Is(200).Link("self"); got != c.want+"/Patient" {
			t.Errorf("%v: self %s, want %s", c.headers, got, c.want)
		}
		if got := c.s.Get("/metadata", c.headers...).Is(200).Text("implementation.url"); got != c.want {
			t.Errorf("%v: implementation.url %s, want %s", c.headers, got, c.want)
		}
	}
}

// lines collects a log.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestAccessLog(t *testing.T) {
	t.Parallel()
	var log lines
	s := servertest.Start(t, servertest.Options{
		Server: func(c *server.Config) {
			c.Log = slog.New(slog.NewJSONHandler(&log, nil))
			c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		},
		Register: func(svc *interaction.Service) { svc.Register(failing("fail")) },
	})
	a := s.Put("/Patient/secret-id", `{"resourceType":"Patient","id":"secret-id","name":[{"family":"Secretname"}]}`, "X-Request-Id", "abc").Is(201)
	if a.Header.Get("X-Request-Id") != "abc" {
		t.Errorf("the request id is %q", a.Header.Get("X-Request-Id"))
	}
	if a := s.Get("/Patient/none", "X-Request-Id", "a b<script>").Is(404); a.Header.Get("X-Request-Id") == "a b<script>" || a.Text("id") != a.Header.Get("X-Request-Id") {
		t.Errorf("%v", a.Header)
	}
	s.Get("/Patient?family=Secretname", "X-Forwarded-For", "6.6.6.6, 9.9.9.9").Is(200)
	s.Post("/Patient/_search", "family=Secretname", "Content-Type", "application/x-www-form-urlencoded").Is(200)
	s.Get("/Patient/secret-id/Observation").Is(200)
	s.Post("/Patient", `{"resourceType":"Patient","name":[{"family":7,"given":"Secretname"}]}`).Is(400)
	s.Get("/$fail").Is(500)
	s.Get(s.Root + "/Secretname").Is(404)
	text := log.String()
	for _, want := range []string{`"request":"abc"`, `"path":"/fhir/Patient/{id}"`, `"interaction":"update"`, `"status":201`, `"principal":"anonymous"`, `"client":"9.9.9.9"`, `"interaction":"search-type"`, `"interaction":"$fail"`, `"error":"secret"`, `"path":"/fhir/Patient/{id}/Observation"`} {
		if !strings.Contains(text, want) {
			t.Errorf("the log lacks %s\n%s", want, text)
		}
	}
	for _, bad := range []string{"Secretname", "secret-id", "6.6.6.6"} {
		if strings.Contains(text, bad) {
			t.Errorf("the log holds %s\n%s", bad, text)
		}
	}
}

func TestHealthAndMetrics(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	s.Get(s.Root + "/livez").Is(200)
	s.Get(s.Root + "/readyz").Is(200)
	s.Put("/Patient/p", patient).Is(201)
	s.Get("/Patient/p").Is(200)
	s.Get("/Patient/x").Is(404)
	s.Get(s.Root+"/_status").Is(200).Has(`"ready": true`, `"version": "test"`)
	m := s.Get(s.Root + "/metrics").Is(200)
	m.Has(`fhir_request_duration_seconds_count{interaction="read",status="2xx",type="Patient"} 1`, `fhir_request_duration_seconds_count{interaction="read",status="4xx",type="Patient"} 1`,
		`fhir_request_duration_seconds_count{interaction="update",status="2xx",type="Patient"} 1`, "ingle_pool_connections{", "fhir_index_duration_seconds_count 1", `fhir_resources_total{interaction="read"} 1`, `ingle_build_info{version="test"} 1`)
	s.Database.Close()
	s.Get(s.Root + "/livez").Is(200)
	if a := s.Do("GET", s.Root+"/readyz", ""); a.Status != 503 {
		t.Errorf("ready without a database: %d", a.Status)
	}
	s.Get("/metadata").Is(200)
	if a := s.Do("GET", "/Patient/p", ""); a.Status < 500 {
		t.Errorf("a read without a database: %d", a.Status)
	}
}

// refusing is a resolver that knows one token.
type refusing struct{}

func (refusing) Resolve(_ context.Context, c authz.Credentials) (authz.Scope, error) {
	if len(c.Authorization) == 1 && c.Authorization[0] == "Bearer good" {
		return authz.Open(), nil
	}
	return authz.Scope{}, fhir.Errorf(401, fhir.CodeLogin, "a token is needed")
}

func (refusing) Challenges(error) []string { return []string{`Bearer realm="fhir"`} }

func TestAuthentication(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{Server: func(c *server.Config) { c.Resolver = refusing{} }})
	for _, path := range []string{"/Patient", "/Patient/p", "/Foo", "/_history", "/$nope", ""} {
		a := s.Get(path).Is(401)
		if a.Header.Get("WWW-Authenticate") != `Bearer realm="fhir"` || a.Text("issue.0.code") != "login" {
			t.Errorf("%s: %v", path, a.Header)
		}
	}
	s.Post("/Patient", patient).Is(401)
	s.Get("/metadata").Is(200)
	s.Get("/Patient", "Authorization", "Bearer good").Is(200)
	s.Get("/Foo", "Authorization", "Bearer good").Is(404)
}

// A statement that takes too long is a 503 with Retry-After, and the connection
// is used again.
func TestStatementTimeout(t *testing.T) {
	t.Parallel()
	var slow atomic.Bool
	s := servertest.Start(t, servertest.Options{Server: func(c *server.Config) {
		c.Wrap = append(c.Wrap, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if slow.Load() {
					ctx, cancel := context.WithTimeout(r.Context(), time.Microsecond)
					defer cancel()
					r = r.WithContext(ctx)
				}
				next.ServeHTTP(w, r)
			})
		})
	}})
	s.Put("/Patient/p", patient).Is(201)
	slow.Store(true)
	for _, path := range []string{"/Patient/p", "/Patient?gender=male", "/Patient/p/_history"} {
		a := s.Get(path).Is(503)
		if a.Header.Get("Retry-After") == "" || a.Text("issue.0.code") != "timeout" {
			t.Errorf("%s: %v %s", path, a.Header, a.Body)
		}
	}
	slow.Store(false)
	s.Get("/Patient/p").Is(200)
	s.Get("/Patient?gender=male").Is(200)
}

func TestWritesWaitAndAreRefused(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	s := servertest.Start(t, servertest.Options{
		Server: func(c *server.Config) { c.Writes, c.QueueTime = 1, 50*time.Millisecond },
		Register: func(svc *interaction.Service) {
			svc.Register(&interaction.Operation{Name: "hold", Definition: "http://x/hold", System: true, AffectsState: true,
				Do: func(context.Context, *store.Session, *interaction.Request) (*interaction.Response, error) {
					gate <- struct{}{}
					<-gate
					return &interaction.Response{Status: 204}, nil
				}})
		},
	})
	held := make(chan int)
	go func() { held <- s.Post("/$hold", "").Status }()
	<-gate
	a := s.Post("/Patient", patient).Is(503)
	if a.Header.Get("Retry-After") == "" || a.Text("issue.0.code") != "throttled" {
		t.Errorf("%v %s", a.Header, a.Body)
	}
	s.Get("/Patient").Is(200)
	gate <- struct{}{}
	if st := <-held; st != 204 {
		t.Errorf("the write that ran: %d", st)
	}
	s.Post("/Patient", patient).Is(201)
}

// listen serves a server on a real listener, as cmd does.
func listen(t *testing.T, s *servertest.Server, change func(*server.Config)) (address string, stop func() error) {
	t.Helper()
	cfg := server.Config{Service: s.Service, Database: s.Database}
	if change != nil {
		change(&cfg)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.New(cfg).Serve(ctx, l) }()
	return l.Addr().String(), func() error { cancel(); return <-ended }
}

// A body of 200 MB is refused having been read hardly beyond the limit.
func TestHugeBody(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	address, stop := listen(t, s, nil)
	defer func() { _ = stop() }()
	for _, head := range []string{"Content-Length: 200000000\r\n", "Transfer-Encoding: chunked\r\n"} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\n%s\r\n", head)
		sent := 0
		chunk := bytes.Repeat([]byte(" "), 64<<10)
		for sent < 200_000_000 {
			_ = conn.SetWriteDeadline(time.Now().Add(2 * time.Second))
			if strings.HasPrefix(head, "Transfer") {
				if _, err := fmt.Fprintf(conn, "%x\r\n%s\r\n", len(chunk), chunk); err != nil {
					break
				}
			} else if _, err := conn.Write(chunk); err != nil {
				break
			}
			sent += len(chunk)
		}
		// the kernel's buffers on both sides hold a few megabytes
		if limit := 5_000_000 + 12_000_000; sent > limit {
			t.Errorf("%s: %d bytes were taken", strings.TrimSpace(head), sent)
		}
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
			if resp.StatusCode != 413 || !resp.Close {
				t.Errorf("%s: %s, close %v", strings.TrimSpace(head), resp.Status, resp.Close)
			}
			_ = resp.Body.Close()
		}
		_ = conn.Close()
	}
	s.Get("http://" + address + "/fhir/Patient").Is(200)
}

func TestSlowClients(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	address, stop := listen(t, s, func(c *server.Config) { c.HeaderTime = 300 * time.Millisecond })
	defer func() { _ = stop() }()
	conns := make([]net.Conn, 200)
	for i := range conns {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		conns[i] = c
		fmt.Fprint(c, "GET /fhir/Patient HTTP/1.1\r\nHost: x\r\nX-Slow: ")
	}
	s.Get("http://" + address + "/fhir/Patient").Is(200)
	for _, c := range conns {
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Fatalf("a slow connection was kept: %v", err)
		}
		_ = c.Close()
	}
	big, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+address+"/fhir/Patient", nil)
	if err != nil {
		t.Fatal(err)
	}
	big.Header.Set("X-Big", strings.Repeat("x", 64_000))
	resp, err := http.DefaultClient.Do(big)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 431 {
		t.Errorf("64 KB of headers: %s", resp.Status)
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	begun, finish := make(chan struct{}), make(chan struct{})
	s := servertest.Start(t, servertest.Options{Register: func(svc *interaction.Service) {
		svc.Register(&interaction.Operation{Name: "slow", Definition: "http://x/slow", System: true,
			Do: func(context.Context, *store.Session, *interaction.Request) (*interaction.Response, error) {
				close(begun)
				<-finish
				return &interaction.Response{Status: 200, Body: []byte(`{"resourceType":"Basic"}`)}, nil
			}})
	}})
	address, stop := listen(t, s, nil)
	answered := make(chan int, 1)
	go func() { answered <- s.Get("http://" + address + "/fhir/$slow").Status }()
	<-begun
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	time.Sleep(100 * time.Millisecond)
	select {
	case err := <-stopped:
		t.Fatalf("stopped while a request ran: %v", err)
	default:
	}
	close(finish)
	if st := <-answered; st != 200 {
		t.Errorf("the request that ran: %d", st)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if _, err := net.DialTimeout("tcp", address, time.Second); err == nil {
		t.Error("still listening")
	}
}

func TestBasePaths(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{Server: func(c *server.Config) { c.BasePath = "/" }})
	s.Put("/Patient/p", patient).Is(201)
	s.Get("/Patient/p").Is(200)
	s.Get("/metadata").Is(200)
	s.Get("/livez").Is(200)
	if l := s.Get("/Patient").Is(200).Link("self"); l != s.Root+"/Patient" {
		t.Errorf("self %s", l)
	}
	deep := servertest.Start(t, servertest.Options{Server: func(c *server.Config) { c.BasePath = "/a/b" }})
	deep.Put("/Patient/p", patient).Is(201)
	deep.Get(deep.Root + "/a/bPatient").Is(404)
}
