package profiles

import (
	"strings"

	"ingle/fhir"
)

// segment is one step of an element's id: "coding:loinc".
type segment struct{ name, slice string }

func (s segment) String() string {
	if s.slice == "" {
		return s.name
	}
	return s.name + ":" + s.slice
}

func joinSegments(segs []segment) string {
	parts := make([]string, len(segs))
	for i, s := range segs {
		parts[i] = s.String()
	}
	return strings.Join(parts, ".")
}

// segments reads an id. Slice names may hold dots only where the path tells so,
// which they do not in practice.
func segments(id string) []segment {
	var out []segment
	for _, part := range strings.Split(id, ".") {
		name, slice, _ := strings.Cut(part, ":")
		out = append(out, segment{name, slice})
	}
	return out
}

// locate gives the id of a differential element: its own where it fits the
// path, else the one that follows from the elements before it.
func (g *generator) locate(d fhir.Node) []segment {
	id, path, slice := d.Get("id").Text(), d.Get("path").Text(), d.Get("sliceName").Text()
	if g.last == nil {
		g.last = map[string]string{}
	}
	segs := segments(id)
	var names []string
	for _, s := range segs {
		names = append(names, s.name)
	}
	if id == "" || strings.Join(names, ".") != path {
		dot := strings.LastIndexByte(path, '.')
		if dot < 0 {
			segs = []segment{{path, slice}}
		} else {
			parent := g.last[path[:dot]]
			if parent == "" {
				parent = path[:dot]
			}
			segs = append(segments(parent), segment{path[dot+1:], slice})
		}
	}
	if end := &segs[len(segs)-1]; end.slice == "" && slice != "" {
		end.slice = slice
	}
	g.last[path] = joinSegments(segs)
	return segs
}
