package profiles

import (
	"bytes"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"ingle/fhir"
)

// Registry holds the conformance resources that validation works with, by
// canonical URL and version: the official definitions, packages, and resources
// added at run time. It is safe for concurrent use; readers never wait.
//
// The official definitions win over anything else of the same URL: nobody can
// redefine a base type.
type Registry struct {
	defs  *fhir.Definitions
	mu    sync.Mutex
	state atomic.Pointer[registryState]
}

// registryState is immutable.
type registryState struct {
	generation uint64
	validation uint64                 // changes only with what validation is compiled from
	byURL      map[string][]*artifact // of any resource type, oldest version first
	byOrigin   map[string][]*artifact
}

// artifact is one conformance resource.
type artifact struct {
	resourceType, url, version, origin string
	source                             []byte
}

// limits are those of conformance resources: a code system may be large.
var limits = fhir.Limits{Nodes: 20_000_000, String: 64 << 20}

// NewRegistry makes a registry over the official definitions.
func NewRegistry(defs *fhir.Definitions) *Registry {
	r := &Registry{defs: defs}
	r.state.Store(&registryState{byURL: map[string][]*artifact{}, byOrigin: map[string][]*artifact{}})
	return r
}

// Definitions returns the official definitions underneath.
func (r *Registry) Definitions() *fhir.Definitions { return r.defs }

// conformanceTypes are the resource types with a canonical URL that
// validation or terminology look up.
var conformanceTypes = map[string]bool{
	"StructureDefinition": true, "ValueSet": true, "CodeSystem": true, "ConceptMap": true, "NamingSystem": false,
	"SearchParameter": true, "OperationDefinition": true, "CapabilityStatement": true, "ImplementationGuide": true,
	"Questionnaire": true, "StructureMap": true, "GraphDefinition": true, "CompartmentDefinition": true,
}

// compiledTypes are those that validation is compiled from.
var compiledTypes = map[string]bool{"StructureDefinition": true, "ValueSet": true, "CodeSystem": true}

// IsConformance tells whether resources of the type belong in a Registry.
func IsConformance(resourceType string) bool { return conformanceTypes[resourceType] }

// Set puts a conformance resource under an origin ("Type/id" of the stored
// resource) in place of what the origin held before. Its errors are
// *fhir.Error: the resource has no url or is of another type. The registry
// keeps source: the caller must not change it.
func (r *Registry) Set(origin string, source []byte) error {
	a, err := newArtifact(origin, source)
	if err != nil {
		return err
	}
	if old := r.state.Load().byOrigin[origin]; len(old) == 1 && bytes.Equal(old[0].source, source) {
		return nil // nothing changes, so nothing need be compiled again
	}
	r.swap([]string{origin}, []*artifact{a}, true)
	return nil
}

// Remove takes out everything that an origin has brought: "Type/id" of a stored
// resource or "name#version" of a package. It tells whether there was anything.
func (r *Registry) Remove(origin string) bool {
	if _, ok := r.state.Load().byOrigin[origin]; !ok {
		return false
	}
	r.swap([]string{origin}, nil, false)
	return true
}

// Generation changes with every change of the registry's content.
func (r *Registry) Generation() uint64 { return r.state.Load().generation }

func newArtifact(origin string, source []byte) (*artifact, error) {
	doc, err := fhir.Parse(source, limits)
	if err != nil {
		return nil, err
	}
	n := doc.Root()
	a := &artifact{resourceType: n.Get("resourceType").Text(), url: n.Get("url").Text(), version: n.Get("version").Text(),
		origin: origin, source: source}
	if !IsConformance(a.resourceType) {
		return nil, fhir.Errorf(422, fhir.CodeNotSupported, "%s: a %s is not a conformance resource that validation uses", origin, a.resourceType)
	}
	if a.url == "" {
		return nil, fhir.Errorf(422, fhir.CodeRequired, "%s: the %s has no url, so nothing can refer to it", origin, a.resourceType).At(a.resourceType + ".url")
	}
	return a, nil
}

// swap replaces the content of some origins by the given artifacts; with keep
// the origins are known even without content.
func (r *Registry) swap(origins []string, add []*artifact, keep bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.state.Load()
	next := &registryState{generation: old.generation + 1, validation: old.validation, byURL: maps.Clone(old.byURL), byOrigin: maps.Clone(old.byOrigin)}
	for _, origin := range origins {
		for _, a := range old.byOrigin[origin] {
			if compiledTypes[a.resourceType] {
				next.validation = next.generation
			}
			kept := slices.DeleteFunc(slices.Clone(next.byURL[a.url]), func(x *artifact) bool { return x == a })
			if len(kept) == 0 {
				delete(next.byURL, a.url)
			} else {
				next.byURL[a.url] = kept
			}
		}
		delete(next.byOrigin, origin)
		if keep {
			next.byOrigin[origin] = nil
		}
	}
	cloned := map[string]bool{}
	for _, a := range add {
		if compiledTypes[a.resourceType] {
			next.validation = next.generation
		}
		list := next.byURL[a.url]
		if !cloned[a.url] {
			list, cloned[a.url] = slices.Clone(list), true
		}
		at, _ := slices.BinarySearchFunc(list, a, func(x, y *artifact) int {
			if c := CompareVersions(x.version, y.version); c != 0 {
				return c
			}
			return -1 // the newest addition of the same version stands last
		})
		next.byURL[a.url] = slices.Insert(list, at, a)
		next.byOrigin[a.origin] = append(slices.Clone(next.byOrigin[a.origin]), a)
	}
	r.state.Store(next)
}

// Origins returns the origins in the registry, sorted.
func (r *Registry) Origins() []string { return slices.Sorted(maps.Keys(r.state.Load().byOrigin)) }

// Each walks over the resources of one type ("" for all) that were added to the
// official definitions: origin and JSON, which must not be changed.
func (r *Registry) Each(resourceType string) iter.Seq2[string, []byte] {
	state := r.state.Load()
	return func(yield func(string, []byte) bool) {
		for _, origin := range slices.Sorted(maps.Keys(state.byOrigin)) {
			for _, a := range state.byOrigin[origin] {
				if (resourceType == "" || a.resourceType == resourceType) && !yield(origin, a.source) {
					return
				}
			}
		}
	}
}

// Canonical returns a resource of the given type ("" for any) by its canonical
// URL, with or without "|version". Without a version it is the newest; a
// version may be a prefix of the full one ("6.1" finds "6.1.0"). The bytes must
// not be changed.
func (r *Registry) Canonical(resourceType, url string) ([]byte, bool) {
	bare, _ := splitCanonical(url)
	var src []byte
	var ok bool
	if resourceType == "" {
		src, ok = r.defs.Canonical(bare)
	} else {
		src, ok = r.defs.CanonicalOf(resourceType, bare)
	}
	if ok {
		return src, true // of one version: a claim of another R4 patch means the same
	}
	if a := r.state.Load().find(resourceType, url); a != nil {
		return a.source, true
	}
	return nil, false
}

// Has tells whether Canonical would find something.
func (r *Registry) Has(resourceType, url string) bool {
	_, ok := r.Canonical(resourceType, url)
	return ok
}

func (s *registryState) find(resourceType, url string) *artifact {
	bare, version := splitCanonical(url)
	list := s.byURL[bare]
	for i := len(list) - 1; i >= 0; i-- {
		a := list[i]
		if (resourceType == "" || a.resourceType == resourceType) && (version == "" || a.version == version) {
			return a
		}
	}
	if version != "" {
		for i := len(list) - 1; i >= 0; i-- {
			a := list[i]
			if (resourceType == "" || a.resourceType == resourceType) && strings.HasPrefix(a.version, version+".") {
				return a
			}
		}
	}
	return nil
}

// docOf returns the parsed resource, nil if it is not known.
func (r *Registry) docOf(state *registryState, resourceType, url string) (*fhir.Doc, error) {
	bare, _ := splitCanonical(url)
	if src, ok := r.defs.CanonicalOf(resourceType, bare); ok {
		return fhir.Parse(src, limits)
	}
	if a := state.find(resourceType, url); a != nil {
		return fhir.Parse(a.source, limits)
	}
	return nil, nil
}

// structureOf reads a StructureDefinition by its canonical URL, nil if it is
// unknown.
func (r *Registry) structureOf(state *registryState, url string) (*structure, error) {
	doc, err := r.docOf(state, "StructureDefinition", url)
	if err != nil {
		return nil, fmt.Errorf("profiles: %s: %w", url, err)
	}
	if doc == nil {
		return nil, nil
	}
	return readStructure(doc)
}

// splitCanonical parts a canonical into URL and version.
func splitCanonical(canonical string) (url, version string) {
	canonical, _, _ = strings.Cut(canonical, "#")
	url, version, _ = strings.Cut(canonical, "|")
	return url, version
}

// CompareVersions orders the business versions of definitions: numeric parts by value, a label ("-ballot")
// before the version it leads to, anything else as text.
func CompareVersions(a, b string) int {
	an, al, _ := strings.Cut(a, "-")
	bn, bl, _ := strings.Cut(b, "-")
	ap, bp := strings.Split(an, "."), strings.Split(bn, ".")
	for i := 0; i < max(len(ap), len(bp)); i++ {
		x, y := "0", "0"
		if i < len(ap) {
			x = ap[i]
		}
		if i < len(bp) {
			y = bp[i]
		}
		xi, xerr := strconv.Atoi(x)
		yi, yerr := strconv.Atoi(y)
		if xerr == nil && yerr == nil {
			if xi != yi {
				return xi - yi
			}
		} else if c := strings.Compare(x, y); c != 0 {
			return c
		}
	}
	switch {
	case al == bl:
		return 0
	case al == "":
		return 1
	case bl == "":
		return -1
	}
	return strings.Compare(al, bl)
}
