package main

import (
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"ingle/internal/load"
)

func loadCommand() *cobra.Command {
	var (
		base    string
		workers int
		token   string
		quiet   bool
	)
	cmd := &cobra.Command{
		Use:   "load PATH...",
		Short: "Send files of resources to a FHIR server",
		Long: `Send files of resources to a FHIR server: transaction and batch Bundles, other
resources and NDJSON, plain or packed (.gz, .zst, .tar, .tar.gz, .tar.zst), and
folders of them.

What the server refuses is reported with file, line and reason; the exit status
is 0 only if everything was stored. Resources with an id are PUT, so that they
can be loaded again; Bundles are sent as they are.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, paths []string) error {
			o := load.Options{Paths: paths, Base: base, Workers: workers, Log: cmd.ErrOrStderr(), Header: http.Header{}}
			if token == "" {
				token = os.Getenv("FHIR_TOKEN")
			}
			if token != "" {
				o.Header.Set("Authorization", "Bearer "+token)
			}
			if !quiet {
				o.Status, o.Bar = cmd.ErrOrStderr(), load.IsTerminal(os.Stderr)
			}
			res, err := load.Run(cmd.Context(), o)
			if res != nil {
				fmt.Fprintf(cmd.OutOrStdout(), "%d resources stored, %d refused, in %s (%.0f a second, %d requests)\n", res.Stored, res.Refused,
					res.Duration.Round(time.Millisecond), float64(res.Stored)/max(res.Duration.Seconds(), 0.001), res.Requests)
			}
			if err != nil {
				return err
			}
			if status := res.Exit(); status != 0 {
				return exitStatus(status)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&base, "url", "http://127.0.0.1:8080/fhir", "base URL of the server")
	cmd.Flags().IntVar(&workers, "workers", 4, "requests at once")
	cmd.Flags().StringVar(&token, "token", "", "bearer token (better: FHIR_TOKEN)")
	cmd.Flags().BoolVar(&quiet, "quiet", false, "no progress")
	return cmd
}
