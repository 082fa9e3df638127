package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"ingle/fhir"
	"ingle/profiles"
)

// packageCommand works with FHIR packages: what is in them, and their resources
// in a server's database, where they are active for all who use it.
func packageCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "package", Short: "Look into FHIR packages, and bring them into a server"}
	client := &packageClient{http: http.DefaultClient}
	server := func(sub *cobra.Command) *cobra.Command {
		sub.Flags().StringVar(&client.base, "url", "http://127.0.0.1:8080/fhir", "base URL of the server")
		sub.Flags().StringVar(&client.token, "token", "", "bearer token (better: FHIR_TOKEN)")
		return sub
	}
	each := func(method, done string) func(*cobra.Command, []string) error {
		return func(cmd *cobra.Command, paths []string) error {
			if client.token == "" {
				client.token = os.Getenv("FHIR_TOKEN")
			}
			packages, err := readPackages(paths)
			if err != nil {
				return err
			}
			refused := 0
			for _, p := range packages {
				n, faults := client.send(cmd.Context(), method, p)
				for _, f := range faults {
					fmt.Fprintf(cmd.ErrOrStderr(), "ingle: %s: %s\n", p.ID(), f)
				}
				refused += len(faults)
				fmt.Fprintf(cmd.OutOrStdout(), "%s: %d resources %s, %d refused\n", p.ID(), n, done, len(faults))
			}
			if refused > 0 {
				return exitStatus(exitFailed)
			}
			return nil
		}
	}
	cmd.AddCommand(
		&cobra.Command{Use: "list PATH...", Short: "Show the packages in files and folders", Args: cobra.MinimumNArgs(1), RunE: listPackages},
		server(&cobra.Command{Use: "add PATH...", Short: "Store the definitions of packages in a server; they are active at once", Args: cobra.MinimumNArgs(1),
			RunE: each(http.MethodPut, "stored")}),
		server(&cobra.Command{Use: "remove PATH...", Short: "Delete the definitions of packages from a server", Args: cobra.MinimumNArgs(1),
			RunE: each(http.MethodDelete, "deleted")}),
	)
	return cmd
}

// readPackages reads .tgz files, and those in folders.
func readPackages(paths []string) ([]*profiles.Package, error) {
	var out []*profiles.Package
	read := func(name string) error {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		p, err := profiles.ReadPackage(f)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, p)
		return nil
	}
	for _, p := range paths {
		err := filepath.WalkDir(p, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || name != p && !strings.HasSuffix(name, ".tgz") {
				return err
			}
			return read(name)
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(out, func(a, b *profiles.Package) int { return cmp.Compare(a.ID(), b.ID()) })
	return out, nil
}

func listPackages(cmd *cobra.Command, paths []string) error {
	packages, err := readPackages(paths)
	if err != nil {
		return err
	}
	for _, p := range packages {
		count := map[string]int{}
		for _, src := range p.Resources {
			typ, _, err := identity(src)
			if err != nil {
				return fmt.Errorf("%s: %w", p.ID(), err)
			}
			count[typ]++
		}
		fmt.Fprintln(cmd.OutOrStdout(), p.ID())
		for _, typ := range slices.Sorted(mapKeys(count)) {
			fmt.Fprintf(cmd.OutOrStdout(), "    %d %s\n", count[typ], typ)
		}
		for _, name := range slices.Sorted(mapKeys(p.Dependencies)) {
			fmt.Fprintf(cmd.OutOrStdout(), "    needs %s#%s\n", name, p.Dependencies[name])
		}
	}
	return nil
}

func mapKeys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// identity is type and id of a resource.
func identity(src []byte) (typ, id string, err error) {
	doc, err := fhir.Parse(src, fhir.Limits{Nodes: 20_000_000, String: 64 << 20})
	if err != nil {
		return "", "", err
	}
	return doc.Root().Get("resourceType").Text(), doc.Root().Get("id").Text(), nil
}

// packageClient sends the resources of packages to a server.
type packageClient struct {
	http        *http.Client
	base, token string
}

// send puts or deletes each resource of a package, by type.
func (c *packageClient) send(ctx context.Context, method string, p *profiles.Package) (done int, faults []string) {
	type resource struct {
		typ, id string
		body    []byte
	}
	var list []resource
	for _, src := range p.Resources {
		typ, id, err := identity(src)
		if err != nil || !fhir.ValidID(id) {
			faults = append(faults, fmt.Sprintf("a %s has no usable id", typ))
			continue
		}
		list = append(list, resource{typ, id, src})
	}
	slices.SortStableFunc(list, func(a, b resource) int { return cmp.Compare(a.typ, b.typ) })
	for _, r := range list {
		if err := c.one(ctx, method, r.typ+"/"+r.id, r.body); err != nil {
			faults = append(faults, err.Error())
			if ctx.Err() != nil {
				break
			}
			continue
		}
		done++
	}
	return done, faults
}

func (c *packageClient) one(ctx context.Context, method, path string, body []byte) error {
	if method == http.MethodDelete {
		body = nil
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.base, "/")+"/"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/fhir+json")
	req.Header.Set("Prefer", "return=minimal")
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode < 300 {
		return nil
	}
	why := http.StatusText(resp.StatusCode)
	if doc, err := fhir.Parse(answer, fhir.Limits{}); err == nil {
		if d := doc.Root().Get("issue").First().Get("diagnostics").Text(); d != "" {
			why = d
		}
	}
	return errors.New(path + ": " + resp.Status + ": " + why)
}
