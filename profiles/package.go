package profiles

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"ingle/fhir"
)

// Package is a FHIR package (https://hl7.org/fhir/packages.html): conformance
// resources with a name and a version. It must not be changed once it is in a
// Registry.
type Package struct {
	Name, Version string
	Dependencies  map[string]string // name → version
	FHIRVersions  []string
	Resources     [][]byte // the conformance resources, as JSON
}

// ID is "name#version", the origin of the package's resources in a Registry.
func (p *Package) ID() string { return p.Name + "#" + p.Version }

// Only returns the package with the resources of some types alone.
func (p *Package) Only(resourceTypes ...string) *Package {
	part := *p
	part.Resources = nil
	for _, src := range p.Resources {
		if doc, err := fhir.Parse(src, limits); err == nil && slices.Contains(resourceTypes, doc.Root().Get("resourceType").Text()) {
			part.Resources = append(part.Resources, src)
		}
	}
	return &part
}

// Bounds of a package's archive. Nothing of it is ever written to a disk.
const (
	maxPackageFiles = 50_000
	maxPackageFile  = 64 << 20  // bytes of one file
	maxPackageBytes = 512 << 20 // bytes of all files
)

// ReadPackage reads a package from its .tgz archive. Only the resources in the
// folder "package" itself are taken, not those of examples and tests. An error
// says what is wrong with the archive; archives beyond the bounds (50,000
// files, 64 MiB for one, 512 MiB for all) are refused.
func ReadPackage(r io.Reader) (*Package, error) {
	zr, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("profiles: package: not a gzip archive: %w", err)
	}
	defer zr.Close()
	p := &Package{}
	tr := tar.NewReader(io.LimitReader(zr, maxPackageBytes+1))
	files, total := 0, int64(0)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("profiles: package: %w", err)
		}
		if files++; files > maxPackageFiles {
			return nil, fmt.Errorf("profiles: package: more than %d files", maxPackageFiles)
		}
		name := path.Clean(strings.ReplaceAll(h.Name, `\`, "/"))
		if strings.HasPrefix(name, "/") || name == ".." || strings.HasPrefix(name, "../") {
			return nil, fmt.Errorf("profiles: package: the name %q leads out of the archive", h.Name)
		}
		if h.Typeflag != tar.TypeReg || path.Dir(name) != "package" || path.Ext(name) != ".json" || strings.HasPrefix(path.Base(name), ".") {
			continue
		}
		if h.Size > maxPackageFile {
			return nil, fmt.Errorf("profiles: package: %s has %d bytes, at most %d are allowed", name, h.Size, maxPackageFile)
		}
		if total += h.Size; total > maxPackageBytes {
			return nil, fmt.Errorf("profiles: package: the files have more than %d bytes", maxPackageBytes)
		}
		data, err := io.ReadAll(io.LimitReader(tr, maxPackageFile))
		if err != nil {
			return nil, fmt.Errorf("profiles: package: %s: %w", name, err)
		}
		if err := p.addFile(path.Base(name), data); err != nil {
			return nil, fmt.Errorf("profiles: package: %s: %w", name, err)
		}
	}
	if p.Name == "" || p.Version == "" {
		return nil, errors.New("profiles: package: there is no package/package.json with name and version")
	}
	return p, nil
}

func (p *Package) addFile(name string, data []byte) error {
	doc, err := fhir.Parse(data, limits)
	if err != nil {
		if name == "package.json" {
			return err
		}
		return nil // not a resource that could be used
	}
	n := doc.Root()
	if name == "package.json" {
		p.Name, p.Version = n.Get("name").Text(), n.Get("version").Text()
		p.FHIRVersions = texts(n.Get("fhirVersions"))
		p.Dependencies = map[string]string{}
		for d := n.Get("dependencies").First(); d.Valid(); d = d.Next() {
			p.Dependencies[d.Key()] = d.Text()
		}
		return nil
	}
	if IsConformance(n.Get("resourceType").Text()) && n.Get("url").Kind() == fhir.String {
		p.Resources = append(p.Resources, data)
	}
	return nil
}

// Load adds a package to the registry, in place of the same version loaded
// before. Its resources must be usable; a package for another FHIR version is
// refused.
func (r *Registry) Load(p *Package) error {
	if len(p.FHIRVersions) > 0 && !slices.ContainsFunc(p.FHIRVersions, func(v string) bool { return strings.HasPrefix(v, "4.0") }) {
		return fmt.Errorf("profiles: the package %s is for FHIR %s, not 4.0", p.ID(), strings.Join(p.FHIRVersions, ", "))
	}
	var add []*artifact
	for _, src := range p.Resources {
		a, err := newArtifact(p.ID(), src)
		if err != nil {
			return fmt.Errorf("profiles: the package %s: %w", p.ID(), err)
		}
		add = append(add, a)
	}
	r.swap([]string{p.ID()}, add, true)
	return nil
}

// ReadPackages reads packages from .tgz files and folders of them. Each one comes
// after those that it depends on.
func ReadPackages(paths ...string) ([]*Package, error) {
	var out []*Package
	for _, p := range paths {
		err := filepath.WalkDir(p, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || name != p && !strings.HasSuffix(name, ".tgz") {
				return err
			}
			read, err := readPackageFile(name)
			if err != nil {
				return fmt.Errorf("%s: %w", filepath.Base(name), err)
			}
			out = append(out, read)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("profiles: packages: %w", err)
		}
	}
	return inOrder(out), nil
}

// inOrder puts packages behind those that they depend on, else by name.
func inOrder(packages []*Package) []*Package {
	slices.SortFunc(packages, func(a, b *Package) int { return strings.Compare(a.ID(), b.ID()) })
	var out []*Package
	placed := map[*Package]bool{}
	var place func(p *Package)
	place = func(p *Package) {
		if placed[p] {
			return
		}
		placed[p] = true
		for _, q := range packages {
			if p.DependsOn(q.ID()) {
				place(q)
			}
		}
		out = append(out, p)
	}
	for _, p := range packages {
		place(p)
	}
	return out
}

// DependsOn tells whether the package with an id ("name#version") is one that
// this one depends on.
func (p *Package) DependsOn(id string) bool {
	for name, version := range p.Dependencies {
		if satisfies(id, name, version) {
			return true
		}
	}
	return false
}

// LoadFiles loads packages from .tgz files and folders of them, with what they
// depend on as far as the folders hold it. missing names dependencies that are
// not there; those on the core specification and on hl7.terminology are not
// meant, their content is part of the definitions or cannot be had in full.
func (r *Registry) LoadFiles(paths ...string) (loaded []*Package, missing []string, err error) {
	packages, err := ReadPackages(paths...)
	if err != nil {
		return nil, nil, err
	}
	for _, p := range packages {
		if err := r.Load(p); err != nil {
			return nil, nil, err
		}
	}
	return packages, r.missing(packages), nil
}

func readPackageFile(name string) (*Package, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadPackage(f)
}

// missing lists dependencies of packages that are not in the registry.
func (r *Registry) missing(packages []*Package) []string {
	have := r.Origins()
	var out []string
	for _, p := range packages {
		out = append(out, p.Missing(have)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Missing lists what the package depends on and is not among the packages with
// the given ids, without the core specification and hl7.terminology.
func (p *Package) Missing(have []string) []string {
	var out []string
	for name, version := range p.Dependencies {
		if strings.HasPrefix(name, "hl7.fhir.r4.") || strings.HasPrefix(name, "hl7.terminology") {
			continue
		}
		if !slices.ContainsFunc(have, func(o string) bool { return satisfies(o, name, version) }) {
			out = append(out, fmt.Sprintf("%s (by %s)", name+"#"+version, p.ID()))
		}
	}
	slices.Sort(out)
	return out
}

// satisfies tells whether a loaded package is the one a dependency names: the
// version may end in ".x", or be "latest" or "current".
func satisfies(origin, name, version string) bool {
	n, v, ok := strings.Cut(origin, "#")
	if !ok || n != name {
		return false
	}
	if version == v || version == "latest" || version == "current" || version == "dev" {
		return true
	}
	prefix, wild := strings.CutSuffix(version, "x")
	return wild && strings.HasPrefix(v, prefix)
}
