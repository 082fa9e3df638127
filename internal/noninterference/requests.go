package noninterference

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"

	"ingle/authz/redact"
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
	case x == 49 && g.chance(0.5):
		g.export()
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
