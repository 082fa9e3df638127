package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"ingle/authz"
	"ingle/fhir/r4"
	"ingle/internal/config"
	"ingle/internal/load"
	"ingle/store"
)

func relabelCommand(settings func() (*config.Config, error)) *cobra.Command {
	var r store.Relabelling
	cmd := &cobra.Command{
		Use:   "relabel --from PATH --to PATH",
		Short: "Move all resources of one project to another",
		Long: `Move all resources under one label path to another, with their histories:
what is at --from, or below it, comes to the same place below --to. Versions and
times stay as they are; resources with other labels beside keep those.

Servers go on meanwhile. Each resource moves at once, in whole, and is seen from
then on by those who are granted its new place. A run that was broken off, wherever
that was, is finished by the same command. Withdraw the grants to create and update at
--from first, or there is no end to it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := settings()
			if err != nil {
				return err
			}
			return relabel(cmd, c, r)
		},
	}
	f := cmd.Flags()
	f.StringVar(&r.From, "from", "", "label path such as /programs/a/projects/x")
	f.StringVar(&r.To, "to", "", "label path such as /programs/b/projects/y")
	f.BoolVar(&r.DryRun, "dry-run", false, "count, and change nothing")
	for _, name := range []string{"from", "to"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag is defined above
		}
	}
	return cmd
}

func relabel(cmd *cobra.Command, c *config.Config, r store.Relabelling) error {
	url := c.Database.URL
	if url == "" {
		return errors.New("set INGLE_DATABASE_URL to the database of the servers")
	}
	// what the servers index is indexed here too: the label may be a value of theirs
	db, _, _, err := openStore(cmd.Context(), c, url, r4.Definitions().Extensible(), logger(c.Log, cmd.ErrOrStderr()))
	if err != nil {
		return err
	}
	defer db.Close()
	r.Labels = authz.Labels{System: c.Auth.Labels.System}
	start := time.Now()
	if load.IsTerminal(os.Stderr) {
		r.Progress = func(n store.Relabelled) {
			fmt.Fprintf(os.Stderr, "\r%d resources, %d older versions ", n.Resources, n.Versions)
		}
		defer fmt.Fprintln(os.Stderr)
	}
	done, err := db.As(authz.System("relabel")).Relabel(cmd.Context(), r)
	if !r.DryRun {
		operating(c, cmd.ErrOrStderr()).did("U", "relabel", err, "from", r.From, "to", r.To, "resources", done.Resources, "versions", done.Versions)
	}
	verb := "moved"
	if r.DryRun {
		verb = "would move"
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%d resources and %d older versions %s from %s to %s in %s\n", done.Resources, done.Versions, verb, r.From, r.To, time.Since(start).Round(time.Millisecond))
	return err
}
