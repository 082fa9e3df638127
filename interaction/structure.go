package interaction

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"ingle/fhir"
)

// Validator checks a resource before it is stored. An issue of severity error
// or fatal refuses it.
type Validator interface {
	Validate(ctx context.Context, resource fhir.Node) ([]fhir.Issue, error)
}

// Structure is the Validator that knows the definitions alone: names of
// elements, their JSON kinds, cardinalities, and the formats of primitives.
// Whatever does not pass it cannot be stored.
type Structure struct{ Definitions *fhir.Definitions }

// maxStructureIssues bounds what one resource is told.
const maxStructureIssues = 50

// Validate implements Validator.
func (s Structure) Validate(_ context.Context, resource fhir.Node) ([]fhir.Issue, error) {
	c := structureCheck{defs: s.Definitions}
	c.resource(resource, nil)
	return c.issues, nil
}

type structureCheck struct {
	defs   *fhir.Definitions
	issues []fhir.Issue
}

// place is where a value stands; it lives on the stack and is spelled only for
// an issue.
type place struct {
	up    *place
	name  string
	index int // -1 outside arrays
}

func (p *place) String() string {
	if p == nil {
		return ""
	}
	s := p.name
	if p.up != nil {
		s = p.up.String() + "." + s
	}
	if p.index >= 0 {
		s += "[" + strconv.Itoa(p.index) + "]"
	}
	return s
}

func (c *structureCheck) fault(n fhir.Node, at string, code, format string, args ...any) {
	if len(c.issues) >= maxStructureIssues {
		return
	}
	line, col := n.LineCol()
	is := fhir.Issue{Severity: fhir.SeverityError, Code: code, Diagnostics: fmt.Sprintf(format, args...), Line: line, Col: col}
	if at != "" {
		is.Expression = []string{at}
	}
	c.issues = append(c.issues, is)
}

// resource checks a whole resource; at is where it is contained, nil for none.
func (c *structureCheck) resource(n fhir.Node, at *place) {
	if n.Kind() != fhir.Object {
		c.fault(n, at.String(), fhir.CodeStructure, "a resource is an object, not %s", n.Kind())
		return
	}
	name := n.Get("resourceType")
	if name.Kind() != fhir.String {
		c.fault(n, at.String(), fhir.CodeRequired, "the resource has no resourceType")
		return
	}
	typ := name.Text()
	if !c.defs.IsResourceType(typ) {
		c.fault(name, at.String(), fhir.CodeStructure, "%q is not a resource type of FHIR R4", printable(typ))
		return
	}
	if at == nil {
		at = &place{name: typ, index: -1}
	}
	c.object(n, c.defs.Type(typ), at, true)
}

// object checks the members of a complex element or a resource.
func (c *structureCheck) object(n fhir.Node, t *fhir.Type, at *place, resource bool) {
	if n.Kind() != fhir.Object {
		c.fault(n, at.String(), fhir.CodeStructure, "%s is an object, not %s", t.Name, n.Kind())
		return
	}
	if n.Len() == 0 {
		c.fault(n, at.String(), fhir.CodeStructure, "an object may not be empty (R4 json.html)")
		return
	}
	var seen [4]uint64
	for m := n.First(); m.Valid(); m = m.Next() {
		if resource && m.KeyIs("resourceType") {
			continue
		}
		f, typ, ext := t.Member(m.Key())
		if f == nil || f.Max == 0 {
			c.fault(m, at.String(), fhir.CodeStructure, "%s has no element %q", t.Name, printable(m.Key()))
			continue
		}
		w, bit := f.Order/64%4, uint64(1)<<(f.Order%64)
		if f.Choice && seen[w]&bit != 0 && !c.sameChoice(n, m, f, typ) {
			c.fault(m, at.String(), fhir.CodeStructure, "%s may have only one of the types of %s[x]", t.Name, f.Name)
		}
		seen[w] |= bit
		here := place{at, f.Name, -1}
		if ext {
			c.extensionPart(n, m, f, &here)
			continue
		}
		c.member(n, m, f, typ, &here)
	}
	for i := range t.Fields {
		f := &t.Fields[i]
		if f.Min > 0 && seen[f.Order/64%4]&(1<<(f.Order%64)) == 0 {
			name := f.Name
			if f.Choice {
				name += "[x]"
			}
			c.fault(n, at.String(), fhir.CodeRequired, "%s needs the element %s", t.Name, name)
		}
	}
}

// sameChoice tells whether every member of n that belongs to the choice f is of
// one type: valueString and _valueString do go together.
func (c *structureCheck) sameChoice(n, m fhir.Node, f *fhir.Field, typ string) bool {
	base := strings.TrimPrefix(m.Key(), "_")
	for o := n.First(); o.Valid() && o.Index() != m.Index(); o = o.Next() {
		name := strings.TrimPrefix(o.Key(), "_")
		if name != base && strings.HasPrefix(name, f.Name) && len(name) > len(f.Name) && name[len(f.Name)] >= 'A' && name[len(f.Name)] <= 'Z' {
			return false
		}
	}
	return true
}

// member checks one element with all its repetitions.
func (c *structureCheck) member(owner, m fhir.Node, f *fhir.Field, typ string, at *place) {
	if !f.Repeats() {
		if m.Kind() == fhir.Array {
			c.fault(m, at.String(), fhir.CodeStructure, "%s does not repeat: one value is expected, not an array", f.Name)
			return
		}
		c.value(m, typ, at, false)
		return
	}
	if m.Kind() != fhir.Array {
		c.fault(m, at.String(), fhir.CodeStructure, "%s repeats: an array is expected, not %s", f.Name, m.Kind())
		return
	}
	if m.Len() == 0 {
		c.fault(m, at.String(), fhir.CodeStructure, "an array may not be empty (R4 json.html)")
		return
	}
	if f.Max > 0 && m.Len() > f.Max {
		c.fault(m, at.String(), fhir.CodeStructure, "%s may be there at most %d times, not %d", f.Name, f.Max, m.Len())
	}
	var parts fhir.Node
	if primitive(typ) {
		parts = owner.Get("_" + m.Key())
	}
	for e := m.First(); e.Valid(); e = e.Next() {
		at.index++
		filled := e.Kind() == fhir.Null && element(parts, at.index).Kind() == fhir.Object
		c.value(e, typ, at, filled)
	}
}

// value checks one value. filled: it is null beside an extension part.
func (c *structureCheck) value(n fhir.Node, typ string, at *place, filled bool) {
	if n.Kind() == fhir.Null {
		if !filled {
			c.fault(n, at.String(), fhir.CodeStructure, "null is not a value; leave the property out (R4 json.html)")
		}
		return
	}
	switch {
	case typ == "xhtml":
		if n.Kind() != fhir.String {
			c.fault(n, at.String(), fhir.CodeStructure, "xhtml is a string in JSON, not %s", n.Kind())
		} else if !strings.HasPrefix(strings.TrimSpace(n.Text()), "<") {
			c.fault(n, at.String(), fhir.CodeValue, "the narrative is one XHTML <div>")
		}
	case primitive(typ):
		if why := primitiveFault(n, typ); why != "" {
			c.fault(n, at.String(), fhir.CodeValue, "%s", why)
		}
	default:
		t := c.defs.Type(typ)
		if t == nil {
			return
		}
		if t.Abstract && t.Kind == fhir.TypeResource {
			c.resource(n, at)
			return
		}
		c.object(n, t, at, false)
	}
}

// extensionPart checks "_name": id and extensions of a primitive.
func (c *structureCheck) extensionPart(owner, m fhir.Node, f *fhir.Field, at *place) {
	t := c.defs.Type("Element")
	if !f.Repeats() {
		c.object(m, t, at, false)
		return
	}
	if m.Kind() != fhir.Array || m.Len() == 0 {
		c.fault(m, at.String(), fhir.CodeStructure, "%s repeats: an array that is not empty is expected in %q", f.Name, m.Key())
		return
	}
	values := owner.Get(m.Key()[1:])
	for e := m.First(); e.Valid(); e = e.Next() {
		at.index++
		if e.Kind() != fhir.Null {
			c.object(e, t, at, false)
		} else if v := element(values, at.index); !v.Valid() || v.Kind() == fhir.Null {
			c.fault(e, at.String(), fhir.CodeStructure, "null on both sides: there is neither a value nor an extension")
		}
	}
}

// primitive tells primitive types by their name: only these begin with a small
// letter.
func primitive(typ string) bool { return typ != "" && typ[0] >= 'a' && typ[0] <= 'z' && typ != "xhtml" }
