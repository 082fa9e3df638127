package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ingle/fhir/r4"
	"ingle/internal/config"
	"ingle/internal/load"
	"ingle/search"
	"ingle/store"
	"ingle/terminology"
	"ingle/terminology/distribution"
)

func terminologyCommand(settings func() (*config.Config, error)) *cobra.Command {
	cmd := &cobra.Command{Use: "terminology", Short: "Import code systems into the database"}
	var o distribution.Options
	var again bool
	var comma string
	imports := &cobra.Command{
		Use:   "import PATH...",
		Short: "Import LOINC, SNOMED CT (RF2), RxNorm (RRF), ICD-10-CM, OBO ontologies or CSV files",
		Long: `Import code systems as their publishers distribute them: a folder, a zip archive or a file.

The format is found out from the names of the files. Versions stand side by side; the same distribution again does
nothing, a changed one takes the place of its version. Servers go on answering from the old content until the new one is
complete. The role needs the right to create tables, as for "ingle migrate".

A CSV file has a header; the columns code, display, definition, parent ("a|b" for several), inactive, abstract and
designation:<language> have their meaning, any other is a property.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, paths []string) error {
			if comma == `\t` || comma == "tab" {
				comma = "\t"
			}
			if r := []rune(comma); len(r) == 1 {
				o.Comma = r[0]
			} else if len(r) > 1 {
				return errors.New("--comma takes one character")
			}
			if len(paths) > 1 && (o.URL != "" || o.Version != "") {
				return errors.New("--url and --code-system-version are for one path")
			}
			return withTerminology(cmd, settings, func(t *terminology.Service, _ *store.DB, by operator) error {
				for _, path := range paths {
					if err := importCodeSystem(cmd.Context(), t, path, o, again, cmd.OutOrStdout(), by); err != nil {
						return fmt.Errorf("%s: %w", path, err)
					}
				}
				return nil
			})
		},
	}
	f := imports.Flags()
	f.StringVar(&o.Format, "format", "", "loinc, snomed, rxnorm, icd10cm, obo or csv; found out if left out")
	f.StringVar(&o.URL, "url", "", "canonical URL of the code system; the publisher's if left out")
	f.StringVar(&o.Version, "code-system-version", "", "version of the code system; the distribution's if left out")
	f.StringVar(&o.Module, "module", "", "SNOMED CT module whose edition it is; the international one if left out")
	f.StringVar(&comma, "comma", "", "what separates the columns of a CSV file")
	f.BoolVar(&o.CaseInsensitive, "case-insensitive", false, "case does not matter in the codes of a CSV file")
	f.BoolVar(&again, "again", false, "import also what is there already, unchanged")

	list := &cobra.Command{
		Use: "list", Short: "List the imported code systems", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withTerminology(cmd, settings, func(_ *terminology.Service, db *store.DB, _ operator) error {
				versions, err := db.Concepts().Versions(cmd.Context(), "")
				if err != nil {
					return err
				}
				lines := make([]string, 0, len(versions))
				for _, v := range versions {
					lines = append(lines, fmt.Sprintf("%s\t%s\t%d concepts", v.URL, v.Version, v.Concepts))
				}
				slices.Sort(lines)
				for _, l := range lines {
					fmt.Fprintln(cmd.OutOrStdout(), l)
				}
				return nil
			})
		},
	}
	remove := &cobra.Command{
		Use: "remove URL VERSION", Short: "Remove an imported version of a code system", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withTerminology(cmd, settings, func(_ *terminology.Service, db *store.DB, by operator) error {
				found, err := db.Concepts().Remove(cmd.Context(), args[0], args[1])
				if err == nil && !found {
					err = fmt.Errorf("version %s of %s is not there", args[1], args[0])
				}
				by.did("D", "terminology remove", err, "url", args[0], "version", args[1])
				return err
			})
		},
	}
	cmd.AddCommand(imports, list, remove)
	return cmd
}

// withTerminology opens the database for the length of a command.
func withTerminology(cmd *cobra.Command, settings func() (*config.Config, error), fn func(*terminology.Service, *store.DB, operator) error) error {
	c, url, err := ownDatabase(settings)
	if err != nil {
		return err
	}
	defs := r4.Definitions()
	db, err := store.Open(cmd.Context(), store.Options{URL: url, Registry: search.NewRegistry(defs), Defs: defs, MaxConns: 4})
	if err != nil {
		return err
	}
	defer db.Close()
	t := terminology.New(terminology.Options{Concepts: db.Concepts(), NoCache: true})
	return fn(t, db, operating(c, cmd.ErrOrStderr()))
}

func importCodeSystem(ctx context.Context, t *terminology.Service, path string, o distribution.Options, again bool, out io.Writer, by operator) error {
	d, err := distribution.Open(path, o)
	if err != nil {
		return err
	}
	defer d.Close()
	start := time.Now()
	progress := terminology.Progress(nil)
	terminal := load.IsTerminal(os.Stderr)
	if terminal {
		progress = func(pass, n int) {
			fmt.Fprintf(os.Stderr, "\r%s %s: %s %d concepts ", d.Info().URL, d.Info().Version, []string{"", "reading codes,", "writing,"}[pass], n)
		}
	}
	res, err := t.Import(ctx, d, again, progress)
	if terminal {
		fmt.Fprint(os.Stderr, "\r", strings.Repeat(" ", 100), "\r")
	}
	i := d.Info()
	by.did("U", "terminology import", err, "url", i.URL, "version", i.Version)
	if err != nil {
		return err
	}
	if res.Unchanged {
		fmt.Fprintf(out, "%s %s: %d concepts, unchanged\n", i.URL, i.Version, res.Concepts)
		return nil
	}
	fmt.Fprintf(out, "%s %s: %d concepts in %s\n", i.URL, i.Version, res.Concepts, time.Since(start).Round(time.Millisecond))
	if res.Twice > 0 {
		fmt.Fprintf(out, "  %d codes came more than once; the first one counts\n", res.Twice)
	}
	if res.Cycles > 0 {
		fmt.Fprintf(out, "  %d parents were left out because they close a circle\n", res.Cycles)
	}
	return nil
}
