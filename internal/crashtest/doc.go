// Package crashtest breaks a running Ingle: it kills the server and PostgreSQL
// with SIGKILL under write load, lets two servers race on one database, and
// crosses transactions. It holds what is stored against a ledger of what was
// acknowledged.
//
// The short form is one round of each. INGLE_LONG=1 runs the long one.
package crashtest
