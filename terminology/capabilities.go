package terminology

import (
	"context"
	"slices"
)

// Software is the program as the TerminologyCapabilities names it.
type Software struct {
	Name, Version string
	URL           string // the service's base URL, "" where not known
}

// Capabilities is the TerminologyCapabilities of the server
// (metadata?mode=terminology). It lists the code systems that a request can
// name: computed and imported ones; those of resources are found by searching
// CodeSystem.
func (s *Service) Capabilities(ctx context.Context, _ Source, sw Software) []byte {
	w := &writer{}
	w.open('{').str("resourceType", "TerminologyCapabilities")
	if sw.URL != "" {
		w.str("url", sw.URL+"/metadata?mode=terminology")
	}
	w.str("version", sw.Version).str("name", "TerminologyCapabilities").str("title", sw.Name+" terminology capabilities")
	w.str("status", "active").str("date", s.opt.Now().UTC().Format("2006-01-02")).str("kind", "instance")
	w.key("software").open('{').str("name", sw.Name).str("version", sw.Version).close('}')
	if sw.URL != "" {
		w.key("implementation").open('{').str("description", sw.Name+" terminology service").str("url", sw.URL).close('}')
	}
	w.boolean("lockedDate", true)
	w.key("codeSystem").open('[')
	for _, sys := range s.listSystems(ctx) {
		w.open('{').str("uri", sys.url)
		if len(sys.versions) > 0 {
			w.key("version").open('[')
			for i, v := range sys.versions {
				w.open('{').str("code", v)
				if i == 0 {
					w.boolean("isDefault", true)
				}
				w.boolean("compositional", sys.compositional)
				w.close('}')
			}
			w.close(']')
		}
		w.boolean("subsumption", !sys.compositional).close('}')
	}
	w.close(']')
	w.key("expansion").open('{').boolean("hierarchical", true).boolean("paging", true).boolean("incomplete", false).key("parameter").open('[')
	for _, p := range expansionParameters {
		w.open('{').str("name", p).close('}')
	}
	w.close(']').str("textFilter", "Every word of the filter must begin a word of the code, the display or a designation; case does not matter.").close('}')
	w.str("codeSearch", "all")
	w.key("validateCode").open('{').boolean("translations", true).close('}')
	w.key("translation").open('{').boolean("needsMap", false).close('}')
	if s.opt.Concepts != nil {
		w.key("closure").open('{').boolean("translation", false).close('}')
	}
	return w.close('}').b
}

// expansionParameters are the parameters that $expand honours.
var expansionParameters = []string{"activeOnly", "check-system-version", "count", "designation", "displayLanguage", "exclude-system",
	"excludeNested", "excludeNotForUI", "filter", "force-system-version", "includeDefinition", "includeDesignations", "offset",
	"property", "system-version", "tx-resource", "useSupplement"}

type listedSystem struct {
	url           string
	versions      []string
	compositional bool
}

func (s *Service) listSystems(ctx context.Context) []listedSystem {
	by := map[string]*listedSystem{}
	for url, c := range s.computed {
		by[url] = &listedSystem{url: url, compositional: c.Info().Compositional}
	}
	if s.opt.Concepts != nil {
		if list, err := s.opt.Concepts.Versions(ctx, ""); err == nil {
			for _, v := range list {
				x := by[v.URL]
				if x == nil {
					x = &listedSystem{url: v.URL}
					by[v.URL] = x
				}
				x.versions = append(x.versions, v.Version)
			}
		}
	}
	for _, r := range s.opt.Remote {
		for _, c := range r.listed() {
			if by[c.System] == nil {
				by[c.System] = &listedSystem{url: c.System}
				if c.Version != "" {
					by[c.System].versions = []string{c.Version}
				}
			}
		}
	}
	out := make([]listedSystem, 0, len(by))
	for _, x := range by {
		slices.SortFunc(x.versions, func(a, b string) int { return compareVersions(b, a) })
		out = append(out, *x)
	}
	slices.SortFunc(out, func(a, b listedSystem) int {
		if a.url < b.url {
			return -1
		}
		return 1
	})
	return out
}
