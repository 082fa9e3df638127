package terminology

import (
	"context"
	"fmt"
	"strconv"

	"ingle/fhir"
)

// remoteSystem is a code system at another server.
type remoteSystem struct {
	r    *Remote
	info SystemInfo
}

// Info returns what is known here of the system: its URL and version.
func (s *remoteSystem) Info() *SystemInfo { return &s.info }

func parametersOf(list ...string) []byte {
	w := &writer{}
	w.open('{').str("resourceType", "Parameters").key("parameter").open('[')
	for i := 0; i+2 < len(list); i += 3 {
		w.param(list[i], list[i+1], list[i+2])
	}
	return w.close(']').close('}').b
}

// Concept asks $lookup. 404 and 422 mean that there is no such code.
func (s *remoteSystem) Concept(ctx context.Context, code string) (*Concept, error) {
	if code == "" || len(code) > 1000 {
		return nil, nil
	}
	n, status, err := s.r.call(ctx, s.info.URL, "/CodeSystem/$lookup", parametersOf("system", "Uri", s.info.URL, "code", "Code", code, "version", "String", s.info.Version))
	if err != nil {
		return nil, err
	}
	switch {
	case status == 404 || status == 422 || status == 400:
		if saysUnknownSystem(n) {
			return nil, &unknownSystem{url: s.info.URL, version: s.info.Version, down: "it does not know the code system"}
		}
		return nil, nil
	case n.Get("resourceType").Text() != "Parameters":
		return nil, &unknownSystem{url: s.info.URL, down: "its answer is no Parameters resource"}
	}
	c := &Concept{Code: code}
	for p := n.Get("parameter").First(); p.Valid(); p = p.Next() {
		switch p.Get("name").Text() {
		case "code":
			c.Code = p.Get("valueCode").Text()
		case "display":
			c.Display = p.Get("valueString").Text()
		case "definition":
			c.Definition = p.Get("valueString").Text()
		case "abstract":
			c.Abstract = p.Get("valueBoolean").Text() == "true"
		case "designation":
			var d Designation
			for x := p.Get("part").First(); x.Valid(); x = x.Next() {
				switch x.Get("name").Text() {
				case "language":
					d.Language = x.Get("valueCode").Text()
				case "use":
					d.Use = codingOf(x.Get("valueCoding"))
				case "value":
					d.Value = x.Get("valueString").Text()
				}
			}
			if d.Value != "" && d.Value != c.Display {
				c.Designations = append(c.Designations, d)
			}
		case "property":
			prop := Property{}
			for x := p.Get("part").First(); x.Valid(); x = x.Next() {
				switch x.Get("name").Text() {
				case "code":
					prop.Code = orElse(x.Get("valueCode").Text(), x.Get("valueString").Text())
				case "value":
					v := propertyOf(x)
					prop.Type, prop.Value, prop.Coding = v.Type, v.Value, v.Coding
				}
			}
			if prop.Code != "" && prop.Type != "" {
				c.Properties = append(c.Properties, prop)
			}
		}
	}
	if p := c.property("inactive"); p != nil {
		c.Inactive = p.Value == "true"
	}
	return c, nil
}

// saysUnknownSystem tells whether an outcome is about the code system, not the
// code.
func saysUnknownSystem(n fhir.Node) bool {
	for i := n.Get("issue").First(); i.Valid(); i = i.Next() {
		if c := i.Get("details").Get("coding").First(); c.Get("system").Text() == txIssueType && c.Get("code").Text() == "not-found" {
			return true
		}
		if i.Get("code").Text() == "not-supported" {
			return true
		}
	}
	return false
}

// composeOf writes a value set of this system with filters.
func (s *remoteSystem) composeOf(w *writer, filters []Filter) {
	w.open('{').str("resourceType", "ValueSet").str("status", "active").key("compose").open('{').key("include").open('[')
	w.open('{').str("system", s.info.URL).str("version", s.info.Version)
	if len(filters) > 0 {
		w.key("filter").open('[')
		for _, f := range filters {
			w.open('{').str("property", f.Property).str("op", f.Op).str("value", f.Value).close('}')
		}
		w.close(']')
	}
	w.close('}').close(']').close('}').close('}')
}

// Walk asks $expand, page by page.
func (s *remoteSystem) Walk(ctx context.Context, q *Query, yield func(*Concept) bool) error {
	const page = 1000
	for offset := 0; ; offset += page {
		w := &writer{}
		w.open('{').str("resourceType", "Parameters").key("parameter").open('[')
		w.open('{').str("name", "valueSet").key("resource")
		s.composeOf(w, q.Filters)
		w.close('}')
		w.param("filter", "String", q.Text)
		if q.ActiveOnly {
			w.boolParam("activeOnly", true)
		}
		w.boolParam("excludeNested", true)
		w.open('{').str("name", "count").integer("valueInteger", page).close('}')
		w.open('{').str("name", "offset").integer("valueInteger", offset).close('}')
		w.close(']').close('}')
		n, status, err := s.r.call(ctx, s.info.URL, "/ValueSet/$expand", w.b)
		if err != nil {
			return err
		}
		if status != 200 || n.Get("resourceType").Text() != "ValueSet" {
			return outcome(422, fhir.CodeProcessing, "", fmt.Sprintf("The terminology server for %s refuses to expand this (status %d)", s.info.URL, status))
		}
		got := 0
		for c := n.Get("expansion").Get("contains").First(); c.Valid(); c = c.Next() {
			got++
			if !yield(&Concept{Code: c.Get("code").Text(), Display: c.Get("display").Text(), Inactive: c.Get("inactive").Text() == "true", Abstract: c.Get("abstract").Text() == "true"}) {
				return nil
			}
		}
		if total, err := strconv.Atoi(n.Get("expansion").Get("total").Text()); got < page || err == nil && offset+got >= total {
			return nil
		}
	}
}

// Count cannot count without asking for all.
func (s *remoteSystem) Count(context.Context, *Query) (int, error) { return -1, nil }

// Matches asks $validate-code.
func (s *remoteSystem) Matches(ctx context.Context, c *Concept, filters []Filter) (bool, error) {
	if len(filters) == 0 {
		return true, nil
	}
	w := &writer{}
	w.open('{').str("resourceType", "Parameters").key("parameter").open('[')
	w.open('{').str("name", "valueSet").key("resource")
	s.composeOf(w, filters)
	w.close('}')
	w.open('{').str("name", "coding").key("valueCoding").coding(Coding{System: s.info.URL, Version: s.info.Version, Code: c.Code}).close('}')
	w.close(']').close('}')
	n, status, err := s.r.call(ctx, s.info.URL, "/ValueSet/$validate-code", w.b)
	if err != nil {
		return false, err
	}
	for p := n.Get("parameter").First(); status == 200 && p.Valid(); p = p.Next() {
		if p.Get("name").Text() == "result" {
			return p.Get("valueBoolean").Text() == "true", nil
		}
	}
	return false, outcome(422, fhir.CodeProcessing, "", fmt.Sprintf("The terminology server for %s refuses to check this (status %d)", s.info.URL, status))
}

// Accepts leaves it to the server.
func (s *remoteSystem) Accepts(*Filter) string { return "" }

// Subsumes asks $subsumes.
func (s *remoteSystem) Subsumes(ctx context.Context, a, b *Concept) (bool, error) {
	n, status, err := s.r.call(ctx, s.info.URL, "/CodeSystem/$subsumes", parametersOf("system", "Uri", s.info.URL, "version", "String", s.info.Version, "codeA", "Code", a.Code, "codeB", "Code", b.Code))
	if err != nil {
		return false, err
	}
	for p := n.Get("parameter").First(); status == 200 && p.Valid(); p = p.Next() {
		if p.Get("name").Text() == "outcome" {
			return p.Get("valueCode").Text() == subsumes, nil
		}
	}
	return false, outcome(422, fhir.CodeProcessing, "", fmt.Sprintf("The terminology server for %s refuses to compare codes (status %d)", s.info.URL, status))
}

// Parents returns those that $lookup tells.
func (s *remoteSystem) Parents(_ context.Context, c *Concept) ([]*Concept, error) {
	return related(c, "parent"), nil
}

// Children returns those that $lookup tells.
func (s *remoteSystem) Children(_ context.Context, c *Concept) ([]*Concept, error) {
	return related(c, "child"), nil
}

func related(c *Concept, property string) []*Concept {
	var out []*Concept
	for _, p := range c.Properties {
		if p.Code == property {
			out = append(out, &Concept{Code: orElse(p.Value, p.Coding.Code)})
		}
	}
	return out
}
