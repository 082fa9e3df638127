package search

import (
	"errors"
	"strings"

	"ingle/fhir"
)

// A composite parameter finds values that stand together in one element (R4
// 3.1.1.5.15). Its rows lie in the table of the last component's type, under a
// key that holds the first component, which is a token in all of R4 (but for
// DocumentReference.relationship: a reference and a token):
//
//	token$token         idx_token     h = (parameter, system, code, system, code)
//	token$quantity      idx_quantity  k = (parameter, system, code)
//	token$date          idx_date      k, likewise
//	token$string        idx_string    k, likewise
//	token$number$number idx_quantity  k, likewise; lo and hi are the two numbers
//	reference$token     idx_token     h = (parameter, target, system, code)
//
// The dictionary holds the keys, so that a code without its system finds them.

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
		out = append(out, &component{typ: def.Type})
	}
	exprs := make([]string, len(out))
	for i, c := range p.Definition.Components {
		exprs[i] = c.Expression
	}
	if p.URL == "http://hl7.org/fhir/SearchParameter/DocumentReference-relationship" {
		// R4 gives its two expressions in the wrong order.
		exprs[0], exprs[1] = exprs[1], exprs[0]
	}
	for i, c := range out {
		expr, root := strings.CutPrefix(exprs[i], "%resource.")
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
	if parts[0].typ == "reference" {
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
	x.eachOf(parts[0], n, func(_ *jsonPath, v fhir.Node) {
		ref := x.r.parseReference(text(v, "reference"))
		key := refText(ref)
		if key == "" {
			return
		}
		for _, t := range x.tokensOf(parts[1], n) {
			x.addToken(p.ID, hash64(p.ID, "c", key, t.system, t.code))
			x.addToken(p.ID, hash64(p.ID, "ca", key, t.code))
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
			from = x.doc.Root()
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
