package interaction

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"ingle/fhir"
	"ingle/search"
	"ingle/store"
)

// search answers a search on a type, in a compartment or over all types (R4
// http.html#search) with a searchset Bundle.
func (s *Service) search(ctx context.Context, r reader, principal string, req *Request) (*Response, error) {
	asked, err := s.understand(ctx, r, principal, req)
	if err != nil {
		return nil, err
	}
	return s.runSearch(ctx, r, asked)
}

// askedSearch is a search that was understood and not run yet.
type askedSearch struct {
	req       *Request
	principal string
	path      string // where it is repeated
	form      bool   // its parameters stand in no link
	now       time.Time
	query     *search.Query
	ignored   []fhir.Issue // parameters that were left out
}

func (s *Service) understand(ctx context.Context, r reader, principal string, req *Request) (*askedSearch, error) {
	return s.understandAt(ctx, r, principal, req, req.searchPath(), search.Request{Type: req.Type, Compartment: req.Compartment, CompartmentID: req.CompartmentID})
}

// understandAt understands a search of something that is repeated at a path.
func (s *Service) understandAt(ctx context.Context, r reader, principal string, req *Request, path string, of search.Request) (*askedSearch, error) {
	a := &askedSearch{req: req, principal: principal, path: path, form: req.Form, now: time.Now()}
	params, at, err := s.page(principal, a.path, req)
	if err != nil {
		return nil, err
	}
	of.Params, of.Strict, of.BaseURLs = params, !s.lenient(req), req.bases()
	of.Limits, of.Now, of.Terminology = s.cfg.Search, a.now, s.codeSets(ctx, r)
	q, ignored, err := s.registry.Parse(of)
	if err != nil {
		return nil, err
	}
	a.query, a.ignored = q, ignored
	if q.Total == "" && s.cfg.Total != search.TotalNone { // a total that costs nothing is given all the same
		q.Total = s.cfg.Total
	}
	if at != nil && at.Form {
		a.form = true
	} else if at != nil {
		// bound to what took effect, so that it can be told only now
		text, _ := req.param(cursorParam)
		if at, err = s.openCursor(text, bound(principal, a.path, q.Applied)); err != nil {
			return nil, err
		}
	}
	if at != nil && (at.RID != 0 || at.Keys != nil) {
		q.Cursor, q.IncludesAfter = &search.Cursor{Keys: at.Keys, RID: at.RID, Back: at.Back}, at.Included
	}
	return a, nil
}

// runSearch answers a search that was understood.
func (s *Service) runSearch(ctx context.Context, r reader, a *askedSearch) (*Response, error) {
	q := a.query
	found, err := r.Search(ctx, q)
	if err != nil {
		return nil, err
	}
	links, err := s.pageLinks(a, found)
	if err != nil {
		return nil, err
	}
	issues := append(notices(q, found), a.ignored...)
	issues = append(issues, s.otherVersions(q, found, a.req.bases())...)
	if q.Explain {
		plans, err := r.ExplainSearch(ctx, q)
		if err != nil {
			return nil, err
		}
		issues = append(issues, explained(plans)...)
	}
	part := s.newSubset(q.Summary, q.Elements)
	if q.Summary == search.SummaryCount {
		part = nil
	}
	return &Response{Status: http.StatusOK, Rows: len(found.Matches) + len(found.Includes), Stream: func(w io.Writer) error {
		return writeSearchset(w, a.req.BaseURL, a.now, q, found, links, issues, part)
	}}, nil
}

// searchPath is the path that a search is repeated at.
func (r *Request) searchPath() string {
	switch {
	case r.Compartment != "" && r.Type == "":
		return "/" + r.Compartment + "/" + r.CompartmentID + "/*"
	case r.Compartment != "":
		return "/" + r.Compartment + "/" + r.CompartmentID + "/" + r.Type
	case r.Type != "":
		return "/" + r.Type
	}
	return ""
}

// page takes the cursor out of the parameters. The cursor of a POST _search
// brings its parameters along; of any other only its presence is told.
func (s *Service) page(principal, path string, req *Request) ([]search.KV, *cursor, error) {
	text, ok := req.param(cursorParam)
	if !ok {
		return req.Query, nil, nil
	}
	var params []search.KV
	for _, p := range req.Query {
		if p.Name != cursorParam {
			params = append(params, p)
		}
	}
	if len(params) > 0 {
		return params, &cursor{}, nil
	}
	c, err := s.openCursor(text, bound(principal, path, nil))
	if err != nil {
		return nil, nil, err
	}
	if !c.Form {
		return nil, &cursor{}, nil
	}
	params, err = ParseQuery(c.Query)
	return params, c, err
}

// pageLinks makes self, first, previous and next.
func (s *Service) pageLinks(a *askedSearch, found *store.SearchPage) ([]link, error) {
	q := a.query
	var failed error
	to := func(at cursor, place bool) string {
		params := q.Applied
		if a.form {
			at.Query, at.Form, params = string(AppendQuery(nil, q.Applied)), true, nil
		}
		all := append(append([]search.KV(nil), params...), a.req.Carried...)
		if place || a.form {
			text, err := s.sealCursor(at, bound(a.principal, a.path, params))
			if err != nil {
				failed = err
			}
			all = append(all, search.KV{Name: cursorParam, Value: text})
		}
		url := a.req.BaseURL + a.path
		if len(all) == 0 {
			return url
		}
		return string(AppendQuery(append([]byte(url), '?'), all))
	}
	var self cursor
	if q.Cursor != nil {
		self = cursor{Keys: q.Cursor.Keys, RID: q.Cursor.RID, Back: q.Cursor.Back, Included: q.IncludesAfter}
	}
	links := []link{{"self", to(self, q.Cursor != nil)}}
	if q.Count > 0 {
		links = append(links, link{"first", to(cursor{}, false)})
	}
	if n := len(found.Matches); n > 0 {
		before, after := found.More, found.More
		if q.Cursor == nil {
			before = false
		} else if q.Cursor.Back {
			after = true
		} else {
			before = true
		}
		if before {
			h := &found.Matches[0]
			links = append(links, link{"previous", to(cursor{Keys: h.Keys, RID: h.RID, Back: true}, true)})
		}
		if found.IncludesCut { // the rest of what this page includes comes first
			h, last := &found.Matches[0], &found.Includes[len(found.Includes)-1]
			here := q.Before(h.Keys, h.RID)
			links = append(links, link{"next", to(cursor{Keys: here.Keys, RID: here.RID, Included: last.RID}, true)})
		} else if after {
			h := &found.Matches[n-1]
			links = append(links, link{"next", to(cursor{Keys: h.Keys, RID: h.RID}, true)})
		}
	}
	return links, failed
}

// notices are what the client must know of how its search was answered.
func notices(q *search.Query, found *store.SearchPage) []fhir.Issue {
	var out []fhir.Issue
	note := func(severity, code, format string, args ...any) {
		out = append(out, fhir.Issue{Severity: severity, Code: code, Diagnostics: fmt.Sprintf(format, args...)})
	}
	if q.CountCapped > 0 {
		note(fhir.SeverityWarning, fhir.CodeTooCostly, "_count=%d is more than this server gives on a page; %d are given, and the link \"next\" leads on", q.CountCapped, q.Count)
	}
	if found.IncludesCut {
		note(fhir.SeverityWarning, fhir.CodeTooCostly, "this page includes more than the %d resources that are given with it; the link \"next\" leads to the rest of them", q.IncludeLimit())
	}
	if found.Total != nil && found.TotalEstimated {
		if q.Total == search.TotalAccurate {
			note(fhir.SeverityWarning, fhir.CodeTimeout, "an exact total would have taken too long: total is an estimate")
		} else {
			note(fhir.SeverityInformation, fhir.CodeInformational, "total is an estimate, as asked for")
		}
	}
	if found.Total == nil && (q.Total == search.TotalAccurate || q.Total == search.TotalEstimate) {
		note(fhir.SeverityWarning, fhir.CodeTimeout, "the total would have taken too long and is left out")
	}
	return out
}

func writeSearchset(w io.Writer, base string, now time.Time, q *search.Query, found *store.SearchPage, links []link, issues []fhir.Issue, part *subset) error {
	b := bundleWriter{w: w}
	total := -1
	switch {
	case found.Total != nil:
		total = *found.Total
	case q.Count > 0 && q.Cursor == nil && !found.More && q.Total != search.TotalNone:
		total = len(found.Matches) // the page is all there is
	}
	b.begin("searchset", now, total, links)
	hits := func(list []store.Hit, mode string, part *subset) error {
		for i := range list {
			h := &list[i]
			body := h.Body
			if part != nil {
				var err error
				if body, err = part.of(body); err != nil {
					return err
				}
			}
			b.entry(base + "/" + fullPath(h))
			b.member("resource", body)
			b.member("search", []byte(`{"mode":"`+mode+`"}`))
		}
		return nil
	}
	if q.IncludesAfter == 0 { // else the client has them
		if err := hits(found.Matches, "match", part); err != nil {
			return err
		}
	}
	if part != nil && part.summary == "" {
		part = nil // _elements is about the matches
	}
	if err := hits(found.Includes, "include", part); err != nil {
		return err
	}
	if len(issues) > 0 {
		b.entry("")
		b.member("resource", fhir.AppendOutcome(nil, issues, ""))
		b.member("search", []byte(`{"mode":"outcome"}`))
	}
	return b.end()
}

// fullPath is the path of a hit below the base: for a contained resource that of
// what contains it, and the way on from there (R4 search.html#contained).
func fullPath(h *store.Hit) string {
	if h.Container != "" {
		return h.Container + "#" + h.ID
	}
	return h.Reference()
}

// carried tells the parameters that are about the encoding alone.
func carried(name string) bool { return name == "_format" || name == "_pretty" }

// SetQuery puts decoded parameters into the request.
func (r *Request) SetQuery(params []search.KV) {
	for _, p := range params {
		if carried(p.Name) {
			r.Carried = append(r.Carried, p)
		} else {
			r.Query = append(r.Query, p)
		}
	}
}

// AddForm adds the parameters of a POST _search's body.
func (r *Request) AddForm(params []search.KV) {
	r.Form = true
	r.SetQuery(params)
}
