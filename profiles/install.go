package profiles

import (
	"bytes"
	"slices"
	"strings"

	"ingle/fhir"
)

// A package is stored as what it is: resources, each with the address of its
// package in meta.source, by which they are found together.

// packageServer is where FHIR packages have their addresses.
const packageServer = "https://packages.fhir.org/"

// Source is the address of the package, the meta.source of its resources.
func (p *Package) Source() string { return packageServer + p.Name + "/" + p.Version }

// PackageOf is the id ("name#version") of the package with an address, "" for
// what is no such address.
func PackageOf(source string) string {
	rest, ok := strings.CutPrefix(source, packageServer)
	name, version, cut := strings.Cut(rest, "/")
	if !ok || !cut || name == "" || version == "" || strings.Contains(version, "/") {
		return ""
	}
	return name + "#" + version
}

// Stored returns a resource of the package as it is stored, under an id.
func (p *Package) Stored(resource []byte, id string) ([]byte, error) {
	doc, err := fhir.Parse(resource, limits)
	if err != nil {
		return nil, err
	}
	root := doc.Root()
	type edit struct {
		from, to int
		text     []byte
	}
	var edits []edit
	set := func(object fhir.Node, name string, value []byte) {
		if old := object.Get(name); old.Valid() {
			from, to := old.Span()
			edits = append(edits, edit{from, to, value})
			return
		}
		at, _ := object.Span()
		text := append(append([]byte(`"`+name+`":`), value...), ',')
		if object.Len() == 0 {
			text = text[:len(text)-1]
		}
		edits = append(edits, edit{at + 1, at + 1, text})
	}
	set(root, "id", fhir.AppendString(nil, id))
	source := fhir.AppendString(nil, p.Source())
	if meta := root.Get("meta"); meta.Kind() == fhir.Object {
		set(meta, "source", source)
	} else {
		set(root, "meta", append(append([]byte(`{"source":`), source...), '}'))
	}
	slices.SortStableFunc(edits, func(a, b edit) int { return a.from - b.from })
	var out bytes.Buffer
	at := 0
	for _, e := range edits {
		out.Write(resource[at:e.from])
		out.Write(e.text)
		at = e.to
	}
	out.Write(resource[at:])
	return out.Bytes(), nil
}

// StoredID is the id under which a resource of a package is stored: its own, or
// with its version behind where another resource has that.
func StoredID(id, version string, taken func(id string) bool) string {
	if fhir.ValidID(id) && !taken(id) {
		return id
	}
	suffix := "-" + strings.Map(func(c rune) rune {
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '.' || c == '-' {
			return c
		}
		return '-'
	}, version)
	if len(suffix) > 32 {
		suffix = suffix[:32]
	}
	return id[:min(len(id), 64-len(suffix))] + suffix
}

// Lacking returns the resources of a package that the registry has from no
// other origin, by the ids under which they are to be stored ("Type/id").
func (r *Registry) Lacking(p *Package) map[string][]byte {
	state := r.state.Load()
	out := map[string][]byte{}
	for _, a := range state.byOrigin[p.ID()] {
		if slices.ContainsFunc(state.byURL[a.url], func(b *artifact) bool {
			return b.resourceType == a.resourceType && b.version == a.version && !strings.Contains(b.origin, "#")
		}) {
			continue
		}
		doc, err := fhir.Parse(a.source, limits)
		if err != nil {
			continue // not reached: it was parsed when it was loaded
		}
		id := StoredID(doc.Root().Get("id").Text(), a.version, func(id string) bool {
			return len(state.byOrigin[a.resourceType+"/"+id]) > 0 || out[a.resourceType+"/"+id] != nil
		})
		out[a.resourceType+"/"+id] = a.source
	}
	return out
}
