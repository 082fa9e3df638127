package server

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"time"

	"ingle/authz"
	"ingle/fhir"
	"ingle/interaction"
)

// exchange is what is known of one request while it is served.
type exchange struct {
	id        string // request id
	start     time.Time
	base      string // FHIR base URL in answers
	format    format
	req       *interaction.Request // nil before the route is known
	principal string
	scope     authz.Scope                                         // that it is answered with
	pace      func(w http.ResponseWriter, principal string) error // Server.pace of this request
	err       error                                               // what went wrong, for the log
	rows      int
	path      string // template of the path, for the log
	made      interaction.Entry
	entries   []interaction.Entry // of a Bundle
	deed      *deed               // nil but on the administrators' paths
}

// requestID takes X-Request-Id if it can be the id of an OperationOutcome, or
// makes one.
func requestID(r *http.Request) string {
	if id := r.Header.Get("X-Request-Id"); fhir.ValidID(id) {
		return id
	}
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// recorder watches what is answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
