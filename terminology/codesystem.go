package terminology

import (
	"context"
	"fmt"
	"strings"

	"ingle/fhir"
)

// resourceSystem is a code system compiled from a CodeSystem resource. It is
// immutable and safe for concurrent use. Concepts stand in document order,
// parents before their children.
type resourceSystem struct {
	info     SystemInfo
	concepts []Concept
	parents  [][]int32
	children [][]int32
	index    map[string]int32 // by code, folded if case is ignored
	cyclic   bool
}

// maxConcepts bounds what one CodeSystem resource may hold. Larger systems are
// imported.
const maxConcepts = 200_000

// compileSystem compiles a CodeSystem resource.
func compileSystem(n fhir.Node) (*resourceSystem, error) {
	s := &resourceSystem{info: systemInfo(n), index: map[string]int32{}}
	var walk func(list fhir.Node, parent int32, depth int) error
	walk = func(list fhir.Node, parent int32, depth int) error {
		for c := list.First(); c.Valid(); c = c.Next() {
			at := int32(len(s.concepts))
			if at >= maxConcepts {
				return fhir.Errorf(422, fhir.CodeTooCostly, "the code system %s has more than %d concepts; import it instead", s.info.URL, maxConcepts)
			}
			code := c.Get("code").Text()
			key := s.fold(code)
			if have, twice := s.index[key]; twice {
				// the same code again: another place in the hierarchy
				if parent >= 0 {
					s.link(parent, have)
				}
				if err := walk(c.Get("concept"), have, depth+1); err != nil {
					return err
				}
				continue
			}
			s.index[key] = at
			s.concepts = append(s.concepts, s.info.concept(c, ""))
			s.concepts[at].ref = int64(at)
			s.parents = append(s.parents, nil)
			s.children = append(s.children, nil)
			if parent >= 0 {
				s.link(parent, at)
			}
			if err := walk(c.Get("concept"), at, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	if err := walk(n.Get("concept"), -1, 0); err != nil {
		return nil, err
	}
	s.linkProperties()
	return s, nil
}

func (s *resourceSystem) link(parent, child int32) {
	if parent == child {
		s.cyclic = true
		return
	}
	for _, c := range s.children[parent] {
		if c == child {
			return
		}
	}
	s.children[parent] = append(s.children[parent], child)
	s.parents[child] = append(s.parents[child], parent)
}

// linkProperties adds the hierarchy that the properties parent, child and
// subsumedBy give: FHIR's way to write a hierarchy that is not a tree.
func (s *resourceSystem) linkProperties() {
	up, down := s.info.propertyCode("parent"), s.info.propertyCode("child")
	for at := range s.concepts {
		for _, p := range s.concepts[at].Properties {
			if p.Type != "Code" && p.Type != "String" && p.Type != "Coding" {
				continue
			}
			v := p.Value
			if p.Type == "Coding" {
				v = p.Coding.Code
			}
			switch p.Code {
			case up, "subsumedBy":
				if to, ok := s.index[s.fold(v)]; ok {
					s.link(to, int32(at))
				}
			case down:
				if to, ok := s.index[s.fold(v)]; ok {
					s.link(int32(at), to)
				}
			}
		}
	}
}

func systemInfo(n fhir.Node) SystemInfo {
	i := SystemInfo{
		URL: n.Get("url").Text(), Version: n.Get("version").Text(),
		Name: n.Get("name").Text(), Title: n.Get("title").Text(), Language: n.Get("language").Text(),
		Status: n.Get("status").Text(), Experimental: n.Get("experimental").Text() == "true",
		// without a statement the safe assumption is that case matters (R4 4.8.6)
		CaseSensitive: n.Get("caseSensitive").Text() != "false",
		Content:       n.Get("content").Text(), HierarchyMeaning: n.Get("hierarchyMeaning").Text(),
		ValueSet: n.Get("valueSet").Text(), VersionNeeded: n.Get("versionNeeded").Text() == "true",
		Compositional:   n.Get("compositional").Text() == "true",
		StandardsStatus: standardsStatus(n),
	}
	for p := n.Get("property").First(); p.Valid(); p = p.Next() {
		i.Properties = append(i.Properties, PropertyInfo{p.Get("code").Text(), p.Get("uri").Text(), p.Get("type").Text(), p.Get("description").Text()})
	}
	return i
}

func standardsStatus(n fhir.Node) string {
	for e := n.Get("extension").First(); e.Valid(); e = e.Next() {
		if e.Get("url").Text() == extStandardsStatus {
			return e.Get("valueCode").Text()
		}
	}
	return ""
}

// concept reads one CodeSystem.concept. source is the supplement's canonical.
func (i *SystemInfo) concept(n fhir.Node, source string) Concept {
	c := Concept{Code: n.Get("code").Text(), Display: n.Get("display").Text(), Definition: n.Get("definition").Text()}
	for d := n.Get("designation").First(); d.Valid(); d = d.Next() {
		c.Designations = append(c.Designations, designationOf(d, source))
	}
	for p := n.Get("property").First(); p.Valid(); p = p.Next() {
		c.Properties = append(c.Properties, propertyOf(p))
	}
	for e := n.Get("extension").First(); e.Valid(); e = e.Next() {
		url := e.Get("url").Text()
		if p, ok := propertyOfExtension(url, e); ok {
			c.Properties = setProperty(c.Properties, p)
		} else if url == extStandardsStatus {
			if c.Status = e.Get("valueCode").Text(); c.property("status") == nil {
				c.Properties = append(c.Properties, Property{Code: "status", Type: "Code", Value: c.Status})
			}
		} else if carried(url) {
			c.Extensions = append(c.Extensions, Extension{url, e.Raw()})
		}
	}
	i.settle(&c)
	return c
}

// settle derives Abstract, Inactive and Status from the properties.
func (i *SystemInfo) settle(c *Concept) {
	if p := c.property(i.propertyCode("notSelectable")); p != nil {
		c.Abstract = p.Value == "true"
	}
	if p := c.property(i.propertyCode("status")); p != nil {
		c.Status = p.Value
		c.Inactive = inactiveStatus(p.Value)
	}
	if p := c.property(i.propertyCode("inactive")); p != nil {
		c.Inactive = p.Value == "true"
	}
}

func (c *Concept) property(code string) *Property {
	for i := range c.Properties {
		if c.Properties[i].Code == code {
			return &c.Properties[i]
		}
	}
	return nil
}

func propertyOf(n fhir.Node) Property {
	p := Property{Code: n.Get("code").Text()}
	for m := n.First(); m.Valid(); m = m.Next() {
		if k := m.Key(); len(k) > 5 && k[:5] == "value" {
			p.Type = k[5:]
			if m.Kind() == fhir.Object {
				p.Coding = codingOf(m)
			} else {
				p.Value = m.Text()
			}
		}
	}
	return p
}

func (s *resourceSystem) fold(code string) string {
	if s.info.CaseSensitive {
		return code
	}
	return strings.ToLower(code)
}

// Info returns what the resource says about the system.
func (s *resourceSystem) Info() *SystemInfo { return &s.info }

// Concept finds a concept by code.
func (s *resourceSystem) Concept(_ context.Context, code string) (*Concept, error) {
	if at, ok := s.index[s.fold(code)]; ok {
		return &s.concepts[at], nil
	}
	return nil, nil
}

func (s *resourceSystem) at(c *Concept) (int32, bool) {
	if c.ref < int64(len(s.concepts)) && s.concepts[c.ref].Code == c.Code {
		return int32(c.ref), true
	}
	at, ok := s.index[s.fold(c.Code)]
	return at, ok
}

// Walk goes over the concepts in document order.
func (s *resourceSystem) Walk(ctx context.Context, q *Query, yield func(*Concept) bool) error {
	match := textMatcher(q.Text)
	for at := range s.concepts {
		c := &s.concepts[at]
		if q.ActiveOnly && c.Inactive || !match(c) {
			continue
		}
		ok, err := s.Matches(ctx, c, q.Filters)
		if err != nil {
			return err
		}
		if ok && !yield(c) {
			return nil
		}
		if at%1024 == 1023 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// Count counts by walking, which is cheap here.
func (s *resourceSystem) Count(ctx context.Context, q *Query) (int, error) {
	if len(q.Filters) == 0 && q.Text == "" && !q.ActiveOnly {
		return len(s.concepts), nil
	}
	n := 0
	err := s.Walk(ctx, q, func(*Concept) bool { n++; return true })
	return n, err
}

// ancestor tells whether a is above b. It ends on cyclic hierarchies too.
func (s *resourceSystem) ancestor(a, b int32) bool {
	if len(s.parents[b]) == 0 {
		return false
	}
	var seen map[int32]bool
	queue := append([]int32(nil), s.parents[b]...)
	for i := 0; i < len(queue); i++ {
		if queue[i] == a {
			return true
		}
		for _, p := range s.parents[queue[i]] {
			if len(queue) > 8 {
				if seen == nil {
					seen = map[int32]bool{}
					for _, q := range queue {
						seen[q] = true
					}
				}
				if seen[p] {
					continue
				}
				seen[p] = true
			}
			queue = append(queue, p)
		}
	}
	return false
}

// Subsumes tells whether a is an ancestor of b.
func (s *resourceSystem) Subsumes(_ context.Context, a, b *Concept) (bool, error) {
	x, ok := s.at(a)
	y, ok2 := s.at(b)
	if !ok || !ok2 {
		return false, fmt.Errorf("a concept of another code system was asked of %s", s.info.URL)
	}
	return s.ancestor(x, y), nil
}

// Parents returns the direct parents.
func (s *resourceSystem) Parents(_ context.Context, c *Concept) ([]*Concept, error) {
	return s.pick(c, s.parents), nil
}

// Children returns the direct children.
func (s *resourceSystem) Children(_ context.Context, c *Concept) ([]*Concept, error) {
	return s.pick(c, s.children), nil
}

func (s *resourceSystem) pick(c *Concept, links [][]int32) []*Concept {
	at, ok := s.at(c)
	if !ok {
		return nil
	}
	out := make([]*Concept, 0, len(links[at]))
	for _, i := range links[at] {
		out = append(out, &s.concepts[i])
	}
	return out
}
