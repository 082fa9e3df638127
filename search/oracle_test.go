package search

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"ingle/fhir"
	"ingle/fhirpath"
)

// The oracle answers searches by looking at every resource: FHIRPath for the
// values and the words of the specification for the comparison. It shares no
// code with the registry but the definitions.

type oracle struct {
	w      *world
	exprs  map[string]*fhirpath.Expr
	cache  map[string]map[*stored][]found
	byURL  map[string][]*stored
	inside []*stored // contained resources, in the order of rid
	// target are the types that the parameter being looked at may point to.
	target []string
	// part: it is a part of a name or address.
	part bool
	sets randomSets
}

// found is a value of a search parameter in a resource.
type found struct {
	typ  string
	n    fhir.Node
	text string // of a computed value
}

func newOracle(w *world) *oracle {
	return &oracle{w: w, exprs: map[string]*fhirpath.Expr{}, cache: map[string]map[*stored][]found{}, inside: w.contained()}
}

func (o *oracle) eval(expr string, s *stored, focus fhirpath.Value) []found {
	e := o.exprs[expr]
	if e == nil {
		var err error
		if e, err = fhirpath.Compile(expr, fhirpath.ForSearch()); err != nil {
			panic(fmt.Sprintf("%s: %v", expr, err))
		}
		o.exprs[expr] = e
	}
	vals, err := e.Eval(context.Background(), &fhirpath.Env{Resource: fhirpath.Resource(s.root), RootResource: fhirpath.Resource(s.doc.Root())}, focus)
	if err != nil {
		panic(fmt.Sprintf("%s: %v", expr, err))
	}
	var out []found
	for _, v := range vals {
		if v.Node().Valid() {
			out = append(out, found{typ: v.TypeName(), n: v.Node()})
		} else if v.Kind() != fhirpath.KindElement {
			out = append(out, found{typ: v.TypeName(), text: v.String()})
		}
	}
	return out
}

// values are the values of a parameter in a resource.
func (o *oracle) values(p *fhir.SearchParam, s *stored) []found {
	byDoc := o.cache[p.URL]
	if byDoc == nil {
		byDoc = map[*stored][]found{}
		o.cache[p.URL] = byDoc
	}
	if v, ok := byDoc[s]; ok {
		return v
	}
	v := o.eval(p.Expression, s, fhirpath.Resource(s.root))
	// a resource that stands for a reference is of a type that the parameter may point to
	v = slices.DeleteFunc(v, func(f found) bool {
		return p.Type == "reference" && f.n.Get("resourceType").Valid() && !slices.Contains(p.Target, f.str("resourceType"))
	})
	byDoc[s] = v
	return v
}

// one tells whether a value of a resource meets a value of a search.
func (o *oracle) one(typ, modifier, value string, f found, s *stored) bool {
	now := request("").Now
	switch typ {
	case "token":
		for _, t := range f.tokens() {
			if t.matches(value) {
				return true
			}
		}
	case "date":
		for _, t := range f.dates() {
			if t.matches(value, now) {
				return true
			}
		}
	case "string":
		for _, t := range f.texts() {
			t.words = t.words || o.part
			if t.matches(modifier, value) {
				return true
			}
		}
	case "uri":
		have, want := f.n.Text(), plainText(value)
		if f.typ == "canonical" {
			if bare, _, ok := strings.Cut(have, "|"); ok && bare == want {
				return true
			}
		}
		switch modifier {
		case "below":
			return have == want || strings.HasPrefix(have, strings.TrimSuffix(want, "/")+"/")
		case "above":
			return have == want || strings.HasPrefix(want, strings.TrimSuffix(have, "/")+"/")
		}
		if root := s.root; o.w.reg.defs.SearchParam(s.typ, "url") != nil && f.typ == "uri" && root.Get("url").Text() == have && want == have+"|"+root.Get("version").Text() {
			return true
		}
		return have == want
	case "reference":
		want := plainText(value)
		if modifier == "below" { // of a canonical: any version, or those that begin so
			if have := f.n.Text(); strings.Contains(want, "|") {
				return f.typ == "canonical" && (have == want || strings.HasPrefix(have, want+".") || strings.HasPrefix(have, want+"-"))
			}
			modifier = ""
		}
		for _, r := range o.refs(f, s) {
			switch {
			case r == want && (modifier == "" || strings.HasPrefix(r, modifier+"/")):
				return true
			case !strings.ContainsAny(want, "/:|"):
				t, id, ok := strings.Cut(r, "/")
				if ok && id == want && slices.Contains(o.target, t) && (modifier == "" || t == modifier) {
					return true
				}
			}
		}
	case "number", "quantity":
		parts := oraclesplit(value, '|')
		for _, n := range f.numbers() {
			if n.matches(parts[0]) && n.hasUnit(parts) {
				return true
			}
			if m, ok := n.in(parts); ok && m.matches(parts[0]) {
				return true
			}
		}
	}
	return false
}

// param tells whether a resource meets name=value for a parameter without chain.
func (o *oracle) param(p *fhir.SearchParam, modifier, value string, s *stored) bool {
	switch p.Code {
	case "_id":
		return slices.Contains(strings.Split(value, ","), s.id)
	case "_lastUpdated":
		t := otime{s.lu.UnixMicro(), s.lu.UnixMicro()}
		return slices.ContainsFunc(strings.Split(value, ","), func(v string) bool { return t.matches(v, request("").Now) })
	}
	vals := o.values(p, s)
	if modifier == "missing" {
		has := false
		for _, f := range vals {
			has = has || o.counts(p.Type, f)
		}
		return has == (value == "false")
	}
	switch modifier {
	case "in", "not-in", "below", "above":
		if p.Type == "token" {
			return o.inSet(s, p, o.sets[strings.TrimPrefix(modifier, "not-")+" "+value]) != (modifier == "not-in")
		}
	}
	hit := false
	o.target = p.Target
	o.part = p.Code == "family" || p.Code == "given" || strings.HasPrefix(p.Code, "address-")
	for _, v := range oraclesplit(value, ',') {
		if p.Type == "composite" {
			hit = hit || o.composite(p, v, s)
			continue
		}
		m := modifier
		if m == "not" {
			m = ""
		}
		words := []string{v}
		if p.Type == "string" && m == "text" { // each of them in some value
			words = strings.Fields(v)
		}
		hit = hit || !slices.ContainsFunc(words, func(w string) bool {
			return !slices.ContainsFunc(vals, func(f found) bool { return o.one(p.Type, m, w, f, s) })
		})
	}
	return hit != (modifier == "not")
}

// counts tells whether a value is there for :missing.
func (o *oracle) counts(typ string, f found) bool {
	switch typ {
	case "reference":
		return f.typ != "Attachment"
	case "date":
		return len(f.dates()) > 0
	case "string":
		return len(f.texts()) > 0
	case "quantity", "number":
		return len(f.numbers()) > 0
	case "uri":
		return true
	}
	return true
}

func (o *oracle) composite(p *fhir.SearchParam, value string, s *stored) bool {
	pieces := oraclesplit(value, '$')
	for _, base := range o.values(p, s) {
		focus, ok := elementOf(base)
		if !ok {
			panic(base.typ)
		}
		all := true
		for i, c := range p.Components {
			def := o.w.reg.defs.SearchParamByURL(c.Definition)
			any := false
			o.target = def.Target
			for _, f := range o.eval(c.Expression, s, focus) {
				any = any || o.one(def.Type, "", pieces[i], f, s)
			}
			all = all && any
		}
		if all {
			return true
		}
	}
	return false
}

// matches tells whether a resource meets name=value, chains and _has included.
func (o *oracle) matches(s *stored, name, value string) bool {
	if rest, ok := strings.CutPrefix(name, "_has:"); ok {
		parts := strings.SplitN(rest, ":", 3)
		ref := o.w.reg.defs.SearchParam(parts[0], parts[1])
		for _, other := range o.w.docs {
			if other.typ != parts[0] {
				continue
			}
			if slices.ContainsFunc(o.values(ref, other), func(f found) bool {
				return slices.ContainsFunc(o.refs(f, other), func(r string) bool { return slices.Contains(o.resolve(f, r), s) })
			}) && o.matches(other, parts[2], value) {
				return true
			}
		}
		return false
	}
	head, tail, chained := strings.Cut(name, ".")
	code, modifier, _ := strings.Cut(head, ":")
	p := o.w.reg.defs.SearchParam(s.typ, code)
	if p == nil {
		return false
	}
	if !chained {
		return o.param(p, modifier, value, s)
	}
	for _, f := range o.values(p, s) {
		if t := o.fragment(f, s); t != nil && (modifier == "" || t.typ == modifier) && (len(p.Target) == 0 || slices.Contains(p.Target, t.typ)) && o.matches(t, tail, value) {
			return true
		}
		for _, r := range o.refs(f, s) {
			for _, t := range o.resolve(f, r) {
				if (modifier == "" || t.typ == modifier) && (len(p.Target) == 0 || slices.Contains(p.Target, t.typ)) && o.matches(t, tail, value) {
					return true
				}
			}
		}
	}
	return false
}

// meets tells whether a resource meets the parameters of a search.
func (o *oracle) meets(s *stored, req Request) bool {
	if req.Type != "" && s.typ != req.Type || req.Compartment != "" && !o.in(s, req.Compartment, req.CompartmentID) {
		return false
	}
	for _, kv := range req.Params {
		ok := true
		switch kv.Name {
		case "_sort", "_count", "_contained", "_containedType":
		case "_type":
			ok = slices.Contains(strings.Split(kv.Value, ","), s.typ)
		case "_list":
			ok = o.listed(s, kv.Value)
		case "_text", "_content":
			ok = o.hasText(s, kv.Name == "_content", kv.Value)
		case "_filter":
			ok = o.filtered(s, kv.Value)
		default:
			ok = o.matches(s, kv.Name, kv.Value)
		}
		if !ok {
			return false
		}
	}
	return true
}

// answer is what a search must return: rids in the order of the pages.
func (o *oracle) answer(req Request) []int64 {
	type item struct {
		s    *stored
		keys []any
	}
	var items []item
	var sorts []KV
	for _, kv := range req.Params {
		if kv.Name == "_sort" {
			for _, k := range strings.Split(kv.Value, ",") {
				c, desc := strings.CutPrefix(k, "-")
				sorts = append(sorts, KV{c, fmt.Sprint(desc)})
			}
		}
	}
	for _, s := range o.found(req) {
		it := item{s: s}
		for _, k := range sorts {
			it.keys = append(it.keys, o.sortKey(s, k.Name, k.Value == "true"))
		}
		items = append(items, it)
	}
	slices.SortFunc(items, func(a, b item) int {
		for i, k := range sorts {
			x, y := a.keys[i], b.keys[i]
			switch {
			case x == nil && y == nil:
				continue
			case x == nil:
				return 1
			case y == nil:
				return -1
			}
			if c := oracleCompare(x, y); c != 0 {
				if k.Value == "true" {
					return -c
				}
				return c
			}
		}
		if len(sorts) > 0 && sorts[len(sorts)-1].Value == "false" {
			return int(a.s.rid - b.s.rid)
		}
		return int(b.s.rid - a.s.rid)
	})
	out := make([]int64, len(items))
	for i, it := range items {
		out[i] = it.s.rid
	}
	return out
}
