package interaction

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ingle/fhir"
	"ingle/search"
	"ingle/store"
)

// history answers with the versions of an instance, a type or the whole system,
// newest first (R4 http.html#history). The total of an instance is always
// given, of more than that where the page is all there is or _total=accurate
// asks for it.
func (s *Service) history(ctx context.Context, r reader, principal string, req *Request) (*Response, error) {
	if err := s.onlyParams(req, "_since", "_at", "_count", "_total", cursorParam); err != nil {
		return nil, err
	}
	q := store.HistoryQuery{Type: req.Type, ID: req.ID}
	path := req.historyPath()
	applied, capped, err := s.historyQuery(req, &q)
	if err != nil {
		return nil, err
	}
	seal := bound(principal, path, applied)
	if text, ok := req.param(cursorParam); ok {
		c, err := s.openCursor(text, seal)
		if err != nil {
			return nil, err
		}
		q.After = c.History
	}
	total, _ := req.param("_total")
	q.WithTotal = req.ID != "" || total == "accurate" || q.Count == 0
	page, err := r.History(ctx, q)
	if err != nil {
		return nil, err
	}
	if req.ID != "" && page.Total == 0 {
		current, err := r.Read(ctx, req.Type, req.ID)
		if err != nil {
			return nil, err
		}
		if current == nil {
			return nil, unknown(req.Type, req.ID)
		}
	}
	shown := -1
	switch {
	case q.WithTotal:
		shown = page.Total
	case q.After == nil && page.Next == nil && total != "none":
		shown = len(page.Entries)
	}
	links := []link{{"self", s.historyLink(req, path, applied, "")}}
	if text, ok := req.param(cursorParam); ok {
		links = []link{{"self", s.historyLink(req, path, applied, text)}, {"first", s.historyLink(req, path, applied, "")}}
	}
	if page.Next != nil {
		text, err := s.sealCursor(cursor{History: page.Next}, seal)
		if err != nil {
			return nil, err
		}
		links = append(links, link{"next", s.historyLink(req, path, applied, text)})
	}
	now := time.Now()
	return &Response{Status: http.StatusOK, Rows: len(page.Entries), Stream: func(w io.Writer) error {
		return writeHistory(w, req.BaseURL, now, shown, links, page.Entries, capped)
	}}, nil
}

func (r *Request) historyPath() string {
	path := "/_history"
	if r.ID != "" {
		path = "/" + r.ID + path
	}
	if r.Type != "" {
		path = "/" + r.Type + path
	}
	return path
}

// historyQuery reads the parameters; applied are those that took effect.
func (s *Service) historyQuery(req *Request, q *store.HistoryQuery) (applied []search.KV, capped []fhir.Issue, err error) {
	most := s.cfg.Search.MaxCount
	if most <= 0 {
		most = 1000
	}
	if q.Count = s.cfg.Search.Count; q.Count <= 0 {
		q.Count = 50
	}
	for _, p := range req.Query {
		switch p.Name {
		case "_count":
			n, err := strconv.Atoi(p.Value)
			if err != nil || n < 0 {
				return nil, nil, fhir.Errorf(400, fhir.CodeValue, "_count is a whole number from 0, not %q", printable(p.Value))
			}
			if n > most {
				capped = []fhir.Issue{{Severity: fhir.SeverityWarning, Code: fhir.CodeTooCostly,
					Diagnostics: "_count=" + p.Value + " is more than this server gives on a page; " + strconv.Itoa(most) + " are given, and the link \"next\" leads on"}}
			}
			q.Count = min(n, most)
		case "_since":
			lo, _, err := historyTime(p)
			if err != nil {
				return nil, nil, err
			}
			q.Since = &lo
		case "_at":
			lo, hi, err := historyTime(p)
			if err != nil {
				return nil, nil, err
			}
			q.AtFrom, q.AtTo = &lo, &hi
		case "_total":
			if p.Value != "none" && p.Value != "accurate" && p.Value != "estimate" {
				return nil, nil, fhir.Errorf(400, fhir.CodeValue, "_total is none or accurate here, not %q", printable(p.Value))
			}
		default:
			continue
		}
		applied = append(applied, p)
	}
	return applied, capped, nil
}

// historyTime reads a date or instant of any precision as the span [lo, hi).
func historyTime(p search.KV) (lo, hi time.Time, err error) {
	// a plus sign in a query that was not encoded arrives as a space
	d, err := fhir.ParseSearchDate(strings.ReplaceAll(p.Value, " ", "+"))
	if err != nil {
		return lo, hi, fhir.Errorf(400, fhir.CodeValue, "%s is a date or an instant, not %q", p.Name, printable(p.Value))
	}
	from, to := d.Range()
	return time.UnixMicro(from).UTC(), time.UnixMicro(to + 1).UTC(), nil
}

func (s *Service) historyLink(req *Request, path string, applied []search.KV, at string) string {
	all := append(append([]search.KV(nil), applied...), req.Carried...)
	if at != "" {
		all = append(all, search.KV{Name: cursorParam, Value: at})
	}
	if len(all) == 0 {
		return req.BaseURL + path
	}
	return string(AppendQuery([]byte(req.BaseURL+path+"?"), all))
}

func writeHistory(w io.Writer, base string, now time.Time, total int, links []link, versions []*store.Resource, issues []fhir.Issue) error {
	b := bundleWriter{w: w}
	b.begin("history", now, total, links)
	for _, v := range versions {
		b.entry(base + "/" + v.Reference())
		method, url, status := "PUT", v.Reference(), "200 OK"
		switch v.Op {
		case store.OpCreate:
			method, url = "POST", v.Type
		case store.OpPatch:
			method = "PATCH"
		case store.OpDelete:
			method, status = "DELETE", "204 No Content"
		}
		if v.Version == 1 {
			status = "201 Created"
		}
		if !v.Deleted() {
			b.member("resource", v.Body)
		}
		b.member("request", []byte(`{"method":"`+method+`","url":"`+url+`"}`))
		b.member("response", appendEntryResponse(nil, status, "", strconv.Itoa(v.Version), v.LastUpdated, nil))
	}
	if len(issues) > 0 { // R4 has no place in a history Bundle for notices but an entry of its own
		b.entry("")
		b.member("resource", fhir.AppendOutcome(nil, issues, ""))
		b.member("request", []byte(`{"method":"GET","url":"_history"}`))
		b.member("response", []byte(`{"status":"200 OK"}`))
	}
	return b.end()
}

// appendEntryResponse writes a Bundle.entry.response; empty parts are left out.
func appendEntryResponse(dst []byte, status, location, version string, lastModified time.Time, outcome []byte) []byte {
	dst = fhir.AppendString(append(dst, `{"status":`...), status)
	if location != "" {
		dst = fhir.AppendString(append(dst, `,"location":`...), location)
	}
	if version != "" {
		dst = fhir.AppendString(append(dst, `,"etag":`...), `W/"`+version+`"`)
	}
	if !lastModified.IsZero() {
		dst = append(append(append(dst, `,"lastModified":"`...), instant(lastModified)...), '"')
	}
	if outcome != nil {
		dst = append(append(dst, `,"outcome":`...), outcome...)
	}
	return append(dst, '}')
}
