package interaction

import (
	"fmt"
	"strconv"
	"strings"

	"ingle/fhir"
)

// patchBudget bounds the work of one patch: resource bytes read over all of its
// operations. The resource is read again after each of them.
const patchBudget = 256 << 20

// jsonPatch applies a JSON Patch document (RFC 6902) to a document and returns
// the new bytes; what the operations do not touch keeps its spelling. A
// malformed patch is a 400, one that cannot be applied (a test that fails, a
// target that is not there) a 422; both name the operation.
func jsonPatch(doc, patch *fhir.Doc, lim fhir.Limits) ([]byte, error) {
	root := patch.Root()
	if root.Kind() != fhir.Array {
		return nil, fhir.Errorf(400, fhir.CodeStructure, "a JSON Patch document is an array of operations (RFC 6902), not %s", root.Kind()).AtNode(root)
	}
	out := doc.Source()
	work := 0
	i := 0
	for op := root.First(); op.Valid(); op = op.Next() {
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
		changed, err := jsonPatchStep(doc, op)
		if err != nil {
			if fe := fhir.AsError(err); fe != nil {
				fe.Issues[0].Diagnostics = fmt.Sprintf("patch operation %d: %s", i, fe.Issues[0].Diagnostics)
				fe.AtNode(op)
			}
			return nil, err
		}
		out = changed
		i++
	}
	return out, nil
}

func jsonPatchStep(doc *fhir.Doc, op fhir.Node) ([]byte, error) {
	if op.Kind() != fhir.Object {
		return nil, fhir.Errorf(400, fhir.CodeStructure, "an operation is an object with op and path, not %s", op.Kind())
	}
	name, err := patchText(op, "op")
	if err != nil {
		return nil, err
	}
	path, err := patchText(op, "path")
	if err != nil {
		return nil, err
	}
	value := op.Get("value")
	switch name {
	case "add", "replace", "test":
		if !value.Valid() {
			return nil, fhir.Errorf(400, fhir.CodeRequired, "%q needs a value", name)
		}
	}
	switch name {
	case "add":
		return pointerAdd(doc, path, value.Raw())
	case "remove":
		return pointerRemove(doc, path)
	case "replace":
		_, target, err := pointerTo(doc, path)
		if err != nil {
			return nil, err
		}
		s := spliceOf(doc)
		s.replace(target, value.Raw())
		return s.bytes(), nil
	case "test":
		_, target, err := pointerTo(doc, path)
		if err != nil {
			return nil, err
		}
		if !fhir.SameJSON(target, value) {
			return nil, fhir.Errorf(422, fhir.CodeProcessing, "the test failed: the value at %q is not the expected one", path)
		}
		return doc.Source(), nil
	case "copy", "move":
		from, err := patchText(op, "from")
		if err != nil {
			return nil, err
		}
		_, source, err := pointerTo(doc, from)
		if err != nil {
			return nil, err
		}
		raw := source.Raw()
		if name == "move" {
			if path == from {
				return doc.Source(), nil
			}
			if strings.HasPrefix(path, from+"/") {
				return nil, fhir.Errorf(422, fhir.CodeProcessing, "%q cannot be moved into itself", from)
			}
			rest, err := pointerRemove(doc, from)
			if err != nil {
				return nil, err
			}
			if doc, err = fhir.Parse(rest, fhir.Limits{Nodes: doc.Len(), String: len(rest) + 1}); err != nil {
				return nil, fmt.Errorf("reading the rest of a move: %w", err)
			}
		}
		return pointerAdd(doc, path, raw)
	}
	return nil, fhir.Errorf(400, fhir.CodeValue, "%q is not an operation of JSON Patch; add, remove, replace, move, copy and test are", name)
}

func patchText(op fhir.Node, name string) (string, error) {
	n := op.Get(name)
	if n.Kind() != fhir.String {
		return "", fhir.Errorf(400, fhir.CodeRequired, "%q must be there and a string", name)
	}
	return n.Text(), nil
}

func pointerAdd(doc *fhir.Doc, path string, value []byte) ([]byte, error) {
	if path == "" {
		return value, nil
	}
	cut := strings.LastIndexByte(path, '/')
	if cut < 0 {
		return nil, badPointer(path)
	}
	_, parent, err := pointerTo(doc, path[:cut])
	if err != nil {
		return nil, err
	}
	key := unescapePointer(path[cut+1:])
	s := spliceOf(doc)
	switch parent.Kind() {
	case fhir.Object:
		if old := parent.Get(key); old.Valid() {
			s.replace(old, value)
		} else {
			s.add(parent, key, value)
		}
	case fhir.Array:
		at := parent.Len()
		if key != "-" {
			var ok bool
			if at, ok = pointerIndex(key); !ok || at > parent.Len() {
				return nil, fhir.Errorf(422, fhir.CodeProcessing, "%q is no place in an array of %d elements", path, parent.Len())
			}
		}
		s.insert(parent, at, value)
	default:
		return nil, fhir.Errorf(422, fhir.CodeProcessing, "nothing can be added at %q: what holds it is %s", path, parent.Kind())
	}
	return s.bytes(), nil
}

func pointerRemove(doc *fhir.Doc, path string) ([]byte, error) {
	parent, target, err := pointerTo(doc, path)
	if err != nil {
		return nil, err
	}
	if !parent.Valid() {
		return nil, fhir.Errorf(422, fhir.CodeProcessing, "the whole resource cannot be removed by a patch")
	}
	s := spliceOf(doc)
	s.remove(parent, target)
	return s.bytes(), nil
}

// pointerTo follows a JSON Pointer (RFC 6901) to a value and its container, the
// zero Node for the root's.
func pointerTo(doc *fhir.Doc, path string) (parent, target fhir.Node, err error) {
	target = doc.Root()
	if path == "" {
		return parent, target, nil
	}
	if path[0] != '/' {
		return parent, target, badPointer(path)
	}
	for key := range strings.SplitSeq(path[1:], "/") {
		parent = target
		key = unescapePointer(key)
		switch parent.Kind() {
		case fhir.Object:
			target = parent.Get(key)
		case fhir.Array:
			at, ok := pointerIndex(key)
			if !ok {
				at = -1
			}
			target = element(parent, at)
		default:
			target = fhir.Node{}
		}
		if !target.Valid() {
			return parent, target, fhir.Errorf(422, fhir.CodeProcessing, "there is nothing at %q", path)
		}
	}
	return parent, target, nil
}

func badPointer(path string) error {
	return fhir.Errorf(400, fhir.CodeValue, "%q is not a JSON Pointer: it must be empty or begin with a slash", path)
}

var pointerEscapes = strings.NewReplacer("~1", "/", "~0", "~")

func unescapePointer(key string) string { return pointerEscapes.Replace(key) }

func pointerIndex(key string) (int, bool) {
	if key == "" || len(key) > 9 || len(key) > 1 && key[0] == '0' {
		return 0, false
	}
	for i := range len(key) {
		if key[i] < '0' || key[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.Atoi(key)
	return n, err == nil
}
