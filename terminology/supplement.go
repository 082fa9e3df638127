package terminology

import "context"

// supplementedSystem is a code system together with supplements: designations
// and properties that others add to its concepts (R4 4.8.11).
type supplementedSystem struct {
	System
	list []*resourceSystem
}

// Info returns the base system's facts, with the properties of the supplements.
func (s supplementedSystem) Info() *SystemInfo {
	i := *s.System.Info()
	i.Properties = append([]PropertyInfo(nil), i.Properties...)
	for _, x := range s.list {
		i.Properties = append(i.Properties, x.info.Properties...)
		i.Supplements = append(i.Supplements, x.info.Canonical())
	}
	return &i
}

func (s supplementedSystem) merge(c *Concept) *Concept {
	if c == nil {
		return nil
	}
	out := c
	for _, x := range s.list {
		add, _ := x.Concept(context.Background(), c.Code)
		if add == nil {
			continue
		}
		if out == c {
			dup := *c
			dup.Designations = append([]Designation(nil), c.Designations...)
			dup.Properties = append([]Property(nil), c.Properties...)
			dup.Extensions = append([]Extension(nil), c.Extensions...)
			out = &dup
		}
		out.Designations = append(out.Designations, add.Designations...)
		if add.Display != "" && add.Display != out.Display {
			out.Designations = append(out.Designations, Designation{Language: x.info.Language, Value: add.Display, Source: x.info.Canonical()})
		}
		for _, p := range add.Properties {
			out.Properties = setProperty(out.Properties, p)
		}
		for _, e := range add.Extensions {
			out.Extensions = setExtension(out.Extensions, e)
		}
		if out.Definition == "" {
			out.Definition = add.Definition
		}
	}
	return out
}

// Concept returns the concept with what the supplements add.
func (s supplementedSystem) Concept(ctx context.Context, code string) (*Concept, error) {
	c, err := s.System.Concept(ctx, code)
	return s.merge(c), err
}

// Walk walks the base system; the text filter sees the supplements too where it
// can.
func (s supplementedSystem) Walk(ctx context.Context, q *Query, yield func(*Concept) bool) error {
	if q.Text == "" {
		return s.System.Walk(ctx, q, func(c *Concept) bool { return yield(s.merge(c)) })
	}
	match, all := textMatcher(q.Text), *q
	all.Text, all.Limit, all.Offset = "", 0, 0
	return s.System.Walk(ctx, &all, func(c *Concept) bool {
		if c = s.merge(c); match(c) {
			return yield(c)
		}
		return true
	})
}

// Count cannot count a text filter without walking.
func (s supplementedSystem) Count(ctx context.Context, q *Query) (int, error) {
	if q.Text != "" {
		return -1, nil
	}
	return s.System.Count(ctx, q)
}

// Accepts knows the properties of the supplements too.
func (s supplementedSystem) Accepts(f *Filter) string { return acceptsFilter(s.Info(), f) }

// Parents returns the direct parents.
func (s supplementedSystem) Parents(ctx context.Context, c *Concept) ([]*Concept, error) {
	return s.System.Parents(ctx, c)
}
