// Package terminology answers what codes mean: whether a code belongs to a
// value set ($validate-code), what a value set holds ($expand), what a code
// system says about a code ($lookup), how two codes relate ($subsumes,
// $closure) and what a code is called elsewhere ($translate).
//
// A value set is never expanded to test membership. Its compose is compiled
// once to a Set: a tree of includes, excludes and filters over code systems.
// $validate-code asks the tree for one code; $expand walks it.
//
// A code system is a System. There are four kinds: compiled from a CodeSystem
// resource (resourceSystem), imported into the database (storedSystem),
// computed from a grammar (UCUM, BCP-47, MIME types) and answered by another
// server (remoteSystem).
//
// Nothing here knows HTTP or SQL: the content comes from a Source, bound to what
// the caller may see, and imported code systems from a ConceptStore.
package terminology
