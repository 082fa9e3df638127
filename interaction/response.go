package interaction

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"ingle/fhir"
	"ingle/store"
)

// Response is the answer to one interaction, free of HTTP.
type Response struct {
	Status       int
	Version      string    // versionId for the ETag, "" for none
	LastModified time.Time // zero for none
	Location     string    // relative to the base URL, "Patient/1/_history/2"; "" for none
	ContentType  string    // media type of Body where it is not a FHIR resource; "" otherwise

	// ContentLocation is where an asynchronous request's answer will be, relative
	// to the base URL; Progress tells how far it is, and Expires how long it stays.
	ContentLocation string
	Progress        string
	Expires         time.Time

	// At most one of Body, Stream and Issues makes the content; Issues stand for
	// an OperationOutcome.
	Body   []byte
	Stream func(io.Writer) error
	Issues []fhir.Issue

	// Lasting tells that Stream may take longer than a request: whoever sends it sees
	// to it that the caller may still have it.
	Lasting bool

	RetryAfter int      // seconds
	Allow      []string // methods of a 405
	Err        error    // what went wrong, for the log; nil if nothing did

	Rows    int     // resources in the answer, for the metrics
	Entries []Entry // what a Bundle's entries did, and what a delete did to each resource, for the audit trail

	// result is the resource that a write left behind, for references to it.
	result reference
}

type reference struct{ Type, ID string }

// Entry tells what an interaction did to which resource, for the audit trail.
type Entry struct {
	Kind              Kind
	Type, ID, Version string
	Status            int
}

// Made is the resource that the interaction wrote or read by its id; the zero
// Entry if there is none.
func (r *Response) Made() Entry {
	if r.result.ID == "" {
		return Entry{}
	}
	return Entry{Type: r.result.Type, ID: r.result.ID, Version: r.Version, Status: r.Status}
}

// entriesFor is the trail of a Bundle's entry; req is nil where it could not be read.
func entriesFor(req *Request, r *Response) []Entry {
	if len(r.Entries) > 0 {
		return r.Entries
	}
	e := Entry{Status: r.Status, Type: r.result.Type, ID: r.result.ID, Version: r.Version}
	if req != nil {
		e.Kind = req.Kind
		if e.ID == "" {
			e.Type, e.ID = req.Type, req.ID
		}
	}
	return []Entry{e}
}

// Outcome is a Response with the given issues.
func Outcome(status int, issues ...fhir.Issue) *Response {
	return &Response{Status: status, Issues: issues}
}

// Failed turns an error into a Response. What is no *fhir.Error becomes a 500
// without details.
func Failed(err error) *Response {
	if fe := fhir.AsError(err); fe != nil {
		return &Response{Status: fe.Status, Issues: fe.Issues, RetryAfter: fe.RetryAfter, Allow: fe.Allow, Err: err}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &Response{Status: http.StatusServiceUnavailable, RetryAfter: 5, Err: err, Issues: []fhir.Issue{{Severity: fhir.SeverityError,
			Code: fhir.CodeTimeout, Diagnostics: "the request took longer than it may; ask for less or try again later"}}}
	}
	return &Response{Status: http.StatusInternalServerError, Err: err, Issues: []fhir.Issue{{Severity: fhir.SeverityFatal,
		Code: fhir.CodeException, Diagnostics: "the server failed to do this; its log tells why, under the request id"}}}
}

// found is the answer that carries a stored version.
func found(r *store.Resource) *Response {
	return &Response{Status: http.StatusOK, Version: strconv.Itoa(r.Version), LastModified: r.LastUpdated, Body: r.Body, Rows: 1,
		result: reference{r.Type, r.ID}}
}

// written is the answer to a write that made a version.
func (s *Service) written(req *Request, status int, c *store.Change, notes []fhir.Issue) *Response {
	resp := &Response{Status: status, Version: strconv.Itoa(c.Version), LastModified: c.LastUpdated, Rows: 1,
		Location: fmt.Sprintf("%s/%s/_history/%d", c.Type, c.ID, c.Version), result: reference{c.Type, c.ID}}
	s.prefer(req, resp, c.Body, notes)
	return resp
}

// prefer gives a write's answer the content the client wants; the whole
// resource where it does not say.
func (s *Service) prefer(req *Request, resp *Response, body []byte, notes []fhir.Issue) {
	want := req.Prefer.Return
	if want == "" {
		want = s.cfg.Return
	}
	switch want {
	case "minimal":
	case "OperationOutcome":
		resp.Issues = []fhir.Issue{{Severity: fhir.SeverityInformation, Code: fhir.CodeInformational,
			Diagnostics: fmt.Sprintf("%s/%s is stored as version %s", resp.result.Type, resp.result.ID, resp.Version)}}
		resp.Issues = append(resp.Issues, notes...)
	default:
		resp.Body = body
	}
}

// content returns the bytes of the answer's resource, nil for none.
func (r *Response) content(requestID string) ([]byte, error) {
	switch {
	case r.Issues != nil:
		return fhir.AppendOutcome(nil, r.Issues, requestID), nil
	case r.Stream != nil:
		var b writeBuffer
		err := r.Stream(&b)
		return b, err
	}
	return r.Body, nil
}

type writeBuffer []byte

func (b *writeBuffer) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}
