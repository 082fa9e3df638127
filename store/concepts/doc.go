// Package concepts keeps imported code systems in PostgreSQL, and the tables of
// $closure. Code systems hold no data of patients: every caller reads them.
//
// A version of a code system is three partitions (concept, concept_edge,
// concept_property) under its number. An import fills new partitions beside the
// ones in use and then takes their place in one transaction, so a reader never
// sees half a code system, and replacing a version leaves no dead rows.
//
// The hierarchy is kept as spans. Concepts are numbered in pre-order along a
// spanning tree; what lies below a concept is then one span of places, and a
// few more where the hierarchy is not a tree. "Is b below a" needs the rows of a
// and b and no join, and "all below a" is a range scan.
package concepts
