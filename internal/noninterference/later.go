package noninterference

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// later asks for what is answered later (R4 async.html): searches, and the
// validation of what is stored.
func (g *generator) later() {
	r := Request{Method: "GET", Header: [][2]string{{"Prefer", "respond-async"}}}
	if g.chance(0.3) {
		r.Method, r.Target = "POST", "/fhir/"+pick(g, []string{"Organization", "Encounter", "Condition", "Patient", "Practitioner"})+"/$validate-stored"
	} else {
		typ := g.typ()
		r.Target = "/fhir/" + typ + "?" + g.query(typ)
	}
	g.p.AskLater(r, func() {})
}

// AskLater is Ask of a request that is answered later, and waits for the answers.
// Those of an export are files: they are fetched after between.
func (p *Pair) AskLater(r Request, between func()) {
	status, header, _ := p.Ask(r)
	if status != http.StatusAccepted {
		return
	}
	place := target(header.Get("Content-Location"))
	var texts [2]string
	servers := []http.Handler{p.whole, p.part}
	for i, h := range servers {
		for range 500 {
			a := p.ask(h, Request{Method: "GET", Target: place})
			a.header.Del("Expires") // by the database's clock
			if a.status != http.StatusAccepted {
				texts[i] = canonical(a)
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	between()
	for i, h := range servers {
		texts[i] += p.files(h, texts[i])
		p.ask(h, Request{Method: "DELETE", Target: place})
	}
	p.Asked++
	if strings.Contains(texts[0], `"Bundle"`) || strings.Contains(texts[0], `"lastUpdated"`) {
		p.Found++
	}
	if (texts[0] != texts[1] || texts[0] == "") && len(p.Failed) < maxFailed {
		p.Failed = append(p.Failed, fmt.Sprintf("user %q: %s, later\n%s", p.User.Name, r, difference(texts[0], texts[1])))
	}
}
