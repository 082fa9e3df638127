package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"ingle/internal/config"
)

func configCommand(settings func() (*config.Config, error)) *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Show the configuration and its reference"}
	cmd.AddCommand(&cobra.Command{
		Use:   "show",
		Short: "Print the configuration in force, without its secrets",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := settings()
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), c.String())
			return nil
		},
	}, &cobra.Command{
		Use:   "reference",
		Short: "Print every setting with its default",
		Args:  cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprint(cmd.OutOrStdout(), config.Reference())
		},
	})
	return cmd
}
