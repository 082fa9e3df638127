package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"ingle/internal/bench"
)

func benchCommand() *cobra.Command {
	var (
		o              bench.Options
		data           []string
		only, markdown string
		token          string
		noLoad         bool
	)
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure a FHIR server against the limit of the machine",
		Long: `Measure a FHIR server: loading, reads, writes, twenty searches, paging.

Without --url it starts a private PostgreSQL and a server, measures and cleans
up; environment variables reach that server. With --url it measures any FHIR
server, and with --database-url, for an Ingle, also the limit: the same work done
by hand on the same database server, and an oracle that checks the answers.

The exit status is 1 if an answer was wrong.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			self, err := os.Executable()
			if err != nil {
				return err
			}
			o.Serve, o.Limit = []string{self, "serve"}, []string{self, "bench", "limit"}
			o.Progress, o.Header = cmd.ErrOrStderr(), http.Header{}
			if token == "" {
				token = os.Getenv("FHIR_TOKEN")
			}
			if token != "" {
				o.Header.Set("Authorization", "Bearer "+token)
			}
			if only != "" {
				if o.Only, err = regexp.Compile(only); err != nil {
					return fmt.Errorf("--only: %w", err)
				}
			}
			if o.Data = data; len(data) == 0 {
				if d := bench.DefaultData(); d != "" {
					o.Data = []string{d}
				}
			}
			if noLoad {
				o.Size = 0
			}
			if o.Size > 0 && len(o.Data) == 0 {
				return errors.New("there is nothing to load: name transaction Bundles by --data, or measure what the server holds by --no-load")
			}
			report, err := bench.Run(cmd.Context(), o)
			if report != nil && len(report.Rows) > 0 {
				fmt.Fprintln(cmd.OutOrStdout())
				report.Text(cmd.OutOrStdout())
				if markdown != "" {
					f, ferr := os.Create(markdown)
					if ferr != nil {
						return ferr
					}
					report.Markdown(f)
					err = errors.Join(err, f.Close())
				}
			}
			if err != nil {
				return err
			}
			if report.Wrong() > 0 {
				return exitStatus(exitFailed)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.URL, "url", "", "base URL of the server; empty: start one")
	f.StringVar(&o.DatabaseURL, "database-url", "", "connection URL of the server's database, if it is an Ingle")
	f.IntVar(&o.ServerPID, "server-pid", 0, "process of the server if it runs on this machine: its CPU time is exact then")
	f.StringVar(&token, "token", "", "bearer token (better: FHIR_TOKEN)")
	f.IntVar(&o.Size, "size", 100_000, "resources to load; the Bundles are multiplied with new ids as needed")
	f.IntVar(&o.Labels, "labels", 0, "security labels to spread over the Bundles that are loaded")
	f.BoolVar(&noLoad, "no-load", false, "measure what the server holds")
	f.StringSliceVar(&data, "data", nil, "files or folders of transaction Bundles (default: the Synthea set of INGLE_TESTDATA)")
	f.IntSliceVar(&o.Concurrency, "clients", []int{1, 8}, "requests at once; each number is measured")
	f.IntVar(&o.Rounds, "rounds", 5, "rounds of A B B A")
	f.DurationVar(&o.Length, "length", 500*time.Millisecond, "time of one run of an arm")
	f.IntVar(&o.Checks, "checks", 12, "parameters of each search that are held against the oracle")
	f.IntVar(&o.Page, "page", 0, "matches on a page of the searches, against no limit: what servers of unlike size have in common")
	f.StringVar(&only, "only", "", "regular expression of the workloads wanted, such as 'read|search 6 '")
	f.StringVar(&markdown, "markdown", "", "file to write the table to, as Markdown")
	f.BoolVar(&o.Pause, "pause", false, "wait for a line on standard input after loading and before cleaning up")
	cmd.AddCommand(&cobra.Command{
		Use:    "limit",
		Short:  "Serve the limit (bench starts it)",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return bench.ServeLimit(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	})
	return cmd
}
