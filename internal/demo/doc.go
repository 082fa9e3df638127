// Package demo makes Ingle's demonstration cohort: thirty invented people with visits, vital signs and laboratory
// results in US units, conditions, medications, procedures, immunizations, and two research studies with participants,
// specimens, families and files shaped by the NCPI implementation guide.
//
// The cohort is the same on every machine and in every year: people and plans stand in tables, measurements come from
// generators seeded with the person's id. Nobody in it exists. Codes are from SNOMED CT, LOINC, RxNorm, CVX, ICD-10-CM,
// the Human Phenotype Ontology and MONDO.
//
// Bundles are transactions of PUT entries with fixed ids. Loading them twice writes new versions, so a loader asks for
// Marker first: it is in the last Bundle, and is there only when everything else is.
//
// Every resource carries a label in meta.security (system urn:gen3:authz), so that authorization by project can be
// tried on the cohort: see Projects.
package demo
