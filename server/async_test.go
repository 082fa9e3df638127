package server_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ingle/server/servertest"
	"ingle/store"
	"ingle/store/storetest"
)

// answered polls a place until the answer is there.
func answered(t *testing.T, s *servertest.Server, place string, headers ...string) *servertest.Answer {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		a := s.Get(place, headers...)
		if a.Status != 202 {
			return a
		}
		if !strings.HasPrefix(a.Header.Get("X-Progress"), "in progress") || a.Header.Get("Retry-After") == "" || len(a.Body) != 0 {
			t.Fatalf("the answer while it works: %v %s", a.Header, a.Body)
		}
		if time.Now().After(end) {
			t.Fatal("the answer does not come")
		}
	}
}

func TestAsync(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	people(t, s, 9)
	async := []string{"Prefer", "respond-async"}
	a := s.Get("/Patient?family=family1&_total=accurate", async...).Is(202)
	place := a.Header.Get("Content-Location")
	if !strings.HasPrefix(place, s.Base+"/_async/") || a.Header.Get("Preference-Applied") != "respond-async" {
		t.Fatalf("%v", a.Header)
	}
	got := answered(t, s, place).Is(200)
	if got.Text("type") != "batch-response" || got.Text("entry.0.response.status") != "200 OK" || got.Text("entry.0.resource.type") != "searchset" ||
		got.Text("entry.0.resource.total") != "3" || got.Header.Get("Expires") == "" {
		t.Errorf("%v %s", got.Header, got.Body)
	}
	if same := s.Get("/Patient?family=family1&_total=accurate").Is(200); got.Text("entry.0.resource.entry.2.resource.id") != same.Text("entry.2.resource.id") {
		t.Errorf("not the answer of the search: %s", got.Body)
	}
	s.Get(place, "Accept", "application/fhir+json", "Accept-Encoding", "gzip").Is(200)
	s.Delete(place).Is(202)
	s.Get(place).Is(404)
	s.Delete(place).Is(404)
	s.Get("/_async/x").Is(404)
	s.Put("/_async/x", `{}`).Is(405)

	// by POST, at the system and in a compartment; the links hold no parameters
	p := s.Post("/Patient/_search", "family=family2&_count=1", "Content-Type", "application/x-www-form-urlencoded", "Prefer", "respond-async").Is(202)
	if text := string(answered(t, s, p.Header.Get("Content-Location")).Is(200).Body); strings.Contains(text, "family=family2") || !strings.Contains(text, "_cursor") {
		t.Errorf("%s", text)
	}
	s.Get("/?_type=Patient", async...).Is(202)
	s.Get("/Patient/p001/*", async...).Is(202)
	// what is wrong is said at once; other interactions are answered at once
	s.Get("/Patient?colour=red", async...).Is(400)
	s.Get("/Patient/p001", async...).Is(200)
	// it has no place in a transaction
	s.Post("", transaction(`{"request":{"method":"GET","url":"_async/x"}}`)).Is(400)
}

func TestAsyncCallers(t *testing.T) {
	t.Parallel()
	s, as := withUsers(t, map[string][]string{"ann": {"a"}, "bob": {"b"}})
	s.Put("/Patient/pa", labelled("pa", "/programs/a"), as("ann")...).Is(201)
	s.Put("/Patient/pb", labelled("pb", "/programs/b"), as("bob")...).Is(201)
	place := s.Get("/Patient", append(as("ann"), "Prefer", "respond-async")...).Is(202).Header.Get("Content-Location")
	got := answered(t, s, place, as("ann")...).Is(200)
	if got.Text("entry.0.resource.entry.0.resource.id") != "pa" || strings.Contains(string(got.Body), `"pb"`) {
		t.Errorf("%s", got.Body)
	}
	s.Get(place, as("bob")...).Is(404)
	s.Delete(place, as("bob")...).Is(404)
	s.Get(place).Is(401)
	s.Get(place, as("ann")...).Is(200)
	// one caller cannot fill the database
	statuses := []int{}
	for range 25 {
		statuses = append(statuses, s.Get("/Patient", append(as("bob"), "Prefer", "respond-async")...).Status)
	}
	if !slices.Contains(statuses, 202) || statuses[24] != 429 {
		t.Errorf("%v", statuses)
	}
	s.Get("/Patient", append(as("ann"), "Prefer", "respond-async")...).Is(202)
}

// TestAsyncConsent proves that an answer is not given to those whom Consents bind
// after one was written.
func TestAsyncConsent(t *testing.T) {
	t.Parallel()
	s, as, _ := withConsent(t, store.ConsentOptOut)
	admin, member := as("admin"), as("member")
	s.Put("/Patient/p", labelled("p", "/programs/a"), admin...).Is(201)
	ask := func(who []string) string {
		return s.Get("/Patient", append(who, "Prefer", "respond-async")...).Is(202).Header.Get("Content-Location")
	}
	place, own := ask(member), ask(admin)
	answered(t, s, place, member...).Is(200).Has(`"p"`)
	answered(t, s, own, admin...).Is(200)
	s.Put("/Consent/c", of("Consent", "c", "p", "/programs/a", `,"status":"active","provision":{"type":"deny"}`), admin...).Is(201)
	s.Get(place, member...).Is(404)
	s.Get(own, admin...).Is(200)
	answered(t, s, ask(member), member...).Is(200).Lacks(`"p"`)
}

// besideServer runs SQL in a server's database, on one connection.
func besideServer(t *testing.T, url string) (conn *pgx.Conn, run func(sql string)) {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn, func(sql string) {
		t.Helper()
		if _, err := conn.Exec(context.Background(), sql); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAsyncLost proves that a request whose server died says so, and that what
// expired is gone.
func TestAsyncLost(t *testing.T) {
	t.Parallel()
	url := storetest.URL(t)
	s := servertest.Start(t, servertest.Options{URL: url})
	conn, run := besideServer(t, url)
	place := s.Get("/Patient", "Prefer", "respond-async").Is(202).Header.Get("Content-Location")
	answered(t, s, place).Is(200)
	run(`UPDATE async_request SET done = false, leased = now() - interval '1 second'`)
	s.Get(place).Is(500).Has("ask again")
	run(`UPDATE async_request SET done = true, expires = now() - interval '1 second'`)
	s.Get(place).Is(404)
	if err := s.Database.ForgetAsync(context.Background()); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := conn.QueryRow(context.Background(), `SELECT (SELECT count(*) FROM async_request) + (SELECT count(*) FROM async_content)`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d rows are left: %v", left, err)
	}
	// a server that stops answers what it had in hand
	s.Service.Close()
	place = s.Get("/Patient", "Prefer", "respond-async").Is(202).Header.Get("Content-Location")
	if a := answered(t, s, place).Is(200); !strings.HasPrefix(a.Text("entry.0.response.status"), "503") && !strings.HasPrefix(a.Text("entry.0.response.status"), "200") {
		t.Errorf("%s", a.Body)
	}
}
