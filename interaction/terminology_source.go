package interaction

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"ingle/fhir"
	"ingle/profiles"
	"ingle/terminology"
)

// RegistrySource gives the value sets, code systems and concept maps of a
// registry of conformance resources, without those of FHIR itself.
func RegistrySource(reg *profiles.Registry) terminology.Source { return &registrySource{reg: reg} }

type registrySource struct {
	reg *profiles.Registry

	mu         sync.Mutex
	generation uint64
	known      map[*byte]registered               // by the first byte of the JSON: what is still there is not read again
	byURL      map[string][]*terminology.Resource // by type + "|" + URL
	versions   map[*terminology.Resource]string
	maps       []*terminology.Resource
}

// Generation implements terminology.Generational.
func (s *registrySource) Generation() uint64 { return s.reg.Generation() }

// registered is a resource of the registry with what it is found by.
type registered struct {
	url, version string
	res          *terminology.Resource
}

// list reads what is new in the registry after a change.
func (s *registrySource) list() (byURL map[string][]*terminology.Resource, versions map[*terminology.Resource]string, maps []*terminology.Resource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.reg.Generation(); s.byURL == nil || g != s.generation {
		s.generation = g
		known := s.known
		s.known, s.byURL, s.versions, s.maps = map[*byte]registered{}, map[string][]*terminology.Resource{}, map[*terminology.Resource]string{}, nil
		for _, t := range []string{"CodeSystem", "ValueSet", "ConceptMap", "NamingSystem"} {
			for origin, src := range s.reg.Each(t) {
				x, ok := known[&src[0]]
				if !ok {
					doc, err := fhir.Parse(src, fhir.Limits{Nodes: 8_000_000})
					if err != nil {
						continue // the registry holds nothing that cannot be read
					}
					x.url, x.version = doc.Root().Get("url").Text(), doc.Root().Get("version").Text()
					// static under this generation
					x.res = &terminology.Resource{Key: fmt.Sprintf("%s %d %s|%s|%s", origin, g, t, x.url, x.version), Static: true, JSON: src}
				}
				s.known[&src[0]] = x
				s.byURL[t+"|"+x.url] = append(s.byURL[t+"|"+x.url], x.res)
				s.versions[x.res] = x.version
				if t == "ConceptMap" {
					s.maps = append(s.maps, x.res)
				}
			}
		}
	}
	return s.byURL, s.versions, s.maps
}

// Canonical implements terminology.Source.
func (s *registrySource) Canonical(_ context.Context, resourceType, url, version string) (*terminology.Resource, error) {
	byURL, versions, _ := s.list()
	list := byURL[resourceType+"|"+url]
	if version == "" {
		src, ok := s.reg.Canonical(resourceType, url)
		if !ok {
			return nil, nil
		}
		for _, r := range list {
			if len(r.JSON) > 0 && len(src) > 0 && &r.JSON[0] == &src[0] {
				return r, nil
			}
		}
		return nil, nil
	}
	for _, r := range slices.Backward(list) {
		if v := versions[r]; v == version || strings.HasPrefix(v, version+".") {
			return r, nil
		}
	}
	return nil, nil
}

// Versions implements terminology.Source.
func (s *registrySource) Versions(_ context.Context, resourceType, url string) ([]string, error) {
	byURL, versions, _ := s.list()
	var out []string
	for _, r := range byURL[resourceType+"|"+url] {
		out = append(out, versions[r])
	}
	return out, nil
}

// ConceptMaps implements terminology.Source. The service looks at the groups.
func (s *registrySource) ConceptMaps(context.Context, string, string) ([]*terminology.Resource, error) {
	_, _, maps := s.list()
	return maps, nil
}
