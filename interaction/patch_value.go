package interaction

import (
	"strings"

	"ingle/fhir"
)

// value builds the JSON of the part "value": a value[x], a resource, or parts
// that stand for the elements of a type without a name.
func (op *patchOp) value(f *fhir.Field) (raw []byte, typ string, err error) {
	part := op.parts["value"]
	if !part.Valid() {
		return nil, "", fhir.Errorf(400, fhir.CodeRequired, "the part \"value\" is missing")
	}
	return op.partValue(part, f)
}

func (op *patchOp) partValue(part fhir.Node, f *fhir.Field) (raw []byte, typ string, err error) {
	for m := part.First(); m.Valid(); m = m.Next() {
		key := m.Key()
		switch {
		case strings.HasPrefix(key, "_value"):
			return nil, "", fhir.Errorf(422, fhir.CodeNotSupported, "an extension on the value of a patch is not supported; add it by an operation of its own")
		case len(key) > 5 && strings.HasPrefix(key, "value"):
			return m.Raw(), key[5:], nil
		case key == "resource":
			return m.Raw(), "Resource", nil
		}
	}
	parts := part.Get("part")
	if parts.Kind() != fhir.Array {
		return nil, "", fhir.Errorf(400, fhir.CodeRequired, "the part \"value\" has neither a value nor parts")
	}
	if f == nil {
		return nil, "", fhir.Errorf(422, fhir.CodeProcessing, "the element has a type with a name: its value cannot be given as parts")
	}
	t := op.defs.Type(f.Types[0].Code)
	type group struct {
		key     string
		repeats bool
		values  [][]byte
	}
	var groups []*group
next:
	for p := parts.First(); p.Valid(); p = p.Next() {
		name := p.Get("name").Text()
		var sub *fhir.Field
		if t != nil {
			sub = t.Field(name)
		}
		if sub == nil {
			return nil, "", fhir.Errorf(422, fhir.CodeStructure, "%s has no element %q", f.Types[0].Code, printable(name))
		}
		v, typ, err := op.partValue(p, sub)
		if err != nil {
			return nil, "", err
		}
		if sub.Choice {
			if name, err = choiceKey(sub, typ); err != nil {
				return nil, "", err
			}
		}
		for _, g := range groups {
			if g.key == name {
				if !g.repeats {
					return nil, "", fhir.Errorf(422, fhir.CodeStructure, "%s does not repeat", name)
				}
				g.values = append(g.values, v)
				continue next
			}
		}
		groups = append(groups, &group{name, sub.Repeats(), [][]byte{v}})
	}
	raw = []byte{'{'}
	for i, g := range groups {
		if i > 0 {
			raw = append(raw, ',')
		}
		raw = append(fhir.AppendString(raw, g.key), ':')
		if g.repeats {
			raw = append(raw, '[')
		}
		for j, v := range g.values {
			if j > 0 {
				raw = append(raw, ',')
			}
			raw = append(raw, v...)
		}
		if g.repeats {
			raw = append(raw, ']')
		}
	}
	return append(raw, '}'), "", nil
}

// choiceKey is the JSON name of a choice element for a value of the type whose
// name, with a capital, is given: value and "Quantity" make valueQuantity.
func choiceKey(f *fhir.Field, typ string) (string, error) {
	for _, t := range f.Types {
		if strings.EqualFold(t.Code, typ) {
			return f.Name + typ, nil
		}
	}
	return "", fhir.Errorf(422, fhir.CodeStructure, "%s[x] cannot be of type %s", f.Name, printable(typ))
}

// chain lists the nodes from the root to n. Nodes are numbered in document
// order, so that the way down is to the last child that does not come after n.
func (op *patchOp) chain(n fhir.Node) []fhir.Node {
	at := op.doc.Root()
	out := []fhir.Node{at}
	for at.Index() != n.Index() {
		down := at.First()
		for next := down.Next(); next.Valid() && next.Index() <= n.Index(); next = down.Next() {
			down = next
		}
		if !down.Valid() {
			break
		}
		at = down
		out = append(out, at)
	}
	return out
}

// fieldOf finds the definition of the element at a node by walking the types
// from the root, nil if there is none.
func (op *patchOp) fieldOf(n fhir.Node) *fhir.Field {
	var t *fhir.Type
	var f *fhir.Field
	for _, at := range op.chain(n) {
		if name := at.Get("resourceType").Text(); name != "" && (t == nil || f != nil && f.Types[0].Code == "Resource") {
			if at.Index() == n.Index() {
				return f
			}
			t, f = op.defs.Type(name), nil
			continue
		}
		if at.Key() == "" {
			continue // an element of an array: its field is the array's
		}
		if t == nil {
			return nil
		}
		var typ string
		f, typ, _ = t.Member(at.Key())
		if f == nil {
			return nil
		}
		t = op.defs.Type(typ)
	}
	return f
}

func indexIn(array, n fhir.Node) int {
	i := 0
	for e := array.First(); e.Valid() && e.Index() != n.Index(); e = e.Next() {
		i++
	}
	return i
}
