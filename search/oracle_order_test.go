package search

import (
	"math/big"
	"strings"
)

// How the oracle sorts.

// sortKey is the value a resource is sorted by, nil for none.
func (o *oracle) sortKey(s *stored, code string, desc bool) any {
	if head, tail, chained := strings.Cut(code, "."); chained {
		return o.chainedKey(s, head, tail, desc)
	}
	p := o.w.reg.defs.SearchParam(s.typ, code)
	switch code {
	case "_id":
		return s.id
	case "_lastUpdated":
		return s.lu.UnixMicro()
	}
	var best any
	take := func(v any) {
		if best == nil || (oracleCompare(v, best) < 0) != desc && oracleCompare(v, best) != 0 {
			best = v
		}
	}
	for _, f := range o.values(p, s) {
		switch p.Type {
		case "date":
			for _, t := range f.dates() {
				take(t.lo)
			}
		case "string":
			for _, t := range f.texts() {
				take(oracleCut(oracleFold(t.s)))
			}
		case "uri":
			take(f.n.Text())
		case "number", "quantity":
			for _, n := range f.numbers() {
				take(n.lo)
			}
		case "token":
			for _, t := range f.tokens() {
				if t.kind == "coding" || t.code != "" {
					v := strings.ToLower(t.code)
					if t.cased {
						v = t.code
					}
					take(v)
				}
			}
		case "reference":
			for _, r := range o.refs(f, s) {
				if t := o.w.byKey[r]; t != nil {
					take(t.id)
				}
			}
		}
	}
	return best
}

func oracleCut(s string) string {
	if len(s) > 600 {
		return strings.ToValidUTF8(s[:600], "")
	}
	return s
}

func oracleCompare(a, b any) int {
	switch a := a.(type) {
	case string:
		return strings.Compare(a, b.(string))
	case int64:
		switch b := b.(int64); {
		case a < b:
			return -1
		case a > b:
			return 1
		}
		return 0
	case *big.Rat:
		b := b.(*big.Rat)
		switch {
		case a == nil && b == nil:
			return 0
		case a == nil:
			return -1
		case b == nil:
			return 1
		}
		return a.Cmp(b)
	}
	panic("no order")
}

// chainedKey is the best value of what a resource refers to.
func (o *oracle) chainedKey(s *stored, head, tail string, desc bool) any {
	code, typ, typed := strings.Cut(head, ":")
	p := o.w.reg.defs.SearchParam(s.typ, code)
	var best any
	for _, f := range o.values(p, s) {
		for _, r := range o.refs(f, s) {
			t := o.w.byKey[r]
			if t == nil || typed && t.typ != typ || o.w.reg.defs.SearchParam(t.typ, tail) == nil {
				continue
			}
			if v := o.sortKey(t, tail, desc); v != nil && (best == nil || (oracleCompare(v, best) < 0) != desc && oracleCompare(v, best) != 0) {
				best = v
			}
		}
	}
	return best
}
