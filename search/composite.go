package search

import (
	"errors"
	"slices"
	"strings"

	"ingle/fhir"
)

// A composite parameter finds values that stand together in one element (R4
// search, "composite"). Its rows lie in the table of the last component's type, under a
// key that holds the first component, which is a token in all of R4:
//
//	token$token         idx_token     h = (parameter, system, code, system, code)
//	token$quantity      idx_quantity  k = (parameter, system, code)
//	token$date          idx_date      k, likewise
//	token$string        idx_string    k, likewise
//	token$number$number idx_quantity  k, likewise; lo and hi are the two numbers
//	token$reference     idx_token     h = (parameter, system, code, target)
//
// The dictionary holds the keys, so that a code without its system finds them;
// but for token$reference, which has a row for either form.

// component is one part of a composite parameter.
type component struct {
	typ   string // of the search parameter: token, quantity …
	paths []jsonPath
	// what its tokens are, as in Param
	shape Param
}

// pairSeparator joins the systems and the codes of two tokens in the
// dictionary. FHIR strings hold no control characters.
const pairSeparator = "\x1f"

// plantComposite puts the elements of a composite parameter into the tree.
func (r *Registry) plantComposite(t *typeIndex, p *Param, branches []branch) error {
	for _, b := range branches {
		if b.root != t.name {
			continue
		}
		bases, err := r.expand(t.name, b.steps)
		if err != nil {
			return err
		}
		p.restOn(b.steps)
		for _, base := range bases {
			parts, err := r.components(t, p, base.typ)
			if err != nil {
				return err
			}
			if p.components == nil {
				p.components = parts
			}
			p.indexed = true
			t.tree.add(base, leaf{p: p, typ: base.typ, parts: parts})
			p.places = append(p.places, placeOf(&base, parts))
		}
	}
	return nil
}

// components compiles the parts of a composite below one base element.
func (r *Registry) components(t *typeIndex, p *Param, base string) ([]*component, error) {
	var out []*component
	for _, c := range p.Definition.Components {
		def := r.defs.SearchParamByURL(c.Definition)
		if def == nil {
			return nil, errors.New("unknown component")
		}
		part := &component{typ: def.Type}
		part.shape.Targets = def.Target
		out = append(out, part)
	}
	for i, c := range out {
		expr, root := strings.CutPrefix(p.Definition.Components[i].Expression, "%resource.")
		from := base
		if root {
			from = t.name
		}
		branches, err := parseExpression(expr, true)
		if err != nil {
			return nil, err
		}
		for _, b := range branches {
			paths, err := r.expand(from, b.steps)
			if err != nil {
				return nil, err
			}
			for _, jp := range paths {
				jp.root = root
				c.shape.learn(jp)
				c.paths = append(c.paths, jp)
			}
		}
	}
	return out, nil
}

// pairCode is a token of a component.
type pairCode struct{ system, code string }

// composite takes the rows of one element.
func (x *extraction) composite(p *Param, parts []*component, n fhir.Node) {
	if len(parts) < 2 {
		return
	}
	if parts[1].typ == "reference" {
		x.referencePair(p, parts, n)
		return
	}
	for _, t := range x.tokensOf(parts[0], n) {
		h := compositeKey(p.ID, t.system, t.code)
		switch parts[1].typ {
		case "token":
			for _, u := range x.tokensOf(parts[1], n) {
				h := pairKey(p.ID, t, u)
				x.addToken(p.ID, h)
				x.rows.Coded = append(x.rows.Coded, CodedToken{H: h, P: p.ID,
					System: t.system + pairSeparator + u.system, Code: t.code + pairSeparator + u.code})
			}
			continue
		case "quantity":
			before := len(x.rows.Quantities)
			ucum := compositeUCUMKey(p.ID, t.system, t.code)
			x.eachOf(parts[1], n, func(jp *jsonPath, v fhir.Node) { x.quantity(h, ucum, jp.typ, v) })
			if len(x.rows.Quantities) == before {
				continue
			}
			x.rows.Coded = append(x.rows.Coded, CodedToken{H: ucum, P: p.ofType, System: t.system, Code: t.code})
		case "date":
			before := len(x.rows.Dates)
			x.eachOf(parts[1], n, func(jp *jsonPath, v fhir.Node) {
				if lo, hi, ok := dateRange(jp.typ, v); ok {
					x.date(h, lo, hi)
				}
			})
			if len(x.rows.Dates) == before {
				continue
			}
		case "string":
			before := len(x.rows.Strings)
			x.eachOf(parts[1], n, func(jp *jsonPath, v fhir.Node) { x.text(h, jp.typ, v) })
			if len(x.rows.Strings) == before {
				continue
			}
		case "number":
			if !x.numberPair(h, parts, n) {
				continue
			}
		}
		x.rows.Coded = append(x.rows.Coded, CodedToken{H: h, P: p.ID, System: t.system, Code: t.code})
	}
}

// compositeKey is the key of a composite's first token.
func compositeKey(p ParamID, system, code string) int64 { return hash64(p, "c", system, code) }

// compositeUCUMKey is the key of its canonical quantities; the dictionary knows
// it under the parameter's derived number for :of-type, which a composite does
// not use otherwise.
func compositeUCUMKey(p ParamID, system, code string) int64 { return hash64(p, "cu", system, code) }

func pairKey(p ParamID, t, u pairCode) int64 {
	return hash64(p, "c", t.system, t.code, u.system, u.code)
}

// numberPair adds a row of the two numbers of a token$number$number.
func (x *extraction) numberPair(k int64, parts []*component, n fhir.Node) bool {
	if len(parts) != 3 {
		return false
	}
	found := false
	x.eachOf(parts[1], n, func(_ *jsonPath, a fhir.Node) {
		x.eachOf(parts[2], n, func(_ *jsonPath, b fhir.Node) {
			if a.Kind() == fhir.Number && b.Kind() == fhir.Number {
				x.rows.Quantities = append(x.rows.Quantities, QuantityRow{K: k, Lo: a.Text(), Hi: b.Text()})
				found = true
			}
		})
	})
	return found
}

func (x *extraction) referencePair(p *Param, parts []*component, n fhir.Node) {
	x.eachOf(parts[1], n, func(_ *jsonPath, v fhir.Node) {
		key := refText(x.r.parseReference(text(v, "reference")))
		if key == "" {
			return
		}
		for _, t := range x.tokensOf(parts[0], n) {
			x.addToken(p.ID, hash64(p.ID, "c", t.system, t.code, key))
			x.addToken(p.ID, hash64(p.ID, "ca", t.code, key))
		}
	})
}

// refText is the text whose RefKey is the target of a reference, "" for none.
func refText(ref fhir.Reference) string {
	switch ref.Form {
	case fhir.RefRelative:
		return ref.Relative()
	case fhir.RefAbsolute:
		return ref.Base + "/" + ref.Relative()
	case fhir.RefURL, fhir.RefURN:
		return ref.URL
	}
	return ""
}

// eachOf visits the values of a component below the element n.
func (x *extraction) eachOf(c *component, n fhir.Node, visit func(*jsonPath, fhir.Node)) {
	for i := range c.paths {
		jp := &c.paths[i]
		from := n
		if jp.root {
			from = x.root
		}
		jp.each(from, func(v fhir.Node) { visit(jp, v) })
	}
}

// tokensOf returns the tokens of a component below the element n.
func (x *extraction) tokensOf(c *component, n fhir.Node) []pairCode {
	var out []pairCode
	coding := func(v fhir.Node) {
		if code := text(v, "code"); code != "" {
			out = append(out, pairCode{text(v, "system"), foldCode(code)})
		}
	}
	x.eachOf(c, n, func(jp *jsonPath, v fhir.Node) {
		switch jp.typ {
		case "Coding":
			coding(v)
		case "CodeableConcept":
			for e := v.Get("coding").First(); e.Valid(); e = e.Next() {
				coding(e)
			}
		case "Identifier":
			if value := text(v, "value"); value != "" {
				out = append(out, pairCode{text(v, "system"), foldCode(value)})
			}
		case "code", "boolean", "string":
			if v.Kind() == fhir.String || v.Kind() == fhir.Bool {
				out = append(out, pairCode{"", foldCode(v.Text())})
			}
		}
	})
	return out
}

// composite reads the values of a composite parameter: parts joined by "$".
func (v *valueReader) composite() (cond, error) {
	var parts []cond
	for _, value := range v.values {
		pieces := splitEscaped(value, '$')
		var first []cond
		for _, sp := range v.ps {
			if !sp.indexed || len(sp.components) < 2 {
				parts = append(parts, never{})
				continue
			}
			if len(pieces) != len(sp.components) {
				return nil, v.fail(value, "%d parts joined by $ are expected: %s", len(sp.components), sp.shapeOf())
			}
			k, err := v.compositeValue(sp, value, pieces)
			if err != nil {
				return nil, err
			}
			for _, s := range k {
				keyedByCode(s)
			}
			if shareKeys(first, k) {
				continue
			}
			if first == nil {
				first = k
			}
			parts = append(parts, k...)
		}
	}
	return either(parts), nil
}

// shareKeys adds the keys of one parameter's scans to those of another's for the
// same value, which ask for the same beside their keys, so that one scan drives.
func shareKeys(first, k []cond) bool {
	if len(first) != len(k) || len(k) == 0 {
		return false
	}
	alike := func(a, b cond) bool {
		s, ok := a.(*scan)
		t, fine := b.(*scan)
		return ok && fine && s.rel == t.rel && (s.rel == Quantity || s.rel == Date) && s.dict == nil && t.dict == nil && s.canonical == t.canonical
	}
	if !slices.EqualFunc(first, k, alike) {
		return false
	}
	for i := range k {
		s := first[i].(*scan)
		s.keys = append(slices.Clone(s.keys), k[i].(*scan).keys...)
	}
	return true
}

// keyedByCode ranks the scan of a composite no worse than its first component
// alone: the key holds a code, however open the range beside it is.
func keyedByCode(k cond) {
	if s, ok := k.(*scan); ok {
		s.order = min(s.order, rankToken)
	}
}

// shapeOf writes "token$quantity".
func (p *Param) shapeOf() string {
	words := make([]string, len(p.components))
	for i, c := range p.components {
		words[i] = c.typ
	}
	return strings.Join(words, "$")
}

// pairToken is a token of a composite value.
type pairToken struct {
	pairCode
	hasSystem bool
}

func (v *valueReader) pairToken(value, piece string) (pairToken, error) {
	system, code, hasSystem := cutEscaped(piece, '|')
	if !hasSystem {
		system, code = "", system
	}
	if code == "" {
		return pairToken{}, v.fail(value, "a part of type token needs a code: code, system|code or |code")
	}
	return pairToken{pairCode{unescape(system), foldCode(unescape(code))}, hasSystem}, nil
}

// known settles the system of a token where the component leaves no choice.
func (v *valueReader) known(c *component, t pairToken) (pairToken, bool) {
	if c.shape.hasCoding || c.shape.hasIdent {
		return t, t.hasSystem
	}
	if t.hasSystem && t.system != "" && v.p.r.implies(&c.shape, t.system, t.code) {
		t.system = ""
	}
	t.hasSystem = true
	return t, true
}

func (v *valueReader) compositeValue(sp *Param, value string, pieces []string) ([]cond, error) {
	t, err := v.pairToken(value, pieces[0])
	if err != nil {
		return nil, err
	}
	t, exactSystem := v.known(sp.components[0], t)
	// keys or, where the system is not known, a lookup of them
	base := scan{types: v.types, order: rankToken}
	var keys, canonical []int64
	var dict, dictUCUM *lookup
	if exactSystem {
		keys, canonical = []int64{compositeKey(sp.ID, t.system, t.code)}, []int64{compositeUCUMKey(sp.ID, t.system, t.code)}
	} else {
		dict, dictUCUM = byCode([]ParamID{sp.ID}, t.code), byCode([]ParamID{sp.ofType}, t.code)
	}
	switch sp.components[1].typ {
	case "token":
		u, err := v.pairToken(value, pieces[1])
		if err != nil {
			return nil, err
		}
		return []cond{v.tokenPair(sp, t, exactSystem, u)}, nil
	case "reference":
		return v.tokenReference(sp, t, exactSystem, value, pieces[1])
	case "quantity":
		inner := &valueReader{p: v.p, ps: v.ps, types: v.types, name: v.name, values: v.values}
		q, err := inner.quantityValue(pieces[1])
		if err != nil {
			return nil, err
		}
		base.rel = Quantity
		out := q.scans(base, keys, canonical)
		if !exactSystem {
			for _, k := range out {
				s := k.(*scan)
				s.dict = dict
				if s.canonical {
					s.dict = dictUCUM
				}
			}
		}
		return out, nil
	case "date":
		d, err := v.dateValue(pieces[1])
		if err != nil {
			return nil, err
		}
		s := &scan{rel: Date, types: v.types, keys: keys, dict: dict}
		s.within(d.bounds())
		return []cond{s}, nil
	case "string":
		begin := fold(unescape(pieces[1]))
		if begin == "" {
			return nil, v.fail(value, "the text is empty")
		}
		base.rel, base.keys, base.dict = String, keys, dict
		base.where = func(c *compilation, a string) string { return prefix(c, a, begin) }
		base.order = prefixRank(begin)
		return []cond{&base}, nil
	case "number":
		first, ok1 := parseInterval(unescape(pieces[1]))
		second, ok2 := parseInterval(unescape(pieces[2]))
		if !ok1 || !ok2 {
			return nil, v.fail(value, "the second and third part are numbers")
		}
		base.rel, base.keys, base.dict = Quantity, keys, dict
		base.where = func(c *compilation, a string) string {
			return and(first.sql(c, a+".lo", a+".lo"), second.sql(c, a+".hi", a+".hi"))
		}
		return []cond{&base}, nil
	}
	return nil, fhir.Errorf(400, fhir.CodeNotSupported, "%s: a composite of %s is not supported", v.name, sp.shapeOf())
}

// tokenPair is the scan of a token$token.
func (v *valueReader) tokenPair(sp *Param, t pairToken, exactFirst bool, u pairToken) cond {
	u, exactSecond := v.known(sp.components[1], u)
	s := &scan{rel: Token, types: v.types, order: rankToken, unique: true}
	if exactFirst && exactSecond {
		s.keys = []int64{pairKey(sp.ID, t.pairCode, u.pairCode)}
		return s
	}
	code := t.code + pairSeparator + u.code
	s.dict = &lookup{ps: []ParamID{sp.ID}, where: func(c *compilation, a string) string {
		parts := []string{a + ".code = " + c.arg(code)}
		if exactFirst {
			parts = append(parts, "split_part("+a+".system, "+c.arg(pairSeparator)+", 1) = "+c.arg(t.system))
		}
		if exactSecond {
			parts = append(parts, "split_part("+a+".system, "+c.arg(pairSeparator)+", 2) = "+c.arg(u.system))
		}
		return and(parts...)
	}}
	s.ps = []ParamID{sp.ID}
	return s
}

func (v *valueReader) tokenReference(sp *Param, t pairToken, exactSystem bool, value, piece string) ([]cond, error) {
	inner := &valueReader{p: v.p, ps: []*Param{{Code: sp.Code, Targets: sp.components[1].shape.Targets}}, types: v.types, name: v.name}
	targets, err := inner.targets(piece)
	if err != nil {
		return nil, err
	}
	s := &scan{rel: Token, types: v.types, order: rankReference, unique: true}
	for _, target := range targets {
		if exactSystem {
			s.keys = append(s.keys, hash64(sp.ID, "c", t.system, t.code, target))
		} else {
			s.keys = append(s.keys, hash64(sp.ID, "ca", t.code, target))
		}
	}
	return []cond{s}, nil
}
