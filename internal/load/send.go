package load

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"ingle/fhir"
)

const maxAttempts = 6

// answer is what the server said.
type answer struct {
	status int
	doc    *fhir.Doc // nil if the body is no JSON
}

// send makes one request; it waits and tries again while the server is busy or
// away. Its error means that going on makes no sense.
func (l *loader) send(ctx context.Context, method, url string, body []byte) (*answer, error) {
	for attempt := 1; ; attempt++ {
		a, wait, err := l.try(ctx, method, url, body)
		if err == nil && a != nil {
			atomic.AddInt64(&l.res.Requests, 1)
			if a.status == 401 || a.status == 403 && a.doc == nil {
				return nil, fmt.Errorf("the server answers %d: %s", a.status, a.reason())
			}
			return a, nil
		}
		if attempt == maxAttempts || ctx.Err() != nil {
			if err == nil {
				err = fmt.Errorf("the server stays busy")
			}
			return nil, fmt.Errorf("%s %s: %w", method, url, err)
		}
		if wait == 0 {
			wait = time.Duration(1<<attempt) * 100 * time.Millisecond
		}
		select {
		case <-time.After(wait + rand.N(wait/4+1)):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// try returns no answer if the request may be made again.
func (l *loader) try(ctx context.Context, method, url string, body []byte) (*answer, time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, 0, err
	}
	for k, v := range l.Header {
		req.Header[k] = v
	}
	req.Header.Set("Content-Type", "application/fhir+json")
	req.Header.Set("Accept", "application/fhir+json")
	req.Header.Set("Prefer", "return=minimal")
	resp, err := l.Client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, 0, err
	}
	if resp.StatusCode == 429 || resp.StatusCode == 503 {
		after, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return nil, time.Duration(min(after, 60)) * time.Second, nil
	}
	a := &answer{status: resp.StatusCode}
	if doc, err := fhir.Parse(data, fhir.Limits{Nodes: 1 << 24, String: 1 << 28, Depth: 128}); err == nil {
		a.doc = doc
	}
	return a, 0, nil
}

func (a *answer) ok() bool { return a.status < 300 }

// awaits tells whether the refusal may be about something that is not there yet.
func (a *answer) awaits() bool {
	return a.status == 404 || a.status == 409 || a.status == 412 || a.status == 422 || a.status == 400
}

// reason is the text of the first error in an OperationOutcome.
func (a *answer) reason() string {
	if a.doc == nil {
		return fmt.Sprintf("HTTP %d %s", a.status, http.StatusText(a.status))
	}
	return reasonOf(a.doc.Root(), a.status)
}

func reasonOf(outcome fhir.Node, status int) string {
	for issue := outcome.Get("issue").First(); issue.Valid(); issue = issue.Next() {
		if s := issue.Get("severity").Text(); s != "error" && s != "fatal" {
			continue
		}
		text := issue.Get("diagnostics").Text()
		if text == "" {
			text = issue.Get("details").Get("text").Text()
		}
		if at := issue.Get("expression").First().Text(); at != "" && !strings.Contains(text, at) {
			text = at + ": " + text
		}
		return fmt.Sprintf("%d %s: %s", status, issue.Get("code").Text(), text)
	}
	return fmt.Sprintf("HTTP %d %s", status, http.StatusText(status))
}

// loadBundle sends a transaction or batch as it is.
func (l *loader) loadBundle(ctx context.Context, p piece, doc *fhir.Doc, batch bool) error {
	a, err := l.send(ctx, http.MethodPost, l.Base, p.data)
	if err != nil {
		return err
	}
	entries := doc.Root().Get("entry")
	if !a.ok() {
		if a.awaits() && l.retry(p) {
			return nil
		}
		line, what := p.line, fmt.Sprintf("Bundle of %d entries", entries.Len())
		if a.doc != nil { // the entry at fault, as the outcome names it
			if e := entryOf(a.doc.Root(), entries); e.Valid() {
				l2, _ := e.LineCol()
				line = p.line + l2 - 1
			}
		}
		l.refuse(p.file, line, what, a.reason())
		atomic.AddInt64(&l.res.Refused, int64(entries.Len()-1))
		return nil
	}
	if !batch || a.doc == nil {
		atomic.AddInt64(&l.res.Stored, int64(entries.Len()))
		return nil
	}
	answers := a.doc.Root().Get("entry").First()
	for e := entries.First(); e.Valid(); e = e.Next() {
		response := answers.Get("response")
		status, _ := strconv.Atoi(strings.SplitN(response.Get("status").Text(), " ", 2)[0])
		if status >= 200 && status < 300 || status == 304 {
			atomic.AddInt64(&l.res.Stored, 1)
		} else {
			line, _ := e.LineCol()
			l.refuse(p.file, p.line+line-1, label(e.Get("resource")), reasonOf(response.Get("outcome"), status))
		}
		answers = answers.Next()
	}
	return nil
}

// entryOf finds the entry that an outcome's expression names: Bundle.entry[3].resource….
func entryOf(outcome, entries fhir.Node) fhir.Node {
	for issue := outcome.Get("issue").First(); issue.Valid(); issue = issue.Next() {
		for x := issue.Get("expression").First(); x.Valid(); x = x.Next() {
			rest, ok := strings.CutPrefix(x.Text(), "Bundle.entry[")
			if !ok {
				continue
			}
			number, _, _ := strings.Cut(rest, "]")
			if n, err := strconv.Atoi(number); err == nil {
				e := entries.First()
				for ; n > 0 && e.Valid(); n-- {
					e = e.Next()
				}
				return e
			}
		}
	}
	return fhir.Node{}
}

func label(resource fhir.Node) string {
	typ, id := resource.Get("resourceType").Text(), resource.Get("id").Text()
	switch {
	case typ == "":
		return "resource"
	case id == "":
		return typ
	}
	return typ + "/" + id
}

// target is how a resource is stored by itself: under its id if it has one.
func target(resource fhir.Node) (method, url string) {
	typ, id := resource.Get("resourceType").Text(), resource.Get("id").Text()
	if id == "" {
		return http.MethodPost, typ
	}
	return http.MethodPut, typ + "/" + id
}

func (l *loader) loadOne(ctx context.Context, p piece, resource fhir.Node) error {
	if resource.Get("resourceType").Kind() != fhir.String {
		l.refuse(p.file, p.line, "document", `it is no FHIR resource: "resourceType" is missing`)
		return nil
	}
	method, url := target(resource)
	a, err := l.send(ctx, method, strings.TrimSuffix(l.Base, "/")+"/"+url, resource.Raw())
	if err != nil {
		return err
	}
	switch {
	case a.ok():
		atomic.AddInt64(&l.res.Stored, 1)
	case a.awaits() && l.retry(p):
	default:
		line := p.line
		if a.doc != nil {
			if at := issueLine(a.doc.Root()); at > 0 {
				line = p.line + at - 1
			}
		}
		l.refuse(p.file, line, label(resource), a.reason())
	}
	return nil
}

// issueLine is the line that an outcome names by the standard extension.
func issueLine(outcome fhir.Node) int {
	for issue := outcome.Get("issue").First(); issue.Valid(); issue = issue.Next() {
		for x := issue.Get("extension").First(); x.Valid(); x = x.Next() {
			if strings.HasSuffix(x.Get("url").Text(), "/operationoutcome-issue-line") {
				n, _ := strconv.Atoi(x.Get("valueInteger").Text())
				return n
			}
		}
	}
	return 0
}

// loadCollection stores each resource of a Bundle that asks for nothing.
func (l *loader) loadCollection(ctx context.Context, p piece, bundle fhir.Node) error {
	var out []numbered
	for e := bundle.Get("entry").First(); e.Valid(); e = e.Next() {
		if r := e.Get("resource"); r.Valid() {
			line, _ := e.LineCol()
			out = append(out, numbered{p.line + line - 1, r})
		}
	}
	return l.loadSet(ctx, p.file, out)
}

// loadLines stores the resources of an NDJSON piece.
func (l *loader) loadLines(ctx context.Context, p piece) error {
	var out []numbered
	line := p.line
	for text := range bytes.Lines(p.data) {
		if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 {
			doc, err := fhir.Parse(trimmed, fhir.Limits{String: 1 << 28})
			switch {
			case err != nil:
				l.refuseError(p.file, line, err)
			case doc.Root().Get("resourceType").Kind() != fhir.String:
				l.refuse(p.file, line, "line", `it is no FHIR resource: "resourceType" is missing`)
			default:
				out = append(out, numbered{line, doc.Root()})
			}
		}
		line++
	}
	return l.loadSet(ctx, p.file, out)
}

type numbered struct {
	line     int
	resource fhir.Node
}

// loadSet stores resources as one transaction; if the server refuses it, one by
// one, so that only the faulty ones stay out.
func (l *loader) loadSet(ctx context.Context, file string, set []numbered) error {
	if len(set) == 0 {
		return nil
	}
	body := []byte(`{"resourceType":"Bundle","type":"transaction","entry":[`)
	for i, n := range set {
		if i > 0 {
			body = append(body, ',')
		}
		method, url := target(n.resource)
		body = append(body, `{"resource":`...)
		body = append(body, n.resource.Raw()...)
		body = append(body, `,"request":{"method":"`+method+`","url":`...)
		body = fhir.AppendString(body, url)
		body = append(body, `}}`...)
	}
	body = append(body, `]}`...)
	a, err := l.send(ctx, http.MethodPost, l.Base, body)
	if err != nil {
		return err
	}
	if a.ok() {
		atomic.AddInt64(&l.res.Stored, int64(len(set)))
		return nil
	}
	for _, n := range set {
		if err := l.loadOne(ctx, piece{file: file, line: n.line, data: n.resource.Raw()}, n.resource); err != nil {
			return err
		}
	}
	return nil
}
