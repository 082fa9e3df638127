package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"ingle/fhir"
	"ingle/fhir/r4"
	"ingle/internal/load"
	"ingle/profiles"
	"ingle/profiles/ncpi"
)

// validateOptions are the flags of ingle validate.
type validateOptions struct {
	packages, profiles []string
	json, quiet        bool
	australian         bool
}

func validateCommand() *cobra.Command {
	var o validateOptions
	cmd := &cobra.Command{
		Use:   "validate FILE...",
		Short: "Validate resources against FHIR and profiles",
		Long: `Validate resources against FHIR R4, the profiles they claim, and those named by
--profile. A file holds one resource as JSON, or one on each line (.ndjson); "-"
is the standard input. The NCPI profiles are built in, others come from packages
(.tgz files or folders of them).

The exit status is 0 if there is no error, 1 if there is one, 2 if a file cannot
be read.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			v, err := o.validator(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			status := 0
			for _, name := range files {
				bad, err := o.file(cmd, v, name)
				switch {
				case err != nil:
					fmt.Fprintln(cmd.ErrOrStderr(), "ingle:", err)
					status = exitUsage
				case bad && status == 0:
					status = exitFailed
				}
			}
			if status != 0 {
				return exitStatus(status)
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&o.packages, "package", nil, "FHIR package, or folder of packages (repeatable)")
	cmd.Flags().StringArrayVar(&o.profiles, "profile", nil, "canonical URL of a profile to validate against instead of the claimed ones (repeatable)")
	cmd.Flags().BoolVar(&o.json, "json", false, "write an OperationOutcome for each resource, one a line")
	cmd.Flags().BoolVar(&o.quiet, "quiet", false, "errors only")
	cmd.Flags().BoolVar(&o.australian, "australian", false, "check Medicare, provider and healthcare identifiers")
	return cmd
}

func (o *validateOptions) validator(log io.Writer) (*profiles.Validator, error) {
	reg := profiles.NewRegistry(r4.Definitions())
	guide, err := ncpi.Package()
	if err != nil {
		return nil, err
	}
	if err := reg.Load(guide); err != nil {
		return nil, err
	}
	if len(o.packages) > 0 {
		_, missing, err := reg.LoadFiles(o.packages...)
		if err != nil {
			return nil, err
		}
		for _, m := range missing {
			fmt.Fprintf(log, "ingle: the package %s is not there; what it defines is not checked\n", m)
		}
	}
	return profiles.New(reg, profiles.Config{AustralianIdentifiers: o.australian}, nil)
}

// file validates the resources of one file; bad tells that one has an error.
func (o *validateOptions) file(cmd *cobra.Command, v *profiles.Validator, name string) (bad bool, err error) {
	var src []byte
	if name == "-" {
		src, err = io.ReadAll(cmd.InOrStdin())
	} else {
		src, err = os.ReadFile(name)
	}
	if err != nil {
		return false, err
	}
	if !strings.HasSuffix(name, ".ndjson") {
		return o.resource(cmd, v, name, src, 0), nil
	}
	for line := 0; len(src) > 0; line++ {
		var one []byte
		one, src, _ = bytes.Cut(src, []byte{'\n'})
		if len(bytes.TrimSpace(one)) > 0 && o.resource(cmd, v, name, one, line) {
			bad = true
		}
	}
	return bad, nil
}

func (o *validateOptions) resource(cmd *cobra.Command, v *profiles.Validator, name string, src []byte, line int) (bad bool) {
	var issues []fhir.Issue
	doc, err := fhir.Parse(src, fhir.Limits{Nodes: 20_000_000, String: 1 << 28})
	if e := fhir.AsError(err); e != nil {
		issues = e.Issues
	} else {
		issues = v.Validate(cmd.Context(), doc, profiles.Request{Profiles: o.profiles, Warnings: !o.quiet, Schema: true})
	}
	if o.json {
		if issues == nil {
			issues = []fhir.Issue{{Severity: fhir.SeverityInformation, Code: fhir.CodeInformational, Diagnostics: "nothing stands against it"}}
		}
		for i := range issues {
			if issues[i].Line > 0 {
				issues[i].Line += line
			}
		}
		file, _ := json.Marshal(name)
		fmt.Fprintf(cmd.OutOrStdout(), "{\"file\":%s,\"line\":%d,\"outcome\":%s}\n", file, line+1, fhir.AppendOutcome(nil, issues, ""))
	} else {
		color := cmd.OutOrStdout() == io.Writer(os.Stdout) && load.IsTerminal(os.Stdout) && os.Getenv("NO_COLOR") == ""
		profiles.Report{W: cmd.OutOrStdout(), Color: color}.Write(name, src, issues, line)
	}
	return profiles.HasErrors(issues)
}
