package authz

import (
	"slices"

	"ingle/fhir"
)

// DefaultLabelSystem is the system of the codings in meta.security that are
// labels, unless another is configured. AliasLabelSystem is accepted and
// rewritten to it when a resource comes in.
const (
	DefaultLabelSystem = "urn:gen3:authz"
	AliasLabelSystem   = "gen3-security"
)

// Labels knows which codings of meta.security are labels.
type Labels struct {
	System string // "" means DefaultLabelSystem
}

// LabelPaths returns the label paths of a resource: the codes of its
// meta.security codings in the label system ("" for the default) or its alias,
// normalised, sorted and unique. A code that is no path is left out: Labels.Of
// refuses it when the resource comes in.
func LabelPaths(doc *fhir.Doc, system string) []string {
	var paths []string
	for c := range (Labels{system}).codings(doc) {
		if p, fault := NormalizePath(c.Get("code").Text()); fault == "" {
			paths = append(paths, p)
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// codings yields the codings of meta.security that are labels.
func (l Labels) codings(doc *fhir.Doc) func(yield func(fhir.Node) bool) {
	system := l.System
	if system == "" {
		system = DefaultLabelSystem
	}
	return func(yield func(fhir.Node) bool) {
		security := doc.Root().Get("meta").Get("security")
		for c := security.First(); c.Valid(); c = c.Next() {
			s := string(c.Get("system").Bytes())
			if (s == system || s == AliasLabelSystem) && !yield(c) {
				return
			}
		}
	}
}
