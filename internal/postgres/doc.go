// Package postgres runs a private PostgreSQL server (14 or newer) as a child process, for `ingle serve` without
// a database URL and for the tests.
//
// Start finds the server's binaries on the machine (or fetches them once), makes the cluster if there is none,
// starts it on a unix socket inside its own folder with a random password, waits until it answers, and brings it
// back when it dies. Stop ends it cleanly; nothing else listens and no port is opened.
//
// PostgreSQL refuses to run as root. When the caller is root the server runs as the user `postgres` or, failing
// that, `nobody`: the folder then belongs to root (0711) and only the cluster and the socket (0700) to that user.
//
// The folder, as left between runs:
//
//	<Dir>/lock            held (flock) by the process that supervises the cluster
//	<Dir>/password        password of the superuser, 0600
//	<Dir>/cluster/        PGDATA
//	<Dir>/socket/         unix socket, unless the path would be too long for one
//	<Dir>/postgres.log    what the server says; error details are left out, they can hold data of patients
package postgres
