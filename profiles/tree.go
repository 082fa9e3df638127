package profiles

import "strings"

// tree is a snapshot (or differential) as the hierarchy it stands for: children
// below their parent, slices beside the element that they slice.
type tree struct {
	el       *element
	parent   *tree
	children []*tree
	slices   []*tree // slices of this element; reslices of this slice
	sliceOf  *tree
}

// buildTree makes the hierarchy of the elements of a snapshot; nil if there are
// none. An element belongs to the last element before it that has the path of
// its parent; a slice to the last element of the same path that is no slice, or
// to the slice that its name extends ("a/b" to "a").
func buildTree(elements []*element) *tree {
	if len(elements) == 0 {
		return nil
	}
	root := &tree{el: elements[0]}
	open := map[string]*tree{root.el.path: root} // path → element that takes children
	for _, el := range elements[1:] {
		dot := strings.LastIndexByte(el.path, '.')
		if dot < 0 {
			continue
		}
		parent := open[el.path[:dot]]
		if parent == nil {
			continue
		}
		node := &tree{el: el, parent: parent}
		sliced := parent.child(el.path)
		switch {
		case el.sliceName == "" || sliced == nil:
			parent.children = append(parent.children, node)
		default:
			if of := sliced.sliceNamed(el.sliceName); of != nil {
				sliced = of
			}
			node.sliceOf = sliced
			sliced.slices = append(sliced.slices, node)
		}
		open[el.path] = node
	}
	return root
}

// child returns the unsliced child with the given path.
func (t *tree) child(path string) *tree {
	for _, c := range t.children {
		if c.el.path == path {
			return c
		}
	}
	return nil
}

// named returns the unsliced child with the given element name ("value" for
// value[x]).
func (t *tree) named(name string) *tree {
	for _, c := range t.children {
		if strings.TrimSuffix(c.el.last(), "[x]") == name {
			return c
		}
	}
	return nil
}

// sliceNamed returns the deepest slice that a slice name extends: for "a/b/c"
// the slice "a/b" or else "a".
func (t *tree) sliceNamed(name string) *tree {
	for _, s := range t.slices {
		if strings.HasPrefix(name, s.el.sliceName+"/") {
			if deeper := s.sliceNamed(name); deeper != nil {
				return deeper
			}
			return s
		}
	}
	return nil
}
