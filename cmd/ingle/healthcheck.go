package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ingle/internal/config"
)

func healthcheckCommand(settings func() (*config.Config, error)) *cobra.Command {
	var url string
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask a running server whether it is ready; exit status 1 if not",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if url == "" {
				c, err := settings()
				if err != nil {
					return err
				}
				url = readyURL(c)
			}
			return ready(cmd.Context(), url)
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

func ready(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
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
