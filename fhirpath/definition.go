package fhirpath

import (
	"ingle/fhirpath/syntax"
)

// definitionFunctions are those of R4 that look at the definitions of elements
// instead of their content (R4, FHIRPath, 2.9.1.2.2): what they find is the business of Env.
var definitionFunctions = map[string]function{
	"elementDefinition": {0, 0, compileElementDefinition},
	"slice":             {2, 2, compileSlice},
}

// compileElementDefinition compiles elementDefinition(): the ElementDefinition of
// each element; what has none is left out.
func compileElementDefinition(c *compiler, n *syntax.Call, of code, _ shape) (code, error) {
	definition := c.types.model("ElementDefinition")
	return c.fromMany(n, shapeOf(definition), func(ev *evaluation, f *frame, in, out []Value) ([]Value, error) {
		src, err := of.collect(ev, f, in)
		if err != nil {
			return out, err
		}
		for _, v := range src {
			if v.kind != KindElement || ev.env.ElementDefinition == nil {
				continue
			}
			found, err := ev.env.ElementDefinition(ev.ctx, v)
			if err != nil {
				return out, err
			}
			if found.Valid() {
				out = append(out, Value{kind: KindElement, node: found, typ: definition})
			}
		}
		err = ev.step(1 + 10*len(src))
		of.drop(ev, src)
		return out, err
	}), nil
}

// compileSlice compiles slice(structure, name): of each element what is in the
// named slice of a StructureDefinition, the element itself or its children.
func compileSlice(c *compiler, n *syntax.Call, of code, in shape) (code, error) {
	args, err := c.args(n, in)
	if err != nil {
		return code{}, err
	}
	return c.fromMany(n, shape{}, func(ev *evaluation, f *frame, in, out []Value) ([]Value, error) {
		structure, ok, err := args[0].str(ev, f, f.this, n)
		if err != nil || !ok {
			return out, err
		}
		name, ok, err := args[1].str(ev, f, f.this, n)
		if err != nil || !ok {
			return out, err
		}
		if ev.env.Slice == nil {
			return out, fail(ev, n, "the profile %s is not known", clip(structure))
		}
		src, err := of.collect(ev, f, in)
		if err != nil {
			return out, err
		}
		for _, v := range src {
			if v.kind != KindElement {
				continue
			}
			found, err := ev.env.Slice(ev.ctx, v, structure, name)
			if err != nil {
				return out, fail(ev, n, "%v", err)
			}
			out = append(out, found...)
		}
		err = ev.step(1 + 10*len(src))
		of.drop(ev, src)
		return out, err
	}), nil
}
