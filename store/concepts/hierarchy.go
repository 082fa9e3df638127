package concepts

import "slices"

// hierarchy collects codes and who is above whom, and numbers them.
type hierarchy struct {
	names    map[string]int32 // code → number in order of first mention
	defined  []bool
	order    []int32 // numbers in the order in which they were defined
	parents  [][]int32
	children [][]int32

	place  []int32 // by number, from 1; 0 for a code that is not defined
	below  [][]int32
	cycles int // edges left out because they close a circle
}

func (h *hierarchy) number(code string) int32 {
	if n, ok := h.names[code]; ok {
		return n
	}
	if h.names == nil {
		h.names = map[string]int32{}
	}
	n := int32(len(h.parents))
	h.names[code] = n
	h.defined = append(h.defined, false)
	h.parents = append(h.parents, nil)
	h.children = append(h.children, nil)
	return n
}

// define notes a concept; false if it is there already.
func (h *hierarchy) define(code string) bool {
	n := h.number(code)
	if h.defined[n] {
		return false
	}
	h.defined[n] = true
	h.order = append(h.order, n)
	return true
}

func (h *hierarchy) link(child, parent string) {
	c, p := h.number(child), h.number(parent)
	if c == p {
		h.cycles++
		return
	}
	h.parents[c] = append(h.parents[c], p)
}

// settle numbers the places in pre-order and computes what lies below each
// concept. Edges that close a circle are left out and counted; those to codes
// that are not defined are left out.
func (h *hierarchy) settle() {
	n := len(h.parents)
	for c := range h.parents {
		if !h.defined[c] {
			h.parents[c] = nil
			continue
		}
		slices.Sort(h.parents[c])
		h.parents[c] = slices.DeleteFunc(slices.Compact(h.parents[c]), func(p int32) bool { return !h.defined[p] })
	}
	for _, c := range h.order { // children in the order of their definition
		for _, p := range h.parents[c] {
			h.children[p] = append(h.children[p], c)
		}
	}
	h.place = make([]int32, n)
	h.below = make([][]int32, n)
	const unseen, open, closed = 0, 1, 2
	state := make([]uint8, n)
	next := int32(1)
	type frame struct {
		node int32
		at   int
	}
	var stack []frame
	visit := func(root int32) {
		stack = append(stack[:0], frame{root, 0})
		state[root], h.place[root] = open, next
		next++
		for len(stack) > 0 {
			top := &stack[len(stack)-1]
			kids := h.children[top.node]
			if top.at == len(kids) {
				h.below[top.node] = h.union(top.node)
				state[top.node] = closed
				stack = stack[:len(stack)-1]
				continue
			}
			kid := kids[top.at]
			switch state[kid] {
			case unseen:
				top.at++
				state[kid], h.place[kid] = open, next
				next++
				stack = append(stack, frame{kid, 0})
			case open: // a circle
				h.cycles++
				h.children[top.node] = slices.Delete(kids, top.at, top.at+1)
				h.parents[kid] = slices.DeleteFunc(h.parents[kid], func(p int32) bool { return p == top.node })
			default:
				top.at++
			}
		}
	}
	for _, c := range h.order {
		if len(h.parents[c]) == 0 {
			visit(c)
		}
	}
	for _, c := range h.order { // only circles are left
		if state[c] == unseen {
			visit(c)
		}
	}
}

// union merges the spans of a node's children, as lo, hi, lo, hi …
func (h *hierarchy) union(node int32) []int32 {
	kids := h.children[node]
	if len(kids) == 0 {
		return nil
	}
	var spans [][2]int32
	for _, k := range kids {
		spans = append(spans, [2]int32{h.place[k], h.place[k]})
		for i := 0; i+1 < len(h.below[k]); i += 2 {
			spans = append(spans, [2]int32{h.below[k][i], h.below[k][i+1]})
		}
	}
	slices.SortFunc(spans, func(a, b [2]int32) int { return int(a[0]) - int(b[0]) })
	out := []int32{spans[0][0], spans[0][1]}
	for _, s := range spans[1:] {
		last := len(out) - 1
		switch {
		case s[0] > out[last]+1:
			out = append(out, s[0], s[1])
		case s[1] > out[last]:
			out[last] = s[1]
		}
	}
	return slices.Clip(out)
}
