package profiles

import (
	"strings"

	"ingle/fhir"
)

// slicing compiles the slices of an element.
func (c *compiler) slicing(t *tree, base *baseElement) *slicedRules {
	def := t.el
	s := &slicedRules{id: idOf(def), cite: c.s.canonical(), rules: "open"}
	discs := discriminators(def)
	if def.slicing != nil {
		s.ordered = def.slicing.ordered
		if def.slicing.rules != "" {
			s.rules = def.slicing.rules
		}
	}
	var by []string
	for _, d := range discs {
		by = append(by, d.kind+" of "+d.path)
	}
	s.by = strings.Join(by, " and ")
	if s.by == "" {
		s.by = "no rule that can be computed"
	}
	// Slices are of one instance of the element, whose own cardinality the
	// slicing checks.
	for _, st := range t.slices {
		ru := sliceRules(c.rules(st, base, false))
		if st.el.sliceName == "@default" {
			s.fallback = ru
			continue
		}
		sl := &slice{name: st.el.sliceName, min: st.el.min, max: st.el.max, rules: ru}
		for _, d := range discs {
			sl.matches = append(sl.matches, c.matcher(d, st))
		}
		s.slices = append(s.slices, sl)
	}
	return s
}

// discriminators are those of an element's slicing, or what goes without saying.
func discriminators(def *element) []discriminator {
	switch {
	case def.slicing != nil && len(def.slicing.discriminators) > 0:
		return def.slicing.discriminators
	case strings.HasSuffix(def.path, "[x]"):
		return []discriminator{{"type", "$this"}}
	case strings.HasSuffix(def.path, "xtension"): // extension and modifierExtension are sliced by url
		return []discriminator{{"value", "url"}}
	}
	return nil
}

// pathStep is one step of a discriminator's path, the restricted FHIRPath of
// profiling.html#discriminator.
type pathStep struct {
	kind stepKind
	name string
}

type stepKind uint8

const (
	stepChild stepKind = iota
	stepExtension
	stepResolve
	stepOfType
)

// parsePath reads a discriminator's path; ok is false for anything that the
// restricted FHIRPath does not allow.
func parsePath(path string) (steps []pathStep, ok bool) {
	rest := strings.TrimSpace(path)
	for rest != "" {
		var part string
		switch {
		case strings.HasPrefix(rest, "extension("):
			end := strings.IndexByte(rest, ')')
			if end < 0 {
				return nil, false
			}
			part, rest = rest[:end+1], rest[end+1:]
			steps = append(steps, pathStep{stepExtension, strings.Trim(part[len("extension("):len(part)-1], `'"`)})
			rest = strings.TrimPrefix(rest, ".")
			continue
		default:
			dot := strings.IndexByte(rest, '.')
			if dot < 0 {
				part, rest = rest, ""
			} else {
				part, rest = rest[:dot], rest[dot+1:]
			}
		}
		switch {
		case part == "$this":
		case part == "resolve()":
			steps = append(steps, pathStep{stepResolve, ""})
		case (strings.HasPrefix(part, "ofType(") || strings.HasPrefix(part, "as(")) && strings.HasSuffix(part, ")"):
			name := part[strings.IndexByte(part, '(')+1 : len(part)-1]
			steps = append(steps, pathStep{stepOfType, strings.TrimPrefix(name, "FHIR.")})
		case part == "" || strings.ContainsAny(part, "() '"):
			return nil, false
		default:
			steps = append(steps, pathStep{stepChild, strings.TrimSuffix(part, "[x]")})
		}
	}
	return steps, true
}

// values are the items that a path leads to from an item.
func (r *run) values(steps []pathStep, it *item, out []item) []item {
	cur := []item{*it}
	for _, s := range steps {
		var next []item
		for i := range cur {
			c := &cur[i]
			switch s.kind {
			case stepChild:
				if c.n.Valid() || c.x.Valid() {
					next = r.children(c, s.name, next)
				}
			case stepExtension:
				var ext []item
				for _, x := range r.children(c, "extension", ext) {
					if x.n.Get("url").Text() == s.name {
						next = append(next, x)
					}
				}
			case stepResolve:
				if target, ok := r.resolve(c); ok {
					next = append(next, target)
				}
			case stepOfType:
				if c.typ == s.name {
					next = append(next, *c)
				}
			}
		}
		cur = next
	}
	return append(out, cur...)
}

// place is where a path leads in definitions: elements of the profile itself,
// of the profiles of its types, and of the base types, and what patterns around
// them say.
type place struct {
	trees    []*tree
	sliced   []*tree     // elements of required slices on the way: each of them must be there
	values   []fhir.Node // parts of a pattern or fixed value around
	exact    bool        // the values are of a fixed value
	resolved bool        // the trees are references whose targets are meant
	ofType   string
	url      string // an extension known by its URL only
}

func (c *compiler) place(t *tree, steps []pathStep) *place {
	p := &place{trees: []*tree{t}}
	for _, s := range steps {
		next := &place{ofType: p.ofType}
		for _, n := range p.values {
			next.values = append(next.values, flatten(n.Get(s.name))...)
		}
		next.exact = p.exact
		if s.kind == stepChild {
			for _, t := range p.sliced {
				for _, from := range c.expandTree(t, false, p.ofType) {
					if k := from.named(s.name); k != nil {
						next.sliced = append(next.sliced, k)
						break
					}
				}
			}
		}
		for _, t := range p.trees {
			def := t.el
			if v := def.fixed; v.Valid() && s.kind == stepChild {
				next.values, next.exact = append(next.values, flatten(v.Get(s.name))...), true
			} else if v := def.pattern; v.Valid() && s.kind == stepChild {
				next.values = append(next.values, flatten(v.Get(s.name))...)
			}
			switch s.kind {
			case stepChild:
				for _, from := range c.expandTree(t, p.resolved, p.ofType) {
					if k := from.named(s.name); k != nil {
						next.trees = append(next.trees, k)
						for _, sl := range k.slices {
							if sl.el.min > 0 {
								next.sliced = append(next.sliced, sl)
							}
						}
					}
				}
				next.ofType = ""
			case stepExtension:
				next.url = s.name
				for _, from := range c.expandTree(t, p.resolved, p.ofType) {
					if k := from.named("extension"); k != nil {
						for _, sl := range k.slices {
							if c.extensionURL(sl) == s.name {
								next.trees = append(next.trees, sl)
							}
						}
					}
				}
				if x, _ := c.e.structure(s.name); x != nil {
					if xt := buildTree(x.snapshot); xt != nil {
						next.trees = append(next.trees, xt)
					}
				}
			case stepResolve:
				next.trees = append(next.trees, t)
				next.resolved = true
			case stepOfType:
				next.trees = append(next.trees, t)
				next.ofType = s.name
				next.resolved = p.resolved
			}
		}
		p = next
	}
	return p
}

// expandTree is an element with the places where its children are defined.
func (c *compiler) expandTree(t *tree, resolved bool, ofType string) []*tree {
	out := []*tree{t}
	if resolved {
		out = nil
	}
	for _, dt := range t.el.types {
		if ofType != "" && dt.code != ofType {
			continue
		}
		urls := dt.profiles
		if resolved {
			urls = dt.targets
		}
		for _, u := range urls {
			if s, _ := c.e.structure(u); s != nil {
				if x := buildTree(s.snapshot); x != nil {
					out = append(out, x)
				}
			}
		}
		if resolved {
			continue
		}
		if s, _ := c.e.structure(sdPrefix + dt.code); s != nil {
			if x := buildTree(s.snapshot); x != nil {
				out = append(out, x)
			}
		}
	}
	return out
}

func flatten(n fhir.Node) []fhir.Node {
	if !n.Valid() {
		return nil
	}
	if n.Kind() != fhir.Array {
		return []fhir.Node{n}
	}
	var out []fhir.Node
	for c := n.First(); c.Valid(); c = c.Next() {
		out = append(out, c)
	}
	return out
}

// extensionURL is the URL that a slice of extension stands for.
func (c *compiler) extensionURL(t *tree) string {
	if k := t.named("url"); k != nil && k.el.fixed.Valid() {
		return k.el.fixed.Text()
	}
	for _, dt := range t.el.types {
		for _, u := range dt.profiles {
			bare, _ := splitCanonical(u)
			return bare
		}
	}
	return ""
}

// matcher compiles one discriminator for one slice.
func (c *compiler) matcher(d discriminator, t *tree) matcher {
	never := func(*run, *item) bool { return false }
	steps, ok := parsePath(d.path)
	if !ok {
		return never
	}
	if d.path == "url" && strings.HasSuffix(t.el.path, "xtension") {
		if url := c.extensionURL(t); url != "" {
			return func(_ *run, it *item) bool {
				u := it.n.Get("url")
				return u.Kind() == fhir.String && string(u.Bytes()) == url
			}
		}
	}
	p := c.place(t, steps)
	if len(p.trees) == 0 && len(p.values) == 0 {
		return never
	}
	switch d.kind {
	case "value", "pattern":
		test := c.valueTest(p)
		if test == nil {
			return never
		}
		return func(r *run, it *item) bool {
			if len(steps) == 1 && steps[0].kind == stepChild {
				list := r.children(it, steps[0].name, r.list())
				ok := test(r, list)
				r.lists = append(r.lists, list[:0])
				return ok
			}
			return test(r, r.values(steps, it, nil))
		}
	case "exists":
		return c.existsMatcher(p, steps)
	case "type":
		return c.typeMatcher(p, steps)
	case "profile":
		return c.profileMatcher(p, steps)
	}
	return never
}

// valuesTest judges the items that a discriminator's path leads to.
type valuesTest func(r *run, values []item) bool

// valueTest compiles the criterion of a value or pattern discriminator: the
// fixed value or pattern of the element, of one around it or of those inside
// it, or its value set. nil if there is none.
func (c *compiler) valueTest(p *place) valuesTest {
	for _, t := range p.trees {
		if f := t.el.fixed; f.Valid() {
			return anyValue(func(_ *run, it *item) bool { return it.n.Valid() && equalNode(it.n, f) })
		}
		if f := t.el.pattern; f.Valid() {
			return anyValue(func(_ *run, it *item) bool { return it.n.Valid() && hasPattern(it.n, f) })
		}
	}
	for _, t := range p.sliced {
		if t.el.fixed.Valid() {
			p.values = append(p.values, t.el.fixed)
		} else if t.el.pattern.Valid() {
			p.values = append(p.values, t.el.pattern)
		}
	}
	if len(p.values) > 0 {
		want := p.values
		return func(_ *run, values []item) bool {
			for _, w := range want {
				found := false
				for i := range values {
					found = found || values[i].n.Valid() && hasPattern(values[i].n, w)
				}
				if !found {
					return false
				}
			}
			return true
		}
	}
	for _, t := range p.trees {
		if test := c.innerTest(t, 3); test != nil {
			return test
		}
	}
	for _, t := range p.trees {
		if b := t.el.binding; b != nil && b.valueSet != "" && b.strength == "required" {
			bd := c.e.bound(&binding{strength: "required", valueSet: b.valueSet}, c.s)
			return anyValue(func(r *run, it *item) bool {
				if r.bindingUnknown(bd, it) {
					r.undecided = true
					return false
				}
				ok, _ := r.try(func() { r.bindingRule(bd, it) })
				return ok
			})
		}
	}
	return nil
}

func anyValue(test func(*run, *item) bool) valuesTest {
	return func(r *run, values []item) bool {
		for i := range values {
			if test(r, &values[i]) {
				return true
			}
		}
		return false
	}
}

// innerTest compiles the fixed values and patterns of the elements inside an
// element, with their slices: all of them must hold for one value.
func (c *compiler) innerTest(t *tree, depth int) valuesTest {
	var tests []func(*run, *item) bool
	for _, k := range t.children {
		name := strings.TrimSuffix(k.el.last(), "[x]")
		var inner valuesTest
		switch {
		case k.el.fixed.Valid():
			f := k.el.fixed
			inner = anyValue(func(_ *run, it *item) bool { return it.n.Valid() && equalNode(it.n, f) })
		case k.el.pattern.Valid():
			f := k.el.pattern
			inner = anyValue(func(_ *run, it *item) bool { return it.n.Valid() && hasPattern(it.n, f) })
		case depth > 0:
			inner = c.innerTest(k, depth-1)
			for _, sl := range k.slices {
				if sl.el.min < 1 {
					continue
				}
				if st := c.innerTest(sl, depth-1); st != nil {
					first := inner
					inner = func(r *run, v []item) bool { return (first == nil || first(r, v)) && st(r, v) }
				} else if f := sl.el.pattern; f.Valid() {
					first := inner
					pt := anyValue(func(_ *run, it *item) bool { return it.n.Valid() && hasPattern(it.n, f) })
					inner = func(r *run, v []item) bool { return (first == nil || first(r, v)) && pt(r, v) }
				}
			}
		}
		if inner == nil {
			continue
		}
		optional := k.el.min == 0
		tests = append(tests, func(r *run, it *item) bool {
			vals := r.children(it, name, r.list())
			defer func() { r.lists = append(r.lists, vals[:0]) }()
			if len(vals) == 0 && optional {
				return true
			}
			return inner(r, vals)
		})
	}
	if len(tests) == 0 {
		return nil
	}
	return anyValue(func(r *run, it *item) bool {
		if !it.n.Valid() {
			return false
		}
		for _, test := range tests {
			if !test(r, it) {
				return false
			}
		}
		return true
	})
}

func (c *compiler) existsMatcher(p *place, steps []pathStep) matcher {
	for _, t := range p.trees {
		if t.el.max == 0 {
			return func(r *run, it *item) bool { return len(r.values(steps, it, nil)) == 0 }
		}
	}
	return func(r *run, it *item) bool { return len(r.values(steps, it, nil)) > 0 }
}

func (c *compiler) typeMatcher(p *place, steps []pathStep) matcher {
	types := map[string]bool{}
	for _, t := range p.trees {
		for _, dt := range t.el.types {
			if !p.resolved {
				types[dt.code] = true
				continue
			}
			for _, u := range dt.targets {
				if s, _ := c.e.structure(u); s != nil {
					types[s.typ] = true
				} else if name, ok := strings.CutPrefix(u, sdPrefix); ok {
					types[name] = true
				}
			}
		}
		if len(types) > 0 {
			break
		}
	}
	if p.ofType != "" {
		types = map[string]bool{p.ofType: true}
	}
	return func(r *run, it *item) bool {
		var buf [2]item
		for _, v := range r.values(steps, it, buf[:0]) {
			if types[v.typ] || types["Resource"] && v.tab != nil && v.tab.resource || types["DomainResource"] && v.tab != nil && v.tab.domain ||
				types["BackboneElement"] && strings.Contains(v.typ, ".") {
				return true
			}
		}
		return false
	}
}

func (c *compiler) profileMatcher(p *place, steps []pathStep) matcher {
	var urls []string
	for _, t := range p.trees {
		for _, dt := range t.el.types {
			if p.resolved {
				urls = append(urls, dt.targets...)
			} else {
				urls = append(urls, dt.profiles...)
			}
		}
		if len(urls) > 0 {
			break
		}
	}
	return func(r *run, it *item) bool {
		var buf [2]item
		for _, v := range r.values(steps, it, buf[:0]) {
			for _, u := range urls {
				if name, core := strings.CutPrefix(u, sdPrefix); core && name == v.typ {
					return true
				}
				pr, err := r.e.profile(u)
				if err != nil || pr.typ != v.typ {
					continue
				}
				if !v.n.Valid() {
					return true // a target that cannot be read: its type fits
				}
				if ok, _ := r.conformsTo(&v, pr); ok {
					return true
				}
			}
		}
		return false
	}
}
