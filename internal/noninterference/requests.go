package noninterference

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	neturl "net/url"
	"slices"
	"strings"

	"ingle/authz"
	"ingle/authz/redact"
	"ingle/search"
)

// generator makes requests whose values mostly occur in the database, hidden
// ones as well.
type generator struct {
	*rand.Rand
	w *World
	p *Pair
	// fresh counts the ids that a client chose
	fresh int
	made  []string // references that this user created, "Type/id"
	// hidden are the elements that the user does not see, nil for none.
	hidden *redact.Fields
}

func pick[T any](g *generator, list []T) T { return list[g.IntN(len(list))] }

func (g *generator) chance(p float64) bool { return g.Float64() < p }

// Try sends n random requests, and follows the links of the pages.
func (p *Pair) Try(seed uint64, n int) {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 4)), w: p.w, p: p, hidden: p.User.fields(p.T)}
	for end := p.Asked + n; p.Asked < end && len(p.Failed) < maxFailed; {
		g.one(len(p.User.Write) > 0)
	}
}

// TryReads is Try without writes.
func (p *Pair) TryReads(seed uint64, n int) {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 5)), w: p.w, p: p}
	for end := p.Asked + n; p.Asked < end && len(p.Failed) == 0; { // to the first difference
		g.read()
	}
}

func (g *generator) one(writes bool) {
	x := g.IntN(100)
	switch {
	case x < 25 && (writes || x < 6):
		g.write()
	default:
		g.read()
	}
}

func (g *generator) read() {
	switch x := g.IntN(100); {
	case x < 12:
		g.instance()
	case x < 22:
		g.history()
	case x < 27:
		g.follow(Request{Method: "GET", Target: "/fhir" + g.inCompartment()})
	case x < 31:
		g.follow(Request{Method: "GET", Target: "/fhir" + g.everyType()})
	case x < 34:
		g.batchOfReads()
	case x < 40:
		g.total()
	case x < 47:
		g.operation()
	case x == 48 && g.chance(0.5):
		g.later()
	case x == 47 && g.chance(0.2):
		g.p.Ask(Request{Method: pick(g, []string{"GET", "HEAD"}), Target: "/fhir/metadata?_elements=fhirVersion"})
	case x >= 94:
		g.contained()
	default:
		g.search()
	}
}

// ref is a reference: visible, hidden, deleted or of nothing.
func (g *generator) ref() string {
	switch {
	case len(g.made) > 0 && g.chance(0.15):
		return pick(g, g.made)
	case g.chance(0.05):
		return pick(g, g.w.types) + "/absent-" + fmt.Sprint(g.IntN(9))
	case g.chance(0.3):
		typ := pick(g, g.w.types)
		return typ + "/" + pick(g, g.w.byType[typ])
	}
	return pick(g, g.w.refs)
}

func (g *generator) conditions() [][2]string {
	switch g.IntN(12) {
	case 0, 1:
		return [][2]string{{"If-None-Match", pick(g, []string{`W/"1"`, `W/"2"`, `*`, `"3"`})}}
	case 2:
		return [][2]string{{"If-Modified-Since", pick(g, []string{"Thu, 01 Jan 2026 01:00:00 GMT", "Sat, 31 Oct 2026 00:00:00 GMT"})}}
	case 3:
		return [][2]string{{"Accept-Encoding", "identity"}}
	}
	return nil
}

func (g *generator) instance() {
	target := "/fhir/" + g.ref()
	if g.chance(0.35) {
		target += "/_history/" + fmt.Sprint(g.IntN(4))
	}
	if g.chance(0.15) {
		target += pick(g, []string{"?_summary=true", "?_elements=meta", "?_pretty=true", "?_summary=text"})
	}
	g.p.Ask(Request{Method: pick(g, []string{"GET", "GET", "GET", "HEAD"}), Target: target, Header: g.conditions()})
}

func (g *generator) history() {
	path := "/_history"
	switch g.IntN(5) {
	case 0, 1:
		path = "/" + g.ref() + path
	case 2, 3:
		path = "/" + pick(g, g.w.types) + path
	}
	g.follow(Request{Method: "GET", Target: "/fhir" + path + g.historyQuery()})
}

func (g *generator) historyQuery() string {
	var q []string
	if g.chance(0.7) {
		q = append(q, fmt.Sprintf("_count=%d", g.IntN(12)))
	}
	moment := func() string {
		return pick(g, []string{"2026", "2026-01", "2026-01-01", "2026-01-01T05:00:00Z", "2026-01-01T06:00:00Z", "2026-11-01T00:01:00Z"})
	}
	if g.chance(0.3) {
		q = append(q, "_since="+moment())
	}
	if g.chance(0.3) {
		q = append(q, "_at="+moment())
	}
	if g.chance(0.4) {
		q = append(q, "_total="+pick(g, []string{"accurate", "none", "estimate"}))
	}
	if q == nil {
		q = []string{"_count=40"}
	}
	return "?" + strings.Join(q, "&")
}

// search asks one type.
func (g *generator) search() {
	typ := g.typ()
	q := g.query(typ)
	r := Request{Method: "GET", Target: "/fhir/" + typ + "?" + q}
	if g.chance(0.1) {
		r = Request{Method: "POST", Target: "/fhir/" + typ + "/_search", Body: q, Header: [][2]string{{"Content-Type", "application/x-www-form-urlencoded"}}}
	} else if g.chance(0.05) {
		r.Method = "HEAD"
	}
	if g.chance(0.1) {
		r.Header = append(r.Header, [2]string{"Prefer", "handling=lenient"})
	}
	g.follow(r)
}

// total asks for a number alone, by one value: the shortest way through the index.
func (g *generator) total() {
	typ := g.typ()
	code := g.code(typ)
	if g.chance(0.4) { // or the order of an index
		typ = pick(g, []string{"Observation", "Observation", "Encounter", "Patient"})
		code = pick(g, []string{"date", "value-quantity", "code", "birthdate", "family", g.code(typ)})
		g.follow(Request{Method: "GET", Target: "/fhir/" + typ + "?_sort=" + pick(g, []string{"", "-"}) + code + "&_count=" + fmt.Sprint(1+g.IntN(9))})
		return
	}
	value, _, _ := strings.Cut(g.value(typ, code), ",")
	g.p.Ask(Request{Method: "GET", Target: "/fhir/" + typ + "?" + code + "=" + neturl.QueryEscape(strings.ToValidUTF8(value, "")) + pick(g, []string{"&_summary=count", "&_count=0", "&_count=1&_total=accurate"})})
}

func (g *generator) typ() string {
	if g.chance(0.5) {
		return pick(g, []string{"Observation", "Patient", "Encounter", "Condition", "DocumentReference", "Specimen"})
	}
	return pick(g, g.w.types)
}

func (g *generator) query(typ string) string {
	var q []string
	for range 1 + g.IntN(3) {
		if s := g.term(typ, 0); s != "" {
			q = append(q, s)
		}
	}
	for range g.IntN(3) {
		if g.chance(0.4) {
			q = append(q, g.include(typ))
		}
	}
	if g.chance(0.4) {
		q = append(q, "_sort="+g.sort(typ))
	}
	if g.chance(0.5) {
		q = append(q, "_total="+pick(g, []string{"accurate", "accurate", "none", "estimate"}))
	}
	switch g.IntN(12) {
	case 0:
		q = append(q, "_summary="+pick(g, []string{"true", "count", "text", "data"}))
	case 1:
		q = append(q, "_elements=meta,identifier")
	}
	q = append(q, fmt.Sprintf("_count=%d", g.IntN(30)))
	return strings.Join(q, "&")
}

// codes are the parameters of a type for which values are known.
func (g *generator) code(typ string) string {
	params := g.w.reg.Params(typ)
	for range 30 {
		p := pick(g, params)
		if len(g.w.values[typ+"."+p.Code]) > 0 {
			return p.Code
		}
	}
	return "_lastUpdated"
}

func (g *generator) value(typ, code string) string {
	if code == "_lastUpdated" {
		return "gt2026-01-01T0" + fmt.Sprint(g.IntN(9))
	}
	list := g.w.values[typ+"."+code]
	if len(list) == 0 {
		return "x"
	}
	v := pick(g, list)
	if g.chance(0.15) {
		v += "," + pick(g, list)
	}
	return v
}

// term is one search parameter with its value.
func (g *generator) term(typ string, depth int) string {
	switch g.IntN(16) {
	case 14:
		if depth == 0 {
			return "_filter=" + neturl.QueryEscape(g.filter(typ, 0))
		}
	case 15:
		if lists := g.w.byType["List"]; depth == 0 && g.chance(0.6) {
			return "_list=" + pick(g, lists)
		}
	case 0, 1:
		if depth < 2 {
			if s := g.has(typ, depth); s != "" {
				return s
			}
		}
	case 2, 3:
		if depth < 2 {
			if s := g.chain(typ, depth); s != "" {
				return s
			}
		}
	case 4:
		return g.code(typ) + ":missing=" + pick(g, []string{"true", "false"})
	case 5:
		ids := make([]string, 1+g.IntN(4))
		for i := range ids {
			_, ids[i], _ = strings.Cut(g.ref(), "/")
			if g.chance(0.7) {
				ids[i] = pick(g, g.w.byType[typ])
			}
		}
		return "_id=" + strings.Join(ids, ",")
	case 6:
		if g.chance(0.5) {
			return pick(g, []string{"_text=", "_content="}) + pick(g, []string{"blood", "heart", "smith", "delgado", "glucose", "hypertension"})
		}
		return "_security=" + neturl.QueryEscape(authz.DefaultLabelSystem+"|"+pick(g, paths))
	}
	code := g.code(typ)
	p := g.w.reg.Param(typ, code)
	value := g.value(typ, code)
	if p == nil {
		return code + "=" + neturl.QueryEscape(value)
	}
	switch p.Type {
	case "string":
		switch g.IntN(4) {
		case 0:
			code += ":exact"
		case 1:
			code += ":contains"
			if len(value) > 4 {
				value = value[1:4]
			}
		default:
			if len(value) > 3 {
				value = value[:1+g.IntN(3)]
			}
		}
	case "token":
		if g.chance(0.15) {
			code += ":not"
		} else if i := strings.LastIndexByte(value, '|'); i > 0 && g.chance(0.3) {
			value = pick(g, []string{value[i+1:], value[:i+1]})
		}
	case "date", "number", "quantity":
		value = pick(g, []string{"", "eq", "ge", "le", "gt", "lt", "ne", "sa", "eb"}) + strings.Split(value, ",")[0]
	case "reference":
		if to, id, ok := strings.Cut(value, "/"); ok && !strings.Contains(value, ",") && g.chance(0.2) {
			code, value = code+":"+to, id
		}
	}
	return code + "=" + neturl.QueryEscape(strings.ToValidUTF8(value, ""))
}

// references are the reference parameters of a type with known values.
func (g *generator) reference(typ string) *search.Param {
	params := g.w.reg.Params(typ)
	for range 40 {
		if p := pick(g, params); p.Type == "reference" && len(g.w.values[typ+"."+p.Code]) > 0 {
			return p
		}
	}
	return nil
}

// pointed is a type that a reference leads to.
func (g *generator) pointed(typ string, p *search.Param) string {
	to, _, _ := strings.Cut(pick(g, g.w.values[typ+"."+p.Code]), "/")
	return to
}

func (g *generator) chain(typ string, depth int) string {
	p := g.reference(typ)
	if p == nil {
		return ""
	}
	to := g.pointed(typ, p)
	if len(g.w.byType[to]) == 0 {
		return ""
	}
	if s := g.term(to, depth+1); s != "" {
		return p.Code + ":" + to + "." + s
	}
	return ""
}

func (g *generator) has(typ string, depth int) string {
	for range 12 {
		from := g.typ()
		p := g.reference(from)
		if p == nil || g.pointed(from, p) != typ {
			continue
		}
		if s := g.term(from, depth+1); s != "" {
			return "_has:" + from + ":" + p.Code + ":" + s
		}
	}
	return ""
}

func (g *generator) include(typ string) string {
	name := "_include"
	from := typ
	if g.chance(0.5) {
		name, from = "_revinclude", g.typ()
	}
	if g.chance(0.3) {
		name += ":iterate"
	}
	p := g.reference(from)
	if p == nil || g.chance(0.1) {
		return name + "=" + from + ":*"
	}
	return name + "=" + from + ":" + p.Code
}

func (g *generator) sort(typ string) string {
	keys := make([]string, 1+g.IntN(2))
	for i := range keys {
		keys[i] = pick(g, []string{"", "-"}) + pick(g, []string{"_lastUpdated", "_id", g.code(typ), g.code(typ)})
	}
	return strings.Join(keys, ",")
}

func (g *generator) inCompartment() string {
	name := pick(g, []string{"Patient", "Patient", "Patient", "Encounter", "Practitioner"})
	id := pick(g, g.w.byType[name])
	if g.chance(0.3) {
		return "/" + name + "/" + id + fmt.Sprintf("/*?_count=%d", 1+g.IntN(20))
	}
	typ := pick(g, []string{"Observation", "Condition", "Encounter", "DiagnosticReport"})
	return "/" + name + "/" + id + "/" + typ + "?" + g.query(typ)
}

func (g *generator) everyType() string {
	q := []string{fmt.Sprintf("_count=%d", g.IntN(25))}
	if g.chance(0.6) {
		q = append(q, "_type="+g.typ()+","+g.typ())
	}
	if g.chance(0.3) {
		q = append(q, "_lastUpdated=lt2026-01-01T04")
	}
	if g.chance(0.3) {
		q = append(q, "_id="+pick(g, g.w.byType[g.typ()]))
	}
	if g.chance(0.3) {
		q = append(q, "_sort="+pick(g, []string{"_lastUpdated", "-_id"}))
	}
	if g.chance(0.4) {
		q = append(q, "_total="+pick(g, []string{"accurate", "estimate"}))
	}
	return "?" + strings.Join(q, "&")
}

// follow sends a request and goes on to some of the pages that it leads to.
func (g *generator) follow(r Request) {
	_, _, body := g.p.Ask(r)
	for range 4 {
		if len(g.p.Failed) > 0 {
			return
		}
		var b struct {
			Link []struct{ Relation, URL string }
		}
		if json.Unmarshal([]byte(body), &b) != nil {
			return
		}
		var links []string
		for _, l := range b.Link {
			if l.Relation == "next" || l.Relation == "previous" && g.chance(0.4) {
				links = append(links, l.URL)
			}
		}
		if len(links) == 0 {
			return
		}
		_, _, body = g.p.Ask(Request{Method: "GET", Target: target(pick(g, links))})
	}
}

func (g *generator) batchOfReads() {
	var entries []any
	for range 1 + g.IntN(4) {
		url := g.ref()
		switch g.IntN(4) {
		case 0:
			typ := g.typ()
			url = typ + "?" + g.query(typ)
		case 1:
			url += "/_history" + g.historyQuery()
		}
		entries = append(entries, map[string]any{"request": map[string]any{"method": pick(g, []string{"GET", "GET", "HEAD"}), "url": url}})
	}
	b := map[string]any{"resourceType": "Bundle", "type": pick(g, []string{"batch", "batch", "transaction"}), "entry": entries}
	g.p.Ask(Request{Method: "POST", Target: "/fhir", Body: string(encode(b))})
}

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
