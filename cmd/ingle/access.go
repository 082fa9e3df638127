package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"ingle/internal/config"
	"ingle/server"
)

// admission is who may call at all, how often, and the trail of it.
func admission(c *config.Config, out *server.Config) {
	out.AllowIPs, out.DenyIPs = c.Access.AllowIPs, c.Access.DenyIPs
	out.Rate, out.Burst = c.Access.Rate, c.Access.Burst
	out.Origins, out.CORSMaxAge = c.CORS.Origins, c.CORS.MaxAge
	if c.Access.Audit {
		out.Audit = out.Log
	}
}

// secured puts TLS on a listener where the configuration has a certificate.
// Client certificates are asked for, and verified, where it names authorities;
// who brings none can still bring a token.
func secured(listener net.Listener, c *config.Config, log *slog.Logger) (net.Listener, error) {
	if c.TLS.CertFile == "" {
		return listener, nil
	}
	files := &tlsFiles{settings: c.TLS, log: log}
	if err := files.read(); err != nil {
		return nil, err
	}
	return tls.NewListener(listener, &tls.Config{
		MinVersion:         tls.VersionTLS12,
		NextProtos:         []string{"http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return files.current(), nil },
	}), nil
}

// tlsFiles are the certificate, its key and the authorities, read again when one
// of the files changes.
type tlsFiles struct {
	settings config.TLS
	log      *slog.Logger

	mu      sync.Mutex
	config  *tls.Config
	stamps  [3]time.Time // of the files, when they were read
	checked time.Time
}

// tlsFresh is how often the files are looked at, at most.
const tlsFresh = time.Second

func (f *tlsFiles) names() [3]string {
	return [3]string{f.settings.CertFile, f.settings.KeyFile, f.settings.ClientCAFile}
}

func (f *tlsFiles) times() (out [3]time.Time) {
	for i, name := range f.names() {
		if info, err := os.Stat(name); name != "" && err == nil {
			out[i] = info.ModTime()
		}
	}
	return out
}

// current is the configuration as the files are now. While they cannot be read
// (one of two is replaced), the last good one stays.
func (f *tlsFiles) current() *tls.Config {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.checked) > tlsFresh {
		f.checked = time.Now()
		if f.times() != f.stamps {
			if err := f.load(); err != nil {
				f.log.Error("the TLS files changed and cannot be used; the old ones stay", "error", err)
			} else {
				f.log.Info("read the TLS files again")
			}
		}
	}
	return f.config
}

func (f *tlsFiles) read() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.load()
}

func (f *tlsFiles) load() error {
	stamps := f.times()
	certificate, err := tls.LoadX509KeyPair(f.settings.CertFile, f.settings.KeyFile)
	if err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, Certificates: []tls.Certificate{certificate}}
	if f.settings.ClientCAFile != "" {
		pem, err := os.ReadFile(f.settings.ClientCAFile)
		if err != nil {
			return fmt.Errorf("tls.client_ca_file: %w", err)
		}
		c.ClientCAs, c.ClientAuth = x509.NewCertPool(), tls.VerifyClientCertIfGiven
		if !c.ClientCAs.AppendCertsFromPEM(pem) {
			return errors.New("tls.client_ca_file holds no certificate")
		}
	}
	f.config, f.stamps = c, stamps
	return nil
}

// smartEndpoints is what SMART apps are told of the authorization server.
func smartEndpoints(c *config.Config) server.SMART {
	issuer := ""
	if len(c.Auth.Issuers) == 1 {
		issuer = c.Auth.Issuers[0].Issuer
	}
	s := c.Auth.SMART
	return server.SMART{Issuer: issuer, Authorization: s.Authorization, Token: s.Token, Introspection: s.Introspection,
		Registration: s.Registration, Management: s.Management, Revocation: s.Revocation}
}

// listenSecured is listen with TLS.
func listenSecured(ctx context.Context, c *config.Config, log *slog.Logger) (net.Listener, error) {
	l, err := listen(ctx, c)
	if err != nil {
		return nil, err
	}
	secure, err := secured(l, c, log)
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	return secure, nil
}

func scheme(c *config.Config) string {
	if c.TLS.CertFile == "" {
		return "http://"
	}
	return "https://"
}
