package authz

import (
	"slices"

	"ingle/fhir"
)

// MovePaths returns a set of labels with what is at or below from put at the
// same place below to, sorted and unique. Both are normalised paths.
func MovePaths(paths []string, from, to string) []string {
	out := make([]string, len(paths))
	for i, p := range paths {
		out[i] = moved(p, from, to)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func moved(path, from, to string) string {
	if !Covers(from, path) {
		return path
	}
	return to + path[len(from):]
}

// Move returns the resource with its labels moved as MovePaths does. A label
// that it then has twice stays once. Other bytes stay as they are; changed
// false means that all do.
func (l Labels) Move(doc *fhir.Doc, from, to string) (body []byte, changed bool) {
	labels := map[int]bool{} // by the place in the document
	for c := range l.codings(doc) {
		labels[c.Index()] = true
	}
	security := doc.Root().Get("meta").Get("security")
	src := doc.Source()
	list := []byte{'['}
	seen := map[string]bool{}
	for c := security.First(); c.Valid(); c = c.Next() {
		raw := c.Raw()
		if labels[c.Index()] {
			code := c.Get("code")
			path, fault := NormalizePath(code.Text())
			if fault == "" {
				now := moved(path, from, to)
				if now != path {
					changed = true
					start, _ := c.Span()
					a, b := code.Span()
					raw = slices.Concat(raw[:a-start], fhir.AppendString(nil, now), raw[b-start:])
				}
				if seen[now] {
					changed = true
					continue
				}
				seen[now] = true
			}
		}
		if len(list) > 1 {
			list = append(list, ',')
		}
		list = append(list, raw...)
	}
	if !changed {
		return src, false
	}
	start, end := security.Span()
	return splice(src, []edit{{start, end, string(append(list, ']'))}}), true
}
