package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
)

// version is set by the build (-ldflags "-X main.version=…"); else the commit stands for it.
var version string

// build tells the version and the time of the commit it was built from.
func build() (name string, built time.Time) {
	name = version
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return orDefault(name, "unknown"), built
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			if name == "" && len(s.Value) >= 12 {
				name = s.Value[:12]
			}
		case "vcs.time":
			built, _ = time.Parse(time.RFC3339, s.Value)
		}
	}
	return orDefault(name, "development"), built
}

func orDefault(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			name, built := build()
			at := ""
			if !built.IsZero() {
				at = ", commit of " + built.UTC().Format(time.DateOnly)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "ingle %s (FHIR 4.0.1, %s%s)\n", name, runtime.Version(), at)
		},
	}
}
