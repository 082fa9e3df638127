// Command ingle is a FHIR R4 server on PostgreSQL, and the tools around it.
//
//	ingle serve        runs the server
//	ingle migrate      brings the database schema up to date
//	ingle load         sends files of resources to a FHIR server
//	ingle export       fetches a bulk export of a FHIR server
//	ingle validate     validates files of resources
//	ingle package      brings FHIR packages into a server
//	ingle terminology  imports code systems into the database
//	ingle relabel      moves all resources of one project to another
//	ingle token        makes tokens for development
//	ingle bench        measures a FHIR server
//	ingle config       shows the configuration and its reference
//	ingle healthcheck  asks a running server whether it is ready
//	ingle version      prints the version
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"ingle/internal/config"
	"ingle/internal/load"
)

// Exit statuses: 1 for "it did not work", 2 for "it was called wrongly".
const (
	exitFailed = 1
	exitUsage  = 2
)

// exitStatus is an error that has been told already.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := &cobra.Command{
		Use:           "ingle",
		Short:         "A native FHIR R4 server on PostgreSQL",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	var file string
	root.PersistentFlags().StringVar(&file, "config", "", "YAML file with the configuration (INGLE_CONFIG); environment variables win")
	settings := func() (*config.Config, error) {
		if file == "" {
			file = config.File(os.Environ())
		}
		return config.Load(file, os.Environ())
	}
	root.AddCommand(serveCommand(settings), migrateCommand(settings), loadCommand(), exportCommand(), validateCommand(), packageCommand(), terminologyCommand(settings), relabelCommand(settings), tokenCommand(), configCommand(settings), healthcheckCommand(settings), benchCommand(), versionCommand())
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		fmt.Fprintln(os.Stderr, "ingle:", err)
		return exitStatus(exitUsage)
	})
	if err := root.ExecuteContext(ctx); err != nil {
		var status exitStatus
		if errors.As(err, &status) {
			stop()
			os.Exit(int(status))
		}
		fmt.Fprintln(os.Stderr, "ingle:", err)
		os.Exit(exitFailed)
	}
}

// logger writes text on a terminal and JSON elsewhere unless the configuration
// says otherwise.
func logger(c config.Log, out io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Level)) // checked by config
	options := &slog.HandlerOptions{Level: level}
	file, _ := out.(*os.File)
	if c.Format == "text" || c.Format == "auto" && file != nil && load.IsTerminal(file) {
		return slog.New(slog.NewTextHandler(out, options))
	}
	return slog.New(slog.NewJSONHandler(out, options))
}
