package noninterference

import (
	"fmt"
	"slices"
	"strings"

	"ingle/authz"
)

// resource is a body with perhaps another label and content.
func (g *generator) resource(ref string) map[string]any {
	var r map[string]any
	text := g.w.body[ref]
	if text == "" || decode([]byte(text), &r) != nil {
		text = g.w.body[pick(g, g.w.refs)]
		if text == "" || decode([]byte(text), &r) != nil {
			return nil
		}
	}
	if g.hidden != nil && g.chance(0.8) { // as the user knows it
		seen, err := g.hidden.Remove([]byte(text))
		if r = nil; err != nil || decode(seen, &r) != nil {
			return nil
		}
	}
	switch g.IntN(5) {
	case 0:
		label(r, []string{pick(g, paths)})
	case 1:
		label(r, []string{pick(g, paths), pick(g, paths)})
	case 2, 3:
		if len(g.p.User.Write) > 0 && g.p.User.Write[0] != "/" {
			label(r, []string{g.p.User.Write[0] + pick(g, []string{"", "/x"})})
		}
	}
	if g.chance(0.1) {
		label(r, nil)
	}
	if g.chance(0.7) {
		r["language"] = pick(g, []string{"en", "de", "fr", "es", "it"})
	}
	if g.chance(0.3) { // a reference, perhaps to something hidden
		for _, name := range []string{"subject", "patient"} {
			if _, ok := r[name].(map[string]any); ok {
				r[name] = map[string]any{"reference": "Patient/" + pick(g, g.w.byType["Patient"])}
			}
		}
	}
	return r
}

// write makes one request that changes something.
func (g *generator) write() {
	if g.chance(0.25) {
		g.bundle()
		return
	}
	r := g.change()
	if r.Method == "" {
		return
	}
	req := Request{Method: r.Method, Target: "/fhir/" + r.url, Header: r.header}
	if r.body != nil {
		req.Body = string(encode(r.body))
	}
	if r.Method == "PATCH" {
		req.Header = append(req.Header, [2]string{"Content-Type", "application/json-patch+json"})
	}
	if g.chance(0.3) {
		req.Header = append(req.Header, [2]string{"Prefer", "return=" + pick(g, []string{"minimal", "representation", "OperationOutcome"})})
	}
	status, header, _ := g.p.Ask(req)
	if status == 201 {
		if at, _, ok := strings.Cut(strings.TrimPrefix(header.Get("Location"), base+"/"), "/_history/"); ok && len(g.made) < 200 {
			g.made = append(g.made, at)
		}
	}
}

type change struct {
	Method, url string
	header      [][2]string
	body        any
}

func (g *generator) change() change {
	ref := g.ref()
	typ, id, _ := strings.Cut(ref, "/")
	match := func() [][2]string {
		switch g.IntN(6) {
		case 0:
			return [][2]string{{"If-Match", fmt.Sprintf(`W/"%d"`, 1+g.IntN(3))}}
		case 1:
			return [][2]string{{"If-None-Match", pick(g, []string{"*", `W/"1"`})}}
		}
		return nil
	}
	criteria := func() string {
		for range 10 {
			if s := g.term(typ, 0); s != "" && !strings.HasPrefix(s, "_") {
				return s
			}
		}
		return "_id=" + id
	}
	switch g.IntN(12) {
	case 0, 1: // create
		r := g.resource(ref)
		if r == nil {
			return change{}
		}
		c := change{Method: "POST", url: r["resourceType"].(string), body: r}
		if g.chance(0.5) {
			typ = c.url
			c.header = [][2]string{{"If-None-Exist", criteria()}}
		}
		return c
	case 2, 3, 4: // update
		r := g.resource(ref)
		if r == nil || r["resourceType"] != typ {
			return change{}
		}
		c := change{Method: "PUT", url: ref, body: r, header: match()}
		if g.chance(0.25) {
			g.fresh++
			c.url = typ + "/" + fmt.Sprintf("fresh-%d", g.fresh)
		}
		r["id"] = c.url[len(typ)+1:]
		// An id that is taken by what the user may not see is one of the two
		// exceptions; with If-Match it is none.
		if g.p.hidden[c.url] {
			c.header = [][2]string{{"If-Match", `W/"1"`}}
		}
		return c
	case 5: // conditional update
		r := g.resource(ref)
		if r == nil || r["resourceType"] != typ {
			return change{}
		}
		delete(r, "id")
		return change{Method: "PUT", url: typ + "?" + criteria(), body: r, header: match()}
	case 6, 7: // patch
		patch := []any{map[string]any{"op": "add", "path": "/language", "value": pick(g, []string{"en", "nl"})}}
		if g.chance(0.4) {
			patch = []any{map[string]any{"op": "add", "path": "/meta/security", "value": []any{map[string]any{"system": authz.DefaultLabelSystem, "code": pick(g, paths)}}}}
		}
		if g.chance(0.3) {
			return change{Method: "PATCH", url: typ + "?" + criteria(), body: patch}
		}
		return change{Method: "PATCH", url: ref, body: patch, header: match()}
	case 8, 9:
		return change{Method: "DELETE", url: ref, header: match()}
	case 10: // meta alone, without a new version
		coding := map[string]any{"system": "http://tag.test", "code": pick(g, []string{"one", "two"})}
		list := "tag"
		if g.chance(0.6) {
			coding, list = map[string]any{"system": authz.DefaultLabelSystem, "code": pick(g, paths)}, "security"
		}
		body := map[string]any{"resourceType": "Parameters", "parameter": []any{map[string]any{"name": "meta", "valueMeta": map[string]any{list: []any{coding}}}}}
		return change{Method: "POST", url: ref + pick(g, []string{"/$meta-add", "/$meta-add", "/$meta-delete"}), body: body, header: match()}
	}
	return change{Method: "DELETE", url: typ + "?" + criteria()}
}

// bundle is a batch or transaction of changes and reads.
func (g *generator) bundle() {
	var entries []any
	var names []string
	for i := range 1 + g.IntN(4) {
		c := g.change()
		if c.Method == "" || c.Method == "PATCH" {
			c = change{Method: "GET", url: g.ref()}
		}
		request := map[string]any{"method": c.Method, "url": c.url}
		for _, h := range c.header {
			request[map[string]string{"If-Match": "ifMatch", "If-None-Match": "ifNoneMatch", "If-None-Exist": "ifNoneExist"}[h[0]]] = h[1]
		}
		e := map[string]any{"request": request}
		if r, ok := c.body.(map[string]any); ok {
			e["resource"] = r
			if c.Method == "POST" {
				delete(r, "id")
				name := fmt.Sprintf("urn:uuid:00000000-0000-1000-8000-%012d", g.IntN(1000000)*10+i)
				if len(names) > 0 && g.chance(0.5) {
					r["subject"] = map[string]any{"reference": pick(g, names)}
				} else if g.chance(0.3) && r["subject"] != nil {
					r["subject"] = map[string]any{"reference": "Patient?" + g.term("Patient", 1)}
				}
				e["fullUrl"] = name
				names = append(names, name)
			}
		}
		entries = append(entries, e)
	}
	slices.Reverse(entries)
	b := map[string]any{"resourceType": "Bundle", "type": pick(g, []string{"batch", "transaction"}), "entry": entries}
	g.p.Ask(Request{Method: "POST", Target: "/fhir", Body: string(encode(b))})
}
