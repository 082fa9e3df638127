// Package mtls makes the TLS side of a listener from files: the server's own
// certificate, and the authorities whose client certificates it accepts. The
// files are read again when they change, so that certificates are renewed
// without a restart.
package mtls

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// Files are paths of PEM files.
type Files struct {
	Cert, Key string // the server's certificate chain and its key
	ClientCA  string // authorities of client certificates, "" for none
	// RequireClient refuses clients without a certificate. Otherwise they may
	// bring another proof of who they are.
	RequireClient bool

	// Failed, if not nil, is told why changed files were not taken over. The
	// server goes on with the ones before.
	Failed func(error)
	Now    func() time.Time // default time.Now
}

// Probe is the server name by which a program on the same machine that has no
// client certificate may still ask whether the server is ready. Whoever serves
// requests answers nothing else on such a connection.
const Probe = "probe.ingle.invalid"

// lookEvery bounds how often the files are looked at.
const lookEvery = 5 * time.Second

// Config reads the files and returns the configuration of a listener: TLS 1.2
// at least, HTTP/2 and HTTP/1.1.
func Config(f Files) (*tls.Config, error) {
	if f.Cert == "" || f.Key == "" {
		return nil, errors.New("TLS needs a certificate and its key")
	}
	if f.RequireClient && f.ClientCA == "" {
		return nil, errors.New("client certificates need the authorities that they come from")
	}
	if f.Now == nil {
		f.Now = time.Now
	}
	w := &watched{files: f}
	w.stamp = w.look()
	c, err := f.read()
	if err != nil {
		return nil, err
	}
	w.config, w.looked = c, f.Now()
	outer := c.Clone()
	outer.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		c := w.current()
		if hello.ServerName == Probe && local(hello.Conn.RemoteAddr()) {
			c = c.Clone()
			c.ClientAuth = tls.NoClientCert
		}
		return c, nil
	}
	return outer, nil
}

func local(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// watched is the configuration as the files last had it.
type watched struct {
	files  Files
	mu     sync.Mutex
	config *tls.Config
	stamp  [3]version
	looked time.Time
}

// version tells one state of a file from another.
type version struct {
	time time.Time
	size int64
}

func (w *watched) current() *tls.Config {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.files.Now()
	if now.Sub(w.looked) < lookEvery {
		return w.config
	}
	w.looked = now
	stamp := w.look()
	if stamp == w.stamp {
		return w.config
	}
	c, err := w.files.read()
	if err != nil { // half written, perhaps: look again
		if w.files.Failed != nil {
			w.files.Failed(err)
		}
		return w.config
	}
	w.config, w.stamp = c, stamp
	return c
}

func (w *watched) look() (out [3]version) {
	for i, name := range []string{w.files.Cert, w.files.Key, w.files.ClientCA} {
		if info, err := os.Stat(name); err == nil {
			out[i] = version{info.ModTime(), info.Size()}
		}
	}
	return out
}

func (f Files) read() (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, fmt.Errorf("TLS certificate: %w", err)
	}
	c := &tls.Config{
		Certificates: []tls.Certificate{cert},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"h2", "http/1.1"},
	}
	if f.ClientCA == "" {
		return c, nil
	}
	pem, err := os.ReadFile(f.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("authorities of client certificates: %w", err)
	}
	c.ClientCAs = x509.NewCertPool()
	if !c.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("authorities of client certificates: %s holds no certificate", f.ClientCA)
	}
	c.ClientAuth = tls.VerifyClientCertIfGiven
	if f.RequireClient {
		c.ClientAuth = tls.RequireAndVerifyClientCert
	}
	// A resumed session would keep a certificate whose authority is gone.
	c.SessionTicketsDisabled = true
	return c, nil
}
