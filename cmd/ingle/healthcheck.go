package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ingle/authz/mtls"
	"ingle/internal/config"
)

func healthcheckCommand(settings func() (*config.Config, error)) *cobra.Command {
	var url string
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask a running server whether it is ready; exit status 1 if not",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if url != "" {
				return ready(cmd.Context(), http.DefaultClient, url)
			}
			c, err := settings()
			if err != nil {
				return err
			}
			client, err := ownClient(c)
			if err != nil {
				return err
			}
			return ready(cmd.Context(), client, readyURL(c))
		},
	}
	cmd.Flags().StringVar(&url, "url", "", "URL of /readyz (default: of the server with this configuration)")
	return cmd
}

// readyURL is where the server of this configuration answers on this machine.
func readyURL(c *config.Config) string {
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		host, port = "", "8080"
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	scheme := "http"
	if c.TLS.CertFile != "" {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port) + "/readyz"
}

// ownClient asks the server of this configuration, whatever name its certificate
// is for and whoever issued it: what counts is that it is the configured one.
func ownClient(c *config.Config) (*http.Client, error) {
	if c.TLS.CertFile == "" {
		return http.DefaultClient, nil
	}
	own, err := tls.LoadX509KeyPair(c.TLS.CertFile, c.TLS.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("TLS certificate: %w", err)
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: mtls.Probe,
		InsecureSkipVerify: true, // VerifyConnection does
		VerifyConnection: func(s tls.ConnectionState) error {
			if !bytes.Equal(s.PeerCertificates[0].Raw, own.Certificate[0]) {
				return errors.New("another server answers, or one that has not read its new certificate yet")
			}
			return nil
		}}}}, nil
}

func ready(ctx context.Context, client *http.Client, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return fmt.Errorf("the server is not ready: %s: %s", resp.Status, strings.TrimSpace(string(body)))
	}
	return nil
}
