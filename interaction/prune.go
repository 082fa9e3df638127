package interaction

import (
	"fmt"
	"strings"

	"ingle/fhir"
)

// withoutEmpty removes objects and arrays that a patch left empty, which FHIR
// does not allow (R4 json.html), and what becomes empty by that. An array of
// nulls alone is empty; a null keeps the place of a primitive otherwise.
func withoutEmpty(src []byte) ([]byte, error) {
	doc, err := fhir.Parse(src, fhir.Limits{Depth: 1 << 10, Nodes: 1 << 30, String: len(src) + 1})
	if err != nil {
		return nil, fmt.Errorf("reading the result of a patch: %w", err)
	}
	if !hasEmpty(doc.Root()) {
		return src, nil
	}
	out, _ := appendPruned(make([]byte, 0, len(src)), doc.Root())
	return out, nil
}

func hasEmpty(n fhir.Node) bool {
	if n.Kind() != fhir.Object && n.Kind() != fhir.Array {
		return false
	}
	nulls := n.Kind() == fhir.Array || n.Len() == 0
	for c := n.First(); c.Valid(); c = c.Next() {
		if hasEmpty(c) {
			return true
		}
		nulls = nulls && c.Kind() == fhir.Null
	}
	return nulls
}

// appendPruned writes what is left of n; kept is false if that is nothing.
func appendPruned(dst []byte, n fhir.Node) (out []byte, kept bool) {
	if !hasEmpty(n) {
		return append(dst, n.Raw()...), n.Kind() != fhir.Null
	}
	start := len(dst)
	open, end := byte('{'), byte('}')
	if n.Kind() == fhir.Array {
		open, end = '[', ']'
	}
	dst = append(dst, open)
	parallel := n.Kind() == fhir.Array && strings.HasPrefix(n.Key(), "_")
	for c := n.First(); c.Valid(); c = c.Next() {
		before := len(dst)
		if before > start+1 {
			dst = append(dst, ',')
		}
		if n.Kind() == fhir.Object {
			dst = append(fhir.AppendString(dst, c.Key()), ':')
		}
		var has bool
		at := len(dst)
		if dst, has = appendPruned(dst, c); has {
			kept = true
			continue
		}
		if parallel || c.Kind() == fhir.Null {
			dst = append(dst[:at], "null"...)
		} else {
			dst = dst[:before]
		}
	}
	if !kept {
		return dst[:start], false
	}
	return append(dst, end), true
}
