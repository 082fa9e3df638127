package main

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"

	"ingle/authz/mtls"
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

// listenSecured listens, with TLS where the configuration has a certificate.
// Client certificates are asked for, and verified, where it names authorities;
// who brings none can still bring a token.
func listenSecured(ctx context.Context, c *config.Config, log *slog.Logger) (net.Listener, error) {
	if c.TLS.CertFile == "" {
		return listen(ctx, c)
	}
	secure, err := mtls.Config(mtls.Files{
		Cert: c.TLS.CertFile, Key: c.TLS.KeyFile, ClientCA: c.TLS.ClientCAFile,
		Failed: func(err error) {
			log.Error("the TLS files changed and cannot be used; the old ones stay", "error", err)
		},
	})
	if err != nil {
		return nil, err
	}
	l, err := listen(ctx, c)
	if err != nil {
		return nil, err
	}
	return tls.NewListener(l, secure), nil
}

func scheme(c *config.Config) string {
	if c.TLS.CertFile == "" {
		return "http://"
	}
	return "https://"
}
