package search

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ingle/fhir"
	"ingle/fhirpath"
)

// What the oracle is compared with: all pages of a search, and what they include.

// pages walks a search from the first page to the last and back again.
func (w *world) pages(t testing.TB, req Request, count int) (forward, back []int64, total int64, err error) {
	req.Params = append(slices.Clone(req.Params), KV{"_count", strconv.Itoa(count)})
	q, _, err := w.reg.Parse(req)
	if err != nil {
		return nil, nil, 0, err
	}
	page := func(cur *Cursor) ([]hit, error) {
		one := *q
		one.Cursor = cur
		st, err := w.reg.Compile(&one, w.src)
		if err != nil {
			return nil, err
		}
		hits, err := w.run(t, st)
		if err != nil {
			return nil, fmt.Errorf("%w\n%s", err, st.SQL)
		}
		return slices.DeleteFunc(hits, func(h hit) bool { return h.mode != 0 }), nil
	}
	// from one position to the end, in its direction; last is the row come to
	var last hit
	var keys []string
	walk := func(cur *Cursor) (rids []int64, err error) {
		for {
			hits, err := page(cur)
			if err != nil {
				return nil, err
			}
			more := len(hits) > count
			for _, h := range hits[:min(len(hits), count)] {
				rids = append(rids, h.rid)
				if len(q.Sort) == 0 && h.keys != nil {
					keys = append(keys, h.keys...)
				}
				last = h
			}
			if !more {
				return rids, nil
			}
			if len(rids) > len(w.docs)+len(w.contained()) {
				return nil, fmt.Errorf("the pages have no end: %v", rids[:min(len(rids), 20)])
			}
			cur = &Cursor{Keys: last.keys, RID: last.rid, Back: cur != nil && cur.Back}
		}
	}
	if forward, err = walk(nil); err != nil {
		return nil, nil, 0, err
	}
	if err := unordered(keys, q.byValue()); err != nil {
		return nil, nil, 0, err
	}
	byValue := len(keys) > 0
	if len(forward) > 0 {
		end := last.rid
		if back, err = walk(&Cursor{Keys: last.keys, RID: last.rid, Back: true}); err != nil {
			return nil, nil, 0, err
		}
		back = append([]int64{end}, back...)
		slices.Reverse(back)
	}
	if byValue && slices.Equal(forward, back) { // the oracle has them newest first
		for _, rids := range [][]int64{forward, back} {
			slices.SortFunc(rids, func(a, b int64) int { return cmp.Compare(b, a) })
		}
	}
	st, err := w.reg.CompileCount(q, w.src)
	if err != nil {
		return nil, nil, 0, err
	}
	if err := w.conn.QueryRow(context.Background(), st.SQL, st.Args...).Scan(&total); err != nil {
		return nil, nil, 0, fmt.Errorf("%w\n%s", err, st.SQL)
	}
	return forward, back, total, nil
}

// unordered tells where values, as the keys of rows hold them, do not come as byValue
// says: numbers greatest first, texts as the alphabet has them.
func unordered(keys []string, s *scan) error {
	if s == nil {
		return nil
	}
	number := func(k string) float64 {
		v, err := strconv.ParseFloat(strings.TrimPrefix(k, "="), 64)
		if err != nil {
			return math.NaN()
		}
		return v
	}
	for i := 1; i < len(keys); i++ {
		if s.rel == String && keys[i-1] <= keys[i] || s.rel != String && number(keys[i-1]) >= number(keys[i]) {
			continue
		}
		return fmt.Errorf("the value %s at %d follows %s", keys[i], i, keys[i-1])
	}
	return nil
}

func elementOf(f found) (fhirpath.Value, bool) {
	if f.n.Get("resourceType").Valid() {
		return fhirpath.Resource(f.n), true
	}
	return fhirpath.Element(f.n, fhir.Node{}, f.typ)
}

// included are the rids that a page of matches brings with it.
func (o *oracle) included(req Request, page []int64) []int64 {
	have := map[int64]bool{}
	for _, r := range page {
		have[r] = true
	}
	var out []int64
	step := func(from []int64, iterateOnly bool) []int64 {
		var next []int64
		add := func(s *stored) {
			if !have[s.rid] {
				have[s.rid] = true
				next = append(next, s.rid)
			}
		}
		for _, kv := range req.Params {
			name, modifier, _ := strings.Cut(kv.Name, ":")
			if name != "_include" && name != "_revinclude" || iterateOnly && modifier == "" {
				continue
			}
			parts := append(strings.Split(kv.Value, ":"), "", "")
			refsOf := func(s *stored) []*stored {
				var all []*stored
				for _, p := range o.w.reg.defs.SearchParams(s.typ) {
					if p.Type != "reference" || p.Expression == "" || parts[1] != "*" && parts[0] != "*" && p.Code != parts[1] {
						continue
					}
					for _, f := range o.values(p, s) {
						for _, r := range o.refs(f, s) {
							for _, t := range o.resolve(f, r) {
								if parts[2] == "" || t.typ == parts[2] {
									all = append(all, t)
								}
							}
						}
					}
				}
				return all
			}
			for _, rid := range from {
				s := o.w.at(rid)
				if name == "_include" {
					if parts[0] == "*" || s.typ == parts[0] {
						for _, t := range refsOf(s) {
							add(t)
						}
					}
					continue
				}
				for _, other := range o.w.docs {
					if (parts[0] == "*" || other.typ == parts[0]) && slices.Contains(refsOf(other), s) {
						add(other)
					}
				}
			}
		}
		return next
	}
	next := step(page, false)
	out = append(out, next...)
	for range 4 {
		next = step(next, true)
		out = append(out, next...)
	}
	slices.Sort(out)
	return out
}

// at is the resource with a rid.
func (w *world) at(rid int64) *stored {
	i, _ := slices.BinarySearchFunc(w.docs, rid, func(s *stored, rid int64) int { return int(s.rid - rid) })
	return w.docs[i]
}
