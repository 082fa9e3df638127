package authz

import (
	"slices"
	"strings"
)

// Covers tells whether a grant on root reaches path: they are equal or path is
// a descendant by whole segments. "/programs/a" covers "/programs/a/projects/b"
// and neither "/programs" nor "/programs/ab". Both must be normalised paths;
// "/" covers every path.
func Covers(root, path string) bool {
	if root == "/" {
		return strings.HasPrefix(path, "/")
	}
	if root == "" || !strings.HasPrefix(path, root) {
		return false
	}
	return len(path) == len(root) || path[len(root)] == '/'
}

// Collapse returns the fewest roots that cover the same paths, sorted. It
// orders and reuses the slice that it is given.
func Collapse(roots []string) []string {
	// In plain byte order "/a-b" stands between "/a" and "/a/b", so a
	// descendant need not follow its root at once. With '/' as the least byte it does.
	slices.SortFunc(roots, comparePaths)
	out := roots[:0]
	for _, r := range roots {
		if len(out) > 0 && Covers(out[len(out)-1], r) {
			continue
		}
		out = append(out, r)
	}
	slices.Sort(out)
	return out
}

// Intersect returns the roots of what both a and b cover. Both must be
// collapsed; so is the result.
func Intersect(a, b []string) []string {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.SortFunc(a, comparePaths)
	slices.SortFunc(b, comparePaths)
	var out []string
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case Covers(a[i], b[j]): // the deeper one is what both cover
			out = append(out, b[j])
			j++
		case Covers(b[j], a[i]):
			out = append(out, a[i])
			i++
		case comparePaths(a[i], b[j]) < 0:
			i++
		default:
			j++
		}
	}
	slices.Sort(out)
	return out
}

// coveredBy tells whether one of the roots, sorted, covers the path: whether the
// path or one of its ancestors is among them.
func coveredBy(roots []string, path string) bool {
	if len(roots) == 0 {
		return false
	}
	for end := len(path); end > 0; end = strings.LastIndexByte(path[:end], '/') {
		if _, found := slices.BinarySearch(roots, path[:end]); found {
			return true
		}
	}
	return roots[0] == "/" && strings.HasPrefix(path, "/")
}

// comparePaths orders paths so that descendants follow their root directly.
func comparePaths(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		x, y := a[i], b[i]
		if x == y {
			continue
		}
		if x == '/' {
			return -1
		}
		if y == '/' {
			return 1
		}
		if x < y {
			return -1
		}
		return 1
	}
	return len(a) - len(b)
}
