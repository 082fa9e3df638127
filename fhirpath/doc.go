// Package fhirpath compiles and evaluates FHIRPath (http://hl7.org/fhirpath, N1
// with the additions that the test suite for R4 has, and the functions of
// FHIR R4) over the nodes of a fhir.Doc.
//
//	expr, err := fhirpath.Compile("name.where(use = 'official').given")
//	names, err := expr.Eval(ctx, nil, fhirpath.Resource(doc.Root()))
//
// An Expr is compiled once, to closures, and is safe for concurrent use. Eval
// yields a Collection of values: elements of the document, with their FHIR
// type, and System values. EvalBool evaluates a condition, Holds a constraint.
// What an expression may know of its surroundings (%resource, resolve(),
// memberOf() …) stands in Env.
//
// The types of elements come from the definitions of the FHIR version. A name
// that a type does not have yields nothing, unless the expression is compiled
// with Checked. Evaluation is bounded in steps, sizes and time, and regular
// expressions are those of RE2, which are linear in their text.
//
// Where the suite and the specification differ the specification is followed;
// suite_test.go names those cases. Not part of it are Long and instance
// selectors, which are later than N1. They are refused when compiled.
package fhirpath
