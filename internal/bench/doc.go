// Package bench measures a FHIR server.
//
// It loads transaction Bundles until the database holds a given number of
// resources, samples what is there, and runs reads, writes and twenty searches
// against any FHIR base URL. Every answer is checked. Where the database can be
// reached too, each workload alternates with its limit: a few lines of net/http
// and pgx that do the same on the same bytes in the same database server, with
// SQL written by hand. A ratio comes only from two arms of one run.
//
// The rules: arms alternate A B B A over several rounds, medians and their
// spread are told; the first figure is the CPU time of server and PostgreSQL for
// a request; a null request beside each workload shows how quiet the machine
// was; answers are held against an oracle that reads the stored bodies and
// knows nothing of the index.
package bench
