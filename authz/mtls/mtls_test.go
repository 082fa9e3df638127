package mtls

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"ingle/authz/mtls/mtlstest"
)

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }
func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// place is a folder with the files of a server.
type place struct {
	Files
	dir string
}

func newPlace(t *testing.T) *place {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	return &place{Files{Cert: at("cert.pem"), Key: at("key.pem"), ClientCA: at("ca.pem")}, dir}
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// serve answers with the common name of the client's verified certificate.
func serve(t *testing.T, c *tls.Config) string {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", c)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := "nobody"
		if len(r.TLS.VerifiedChains) > 0 {
			name = r.TLS.VerifiedChains[0][0].Subject.CommonName
		}
		_, _ = io.WriteString(w, name)
	}), ErrorLog: nil}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return "https://" + l.Addr().String()
}

// call makes one request on a new connection.
func call(t *testing.T, url string, c *tls.Config) (string, error) {
	t.Helper()
	tr := &http.Transport{TLSClientConfig: c, DisableKeepAlives: true}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr, Timeout: 5 * time.Second}).Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func pair(t *testing.T, cert, key []byte) []tls.Certificate {
	t.Helper()
	c, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return []tls.Certificate{c}
}

func TestClientCertificates(t *testing.T) {
	server, clients, strangers := mtlstest.NewAuthority(t, "server CA"), mtlstest.NewAuthority(t, "client CA"), mtlstest.NewAuthority(t, "stranger CA")
	p := newPlace(t)
	hour := time.Now().Add(time.Hour)
	cert, key := server.Issue(t, "server", hour)
	write(t, p.Cert, cert)
	write(t, p.Key, key)
	write(t, p.ClientCA, clients.PEM())
	cl := &clock{now: time.Now()}
	var failed []error
	p.Now, p.Failed = cl.Now, func(err error) { failed = append(failed, err) }
	cfg, err := Config(p.Files)
	if err != nil {
		t.Fatal(err)
	}
	url := serve(t, cfg)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate)
	with := func(certs ...tls.Certificate) *tls.Config { return &tls.Config{RootCAs: roots, Certificates: certs} }
	lc, lk := clients.Issue(t, "loader", hour)
	loader := pair(t, lc, lk)
	sc, sk := strangers.Issue(t, "loader", hour)
	stranger := pair(t, sc, sk)
	ec, ek := clients.Issue(t, "loader", time.Now().Add(-time.Minute))
	expired := pair(t, ec, ek)

	if got, err := call(t, url, with(loader...)); err != nil || got != "loader" {
		t.Errorf("a good certificate: %q %v", got, err)
	}
	if got, err := call(t, url, with()); err != nil || got != "nobody" {
		t.Errorf("none: %q %v", got, err)
	}
	for name, c := range map[string][]tls.Certificate{"of a stranger": stranger, "expired": expired} {
		bad := with()
		bad.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c[0], nil }
		if got, err := call(t, url, bad); err == nil {
			t.Errorf("%s: %q", name, got)
		}
	}
	old := with(loader...)
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if _, err := call(t, url, old); err == nil {
		t.Error("TLS 1.1 is spoken")
	}

	// The authorities change: the old clients are out, the new ones in.
	write(t, p.ClientCA, strangers.PEM())
	later(t, p.ClientCA)
	if got, err := call(t, url, with(loader...)); err != nil || got != "loader" {
		t.Errorf("at once: %q %v", got, err)
	}
	cl.Add(6 * time.Second)
	bad := with()
	bad.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &loader[0], nil }
	if got, err := call(t, url, bad); err == nil {
		t.Errorf("a certificate of the old authority: %q", got)
	}
	if got, err := call(t, url, with(stranger...)); err != nil || got != "loader" {
		t.Errorf("a certificate of the new authority: %q %v", got, err)
	}

	// The server's own certificate is renewed.
	second := mtlstest.NewAuthority(t, "second CA")
	cert, key = second.Issue(t, "server", hour)
	write(t, p.Cert, cert)
	write(t, p.Key, []byte("half written"))
	later(t, p.Cert, p.Key)
	cl.Add(6 * time.Second)
	if _, err := call(t, url, with(stranger...)); err != nil || len(failed) != 1 {
		t.Errorf("with a broken key it does not go on as before: %v, %v", err, failed)
	}
	write(t, p.Key, key)
	later(t, p.Key)
	cl.Add(6 * time.Second)
	if _, err := call(t, url, with(stranger...)); err == nil {
		t.Error("the old certificate is still shown")
	}
	roots.AddCert(second.Certificate)
	if got, err := call(t, url, with(stranger...)); err != nil || got != "loader" {
		t.Errorf("the new certificate: %q %v", got, err)
	}
}

var stamps = time.Now()

// later makes sure that a file's time is another one.
func later(t *testing.T, names ...string) {
	t.Helper()
	stamps = stamps.Add(time.Second)
	for _, n := range names {
		if err := os.Chtimes(n, stamps, stamps); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRequireClient(t *testing.T) {
	ca := mtlstest.NewAuthority(t, "CA")
	p := newPlace(t)
	cert, key := ca.Issue(t, "server", time.Now().Add(time.Hour))
	write(t, p.Cert, cert)
	write(t, p.Key, key)
	write(t, p.ClientCA, ca.PEM())
	p.RequireClient = true
	cfg, err := Config(p.Files)
	if err != nil {
		t.Fatal(err)
	}
	url := serve(t, cfg)
	roots := x509.NewCertPool()
	roots.AddCert(ca.Certificate)
	if _, err := call(t, url, &tls.Config{RootCAs: roots}); err == nil {
		t.Error("a client without a certificate is served")
	}
	if got, err := call(t, url, &tls.Config{RootCAs: roots, Certificates: pair(t, cert, key)}); err != nil || got != "server" {
		t.Errorf("%q %v", got, err)
	}
}

func TestConfigFaults(t *testing.T) {
	ca := mtlstest.NewAuthority(t, "CA")
	cert, key := ca.Issue(t, "server", time.Now().Add(time.Hour))
	_, other := ca.Issue(t, "server", time.Now().Add(time.Hour))
	for name, change := range map[string]func(*Files){
		"no key":           func(f *Files) { f.Key = "" },
		"key of another":   func(f *Files) { write(t, f.Key, other) },
		"no certificate":   func(f *Files) { write(t, f.Cert, []byte("x")) },
		"missing":          func(f *Files) { f.Cert += ".x" },
		"no authority":     func(f *Files) { f.ClientCA, f.RequireClient = "", true },
		"empty authority":  func(f *Files) { write(t, f.ClientCA, nil) },
		"authority absent": func(f *Files) { f.ClientCA += ".x" },
	} {
		p := newPlace(t)
		write(t, p.Cert, cert)
		write(t, p.Key, key)
		write(t, p.ClientCA, ca.PEM())
		if _, err := Config(p.Files); err != nil {
			t.Fatal(err)
		}
		change(&p.Files)
		if _, err := Config(p.Files); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := Config(Files{}); err == nil || errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
