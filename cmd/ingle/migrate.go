package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"ingle/internal/config"
	"ingle/migrations"
)

func migrateCommand(settings func() (*config.Config, error)) *cobra.Command {
	cmd := &cobra.Command{Use: "migrate", Short: "Bring the database schema up to date"}
	cmd.AddCommand(&cobra.Command{
		Use:   "up",
		Short: "Apply the steps that the database lacks",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, url, err := ownDatabase(settings)
			if err != nil {
				return err
			}
			state, err := migrations.Up(cmd.Context(), url)
			operating(c, cmd.ErrOrStderr()).did("U", "migrate", err, "schema", state.Version)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "the database is at schema version %d\n", state.Version)
			return nil
		},
	}, &cobra.Command{
		Use:   "version",
		Short: "Print the schema version of the database; exit status 1 if it is not the one of this binary",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, url, err := ownDatabase(settings)
			if err != nil {
				return err
			}
			state, err := schemaVersion(cmd.Context(), url)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "database %d, binary %d\n", state.Version, state.Latest)
			return state.Err()
		},
	})
	return cmd
}

// ownDatabase is where a command goes that may change the schema.
func ownDatabase(settings func() (*config.Config, error)) (*config.Config, string, error) {
	c, err := settings()
	if err != nil {
		return nil, "", err
	}
	if url := orDefault(c.Database.MigrateURL, c.Database.URL); url != "" {
		return c, url, nil
	}
	return nil, "", errors.New("set INGLE_DATABASE_URL: a private PostgreSQL belongs to the `ingle serve` that runs it, which brings it up to date itself")
}

func schemaVersion(ctx context.Context, url string) (migrations.State, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return migrations.State{}, fmt.Errorf("connect to the database: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return migrations.Version(ctx, conn)
}
