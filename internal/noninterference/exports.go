package noninterference

import (
	"net/http"
	neturl "net/url"
	"regexp"
	"strings"
)

// export begins an export of some types and compares the manifest and the files,
// sometimes after something was written between the two.
func (g *generator) export() {
	typ := g.typ()
	path := pick(g, []string{"", "", "/Patient", "/Patient", "/" + "Group/" + pick(g, g.w.byType["Group"])})
	q := []string{"_type=" + pick(g, []string{typ, typ + ",Patient", typ + ",Observation,Condition"})}
	if g.chance(0.5) {
		if s := g.term(typ, 0); s != "" {
			q = append(q, "_typeFilter="+neturl.QueryEscape(typ+"?"+s))
		}
	}
	if g.chance(0.5) {
		q = append(q, "_since="+pick(g, []string{"2026-01-01T00:00:00Z", "2026-01-01T05:00:00Z", "2026-11-01T00:01:00Z"}))
	}
	if g.chance(0.3) {
		q = append(q, "_until="+pick(g, []string{"2026-01-01T06:00:00Z", "2026-11-01T00:02:00Z"}))
	}
	if g.chance(0.3) {
		q = append(q, "_elements="+pick(g, []string{"meta", "identifier,Patient.name", "Observation.value"}))
	}
	between := func() {}
	if len(g.p.User.Write) > 0 && g.chance(0.5) {
		between = func() { g.write(); g.write() }
	}
	g.p.AskLater(Request{Method: "GET", Target: "/fhir" + path + "/$export?" + strings.Join(q, "&"), Header: [][2]string{{"Prefer", "respond-async, handling=" + pick(g, []string{"strict", "lenient"})}}}, between)
}

var fileURL = regexp.MustCompile(`"url":"([^"]*/_async/[^"]*)"`)

// files are those of a manifest.
func (p *Pair) files(h http.Handler, manifest string) string {
	var b strings.Builder
	for _, m := range fileURL.FindAllStringSubmatch(manifest, -1) {
		b.WriteString(canonical(p.ask(h, Request{Method: "GET", Target: target(m[1])})))
	}
	return b.String()
}
