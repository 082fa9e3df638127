package profiles

import (
	"bytes"
	"slices"
	"strings"

	"ingle/fhir"
)

// update merges the properties of a differential element.
func (g *generator) update(s *snap, d fhir.Node) {
	for m := d.First(); m.Valid(); m = m.Next() {
		key := m.Key()
		switch {
		case key == "id" || key == "path" || key == "base":
		case key == "sliceName" && s.props["sliceName"] != nil:
		case (key == "definition" || key == "comment") && strings.HasPrefix(m.Text(), "..."):
			s.props[key] = fhir.AppendString(nil, s.node(key).Text()+"\r\n"+m.Text()[3:])
		case strings.HasPrefix(key, "fixed") || strings.HasPrefix(key, "pattern"):
			for k := range s.props {
				if strings.HasPrefix(k, "fixed") || strings.HasPrefix(k, "pattern") {
					delete(s.props, k)
				}
			}
			s.props[key] = m.Raw()
		case key == "slicing":
			s.props[key] = mergeObject(s.node(key), m)
		case key == "binding":
			s.props[key] = mergeObject(s.node(key), m)
		default:
			if by, ok := lists[key]; ok {
				s.props[key] = g.extend(s.node(key), m, key, by)
			} else {
				s.props[key] = m.Raw()
			}
		}
	}
}

// mergeObject overlays the members of an object.
func mergeObject(old, over fhir.Node) []byte {
	if old.Kind() != fhir.Object {
		return over.Raw()
	}
	out := []byte{'{'}
	add := func(m fhir.Node) {
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = fhir.AppendString(out, m.Key())
		out = append(out, ':')
		out = append(out, m.Raw()...)
	}
	for m := old.First(); m.Valid(); m = m.Next() {
		if !over.Get(m.Key()).Valid() && m.Key() != "extension" {
			add(m)
		}
	}
	for m := over.First(); m.Valid(); m = m.Next() {
		add(m)
	}
	return append(out, '}')
}

// extend appends the elements of a list that are not in it yet. Constraints
// with the key of an old one replace it, and get their source.
func (g *generator) extend(old, more fhir.Node, key, by string) []byte {
	var items [][]byte
	for o := old.First(); o.Valid(); o = o.Next() {
		replaced := false
		if key == "constraint" {
			for m := more.First(); m.Valid(); m = m.Next() {
				replaced = replaced || m.Get(by).Text() == o.Get(by).Text()
			}
		}
		if !replaced {
			items = append(items, o.Raw())
		}
	}
	for m := more.First(); m.Valid(); m = m.Next() {
		raw := m.Raw()
		if key == "constraint" && !m.Get("source").Valid() {
			raw = append(slices.Clone(raw[:len(raw)-1]), `,"source":`...)
			raw = append(fhir.AppendString(raw, g.url), '}')
		}
		if !slices.ContainsFunc(items, func(x []byte) bool { return bytes.Equal(x, raw) }) {
			items = append(items, raw)
		}
	}
	return append(append([]byte{'['}, bytes.Join(items, []byte{','})...), ']')
}

// elementOrder is the order of the properties of an ElementDefinition; those
// that are not named follow by name.
var elementOrder = []string{"id", "extension", "path", "representation", "sliceName", "sliceIsConstraining", "label", "code", "slicing", "short",
	"definition", "comment", "requirements", "alias", "min", "max", "base", "contentReference", "type"}

var elementEnd = []string{"maxLength", "condition", "constraint", "mustSupport", "isModifier", "isModifierReason", "isSummary", "binding", "mapping"}

// write splices the snapshot into the StructureDefinition, in place of an old
// one or before the differential.
func (g *generator) write(n fhir.Node) []byte {
	snapshot := []byte(`"snapshot":{"element":[`)
	for i, s := range g.out {
		if i > 0 {
			snapshot = append(snapshot, ',')
		}
		snapshot = s.append(snapshot)
	}
	snapshot = append(snapshot, `]}`...)
	out := []byte{'{'}
	done := false
	for m := n.First(); m.Valid(); m = m.Next() {
		key := m.Key()
		if (key == "snapshot" || key == "differential") && !done {
			if len(out) > 1 {
				out = append(out, ',')
			}
			out = append(out, snapshot...)
			done = true
		}
		if key == "snapshot" {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = fhir.AppendString(out, key)
		out = append(out, ':')
		out = append(out, m.Raw()...)
	}
	if !done {
		out = append(append(out, ','), snapshot...)
	}
	return append(out, '}')
}

func (s *snap) append(out []byte) []byte {
	out = append(out, `{"id":`...)
	out = fhir.AppendString(out, s.id)
	written := map[string]bool{"id": true, "path": true}
	put := func(key string) {
		if v := s.props[key]; v != nil && !written[key] {
			written[key] = true
			out = append(out, ',')
			out = fhir.AppendString(out, key)
			out = append(out, ':')
			out = append(out, v...)
		}
	}
	for _, key := range elementOrder {
		if key == "path" {
			out = append(out, `,"path":`...)
			out = fhir.AppendString(out, s.path)
			continue
		}
		put(key)
	}
	var rest []string
	for key := range s.props {
		if !written[key] && !slices.Contains(elementEnd, key) {
			rest = append(rest, key)
		}
	}
	slices.Sort(rest)
	for _, key := range rest {
		put(key)
	}
	for _, key := range elementEnd {
		put(key)
	}
	return append(out, '}')
}
