package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"ingle/fhir"
)

// client speaks to one server.
type client struct {
	base   string // without the last slash
	header http.Header
	http   *http.Client
}

func newClient(base string, header http.Header) *client {
	return &client{
		base:   strings.TrimSuffix(base, "/"),
		header: header,
		http: &http.Client{
			Timeout:       5 * time.Minute,
			Transport:     &http.Transport{MaxIdleConns: 128, MaxIdleConnsPerHost: 128, DisableCompression: true, IdleConnTimeout: 30 * time.Second},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// origin is scheme and host of the base URL.
func (c *client) origin() string {
	u, err := url.Parse(c.base)
	if err != nil {
		return c.base
	}
	return u.Scheme + "://" + u.Host
}

// reply is an answer that was read whole.
type reply struct {
	status int
	header http.Header
	body   []byte // valid until the reply is released
	buf    *bytes.Buffer
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func (r *reply) release() {
	if r.buf != nil {
		buffers.Put(r.buf)
		r.buf, r.body = nil, nil
	}
}

// do makes a request. A path that begins with a scheme is taken as it is.
func (c *client) do(ctx context.Context, method, path string, body []byte, header ...string) (*reply, error) {
	target := path
	if !strings.Contains(path, "://") {
		target = c.base
		if path != "" {
			target += "/" + path
		}
	}
	var in io.Reader
	if body != nil {
		in = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, target, in)
	if err != nil {
		return nil, err
	}
	for k, v := range c.header {
		req.Header[k] = v
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/fhir+json")
	}
	req.Header.Set("Accept", "application/fhir+json")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	buf := buffers.Get().(*bytes.Buffer)
	buf.Reset()
	if _, err := buf.ReadFrom(resp.Body); err != nil {
		return nil, err
	}
	return &reply{resp.StatusCode, resp.Header, buf.Bytes(), buf}, nil
}

// refused is the error of an answer with a status that was not wanted.
func (r *reply) refused() error {
	text := string(r.body[:min(len(r.body), 200)])
	if doc, err := fhir.Parse(r.body, bigLimits); err == nil {
		for issue := doc.Root().Get("issue").First(); issue.Valid(); issue = issue.Next() {
			if s := issue.Get("severity").Text(); s == "error" || s == "fatal" {
				text = issue.Get("diagnostics").Text()
				break
			}
		}
	}
	return fmt.Errorf("HTTP %d: %s", r.status, text)
}

// page is a searchset.
type page struct {
	doc      *fhir.Doc
	ids      []string // "Type/id" of the matches, in order
	matches  []fhir.Node
	included []string
	total    int // -1: not said
	next     string
}

// search reads one page. The request is a relative URL or a link.
func (c *client) search(ctx context.Context, request string) (*page, error) {
	r, err := c.do(ctx, http.MethodGet, request, nil)
	if err != nil {
		return nil, err
	}
	defer r.release()
	if r.status != http.StatusOK {
		return nil, r.refused()
	}
	return parsePage(bytes.Clone(r.body))
}

func parsePage(body []byte) (*page, error) {
	doc, err := fhir.Parse(body, bigLimits)
	if err != nil {
		return nil, fmt.Errorf("the answer: %w", err)
	}
	root := doc.Root()
	if root.Get("resourceType").Text() != "Bundle" || root.Get("type").Text() != "searchset" {
		return nil, fmt.Errorf("the answer is no searchset")
	}
	p := &page{doc: doc, total: -1}
	if t := root.Get("total"); t.Valid() {
		if _, err := fmt.Sscan(t.Text(), &p.total); err != nil {
			return nil, fmt.Errorf("the total of the Bundle: %w", err)
		}
	}
	for l := root.Get("link").First(); l.Valid(); l = l.Next() {
		if l.Get("relation").Text() == "next" {
			p.next = l.Get("url").Text()
		}
	}
	for e := root.Get("entry").First(); e.Valid(); e = e.Next() {
		res := e.Get("resource")
		ref := res.Get("resourceType").Text() + "/" + res.Get("id").Text()
		switch e.Get("search").Get("mode").Text() {
		case "match":
			p.ids, p.matches = append(p.ids, ref), append(p.matches, res)
		case "include":
			p.included = append(p.included, ref)
		}
	}
	return p, nil
}
