package search

import (
	"slices"
	"strings"
)

// The oracle of contained resources: those in the list "contained" of a resource.

// contained lists the contained resources of the world, in the order of rid.
func (w *world) contained() []*stored {
	if w.insideOf == len(w.docs) {
		return w.inside
	}
	var out []*stored
	for _, s := range w.docs {
		n := 0
		for c := s.root.Get("contained").First(); c.Valid(); c = c.Next() {
			out = append(out, &stored{rid: ContainedRID(s.rid, n), typ: c.Get("resourceType").Text(), id: c.Get("id").Text(), lu: s.lu, doc: s.doc, root: c, box: s, label: s.label})
			n++
		}
	}
	slices.SortFunc(out, func(a, b *stored) int { return int(a.rid - b.rid) })
	w.inside, w.insideOf = out, len(w.docs)
	return out
}

// insideAt names a contained resource: Type/id#own.
func (w *world) insideAt(rid int64) string {
	i, _ := slices.BinarySearchFunc(w.contained(), rid, func(s *stored, rid int64) int { return int(s.rid - rid) })
	s := w.inside[i]
	return s.box.typ + "/" + s.box.id + "#" + s.id
}

// fragment is the contained resource that "#id" refers to, nil for any other
// reference.
func (o *oracle) fragment(f found, s *stored) *stored {
	ref := f.str("reference")
	if f.typ == "canonical" {
		ref = f.n.Text()
	}
	id, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return nil
	}
	box := s
	if s.box != nil {
		box = s.box
	}
	for _, c := range o.inside {
		if c.box == box && c.id == id && id != "" {
			return c
		}
	}
	return nil
}

// param of a request, "" where it is not there.
func (req Request) param(name string) string {
	for _, kv := range req.Params {
		if kv.Name == name {
			return kv.Value
		}
	}
	return ""
}

// found are the resources that a search finds, in no order (R4 search.html#contained).
func (o *oracle) found(req Request) []*stored {
	var out []*stored
	kind := req.param("_contained")
	if kind != "true" {
		for _, s := range o.w.docs {
			if o.meets(s, req) {
				out = append(out, s)
			}
		}
	}
	if kind != "true" && kind != "both" {
		return out
	}
	for _, s := range o.inside {
		if !o.meets(s, req) {
			continue
		}
		if req.param("_containedType") != "contained" {
			s = s.box
		}
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
