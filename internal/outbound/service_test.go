package outbound_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ingle/internal/outbound"
)

// TestServiceToken proves that a service is asked with the server's own token,
// which is asked for once, kept, and renewed five minutes before its end.
func TestServiceToken(t *testing.T) {
	t.Parallel()
	var asked, refused atomic.Int64
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		if refused.Load() > 0 || id != "ingle" || secret != "s%3A" || r.FormValue("grant_type") != "client_credentials" || r.FormValue("scope") != "read" || r.FormValue("audience") != "there" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		time.Sleep(20 * time.Millisecond) // others come meanwhile
		fmt.Fprintf(w, `{"access_token":"t%d","token_type":"Bearer","expires_in":3600}`, asked.Add(1))
	}))
	t.Cleanup(issuer.Close)
	var mu sync.Mutex
	var seen []http.Header
	there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, r.Header)
		if r.URL.Path == "/no" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(there.Close)

	var late atomic.Int64
	guard := outbound.NewGuard()
	t.Cleanup(guard.Close)
	service, err := guard.NewService(outbound.ServiceOptions{TokenURL: issuer.URL, ClientID: "ingle", Secret: "s:", Scope: "read", Audience: "there",
		Now: func() time.Time { return time.Now().Add(time.Duration(late.Load())) }})
	if err != nil {
		t.Fatal(err)
	}
	base, _ := url.Parse(there.URL)
	client, err := guard.Client(base, outbound.Options{Configured: true, Timeout: 5 * time.Second, Service: service})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(path string) (string, error) {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, there.URL+path, nil)
		if err != nil {
			return "", err
		}
		for name, value := range map[string]string{"Authorization": "Bearer of-a-caller", "Cookie": "c=1", "Connection": "X-Hop", "X-Hop": "1", "Proxy-Authorization": "p", "X-Stays": "1"} {
			req.Header.Set(name, value)
		}
		resp, err := client.Do(req)
		if err != nil {
			return "", err
		}
		_ = resp.Body.Close()
		if req.Header.Get("Authorization") != "Bearer of-a-caller" {
			t.Error("the request itself was changed")
		}
		mu.Lock()
		defer mu.Unlock()
		return seen[len(seen)-1].Get("Authorization"), nil
	}
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if _, err := ask("/"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if asked.Load() != 1 || len(seen) != 100 {
		t.Fatalf("%d tokens for %d questions", asked.Load(), len(seen))
	}
	for _, h := range seen {
		if h.Get("Authorization") != "Bearer t1" || h.Get("Cookie")+h.Get("X-Hop")+h.Get("Proxy-Authorization") != "" || h.Get("X-Stays") != "1" {
			t.Fatalf("%v", h)
		}
	}
	for _, step := range []struct {
		after time.Duration
		down  int64
		path  string
		want  string
	}{
		{54 * time.Minute, 0, "/", "Bearer t1"},
		{56 * time.Minute, 1, "/", "Bearer t1"}, // near its end, and no other to be had
		{56 * time.Minute, 0, "/", "Bearer t2"},
		{56 * time.Minute, 0, "/no", "Bearer t2"}, // not taken there
		{56 * time.Minute, 0, "/", "Bearer t3"},
		{3 * time.Hour, 1, "/", ""},
	} {
		late.Store(int64(step.after))
		refused.Store(step.down)
		got, err := ask(step.path)
		if got != step.want || (err != nil) != (step.want == "") {
			t.Errorf("after %v: %q, %v", step.after, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "s:") {
			t.Errorf("a secret in an error: %v", err)
		}
	}
}
