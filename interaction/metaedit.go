package interaction

import (
	"ingle/authz"
	"ingle/fhir"
)

// metaEdit changes the lists of a meta. What it does not touch keeps its
// spelling.
type metaEdit struct{ labels authz.Labels }

// metaLists are what $meta-add and $meta-delete are about.
var metaLists = []string{"profile", "security", "tag"}

// rewrite applies an edit to the lists of a meta that given names, and tells
// whether anything, and whether a profile, became different.
func (m metaEdit) rewrite(meta, given fhir.Node, edit func(m metaEdit, have, given []fhir.Node) []fhir.Node) (out []byte, profiles, changed bool) {
	lists := map[string][]fhir.Node{}
	for _, name := range metaLists {
		have := elements(meta.Get(name))
		now := edit(m, have, elements(given.Get(name)))
		if len(now) == len(have) {
			continue
		}
		lists[name], changed = now, true
		profiles = profiles || name == "profile"
	}
	if !changed {
		return meta.Raw(), false, false
	}
	out = []byte{'{'}
	for n := meta.First(); n.Valid(); n = n.Next() {
		name := n.Key()
		if name == "_profile" && profiles {
			// extensions of single profiles: they go by place, which moves
			out = appendList(out, name, beside(n, elements(meta.Get("profile")), lists["profile"]))
			continue
		}
		if list, ok := lists[name]; ok {
			out = appendList(out, name, raws(list))
			delete(lists, name)
			continue
		}
		out = appendMember(out, name, n.Raw())
	}
	for _, name := range metaLists {
		out = appendList(out, name, raws(lists[name]))
	}
	return append(out, '}'), profiles, true
}

// added is have with those of given that it lacks.
func (m metaEdit) added(have, given []fhir.Node) []fhir.Node {
	out := have[:len(have):len(have)]
	for _, n := range given {
		if !m.holds(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// removed is have without those of given.
func (m metaEdit) removed(have, given []fhir.Node) []fhir.Node {
	var out []fhir.Node
	for _, n := range have {
		if !m.holds(given, n) {
			out = append(out, n)
		}
	}
	return out
}

// holds tells whether a list has a profile, or a coding with the same system
// and code.
func (m metaEdit) holds(list []fhir.Node, n fhir.Node) bool {
	system, code := m.identity(n)
	for _, o := range list {
		if s, c := m.identity(o); s == system && c == code {
			return true
		}
	}
	return false
}

func (m metaEdit) identity(n fhir.Node) (system, code string) {
	if n.Kind() == fhir.String {
		return "", n.Text()
	}
	return m.labels.Spelling(n.Get("system").Text(), n.Get("code").Text())
}

// beside returns the elements of the list that stands beside profiles (R4
// json.html#primitive), for the profiles that are left; nil if all are null.
func beside(list fhir.Node, before, after []fhir.Node) (out [][]byte) {
	any := false
	for _, n := range after {
		raw := []byte("null")
		for i, o := range before {
			if e := element(list, i); o == n && e.Valid() && e.Kind() != fhir.Null {
				raw, any = e.Raw(), true
			}
		}
		out = append(out, raw)
	}
	if !any {
		return nil
	}
	return out
}

func elements(array fhir.Node) (out []fhir.Node) {
	for n := array.First(); n.Valid(); n = n.Next() {
		out = append(out, n)
	}
	return out
}

func raws(list []fhir.Node) [][]byte {
	out := make([][]byte, len(list))
	for i, n := range list {
		out[i] = n.Raw()
	}
	return out
}

// appendList appends a member with a list; an empty one is left out.
func appendList(dst []byte, name string, list [][]byte) []byte {
	if len(list) == 0 {
		return dst
	}
	value := []byte{'['}
	for i, raw := range list {
		if i > 0 {
			value = append(value, ',')
		}
		value = append(value, raw...)
	}
	return appendMember(dst, name, append(value, ']'))
}

// appendMember appends a member to an object that is being written.
func appendMember(dst []byte, name string, value []byte) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(fhir.AppendString(dst, name), ':')
	return append(dst, value...)
}
