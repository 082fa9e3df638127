package main

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"

	"ingle/authz"
	"ingle/interaction"
	"ingle/profiles"
	"ingle/store"
)

// install stores what the loaded packages define and the database lacks, so that
// definitions are read and found as any other resource, by every server on the
// database. From then on what is stored is what counts. What cannot be stored
// is logged, and validation goes by the package itself. keepIDs: the resources
// keep the ids they have in their packages, as far as these are free.
func (k *knowledge) install(ctx context.Context, db *store.DB, service *interaction.Service, base string, keepIDs bool) error {
	session := db.As(authz.System("packages"))
	for _, p := range k.loaded {
		lacking := k.all.Lacking(p)
		whole := true
		for names := range slices.Chunk(slices.Sorted(maps.Keys(lacking)), atOnce) {
			for _, kind := range []string{"transaction", "batch"} { // another server may be doing the same: then one by one
				bundle, err := installation(kind, p, names, lacking, keepIDs)
				if err != nil {
					return err
				}
				resp := service.Do(ctx, session, &interaction.Request{Kind: interaction.Batch, Body: bundle, ContentType: "application/fhir+json", BaseURL: base})
				if ctx.Err() != nil {
					return ctx.Err()
				}
				if resp.Status < 300 {
					whole = k.installed(p, names, resp) && whole
					break
				}
				if kind == "batch" {
					whole = false
					k.log.Warn("a package cannot be stored, so its definitions are not found by searches", "package", p.ID(), "status", resp.Status, "error", resp.Err)
				}
			}
		}
		if len(lacking) > 0 {
			k.log.Info("stored the definitions of a package", "package", p.ID(), "resources", len(lacking))
		}
		if whole {
			k.all.Remove(p.ID())
		}
	}
	return nil
}

// atOnce is how many resources of a package are stored in one transaction: what
// is in work at the same time makes out most of the memory that a start takes.
const atOnce = 50

// installation is the Bundle that stores resources of a package.
func installation(kind string, p *profiles.Package, names []string, resources map[string][]byte, keepIDs bool) ([]byte, error) {
	var out bytes.Buffer
	out.WriteString(`{"resourceType":"Bundle","type":"` + kind + `","entry":[`)
	for i, name := range names {
		typ, id, _ := strings.Cut(name, "/")
		body, err := p.Stored(resources[name], id)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			out.WriteByte(',')
		}
		if keepIDs {
			out.WriteString(`{"request":{"method":"PUT","url":"` + name + `","ifNoneMatch":"*"},"resource":`)
		} else {
			out.WriteString(`{"request":{"method":"POST","url":"` + typ + `"},"resource":`)
		}
		out.Write(body)
		out.WriteByte('}')
	}
	out.WriteString(`]}`)
	return out.Bytes(), nil
}

// installed tells whether all resources are there now, and logs those that are
// not.
func (k *knowledge) installed(p *profiles.Package, names []string, resp *interaction.Response) bool {
	whole := len(resp.Entries) == len(names)
	for i, e := range resp.Entries {
		if e.Status >= 300 && e.Status != http.StatusNotModified && e.Status != http.StatusPreconditionFailed { // another server was first
			whole = false
			k.log.Warn("a resource of a package cannot be stored", "package", p.ID(), "resource", names[i], "status", e.Status)
		}
	}
	return whole
}
