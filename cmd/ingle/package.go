package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"ingle/fhir"
	"ingle/fhir/r4"
	"ingle/profiles"
)

// packageCommand works with FHIR packages: what is in them, and their resources
// in a server's database, where they are active for all who use it. They are
// stored as what they are, resources, with the address of their package in
// meta.source; so it works with any server that searches _source.
func packageCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "package", Short: "Look into FHIR packages, and bring them into a server"}
	c := &packageClient{http: http.DefaultClient}
	server := func(sub *cobra.Command) *cobra.Command {
		sub.Flags().StringVar(&c.base, "url", "http://127.0.0.1:8080/fhir", "base URL of the server")
		sub.Flags().StringVar(&c.token, "token", "", "bearer token (better: FHIR_TOKEN)")
		sub.PreRun = func(*cobra.Command, []string) {
			c.base = strings.TrimSuffix(c.base, "/")
			if c.token == "" {
				c.token = os.Getenv("FHIR_TOKEN")
			}
		}
		return sub
	}
	list := server(&cobra.Command{Use: "list [PATH...]", Short: "Show the packages in files and folders; without any, those in a server",
		RunE: func(cmd *cobra.Command, paths []string) error {
			if len(paths) > 0 {
				return showPackages(cmd.OutOrStdout(), paths)
			}
			return c.list(cmd.Context(), cmd.OutOrStdout())
		}})
	add := server(&cobra.Command{Use: "add PATH...", Short: "Store the definitions of packages in a server; they are active at once", Args: cobra.MinimumNArgs(1),
		Long: `Store the definitions of packages in a server, those first that others depend on; they are active at once, on every
server on the database. What is there already, by URL and version, is replaced; versions stand side by side.`,
		RunE: func(cmd *cobra.Command, paths []string) error { return c.add(cmd, paths) }})
	force := false
	remove := server(&cobra.Command{Use: "remove NAME[#VERSION]...", Short: "Delete the definitions of packages from a server", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error { return c.remove(cmd, names, force) }})
	remove.Flags().BoolVar(&force, "force", false, "also what other packages depend on")
	cmd.AddCommand(list, add, remove)
	return cmd
}

func showPackages(out io.Writer, paths []string) error {
	packages, err := profiles.ReadPackages(paths...)
	if err != nil {
		return err
	}
	for _, p := range packages {
		count := map[string]int{}
		for _, src := range p.Resources {
			doc, err := fhir.Parse(src, definitionLimits)
			if err != nil {
				return fmt.Errorf("%s: %w", p.ID(), err)
			}
			count[doc.Root().Get("resourceType").Text()]++
		}
		showPackage(out, p.ID(), count)
		for _, name := range slices.Sorted(maps.Keys(p.Dependencies)) {
			fmt.Fprintf(out, "    needs %s#%s\n", name, p.Dependencies[name])
		}
	}
	return nil
}

func showPackage(out io.Writer, id string, count map[string]int) {
	fmt.Fprintln(out, id)
	for _, typ := range slices.Sorted(maps.Keys(count)) {
		fmt.Fprintf(out, "    %d %s\n", count[typ], typ)
	}
}

// definitionLimits are those of resources in packages.
var definitionLimits = fhir.Limits{Nodes: 20_000_000, String: 64 << 20}

// packageClient works with the packages in a server.
type packageClient struct {
	http        *http.Client
	base, token string
}

// add stores packages.
func (c *packageClient) add(cmd *cobra.Command, paths []string) error {
	packages, err := profiles.ReadPackages(paths...)
	if err != nil {
		return err
	}
	stored, err := c.stored(cmd.Context())
	if err != nil {
		return err
	}
	have := slices.Collect(maps.Keys(stored))
	for _, p := range packages {
		have = append(have, p.ID())
	}
	refused := 0
	for _, p := range packages {
		for _, m := range p.Missing(have) {
			fmt.Fprintf(cmd.ErrOrStderr(), "ingle: the package %s is not there; what it defines is not checked\n", m)
		}
		n := 0
		for _, src := range p.Resources {
			if err := c.put(cmd.Context(), p, src); err != nil {
				if cmd.Context().Err() != nil {
					return err
				}
				fmt.Fprintf(cmd.ErrOrStderr(), "ingle: %s: %s\n", p.ID(), err)
				refused++
				continue
			}
			n++
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s: %d of %d resources stored\n", p.ID(), n, len(p.Resources))
	}
	if refused > 0 {
		return exitStatus(exitFailed)
	}
	return nil
}

// put stores one resource: in place of the one with the same URL and version,
// else under its own id, or one beside that where it is taken.
func (c *packageClient) put(ctx context.Context, p *profiles.Package, src []byte) error {
	doc, err := fhir.Parse(src, definitionLimits)
	if err != nil {
		return err
	}
	n := doc.Root()
	typ, id, version := n.Get("resourceType").Text(), n.Get("id").Text(), n.Get("version").Text()
	where := url.Values{"url": {n.Get("url").Text()}, "_elements": {"url,version"}}
	if version != "" {
		where.Set("version", version)
	}
	found, err := c.search(ctx, typ, where)
	if err != nil {
		return err
	}
	if len(found) > 0 {
		id = found[0].id
	} else {
		var failed error
		id = profiles.StoredID(id, version, func(id string) bool {
			status, err := c.do(ctx, http.MethodGet, typ+"/"+id+"?_elements=url", nil, nil)
			failed = err
			return status == http.StatusOK
		})
		if failed != nil && !errors.As(failed, new(refusal)) {
			return failed
		}
	}
	body, err := p.Stored(src, id)
	if err != nil {
		return err
	}
	_, err = c.do(ctx, http.MethodPut, typ+"/"+id, body, nil)
	return err
}

// list shows the packages in the server.
func (c *packageClient) list(ctx context.Context, out io.Writer) error {
	stored, err := c.stored(ctx)
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(stored)) {
		count := map[string]int{}
		for _, r := range stored[id] {
			count[r.typ]++
		}
		showPackage(out, id, count)
		for _, r := range stored[id] {
			for _, d := range r.depends {
				fmt.Fprintf(out, "    needs %s\n", d)
			}
		}
	}
	return nil
}

// remove deletes what packages have brought.
func (c *packageClient) remove(cmd *cobra.Command, names []string, force bool) error {
	stored, err := c.stored(cmd.Context())
	if err != nil {
		return err
	}
	var ids []string
	for _, name := range names {
		from := len(ids)
		for id := range stored {
			if id == name || strings.HasPrefix(id, name+"#") {
				ids = append(ids, id)
			}
		}
		if len(ids) == from {
			return fmt.Errorf("there is no package %s in the server", name)
		}
	}
	slices.Sort(ids)
	if !force {
		for other, resources := range stored {
			for _, r := range resources {
				for _, need := range r.depends {
					if slices.Contains(ids, need) && !slices.Contains(ids, other) {
						return fmt.Errorf("%s needs %s; --force removes it all the same", other, need)
					}
				}
			}
		}
	}
	refused := 0
	for _, id := range ids {
		n := 0
		slices.SortStableFunc(stored[id], func(a, b storedDefinition) int { // the guide first: it refers to the others
			switch guide := "ImplementationGuide"; {
			case a.typ == guide && b.typ != guide:
				return -1
			case b.typ == guide && a.typ != guide:
				return 1
			}
			return 0
		})
		for _, r := range stored[id] {
			if _, err := c.do(cmd.Context(), http.MethodDelete, r.typ+"/"+r.id, nil, nil); err != nil {
				fmt.Fprintf(cmd.ErrOrStderr(), "ingle: %s: %s\n", id, err)
				refused++
				continue
			}
			n++
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s: %d of %d resources deleted\n", id, n, len(stored[id]))
	}
	if refused > 0 {
		return exitStatus(exitFailed)
	}
	return nil
}

// storedDefinition is a definition in the server.
type storedDefinition struct {
	typ, id, source string
	depends         []string // of an ImplementationGuide: ids of packages
}

// stored finds the definitions in the server that came with packages, by the
// package's id.
func (c *packageClient) stored(ctx context.Context) (map[string][]storedDefinition, error) {
	out := map[string][]storedDefinition{}
	for _, typ := range r4.Definitions().ResourceTypes() {
		if !profiles.IsConformance(typ) {
			continue
		}
		found, err := c.search(ctx, typ, url.Values{"_source:below": {"https://packages.fhir.org/"}, "_elements": {"meta,dependsOn"}, "_count": {"1000"}})
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			if id := profiles.PackageOf(r.source); id != "" {
				out[id] = append(out[id], r)
			}
		}
	}
	return out, nil
}

// search reads all pages of a search.
func (c *packageClient) search(ctx context.Context, typ string, query url.Values) ([]storedDefinition, error) {
	var out []storedDefinition
	for next := typ + "?" + query.Encode(); next != ""; {
		var page struct {
			Link  []struct{ Relation, URL string }
			Entry []struct {
				Resource struct {
					ID        string
					Meta      struct{ Source string }
					DependsOn []struct{ PackageID, Version string }
				}
			}
		}
		if _, err := c.do(ctx, http.MethodGet, next, nil, &page); err != nil {
			return nil, err
		}
		for _, e := range page.Entry {
			d := storedDefinition{typ: typ, id: e.Resource.ID, source: e.Resource.Meta.Source}
			for _, on := range e.Resource.DependsOn {
				d.depends = append(d.depends, on.PackageID+"#"+on.Version)
			}
			out = append(out, d)
		}
		next = ""
		for _, l := range page.Link {
			if l.Relation == "next" {
				next = strings.TrimPrefix(l.URL, c.base+"/")
			}
		}
	}
	return out, nil
}

// refusal is an answer of the server that says no.
type refusal struct {
	path, status, why string
}

func (r refusal) Error() string { return r.path + ": " + r.status + ": " + r.why }

// do sends one request and reads the answer into an object, nil for none. An
// answer that says no is a refusal.
func (c *packageClient) do(ctx context.Context, method, path string, body []byte, into any) (status int, err error) {
	where := path
	if !strings.Contains(path, "://") {
		where = c.base + "/" + path
	}
	req, err := http.NewRequestWithContext(ctx, method, where, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/fhir+json")
	req.Header.Set("Prefer", "return=minimal")
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 256<<20))
	if err != nil {
		return 0, err
	}
	if resp.StatusCode >= 300 {
		why := http.StatusText(resp.StatusCode)
		if doc, err := fhir.Parse(answer, fhir.Limits{}); err == nil {
			if d := doc.Root().Get("issue").First().Get("diagnostics").Text(); d != "" {
				why = d
			}
		}
		return resp.StatusCode, refusal{path, resp.Status, why}
	}
	if into == nil {
		return resp.StatusCode, nil
	}
	return resp.StatusCode, json.Unmarshal(answer, into)
}
