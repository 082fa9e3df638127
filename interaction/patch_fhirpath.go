package interaction

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"ingle/fhir"
	"ingle/fhirpath"
)

// fhirPathPatch applies the operations of a Parameters resource to a resource
// (R4 fhirpatch.html) and returns the new bytes; what the operations do not
// touch keeps its spelling. A malformed operation is a 400, one that cannot be
// applied a 422; both name the operation.
func fhirPathPatch(ctx context.Context, defs *fhir.Definitions, doc, patch *fhir.Doc, lim fhir.Limits) ([]byte, error) {
	if patch.Root().Get("resourceType").Text() != "Parameters" {
		return nil, fhir.Errorf(400, fhir.CodeStructure, "a FHIRPath Patch is a Parameters resource (R4 fhirpatch.html)").AtNode(patch.Root())
	}
	out := doc.Source()
	work, i := 0, 0
	for p := patch.Root().Get("parameter").First(); p.Valid(); p = p.Next() {
		if work += len(out); work > patchBudget {
			return nil, fhir.Errorf(413, fhir.CodeTooCostly, "the patch has too many operations for a resource of this size")
		}
		if i > 0 {
			next, err := fhir.Parse(out, lim)
			if err != nil {
				return nil, fmt.Errorf("reading the result of patch operation %d: %w", i-1, err)
			}
			doc = next
		}
		changed, err := patchStep(ctx, defs, doc, p)
		if err != nil {
			if fe := fhir.AsError(err); fe != nil {
				fe.Issues[0].Diagnostics = fmt.Sprintf("patch operation %d: %s", i, fe.Issues[0].Diagnostics)
				fe.At(fmt.Sprintf("Parameters.parameter[%d]", i)).AtNode(p)
			}
			return nil, err
		}
		out = changed
		i++
	}
	return out, nil
}

// patchOp is one operation as its parts say.
type patchOp struct {
	ctx   context.Context
	defs  *fhir.Definitions
	doc   *fhir.Doc
	parts map[string]fhir.Node
	path  string
}

func patchStep(ctx context.Context, defs *fhir.Definitions, doc *fhir.Doc, p fhir.Node) ([]byte, error) {
	if p.Get("name").Text() != "operation" {
		return nil, fhir.Errorf(400, fhir.CodeValue, "the parameters of a patch are named \"operation\", not %q", printable(p.Get("name").Text()))
	}
	op := patchOp{ctx: ctx, defs: defs, doc: doc, parts: map[string]fhir.Node{}}
	for part := p.Get("part").First(); part.Valid(); part = part.Next() {
		name := part.Get("name").Text()
		if op.parts[name].Valid() {
			return nil, fhir.Errorf(400, fhir.CodeStructure, "the part %q stands twice", printable(name))
		}
		op.parts[name] = part
	}
	var err error
	if op.path, err = op.text("path", "valueString"); err != nil {
		return nil, err
	}
	kind, err := op.text("type", "valueCode")
	if err != nil {
		return nil, err
	}
	switch kind {
	case "add":
		return op.add()
	case "insert":
		return op.insert()
	case "delete":
		return op.delete()
	case "replace":
		return op.replace()
	case "move":
		return op.move()
	}
	return nil, fhir.Errorf(400, fhir.CodeValue, "%q is not an operation of FHIRPath Patch; add, insert, delete, replace and move are", printable(kind))
}

// text returns a part's text; any primitive type is taken, as clients differ.
func (op *patchOp) text(name, want string) (string, error) {
	for m := op.parts[name].First(); m.Valid(); m = m.Next() {
		if strings.HasPrefix(m.Key(), "value") && (m.Kind() == fhir.String || m.Kind() == fhir.Number) {
			return m.Text(), nil
		}
	}
	return "", fhir.Errorf(400, fhir.CodeRequired, "the part %q with a %s is missing", name, want)
}

func (op *patchOp) number(name string) (int, error) {
	text, err := op.text(name, "valueInteger")
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, fhir.Errorf(400, fhir.CodeValue, "the part %q is an index from 0, not %q", name, printable(text))
	}
	return n, nil
}

// eval evaluates a path on the resource as it is now.
func (op *patchOp) eval(path string) (fhirpath.Collection, error) {
	expr, err := fhirpath.Compile(path, fhirpath.WithDefinitions(op.defs))
	if err != nil {
		return nil, fhir.Errorf(400, fhir.CodeValue, "the path is not correct FHIRPath: %v", err)
	}
	out, err := expr.Eval(op.ctx, &fhirpath.Env{Limits: fhirpath.Limits{Steps: 1_000_000, Values: 100_000}}, fhirpath.ResourceIn(op.defs, op.doc.Root()))
	if err != nil {
		return nil, fhir.Errorf(422, fhir.CodeProcessing, "the path %q cannot be evaluated: %v", path, err)
	}
	for _, v := range out {
		if v.Kind() != fhirpath.KindElement {
			return nil, fhir.Errorf(422, fhir.CodeProcessing, "the path %q does not lead to elements of the resource", path)
		}
		if !v.Node().Valid() && !v.Extra().Valid() {
			return nil, fhir.Errorf(422, fhir.CodeProcessing, "the path %q does not lead to an element that is there", path)
		}
	}
	return out, nil
}

// single evaluates a path that must lead to one element.
func (op *patchOp) single(path string) (fhirpath.Value, error) {
	found, err := op.eval(path)
	if err != nil {
		return fhirpath.Value{}, err
	}
	if len(found) != 1 {
		return fhirpath.Value{}, fhir.Errorf(422, fhir.CodeProcessing, "the path %q leads to %d elements; one is needed", path, len(found))
	}
	return found[0], nil
}

// add appends the value under a name to the element at the path.
func (op *patchOp) add() ([]byte, error) {
	owner, err := op.single(op.path)
	if err != nil {
		return nil, err
	}
	name, err := op.text("name", "valueString")
	if err != nil {
		return nil, err
	}
	return op.addTo(owner, name)
}

func (op *patchOp) addTo(owner fhirpath.Value, name string) ([]byte, error) {
	if owner.IsPrimitive() {
		return op.addToPrimitive(owner, name)
	}
	node := owner.Node()
	t := op.defs.Type(owner.TypeName())
	if t == nil {
		return nil, fhir.Errorf(422, fhir.CodeProcessing, "the type %q of the element at the path is not known", owner.TypeName())
	}
	return op.addMember(node, t, name)
}

func (op *patchOp) addMember(object fhir.Node, t *fhir.Type, name string) ([]byte, error) {
	f := t.Field(name)
	key := name
	if f == nil {
		f, _, _ = t.Member(name) // "valueQuantity"
	}
	if f == nil || strings.HasPrefix(name, "_") {
		return nil, fhir.Errorf(422, fhir.CodeStructure, "%s has no element %q", t.Name, printable(name))
	}
	value, typ, err := op.value(f)
	if err != nil {
		return nil, err
	}
	if f.Choice {
		if key, err = choiceKey(f, typ); err != nil {
			return nil, err
		}
		for m := object.First(); m.Valid(); m = m.Next() {
			if have, _, _ := t.Member(m.Key()); have != nil && have.Name == f.Name {
				return nil, fhir.Errorf(422, fhir.CodeProcessing, "%s has %s already; replace it", t.Name, m.Key())
			}
		}
	}
	s := spliceOf(op.doc)
	have := object.Get(key)
	switch {
	case !f.Repeats() && have.Valid():
		return nil, fhir.Errorf(422, fhir.CodeProcessing, "%s has %s already and it does not repeat; replace it", t.Name, key)
	case !f.Repeats():
		s.add(object, key, value)
	case have.Kind() == fhir.Array:
		s.insert(have, have.Len(), value)
		if ext := object.Get("_" + key); ext.Kind() == fhir.Array {
			s.insert(ext, ext.Len(), []byte("null"))
		}
	default:
		s.add(object, key, append(append([]byte{'['}, value...), ']'))
	}
	return s.bytes(), nil
}

// addToPrimitive adds an extension or the id to a primitive element, whose
// parts stand in the property with an underscore.
func (op *patchOp) addToPrimitive(owner fhirpath.Value, name string) ([]byte, error) {
	base := op.defs.Type("Element")
	if owner.Extra().Kind() == fhir.Object {
		return op.addMember(owner.Extra(), base, name)
	}
	f := base.Field(name)
	if f == nil {
		return nil, fhir.Errorf(422, fhir.CodeStructure, "a primitive element has no element %q", printable(name))
	}
	value, _, err := op.value(f)
	if err != nil {
		return nil, err
	}
	if f.Repeats() {
		value = append(append([]byte{'['}, value...), ']')
	}
	part := append(fhir.AppendString([]byte{'{'}, name), ':')
	part = append(append(part, value...), '}')
	chain := op.chain(owner.Node())
	container := chain[len(chain)-2]
	s := spliceOf(op.doc)
	if container.Kind() == fhir.Object {
		s.add(container, "_"+owner.Node().Key(), part)
		return s.bytes(), nil
	}
	object, at := chain[len(chain)-3], indexIn(container, owner.Node())
	if ext := object.Get("_" + container.Key()); ext.Kind() == fhir.Array {
		s.replace(element(ext, at), part)
		return s.bytes(), nil
	}
	all := []byte{'['}
	for i := range container.Len() {
		if i > 0 {
			all = append(all, ',')
		}
		if i == at {
			all = append(all, part...)
		} else {
			all = append(all, "null"...)
		}
	}
	s.add(object, "_"+container.Key(), append(all, ']'))
	return s.bytes(), nil
}

// insert puts the value into the list at the path.
func (op *patchOp) insert() ([]byte, error) {
	at, err := op.number("index")
	if err != nil {
		return nil, err
	}
	list, err := op.list()
	if err != nil {
		return nil, err
	}
	if list.array.Kind() != fhir.Array {
		if at != 0 {
			return nil, fhir.Errorf(422, fhir.CodeProcessing, "the list %q is empty; the index is %d", op.path, at)
		}
		owner, name, err := op.above()
		if err != nil {
			return nil, err
		}
		return op.addTo(owner, name)
	}
	if at > list.array.Len() {
		return nil, fhir.Errorf(422, fhir.CodeProcessing, "the list %q has %d elements; the index is %d", op.path, list.array.Len(), at)
	}
	value, _, err := op.value(op.fieldOf(list.array))
	if err != nil {
		return nil, err
	}
	s := spliceOf(op.doc)
	s.insert(list.array, at, value)
	if list.ext.Kind() == fhir.Array {
		s.insert(list.ext, at, []byte("null"))
	}
	return s.bytes(), nil
}

// delete removes the element at the path; nothing there is no fault (R4
// fhirpatch.html: "no error").
func (op *patchOp) delete() ([]byte, error) {
	found, err := op.eval(op.path)
	if err != nil || len(found) == 0 {
		return op.doc.Source(), err
	}
	if len(found) > 1 {
		return nil, fhir.Errorf(422, fhir.CodeProcessing, "the path %q leads to %d elements; only one can be deleted", op.path, len(found))
	}
	v := found[0]
	n := v.Node()
	if !n.Valid() {
		n = v.Extra()
	}
	chain := op.chain(n)
	if len(chain) == 1 {
		return nil, fhir.Errorf(422, fhir.CodeProcessing, "the whole resource cannot be deleted by a patch")
	}
	container := chain[len(chain)-2]
	s := spliceOf(op.doc)
	if container.Kind() == fhir.Array {
		object, at := chain[len(chain)-3], indexIn(container, n)
		for _, array := range []fhir.Node{object.Get(strings.TrimPrefix(container.Key(), "_")), object.Get("_" + strings.TrimPrefix(container.Key(), "_"))} {
			if e := element(array, at); e.Valid() {
				s.remove(array, e)
			}
		}
		return withoutEmpty(s.bytes())
	}
	key := strings.TrimPrefix(n.Key(), "_")
	value, ext := container.Get(key), container.Get("_"+key)
	if value.Valid() && ext.Valid() && v.IsPrimitive() { // they may be neighbours: one after the other
		s.remove(container, ext)
		rest, err := fhir.Parse(s.bytes(), fhir.Limits{Nodes: op.doc.Len(), String: len(op.doc.Source()) + 1})
		if err != nil {
			return nil, fmt.Errorf("reading the rest of a deletion: %w", err)
		}
		again := &patchOp{ctx: op.ctx, defs: op.defs, doc: rest, parts: op.parts, path: op.path}
		return again.delete()
	}
	s.remove(container, n)
	return withoutEmpty(s.bytes())
}

// replace puts the value in the place of the element at the path.
func (op *patchOp) replace() ([]byte, error) {
	v, err := op.single(op.path)
	if err != nil {
		return nil, err
	}
	n := v.Node()
	if !n.Valid() {
		return nil, fhir.Errorf(422, fhir.CodeProcessing, "the element at %q has no value; add it", op.path)
	}
	chain := op.chain(n)
	if len(chain) == 1 {
		return nil, fhir.Errorf(422, fhir.CodeProcessing, "the whole resource cannot be replaced by a patch; use PUT")
	}
	f := op.fieldOf(n)
	value, typ, err := op.value(f)
	if err != nil {
		return nil, err
	}
	s := spliceOf(op.doc)
	if f != nil && f.Choice {
		key, err := choiceKey(f, typ)
		if err != nil {
			return nil, err
		}
		from, to := n.KeySpan()
		s.put(from, to, fhir.AppendString(nil, key))
	}
	s.replace(n, value)
	return s.bytes(), nil
}

// move takes one element of the list at the path to another place in it.
func (op *patchOp) move() ([]byte, error) {
	from, err := op.number("source")
	if err != nil {
		return nil, err
	}
	to, err := op.number("destination")
	if err != nil {
		return nil, err
	}
	list, err := op.list()
	if err != nil {
		return nil, err
	}
	n := list.array.Len()
	if from >= n || to >= n {
		return nil, fhir.Errorf(422, fhir.CodeProcessing, "the list %q has %d elements; source is %d, destination %d", op.path, n, from, to)
	}
	s := spliceOf(op.doc)
	for _, array := range []fhir.Node{list.array, list.ext} {
		if array.Kind() == fhir.Array {
			s.replace(array, reordered(array, from, to))
		}
	}
	return s.bytes(), nil
}

func reordered(array fhir.Node, from, to int) []byte {
	var elements [][]byte
	for e := array.First(); e.Valid(); e = e.Next() {
		elements = append(elements, e.Raw())
	}
	moved := elements[from]
	elements = append(elements[:from], elements[from+1:]...)
	elements = append(elements[:to], append([][]byte{moved}, elements[to:]...)...)
	out := []byte{'['}
	for i, e := range elements {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, e...)
	}
	return append(out, ']')
}

// elementList is a repeating element: its array and, for primitives, the array
// of their extension parts; the zero Node where absent.
type elementList struct{ array, ext fhir.Node }

// list finds the list that the path names.
func (op *patchOp) list() (elementList, error) {
	found, err := op.eval(op.path)
	if err != nil || len(found) == 0 {
		return elementList{}, err
	}
	var list elementList
	for i, v := range found {
		n := v.Node()
		if !n.Valid() {
			n = v.Extra()
		}
		chain := op.chain(n)
		if len(chain) < 3 || chain[len(chain)-2].Kind() != fhir.Array {
			return list, fhir.Errorf(422, fhir.CodeProcessing, "the path %q does not lead to a list", op.path)
		}
		object, key := chain[len(chain)-3], strings.TrimPrefix(chain[len(chain)-2].Key(), "_")
		at := elementList{object.Get(key), object.Get("_" + key)}
		if i > 0 && (at.array.Index() != list.array.Index()) {
			return list, fhir.Errorf(422, fhir.CodeProcessing, "the path %q leads to more than one list", op.path)
		}
		list = at
	}
	return list, nil
}

// above splits the path at its last name: the element before it and the name.
func (op *patchOp) above() (fhirpath.Value, string, error) {
	cut := strings.LastIndexByte(op.path, '.')
	if cut < 0 || strings.ContainsAny(op.path[cut:], "()[]'` ") {
		return fhirpath.Value{}, "", fhir.Errorf(422, fhir.CodeProcessing, "the path %q leads to nothing", op.path)
	}
	owner, err := op.single(op.path[:cut])
	return owner, op.path[cut+1:], err
}
