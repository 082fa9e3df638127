package terminology

// walkListed walks the concepts that an include lists.
func (r *run) walkListed(v *valueSet, in *include, sys System, version string, q Query, yield func(*member) bool) error {
	match := textMatcher(q.Text)
	for i := range in.concepts {
		ref := &in.concepts[i]
		m := &member{sys: sys, system: in.system, version: version, code: ref.code, ref: ref, set: v}
		if sys != nil {
			c, err := r.listedConcept(sys, in, i)
			if err != nil {
				return err
			}
			info := sys.Info()
			if c == nil && info.Content == "complete" {
				continue // the system does not have it (any more)
			}
			m.version = info.Version
			if m.concept = c; c != nil {
				m.code = c.Code
			}
		}
		if q.ActiveOnly && m.inactive() {
			continue
		}
		if q.Text != "" {
			seen := Concept{Code: m.code, Display: ref.display, Designations: ref.designations}
			if m.concept != nil {
				if seen.Display == "" {
					seen.Display = m.concept.Display
				}
				seen.Designations = append(append([]Designation(nil), ref.designations...), m.concept.Designations...)
			}
			if !match(&seen) {
				continue
			}
		}
		if !yield(m) {
			return nil
		}
	}
	return nil
}

// listedBatch is how many of the codes that an include lists are looked up at once
// in an imported code system, from fewer on: a page may need no more.
const listedBatch = 500

// listedConcept finds a concept that an include lists, and those listed after it
// in the same round trip.
func (r *run) listedConcept(sys System, in *include, i int) (*Concept, error) {
	code := in.concepts[i].code
	supplemented, _ := sys.(supplementedSystem)
	stored, ok := sys.(*storedSystem)
	if !ok {
		stored, ok = supplemented.System.(*storedSystem)
	}
	if !ok {
		return r.concept(sys, code)
	}
	if b := &r.batch; b.in != in || b.sys != stored || i < b.from || i >= b.from+len(b.concepts) {
		end := min(i+min(max(i, 32), listedBatch), len(in.concepts))
		codes := make([]string, end-i)
		for k := range codes {
			codes[k] = in.concepts[i+k].code
		}
		list, err := stored.concepts(r.ctx, codes)
		if err != nil {
			return nil, err
		}
		*b = listedConcepts{in, stored, i, list}
	}
	c := supplemented.merge(r.batch.concepts[i-r.batch.from])
	r.last = lastConcept{sys.Info(), code, c} // excludes ask for it
	return c, nil
}

// listedConcepts are concepts of an include, from one of its places on.
type listedConcepts struct {
	in       *include
	sys      *storedSystem
	from     int
	concepts []*Concept
}
