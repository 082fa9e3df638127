// Package distribution reads code systems as their publishers distribute them:
// LOINC, SNOMED CT (RF2), RxNorm (RRF), ICD-10-CM (order file or tabular XML),
// OBO ontologies, and CSV files.
//
// Nothing is held in memory as a whole. Where the facts about one concept stand
// in several files in no common order (RF2, RRF), the concepts are taken in
// groups by a hash of their code, each group small enough, and the files are
// read once a group.
package distribution
