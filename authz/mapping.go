package authz

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
)

// parseMapping reads Arborist's answer, {"/path":[{"service","method"}]}: the
// grants on the configured service, collapsed to their roots. "*" stands for
// every service and every method. A path that is none grants nothing.
func parseMapping(raw []byte, cfg *Arborist, via string) (grantSet, error) {
	var mapping map[string][]struct {
		Service string `json:"service"`
		Method  string `json:"method"`
	}
	if err := json.Unmarshal(raw, &mapping); err != nil {
		return grantSet{}, err
	}
	if mapping == nil {
		return grantSet{}, errors.New("it is null")
	}
	var g grantSet
	granted := map[[2]string][]string{} // service and method, as granted
	for p, actions := range mapping {
		path, fault := NormalizePath(p)
		if fault != "" {
			continue
		}
		for _, a := range actions {
			if a.Service != cfg.Service && a.Service != "*" || methodsNamed(a.Method) == nil {
				continue
			}
			k := [2]string{a.Service, a.Method}
			granted[k] = append(granted[k], path)
		}
	}
	for action, paths := range granted {
		paths = Collapse(paths)
		for _, m := range methodsNamed(action[1]) {
			g.roots[m] = append(g.roots[m], paths...)
		}
		for _, p := range paths {
			g.sources = append(g.sources, Source{Root: p, Service: action[0], Method: action[1], Via: via})
		}
	}
	g.collapse()
	g.admin = true
	for m := range g.roots {
		g.unlabelled[m] = coveredBy(g.roots[m], cfg.UnlabelledPath)
		g.admin = g.admin && coveredBy(g.roots[m], cfg.AdminPath)
	}
	slices.SortFunc(g.sources, func(a, b Source) int {
		return cmp.Or(cmp.Compare(a.Root, b.Root), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Method, b.Method))
	})
	return g, nil
}
