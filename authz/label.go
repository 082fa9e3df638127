package authz

import (
	"fmt"
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

// maxLabels bounds the labels of one resource.
const maxLabels = 32

// Labels are the rules of security labels: which codings of meta.security they
// are, and what a caller may do with them. The zero value has the default system.
type Labels struct {
	System    string // "" means DefaultLabelSystem
	AdminPath string // no resource is put there unless asked; "" means "/services/fhir/admin"
}

// LabelPaths returns the label paths of a resource: the codes of its
// meta.security codings in the label system ("" for the default) or its alias,
// normalised, sorted and unique. A code that is no path is left out: Labels.Of
// refuses it when the resource comes in.
func LabelPaths(doc *fhir.Doc, system string) []string {
	var paths []string
	for c := range (Labels{System: system}).codings(doc) {
		if p, fault := NormalizePath(c.Get("code").Text()); fault == "" {
			paths = append(paths, p)
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// Of returns the label paths of a resource that comes in. Its errors are
// *fhir.Error with status 400 or 422: a label that means nothing is not taken
// for none.
func (l Labels) Of(doc *fhir.Doc) ([]string, error) {
	meta := doc.Root().Get("meta")
	if meta.Valid() && meta.Kind() != fhir.Object {
		return nil, fhir.Errorf(400, fhir.CodeStructure, "meta is %s; expected an object", meta.Kind()).AtNode(meta).At("Resource.meta")
	}
	security := meta.Get("security")
	if security.Valid() && security.Kind() != fhir.Array {
		return nil, fhir.Errorf(400, fhir.CodeStructure, "meta.security is %s; expected an array of Coding", security.Kind()).AtNode(security).At("Resource.meta.security")
	}
	at := 0
	for c := security.First(); c.Valid(); c = c.Next() {
		if c.Kind() != fhir.Object {
			return nil, fhir.Errorf(400, fhir.CodeStructure, "meta.security holds %s; expected a Coding", c.Kind()).AtNode(c).At(fmt.Sprintf("Resource.meta.security[%d]", at))
		}
		at++
	}
	var paths []string
	for c := range l.codings(doc) {
		p, fault := NormalizePath(c.Get("code").Text())
		if c.Get("code").Kind() != fhir.String {
			fault = "it has no code"
		}
		if fault != "" {
			return nil, fhir.Errorf(422, fhir.CodeValue, "a security label (system %s) is not a resource path: %s", l.system(), fault).AtNode(c).At("Resource.meta.security")
		}
		paths = append(paths, p)
	}
	slices.Sort(paths)
	paths = slices.Compact(paths)
	if len(paths) > maxLabels {
		return nil, fhir.Errorf(422, fhir.CodeTooLong, "a resource has at most %d security labels, this one has %d", maxLabels, len(paths)).At("Resource.meta.security")
	}
	return paths, nil
}

func (l Labels) system() string {
	if l.System == "" {
		return DefaultLabelSystem
	}
	return l.System
}

// Spelling returns a coding in its one spelling: a label's system for its alias,
// and its path normalised. Any other coding stays as it is.
func (l Labels) Spelling(system, code string) (string, string) {
	if system != l.system() && system != AliasLabelSystem {
		return system, code
	}
	if path, fault := NormalizePath(code); fault == "" {
		code = path
	}
	return l.system(), code
}

// codings yields the codings of meta.security that are labels.
func (l Labels) codings(doc *fhir.Doc) func(yield func(fhir.Node) bool) {
	system := l.system()
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
