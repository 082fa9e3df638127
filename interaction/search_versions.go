package interaction

import (
	"bytes"
	"fmt"
	"strconv"

	"ingle/fhir"
	"ingle/search"
	"ingle/store"
)

// otherVersions warns where a reference on the page names a version and the search
// followed it to the resource as it is now (R4 search.html#versions). Included
// resources that still are at that version are what was meant.
func (s *Service) otherVersions(q *search.Query, found *store.SearchPage, bases []string) []fhir.Issue {
	if !q.Follows() {
		return nil
	}
	hits := [][]store.Hit{found.Matches, found.Includes}
	here := map[string]int{} // by Type/id
	for _, list := range hits {
		for _, h := range list {
			here[h.Type+"/"+h.ID] = h.Version
		}
	}
	for _, list := range hits {
		for _, h := range list {
			if !bytes.Contains(h.Body, []byte("/_history/")) {
				continue
			}
			doc, err := fhir.Parse(h.Body, fhir.Limits{Nodes: 1 << 30, String: len(h.Body) + 1})
			if err != nil {
				continue // whoever reads it will tell
			}
			for _, at := range s.sites(nil, doc.Root(), s.cfg.Definitions.Type(h.Type)) {
				ref := fhir.ParseReference(at.node.Text(), bases, s.cfg.Definitions.IsResourceType)
				if at.kind != siteReference || ref.Version == "" || ref.Form != fhir.RefRelative || strconv.Itoa(here[ref.Relative()]) == ref.Version {
					continue
				}
				return []fhir.Issue{{Severity: fhir.SeverityWarning, Code: fhir.CodeInformational,
					Diagnostics: fmt.Sprintf("%s/%s refers to %s, a version; chains and includes go to the resource as it is now", h.Type, h.ID, printable(at.node.Text()))}}
			}
		}
	}
	return nil
}
