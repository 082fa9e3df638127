package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ingle/internal/export"
)

func exportCommand() *cobra.Command {
	var (
		o              export.Options
		level, token   string
		types, filters []string
		since, until   string
		elements       []string
		quiet          bool
	)
	cmd := &cobra.Command{
		Use:   "export --out DIR",
		Short: "Fetch a bulk export from a FHIR server",
		Long: `Fetch a bulk export from a FHIR server: what its $export gives out, as NDJSON
files in a folder. The same command again goes on where it was broken off.

The last line of the output tells the time that the next export can go on from
(--since), with what was deleted meanwhile in files of their own.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch kind, id, _ := strings.Cut(level, "/"); {
			case level == "system":
			case level == "patient":
				o.Level = "Patient"
			case strings.EqualFold(kind, "group") && id != "":
				o.Level = "Group/" + url.PathEscape(id)
			default:
				return fmt.Errorf("--level is system, patient or group/ID, not %q", level)
			}
			o.Query = url.Values{}
			for name, value := range map[string]string{"_type": strings.Join(types, ","), "_since": since, "_until": until, "_elements": strings.Join(elements, ",")} {
				if value != "" {
					o.Query.Set(name, value)
				}
			}
			for _, f := range filters {
				o.Query.Add("_typeFilter", f)
			}
			if token == "" {
				token = os.Getenv("FHIR_TOKEN")
			}
			o.Header = http.Header{}
			if token != "" {
				o.Header.Set("Authorization", "Bearer "+token)
			}
			if !quiet {
				o.Status = cmd.ErrOrStderr()
			}
			started := time.Now()
			res, err := export.Run(cmd.Context(), o)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d resources in %d files, %d MB, in %s\nnext time: --since %s\n", res.Resources, res.Files, res.Bytes/1e6, time.Since(started).Round(time.Millisecond), res.Time)
			if len(res.Faults) > 0 {
				return fmt.Errorf("the server did not export everything; what it says stands in %s, in %s", strings.Join(res.Faults, ", "), o.Out)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Base, "url", "http://127.0.0.1:8080/fhir", "base URL of the server")
	f.StringVar(&o.Out, "out", "", "folder for the files: empty, or with a part of this export")
	f.StringVar(&level, "level", "system", "system, patient or group/ID")
	f.StringSliceVar(&types, "type", nil, "resource types")
	f.StringArrayVar(&filters, "filter", nil, "a search that says which resources of a type are meant: Observation?status=final")
	f.StringSliceVar(&elements, "elements", nil, "elements that are wanted: gender, Patient.name")
	f.StringVar(&since, "since", "", "instant: changed later than that")
	f.StringVar(&until, "until", "", "instant: not changed later than that")
	f.IntVar(&o.Workers, "workers", 2, "files at once")
	f.StringVar(&token, "token", "", "bearer token (better: FHIR_TOKEN)")
	f.BoolVar(&quiet, "quiet", false, "no progress")
	_ = cmd.MarkFlagRequired("out")
	return cmd
}
