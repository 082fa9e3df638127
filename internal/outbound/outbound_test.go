package outbound

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestPublicAddresses(t *testing.T) {
	for text, want := range map[string]bool{
		"8.8.8.8": true, "2001:4860:4860::8888": true,
		"127.0.0.1": false, "::1": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false,
		"fe80::1": false, "fd00::1": false, "fd00:ec2::254": false, "0.0.0.0": false, "::": false, "100.64.0.1": false, "224.0.0.1": false,
		"255.255.255.255": false, "::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false, "192.0.0.192": false,
	} {
		if got := public(netip.MustParseAddr(text).Unmap()); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestOutboundURLs(t *testing.T) {
	o := NewGuard("fence-service", "10.0.0.7:8080")
	for address, want := range map[string]bool{
		"https://idp.example.org/jwks": true, "http://idp.example.org/jwks": false, "http://fence-service/jwks": true, "http://Fence-Service:80/jwks": true,
		"http://10.0.0.7:8080/x": true, "http://10.0.0.7:8081/x": false, "http://127.0.0.1:1/x": true, "http://localhost/x": true, "http://127.0.0.1.example.org/": false,
		"file:///etc/passwd": false, "gopher://127.0.0.1/": false, "https://user:pass@idp.example.org/": false, "https:///x": false, "//x": false,
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if err := o.check(u, true); (err == nil) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
	loop, _ := url.Parse("http://127.0.0.1:1/")
	if o.check(loop, false) == nil {
		t.Error("a document may send the server to itself")
	}
}

// TestOutboundDials: the address is judged after the name is resolved, and
// after every redirect.
func TestOutboundDials(t *testing.T) {
	var hits int
	target := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits++ }))
	defer target.Close()
	u, _ := url.Parse(target.URL) // https, so it would pass by its look
	client, err := NewGuard().Client(u, Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Get(t.Context(), client, target.URL, 1<<10); !errors.Is(err, ErrNotAllowed) {
		t.Errorf("loopback: %v", err)
	}
	if hits != 0 {
		t.Error("it was connected to")
	}
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) }))
	defer other.Close()
	hops := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, other.URL, http.StatusFound)
		case "/round":
			http.Redirect(w, r, "/round", http.StatusFound)
		case "/once":
			http.Redirect(w, r, "/large", http.StatusFound)
		case "/large":
			_, _ = w.Write([]byte(strings.Repeat("x", 2000)))
		}
	}))
	defer hops.Close()
	base, _ := url.Parse(hops.URL)
	client, err = NewGuard().Client(base, Options{Configured: true, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/away": "redirected", "/round": "redirected", "/once": "larger than"} {
		if _, err := Get(t.Context(), client, hops.URL+path, 1000); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if body, err := Get(t.Context(), client, hops.URL+"/once", 2000); err != nil || len(body) != 2000 {
		t.Errorf("a redirect on the same origin: %v", err)
	}
}
