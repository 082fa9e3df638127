// Package servertest starts the whole server on a fresh database, for black-box
// tests of any room.
package servertest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"ingle/fhir"
	"ingle/fhir/r4"
	"ingle/interaction"
	"ingle/search"
	"ingle/server"
	"ingle/store"
	"ingle/store/storetest"
)

// Options change what is started. Each function gets the settings before they
// are used.
type Options struct {
	URL         string // of a database at the current schema; "" for a fresh one
	Store       func(*store.Options)
	Interaction func(*interaction.Config)
	Server      func(*server.Config)
	Register    func(*interaction.Service) // operations
}

// Server is a running server.
type Server struct {
	T        testing.TB
	Base     string // FHIR base URL
	Root     string // URL of the listener
	Service  *interaction.Service
	Database *store.DB
	Registry *search.Registry
}

// Start starts a server that is open to everyone, creates by PUT, refuses to
// delete what is referred to, and stops with the test. Statements that read
// around the scope fail the test.
func Start(t testing.TB, options ...Options) *Server {
	t.Helper()
	var o Options
	if len(options) > 0 {
		o = options[0]
	}
	defs := r4.Definitions()
	var so store.Options
	change := func(x *store.Options) {
		if o.Store != nil {
			o.Store(x)
		}
		so = *x
	}
	if o.URL == "" {
		o.URL = storetest.URL(t)
	}
	db := storetest.OpenURL(t, o.URL, change)
	ic := interaction.Config{Database: db, Registry: so.Registry, Definitions: defs, UpdateCreate: true,
		CheckReferrers: so.CheckReferrers, CheckReferences: so.CheckReferences,
		Software: interaction.Software{Name: "Ingle", Version: "test", Built: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}}
	metrics := server.NewMetrics(db, "test")
	ic.Indexed = metrics.Indexed
	if o.Interaction != nil {
		o.Interaction(&ic)
	}
	svc, err := interaction.New(ic)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(svc.Close)
	if o.Register != nil {
		o.Register(svc)
	}
	sc := server.Config{Service: svc, Database: db, Metrics: metrics, Version: "test"}
	if o.Server != nil {
		o.Server(&sc)
	}
	h := httptest.NewServer(server.New(sc).Handler())
	t.Cleanup(h.Close)
	base := sc.BasePath
	if base == "" {
		base = "/fhir"
	}
	return &Server{T: t, Base: h.URL + strings.TrimSuffix(base, "/"), Root: h.URL, Service: svc, Database: db, Registry: so.Registry}
}

// Answer is what came back.
type Answer struct {
	t       testing.TB
	request string
	Status  int
	Header  http.Header
	Body    []byte
}

// client keeps compressed bodies as they are and follows nothing.
var client = &http.Client{
	Transport:     &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 100},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// Do sends a request. target is a path below the base URL ("/Patient/1") or a
// whole URL; headers are names and values in turn. A body without a
// Content-Type header is application/fhir+json.
func (s *Server) Do(method, target, body string, headers ...string) *Answer {
	s.T.Helper()
	if !strings.HasPrefix(target, "http://") {
		target = s.Base + target
	}
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(s.T.Context(), method, target, r)
	if err != nil {
		s.T.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/fhir+json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
			continue
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		s.T.Fatalf("%s %s: %v", method, target, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.T.Fatalf("%s %s: %v", method, target, err)
	}
	return &Answer{t: s.T, request: method + " " + target, Status: resp.StatusCode, Header: resp.Header, Body: b}
}

// Get sends a GET.
func (s *Server) Get(target string, headers ...string) *Answer {
	s.T.Helper()
	return s.Do("GET", target, "", headers...)
}

// Post sends a POST.
func (s *Server) Post(target, body string, headers ...string) *Answer {
	s.T.Helper()
	return s.Do("POST", target, body, headers...)
}

// Put sends a PUT.
func (s *Server) Put(target, body string, headers ...string) *Answer {
	s.T.Helper()
	return s.Do("PUT", target, body, headers...)
}

// Delete sends a DELETE.
func (s *Server) Delete(target string, headers ...string) *Answer {
	s.T.Helper()
	return s.Do("DELETE", target, "", headers...)
}

// Is fails the test unless the status is one of those given. Every answer of
// 400 and above must be an OperationOutcome that says what is wrong.
func (a *Answer) Is(status ...int) *Answer {
	a.t.Helper()
	ok := false
	for _, s := range status {
		ok = ok || s == a.Status
	}
	if !ok {
		a.t.Fatalf("%s: status %d, want %v\n%s", a.request, a.Status, status, cut(a.Body))
	}
	if a.Status >= 400 && !strings.HasPrefix(a.request, "HEAD") {
		issue := a.Root().Get("issue").First()
		if a.Text("resourceType") != "OperationOutcome" || issue.Get("code").Text() == "" || issue.Get("diagnostics").Text() == "" {
			a.t.Fatalf("%s: status %d without an OperationOutcome\n%s", a.request, a.Status, cut(a.Body))
		}
	}
	return a
}

// Root is the body as JSON.
func (a *Answer) Root() fhir.Node {
	a.t.Helper()
	doc, err := fhir.Parse(bytes.TrimSpace(a.Body), fhir.Limits{Nodes: 1 << 28, String: 1 << 28})
	if err != nil {
		a.t.Fatalf("%s: the body is not JSON: %v\n%s", a.request, err, cut(a.Body))
	}
	return doc.Root()
}

// Text follows a path of names and indexes ("entry.0.resource.id") in the body.
func (a *Answer) Text(path string) string {
	a.t.Helper()
	return At(a.Root(), path).Text()
}

// Has fails the test unless the body holds the text.
func (a *Answer) Has(texts ...string) *Answer {
	a.t.Helper()
	for _, text := range texts {
		if !bytes.Contains(a.Body, []byte(text)) {
			a.t.Fatalf("%s: the answer lacks %q\n%s", a.request, text, cut(a.Body))
		}
	}
	return a
}

// Lacks fails the test if the body holds the text.
func (a *Answer) Lacks(texts ...string) *Answer {
	a.t.Helper()
	for _, text := range texts {
		if bytes.Contains(a.Body, []byte(text)) {
			a.t.Fatalf("%s: the answer must not hold %q\n%s", a.request, text, cut(a.Body))
		}
	}
	return a
}

// Link returns the URL of a Bundle's link, "" for none.
func (a *Answer) Link(relation string) string {
	a.t.Helper()
	for l := a.Root().Get("link").First(); l.Valid(); l = l.Next() {
		if l.Get("relation").Text() == relation {
			return l.Get("url").Text()
		}
	}
	return ""
}

// IDs returns "Type/id" of the entries of a Bundle with the search mode ("" for all).
func (a *Answer) IDs(mode string) []string {
	a.t.Helper()
	out := []string{}
	for e := a.Root().Get("entry").First(); e.Valid(); e = e.Next() {
		if r := e.Get("resource"); mode == "" || e.Get("search").Get("mode").Text() == mode {
			out = append(out, r.Get("resourceType").Text()+"/"+r.Get("id").Text())
		}
	}
	return out
}

// ID returns the id in the Location header, or of the body's resource.
func (a *Answer) ID() string {
	a.t.Helper()
	if l := a.Header.Get("Location"); l != "" {
		before, _, _ := strings.Cut(l, "/_history/")
		return before[strings.LastIndexByte(before, '/')+1:]
	}
	return a.Text("id")
}

// At follows a path of names and indexes in a JSON value. What is not there, as
// by a name in an array, is the zero Node.
func At(n fhir.Node, path string) fhir.Node {
	for part := range strings.SplitSeq(path, ".") {
		if n.Kind() != fhir.Array {
			n = n.Get(part)
			continue
		}
		i, err := strconv.Atoi(part)
		if err != nil || i < 0 {
			return fhir.Node{}
		}
		for n = n.First(); i > 0 && n.Valid(); i-- {
			n = n.Next()
		}
	}
	return n
}

func cut(b []byte) []byte {
	if len(b) > 2000 {
		return append(bytes.Clone(b[:2000]), "…"...)
	}
	return b
}
