package interaction

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"ingle/fhir"
	"ingle/store"
)

// bundle processes a batch or a transaction (R4 http.html#transaction).
func (s *Service) bundle(ctx context.Context, session *store.Session, req *Request) (*Response, error) {
	if err := s.onlyParams(req); err != nil {
		return nil, err
	}
	if len(req.Body) == 0 {
		return nil, fhir.Errorf(400, fhir.CodeRequired, "the request has no body; a Bundle of type batch or transaction is expected")
	}
	doc, err := fhir.Parse(req.Body, s.cfg.BundleLimits)
	if err != nil {
		return nil, err
	}
	root := doc.Root()
	if name := root.Get("resourceType"); name.Text() != "Bundle" {
		return nil, fhir.Errorf(400, fhir.CodeInvalid, "a Bundle of type batch or transaction is expected at the base URL, not %q", printable(name.Text())).AtNode(root)
	}
	kind := root.Get("type")
	if kind.Text() != "batch" && kind.Text() != "transaction" {
		return nil, fhir.Errorf(400, fhir.CodeValue, "a Bundle of type %q cannot be processed; batch and transaction can, and any Bundle can be stored at /Bundle", printable(kind.Text())).At("Bundle.type").AtNode(kind)
	}
	list := root.Get("entry")
	if list.Valid() && list.Kind() != fhir.Array {
		return nil, fhir.Errorf(400, fhir.CodeStructure, "entry repeats: an array is expected, not %s", list.Kind()).At("Bundle.entry").AtNode(list)
	}
	if list.Len() > s.cfg.BundleEntries {
		return nil, fhir.Errorf(413, fhir.CodeTooCostly, "the Bundle has %d entries; this server takes at most %d", list.Len(), s.cfg.BundleEntries).At("Bundle.entry")
	}
	if kind.Text() == "batch" {
		return s.batch(ctx, session, req, list)
	}
	return s.transaction(ctx, session, req, list)
}

// batch runs each entry by itself, in the order of the Bundle.
func (s *Service) batch(ctx context.Context, session *store.Session, req *Request, list fhir.Node) (*Response, error) {
	results, trail := make([]*Response, 0, list.Len()), make([]Entry, 0, list.Len())
	i := 0
	for n := list.First(); n.Valid(); n = n.Next() {
		e, err := s.entry(req, i, n)
		if err == nil {
			var resp *Response
			if resp, err = s.do(ctx, session, e.req); err == nil {
				resp.Body, err = resp.content("")
				resp.Stream = nil
				results = append(results, resp)
			}
		}
		if err != nil {
			if e != nil && e.resource.Valid() {
				err = e.relocate(err)
			}
			results = append(results, Failed(atEntry(err, i)))
		}
		var asked *Request
		if e != nil {
			asked = e.req
		}
		trail = append(trail, entriesFor(asked, results[i])...)
		i++
	}
	resp := s.bundleResponse(req, "batch-response", results)
	resp.Entries = trail
	return resp, nil
}

// An entry is one request in a Bundle.
type entry struct {
	index    int
	fullURL  string
	resource fhir.Node // the zero Node for none
	req      *Request
}

// entry reads one entry. What it returns beside an error may lack the request.
func (s *Service) entry(outer *Request, i int, n fhir.Node) (*entry, error) {
	if n.Kind() != fhir.Object {
		return nil, fhir.Errorf(400, fhir.CodeStructure, "an entry is an object, not %s", n.Kind()).AtNode(n)
	}
	e := &entry{index: i}
	for m := n.First(); m.Valid(); m = m.Next() {
		switch m.Key() {
		case "fullUrl":
			if m.Kind() != fhir.String || !noSpace(m.Bytes()) {
				return nil, fhir.Errorf(400, fhir.CodeValue, "fullUrl is a URI without white space").AtNode(m)
			}
			e.fullURL = m.Text()
		case "resource":
			e.resource = m
		case "request", "response", "search", "link", "id", "extension", "modifierExtension", "_fullUrl":
		default:
			return nil, fhir.Errorf(400, fhir.CodeStructure, "Bundle.entry has no element %q", printable(m.Key())).AtNode(m)
		}
	}
	r := n.Get("request")
	if r.Kind() != fhir.Object {
		return e, fhir.Errorf(400, fhir.CodeRequired, "the entry has no request").AtNode(n)
	}
	text := map[string]string{}
	for m := r.First(); m.Valid(); m = m.Next() {
		switch key := m.Key(); key {
		case "method", "url", "ifNoneMatch", "ifModifiedSince", "ifMatch", "ifNoneExist":
			if m.Kind() != fhir.String {
				return e, fhir.Errorf(400, fhir.CodeStructure, "%s is a string, not %s", key, m.Kind()).AtNode(m)
			}
			text[key] = m.Text()
		case "id", "extension", "modifierExtension", "_method", "_url", "_ifNoneMatch", "_ifModifiedSince", "_ifMatch", "_ifNoneExist":
		default:
			return e, fhir.Errorf(400, fhir.CodeStructure, "Bundle.entry.request has no element %q", printable(key)).AtNode(m)
		}
	}
	switch text["method"] {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE":
	default:
		return e, fhir.Errorf(400, fhir.CodeValue, "request.method is GET, HEAD, POST, PUT, PATCH or DELETE, not %q", printable(text["method"])).AtNode(r)
	}
	url := strings.TrimPrefix(text["url"], outer.BaseURL+"/")
	if strings.Contains(url, "://") {
		before, _, _ := strings.Cut(url, "?")
		if strings.Contains(before, "://") {
			return e, fhir.Errorf(400, fhir.CodeValue, "request.url %q is not below this server's base URL", printable(url)).AtNode(r)
		}
	}
	path, query, _ := strings.Cut(strings.TrimPrefix(url, "/"), "?")
	if path == "" && text["method"] != "GET" && text["method"] != "HEAD" {
		return e, fhir.Errorf(400, fhir.CodeInvalid, "request.url is missing, or a Bundle stands inside a Bundle").AtNode(r)
	}
	req, err := s.Resolve(text["method"], "/"+path)
	if err != nil {
		return e, fhir.AsError(err).AtNode(r)
	}
	params, err := ParseQuery(query)
	if err != nil {
		return e, err
	}
	req.SetQuery(params)
	req.IfMatch, req.IfNoneMatch, req.IfNoneExist = text["ifMatch"], text["ifNoneMatch"], text["ifNoneExist"]
	if v := text["ifModifiedSince"]; v != "" {
		d, err := fhir.ParseInstant(v)
		if err != nil {
			return e, fhir.Errorf(400, fhir.CodeValue, "request.ifModifiedSince is an instant, not %q", printable(v)).AtNode(r)
		}
		lo, _ := d.Range()
		req.IfModifiedSince = time.UnixMicro(lo).UTC()
	}
	switch req.Kind {
	case AsyncStatus, AsyncFile, AsyncCancel:
		return e, fhir.Errorf(400, fhir.CodeNotSupported, "an asynchronous request cannot be asked for in a Bundle: its answer is as long as it likes").AtNode(r)
	}
	req.BaseURL, req.Prefer, req.ResourcePath = outer.BaseURL, outer.Prefer, outer.ResourcePath
	if req.Prefer.Return == "" {
		req.Prefer.Return = "minimal" // of a Bundle's writes nobody wants all resources back
	}
	req.Place = fmt.Sprintf("Bundle.entry[%d]", i)
	e.req = req
	switch req.Kind {
	case Create, Update, Patch:
		if e.resource.Kind() != fhir.Object {
			return e, fhir.Errorf(400, fhir.CodeRequired, "the entry has no resource, which a %s needs", text["method"]).AtNode(n)
		}
	}
	if e.resource.Valid() {
		req.Body = e.resource.Raw()
	}
	return e, nil
}

// relocate turns positions within the entry's own bytes into positions within
// the Bundle, for what was parsed anew.
func (e *entry) relocate(err error) error {
	fe := fhir.AsError(err)
	if fe == nil {
		return err
	}
	start, _ := e.resource.Span()
	head := e.resource.Doc().Source()[:start]
	line := 1 + bytes.Count(head, []byte{'\n'})
	col := utf8.RuneCount(head[bytes.LastIndexByte(head, '\n')+1:])
	for i := range fe.Issues {
		is := &fe.Issues[i]
		if is.Line == 0 {
			continue
		}
		if is.Line == 1 {
			is.Col += col
		}
		is.Line += line - 1
	}
	return fe
}

// atEntry names the entry in an error.
func atEntry(err error, i int) error {
	fe := fhir.AsError(err)
	if fe == nil {
		return err
	}
	place := fmt.Sprintf("Bundle.entry[%d]", i)
	out := *fe
	out.Issues = append([]fhir.Issue(nil), fe.Issues...)
	for k := range out.Issues {
		is := &out.Issues[k]
		if !strings.Contains(is.Diagnostics, place) {
			is.Diagnostics = place + ": " + is.Diagnostics
		}
		if strings.Contains(strings.Join(is.Expression, " "), place) {
			continue
		}
		expressions := make([]string, 0, 1)
		for _, x := range is.Expression {
			if _, rest, ok := strings.Cut(x, "."); ok {
				expressions = append(expressions, place+".resource."+rest)
			} else {
				expressions = append(expressions, place+".resource")
			}
		}
		if len(expressions) == 0 {
			expressions = append(expressions, place)
		}
		is.Expression = expressions
	}
	return &out
}

// bundleResponse writes the answers in the order of the entries. Their content
// is in Body.
func (s *Service) bundleResponse(req *Request, kind string, results []*Response) *Response {
	now := time.Now()
	rows := 0
	for _, r := range results {
		rows += r.Rows
	}
	return &Response{Status: http.StatusOK, Rows: rows, Stream: func(w io.Writer) error {
		b := bundleWriter{w: w}
		b.begin(kind, now, -1, nil)
		for _, r := range results {
			full := ""
			if r.result.ID != "" {
				full = req.BaseURL + "/" + r.result.Type + "/" + r.result.ID
			}
			b.entry(full)
			var outcome []byte
			if r.Issues != nil {
				outcome = fhir.AppendOutcome(nil, r.Issues, "")
			} else if len(r.Body) > 0 && r.ContentType == "" {
				b.member("resource", r.Body)
			}
			b.member("response", appendEntryResponse(nil, strconv.Itoa(r.Status)+" "+http.StatusText(r.Status), r.Location, r.Version, r.LastModified, outcome))
		}
		return b.end()
	}}
}

func noSpace(b []byte) bool { return !slices.ContainsFunc(b, func(c byte) bool { return c <= ' ' }) }
