// Package search knows what a FHIR search parameter means. It has three doors:
//
//   - Registry.IndexRows takes the values of every search parameter out of a
//     resource, as the rows that the store writes beside it;
//   - Registry.Parse turns the parameters of a request into a Query, strictly;
//   - Registry.Compile, CompileCount and CompileMatch turn a Query into one SQL
//     statement that reads only through the Source it is given.
//
// How the values of one parameter type are taken out and how they are compared
// stands in one file each: token.go, date.go, string.go, reference.go,
// quantity.go, number.go, uri.go, composite.go and special.go. The package does
// no input or output.
//
// A request walks so: parse.go reads the parameters (control.go those that shape
// the result, chain.go and filter.go those made of others) into conditions
// (cond.go); plan.go chooses the one that drives, the others are probed or
// joined (compile.go); statement.go, sort.go and include.go put the page
// together. Before that, at each write, extract.go walks once over the resource
// with the tree (tree.go) of all parameters of its type, whose paths expr.go
// read; what is not a plain path is left to FHIRPath (beyond.go).
//
// The rules are those of http://hl7.org/fhir/R4/search.html; where it leaves a
// choice, the file says which one was taken. testdata/cases says the same in
// examples.
package search
