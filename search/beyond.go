package search

import (
	"context"

	"ingle/fhir"
	"ingle/fhirpath"
)

// beyond is a parameter whose expression only FHIRPath can follow. None of R4's
// own needs it; those that users add may.
type beyond struct {
	p    *Param
	expr *fhirpath.Expr
}

// plantFHIRPath leaves a parameter to FHIRPath. What kinds of value it will
// find is not known beforehand, so a search looks for all of them.
func (r *Registry) plantFHIRPath(t *typeIndex, p *Param) error {
	expr, err := fhirpath.Compile(p.Definition.Expression, fhirpath.ForSearch(), fhirpath.WithDefinitions(r.defs))
	if err != nil {
		return err
	}
	p.indexed, p.single, p.anywhere = true, false, true
	p.hasCoding, p.hasCode, p.hasExact, p.hasIdent, p.inDict = true, true, true, true, true
	p.Targets = p.Definition.Target
	t.beyond = append(t.beyond, &beyond{p: p, expr: expr})
	return nil
}

// evaluate takes the rows of a parameter by its FHIRPath. An expression that
// cannot be applied to the resource finds nothing in it.
func (x *extraction) evaluate(b *beyond) {
	values, err := b.expr.Eval(context.Background(), &fhirpath.Env{}, fhirpath.ResourceIn(x.r.defs, x.root))
	if err != nil {
		return
	}
	for _, v := range values {
		if n := v.Node(); n.Valid() {
			x.leaf(&leaf{p: b.p, typ: v.TypeName()}, n)
			continue
		}
		x.computed(b.p, v)
	}
}

// computed takes a value that is no element, such as the result of exists().
func (x *extraction) computed(p *Param, v fhirpath.Value) {
	switch p.Type {
	case "token":
		if yes, ok := v.Bool(); ok {
			if yes {
				x.code(p, "true", "boolean")
			} else {
				x.code(p, "false", "boolean")
			}
		} else {
			x.coded(p.ID, "", foldCode(v.String()))
		}
	case "string":
		x.string(p.key, v.String())
	case "uri":
		x.addString(uriRow(p.key, v.String()), false)
	case "date":
		if lo, hi, ok := fhir.DateRange([]byte(v.String())); ok {
			x.date(p.key, lo, hi)
		}
	case "number":
		if d, ok := v.Dec(); ok {
			s := d.Text('f')
			x.addQuantity(QuantityRow{K: p.key, Lo: s, Hi: s})
		}
	}
}
