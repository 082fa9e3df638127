package terminology

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"ingle/fhir"
)

// Resource is a conformance resource of a Source.
type Resource struct {
	// Key names this very content: what is compiled from it is kept under the
	// key. "" for content that is gone after the request.
	Key string
	// Static content never changes as long as the process lives or, where its
	// source is Generational, as long as the generation is the same.
	Static bool

	// Updated is when it was last stored, zero where that is not known.
	Updated time.Time

	JSON []byte
	doc  func() (*fhir.Doc, error)
}

// Doc parses the resource.
func (r *Resource) Doc() (*fhir.Doc, error) {
	if r.doc != nil {
		return r.doc()
	}
	return fhir.Parse(r.JSON, fhir.Limits{Nodes: 8_000_000})
}

// Source finds ValueSet, CodeSystem, ConceptMap and NamingSystem resources by
// canonical URL. It is bound to what the caller may see: a resource that may not
// be seen is not there.
type Source interface {
	// Canonical returns the resource with the URL and version; the newest one if
	// version is "". nil if there is none.
	Canonical(ctx context.Context, resourceType, url, version string) (*Resource, error)
	// Versions lists the versions of a URL ("" for a resource without one).
	Versions(ctx context.Context, resourceType, url string) ([]string, error)
	// ConceptMaps lists the concept maps that may hold a group from source to
	// target, both code systems, "" for any. It may list more than that.
	ConceptMaps(ctx context.Context, source, target string) ([]*Resource, error)
}

// Sources asks several sources in order: the first that has the URL (in the
// wanted version, if one is wanted) answers.
type Sources []Source

// Canonical returns the newest version over all sources, or the wanted one.
func (s Sources) Canonical(ctx context.Context, resourceType, url, version string) (*Resource, error) {
	if version == "" {
		best, at := "", -1
		for i, src := range s {
			vs, err := src.Versions(ctx, resourceType, url)
			if err != nil {
				return nil, err
			}
			for _, v := range vs {
				if at < 0 || compareVersions(v, best) > 0 {
					best, at = v, i
				}
			}
		}
		if at < 0 {
			return nil, nil
		}
		return s[at].Canonical(ctx, resourceType, url, best)
	}
	for _, src := range s {
		if r, err := src.Canonical(ctx, resourceType, url, version); r != nil || err != nil {
			return r, err
		}
	}
	return nil, nil
}

// Versions unites the versions of all sources.
func (s Sources) Versions(ctx context.Context, resourceType, url string) ([]string, error) {
	var out []string
	for _, src := range s {
		vs, err := src.Versions(ctx, resourceType, url)
		if err != nil {
			return nil, err
		}
		for _, v := range vs {
			if !slices.Contains(out, v) {
				out = append(out, v)
			}
		}
	}
	return out, nil
}

// ConceptMaps unites the concept maps of all sources.
func (s Sources) ConceptMaps(ctx context.Context, source, target string) ([]*Resource, error) {
	var out []*Resource
	for _, src := range s {
		rs, err := src.ConceptMaps(ctx, source, target)
		if err != nil {
			return nil, err
		}
		out = append(out, rs...)
	}
	return out, nil
}

// definitionsSource is the content of the FHIR specification itself.
type definitionsSource struct {
	defs  *fhir.Definitions
	known sync.Map // type + "|" + url → *listed
	maps  func() map[string][]*Resource
	odd   func() map[string][]byte
}

// Definitions makes a Source of the official definitions.
func Definitions(defs *fhir.Definitions) Source {
	d := &definitionsSource{defs: defs}
	// some tables of HL7 version 2 have their version inside the URL itself
	d.odd = sync.OnceValue(func() map[string][]byte {
		by := map[string][]byte{}
		for url, raw := range defs.Each("CodeSystem") {
			if strings.Contains(url, "|") {
				by["CodeSystem|"+url] = slices.Clone(raw)
			}
		}
		return by
	})
	d.maps = sync.OnceValue(func() map[string][]*Resource {
		by := map[string][]*Resource{}
		for url, raw := range defs.Each("ConceptMap") {
			doc, err := fhir.Parse(slices.Clone(raw), fhir.Limits{})
			if err != nil {
				continue
			}
			r := d.find("ConceptMap", url)
			seen := map[string]bool{}
			for g := doc.Root().Get("group").First(); g.Valid(); g = g.Next() {
				if src := g.Get("source").Text(); r != nil && !seen[src] {
					seen[src] = true
					by[src] = append(by[src], r.res)
				}
			}
			if r != nil {
				by[""] = append(by[""], r.res)
			}
		}
		return by
	})
	return d
}

func (d *definitionsSource) find(resourceType, url string) *listed {
	key := resourceType + "|" + url
	if have, ok := d.known.Load(key); ok {
		return have.(*listed)
	}
	raw, ok := d.defs.CanonicalOf(resourceType, url)
	if !ok && strings.Contains(url, "|") {
		raw, ok = d.odd()[key]
	}
	if !ok {
		return nil
	}
	l := &listed{topString(raw, "version"), &Resource{Key: key, Static: true, JSON: raw}}
	d.known.Store(key, l)
	return l
}

// Canonical finds a definition.
func (d *definitionsSource) Canonical(_ context.Context, resourceType, url, version string) (*Resource, error) {
	l := d.find(resourceType, url)
	if l == nil || version != "" && !matchVersion(version, l.version) {
		return nil, nil
	}
	return l.res, nil
}

// Versions returns the one version of a definition.
func (d *definitionsSource) Versions(_ context.Context, resourceType, url string) ([]string, error) {
	l := d.find(resourceType, url)
	if l == nil {
		return nil, nil
	}
	return []string{l.version}, nil
}

// ConceptMaps finds maps by their source system.
func (d *definitionsSource) ConceptMaps(_ context.Context, source, _ string) ([]*Resource, error) {
	return d.maps()[source], nil
}

// topString reads a string property of a resource.
func topString(raw []byte, name string) string {
	doc, err := fhir.Parse(raw, fhir.Limits{Nodes: 8_000_000})
	if err != nil {
		return ""
	}
	return doc.Root().Get(name).Text()
}

// Listed is a Source over resources given one by one: those of a package, or
// the tx-resource parameters of a request.
type Listed struct {
	byURL map[string][]listed
	maps  []*Resource
}

type listed struct {
	version string
	res     *Resource
}

// Add adds a resource; those without a URL are left out. The last one with the
// same URL and version wins.
func (l *Listed) Add(resourceType, url, version string, r *Resource) {
	if url == "" {
		return
	}
	if l.byURL == nil {
		l.byURL = map[string][]listed{}
	}
	k := resourceType + "|" + url
	for i, have := range l.byURL[k] {
		if have.version == version {
			l.byURL[k][i].res = r
			return
		}
	}
	l.byURL[k] = append(l.byURL[k], listed{version, r})
	if resourceType == "ConceptMap" {
		l.maps = append(l.maps, r)
	}
}

// AddDoc adds a parsed resource.
func (l *Listed) AddDoc(doc *fhir.Doc, key string, static bool) {
	n := doc.Root()
	l.Add(n.Get("resourceType").Text(), n.Get("url").Text(), n.Get("version").Text(),
		&Resource{Key: key, Static: static, JSON: doc.Source(), doc: func() (*fhir.Doc, error) { return doc, nil }})
}

// Canonical finds a resource by URL and version.
func (l *Listed) Canonical(_ context.Context, resourceType, url, version string) (*Resource, error) {
	var best *listed
	for i, have := range l.byURL[resourceType+"|"+url] {
		if version != "" && !matchVersion(version, have.version) {
			continue
		}
		if best == nil || compareVersions(have.version, best.version) > 0 {
			best = &l.byURL[resourceType+"|"+url][i]
		}
	}
	if best == nil {
		return nil, nil
	}
	return best.res, nil
}

// Versions lists the versions of a URL.
func (l *Listed) Versions(_ context.Context, resourceType, url string) ([]string, error) {
	var out []string
	for _, have := range l.byURL[resourceType+"|"+url] {
		out = append(out, have.version)
	}
	return out, nil
}

// ConceptMaps returns all maps: the caller looks at their groups.
func (l *Listed) ConceptMaps(context.Context, string, string) ([]*Resource, error) {
	return l.maps, nil
}

// compareVersions orders versions: by their numbers where both have numbers at
// the same place ("1.10" after "1.9"), else as text; none is the smallest.
func compareVersions(a, b string) int {
	x, y := versionParts(a), versionParts(b)
	for i := 0; i < len(x) && i < len(y); i++ {
		if c := comparePart(x[i], y[i]); c != 0 {
			return c
		}
	}
	return len(x) - len(y)
}

func versionParts(v string) []string {
	return strings.FieldsFunc(v, func(r rune) bool { return r == '.' || r == '-' || r == '/' || r == '+' })
}

func comparePart(a, b string) int {
	na, nb := strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if digits(a) && digits(b) && len(na) != len(nb) {
		return len(na) - len(nb)
	}
	if digits(a) && digits(b) {
		return strings.Compare(na, nb)
	}
	return strings.Compare(a, b)
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// matchVersion tells whether a version is the wanted one. The wanted one may
// have "x" or "*" for a part ("1.x"), or end early ("2.1" wants "2.1.3"? no:
// only a pattern does).
func matchVersion(wanted, have string) bool {
	if wanted == have {
		return true
	}
	if !strings.ContainsAny(wanted, "x*") {
		return false
	}
	w, h := strings.Split(wanted, "."), strings.Split(have, ".")
	for i, p := range w {
		if p == "*" && i == len(w)-1 {
			return true
		}
		if i >= len(h) {
			return false
		}
		if p == "x" || p == "*" || p == "X" {
			if i == len(w)-1 {
				return true
			}
			continue
		}
		if p != h[i] {
			return false
		}
	}
	return len(w) == len(h)
}
