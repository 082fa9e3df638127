package noninterference

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ingle/fhir/r4"
	"ingle/interaction"
	"ingle/server"
	"ingle/store"
	"ingle/store/storetest"
	"ingle/terminology"
)

// Pair is a user with two servers: one on everything, one on what the user may
// see. Both have the same clock.
type Pair struct {
	T    testing.TB
	User User
	// Failed are the differences found, at most maxFailed.
	Failed []string
	Asked  int
	// Found counts the answers that held something of the database.
	Found int

	w        *World
	whole    http.Handler
	part     http.Handler
	hidden   map[string]bool
	now      *atomic.Int64 // milliseconds
	requests int
}

const maxFailed = 5

// Pairs makes the databases and servers of the users.
func (w *World) Pairs(t testing.TB, users []User) []*Pair {
	t.Helper()
	who := admit(t, users)
	everything := w.serve(t, url(t), nil, nil, User{})
	rand.Reader = dice
	out := make([]*Pair, len(users))
	for i, u := range users {
		resolver := who.any
		if u.NeedAll {
			resolver = who.all
		}
		p := &Pair{T: t, User: u, w: w, now: &atomic.Int64{}}
		p.now.Store(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).UnixMilli())
		clock := func() time.Time { return time.UnixMilli(p.now.Load()) }
		full, rest := url(t), url(t)
		p.hidden = u.restrict(t, rest, everything)
		p.whole = w.serve(t, full, resolver, clock, u)
		p.part = w.serve(t, rest, resolver, clock, u)
		out[i] = p
	}
	return out
}

// serve starts a server for a user. A nil resolver is open to everybody.
func (w *World) serve(t testing.TB, url string, resolver server.Resolver, now func() time.Time, u User) http.Handler {
	t.Helper()
	defs := r4.Definitions()
	db := storetest.OpenURL(t, url, func(o *store.Options) {
		o.Registry, o.Now, o.MaxConns, o.CheckReferences = w.reg, now, 3, u.References
		o.CountTime, o.ReadTimeout = 25*time.Second, 25*time.Second // how busy the machine is shall not show
		if u.Consent {
			o.Consent = store.ConsentOptOut
		}
	})
	words := terminology.New(terminology.Options{Concepts: db.Concepts(), NoCache: true})
	stored := store.NewConformance(db, 0)
	source := func(_ context.Context, session *store.Session) (terminology.Source, error) {
		return terminology.Sources{terminology.Definitions(defs), terminology.Stored(stored, session)}, nil
	}
	svc, err := interaction.New(interaction.Config{Database: db, Registry: w.reg, Definitions: defs, UpdateCreate: true, CheckReferrers: true, CheckReferences: u.References,
		Terminology: words, TerminologySource: source, Software: interaction.Software{Built: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(svc.Close)
	for _, op := range append(interaction.TerminologyOperations(words, source), interaction.ValidateOperation(w.validator)) {
		svc.Register(op)
	}
	svc.Register(svc.ValidateStoredOperation(w.validator))
	return server.New(server.Config{Service: svc, Database: db, Resolver: resolver, PublicURL: base,
		Log: slog.New(slog.NewTextHandler(logWriter{t}, &slog.HandlerOptions{Level: slog.LevelError}))}).Handler()
}

// logWriter shows what the servers say of their own faults.
type logWriter struct{ t testing.TB }

func (w logWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", p)
	return len(p), nil
}

// Request is one request to both servers.
type Request struct {
	Method, Target string // path and query
	Header         [][2]string
	Body           string
}

func (r Request) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", r.Method, r.Target)
	for _, h := range r.Header {
		fmt.Fprintf(&b, "\n  %s: %s", h[0], h[1])
	}
	if r.Body != "" {
		fmt.Fprintf(&b, "\n  %.1500s", r.Body)
	}
	return b.String()
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

func (p *Pair) ask(h http.Handler, r Request) answer {
	dice.begin(p.User.Name, p.requests)
	var body io.Reader
	if r.Body != "" {
		body = strings.NewReader(r.Body)
	}
	req, err := http.NewRequestWithContext(p.T.Context(), r.Method, r.Target, body)
	if err != nil {
		p.T.Fatalf("%s: %v", r, err)
	}
	req.RemoteAddr = "192.0.2.1:1234"
	req.Host = "fhir.test"
	req.RequestURI = req.URL.RequestURI()
	req.Header.Set("X-Request-Id", fmt.Sprintf("r%d", p.requests))
	if p.User.token != "" {
		req.Header.Set("Authorization", "Bearer "+p.User.token)
	}
	if r.Body != "" {
		req.Header.Set("Content-Type", "application/fhir+json")
	}
	for _, x := range r.Header {
		req.Header.Set(x[0], x[1])
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return answer{rec.Code, rec.Header(), rec.Body.String()}
}

// Ask sends a request to both servers and notes a difference. It returns the
// answer of the whole one.
func (p *Pair) Ask(r Request) (status int, header http.Header, body string) {
	p.requests++
	p.Asked++
	if len(p.hidden) == 0 {
		// Who sees everything gets the planner's figure, which depends on when
		// PostgreSQL last looked at its tables.
		r.Target, r.Body = strings.ReplaceAll(r.Target, "_total=estimate", "_total=accurate"), strings.ReplaceAll(r.Body, "_total=estimate", "_total=accurate")
	}
	p.now.Add(1000)
	a, b := p.ask(p.whole, r), p.ask(p.part, r)
	x, y := canonical(a), canonical(b)
	if x != y && len(p.Failed) < maxFailed {
		p.Failed = append(p.Failed, fmt.Sprintf("user %q: %s\n%s", p.User.Name, r, difference(x, y)))
	}
	if a.status >= 500 {
		p.Failed = append(p.Failed, fmt.Sprintf("user %q: %s\nstatus %d: %.600s", p.User.Name, r, a.status, a.body))
	}
	if a.status == 200 && (strings.Contains(a.body, `"fullUrl"`) || !strings.Contains(a.body, `"Bundle"`)) {
		p.Found++
	}
	return a.status, a.header, a.body
}

// chance is where the servers take what is random from: the same for both, so
// that the ids of new resources are the same.
type chance struct {
	mu sync.Mutex
	r  *mathrand.ChaCha8
}

var dice = &chance{r: mathrand.NewChaCha8([32]byte{})}

func (c *chance) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.r.Read(p)
}

// begin starts the series of one request.
func (c *chance) begin(user string, request int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.r = mathrand.NewChaCha8(sha256.Sum256(fmt.Append(nil, user, request)))
}

var (
	// the Bundle of an answer has a time of its own
	bundleHead = regexp.MustCompile(`("resourceType":"Bundle","meta":\{"lastUpdated":)"[^"]*"`)
	expandedAt = regexp.MustCompile(`("timestamp":)"[^"]*"`) // of a value set
	cursorText = regexp.MustCompile(`_cursor=[A-Za-z0-9_-]+`)
)

// canonical is an answer without what differs from one time to the next. Cursors
// are sealed with the number of a row: the pages that they lead to are compared.
func canonical(a answer) string {
	names := make([]string, 0, len(a.header))
	for name := range a.header {
		names = append(names, name)
	}
	sort.Strings(names)
	var b strings.Builder
	fmt.Fprintf(&b, "%d\n", a.status)
	for _, name := range names {
		values := slices.Clone(a.header[name])
		fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(values, "; "))
	}
	body := expandedAt.ReplaceAllString(bundleHead.ReplaceAllString(a.body, `$1"-"`), `$1"-"`)
	b.WriteString("\n" + cursorText.ReplaceAllString(body, "_cursor=-"))
	return b.String()
}

// difference shows where two texts part.
func difference(a, b string) string {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	window := func(s string) string {
		from, to := max(0, i-300), min(len(s), i+500)
		return string(bytes.ToValidUTF8([]byte(s[from:to]), []byte("?")))
	}
	status := func(s string) string { line, _, _ := strings.Cut(s, "\n"); return line }
	return fmt.Sprintf("at byte %d of %d and %d, status %s and %s\n--- whole database\n%s\n--- what the user may see\n%s", i, len(a), len(b), status(a), status(b), window(a), window(b))
}
