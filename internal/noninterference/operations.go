package noninterference

import (
	"fmt"
	neturl "net/url"
	"strings"
)

// operation asks an operation that reads.
func (g *generator) operation() {
	ref := g.ref()
	typ, _, _ := strings.Cut(ref, "/")
	get := func(target string) {
		g.p.Ask(Request{Method: "GET", Target: "/fhir/" + target})
	}
	set := func() string { return "http://codes.test/ValueSet/" + fmt.Sprint(g.IntN(codeSystems)) }
	system := func() string { return "http://codes.test/CodeSystem/" + fmt.Sprint(g.IntN(codeSystems)) }
	code := func() string { return pick(g, []string{"a", "b", "c", "none"}) }
	switch g.IntN(16) {
	case 0:
		get("$meta")
	case 1, 2:
		get(g.typ() + "/$meta")
	case 3, 4:
		get(ref + "/$meta")
	case 5, 6:
		get("ValueSet/$expand?url=" + set() + pick(g, []string{"", "&filter=code", "&count=2"}))
	case 7:
		get("ValueSet/" + pick(g, g.w.byType["ValueSet"]) + "/$expand")
	case 8:
		get("ValueSet/$validate-code?url=" + set() + "&system=" + system() + "&code=" + code())
	case 9:
		get("CodeSystem/$lookup?system=" + system() + "&code=" + code())
	case 10:
		get("CodeSystem/$subsumes?system=" + system() + "&codeA=" + code() + "&codeB=" + code())
	case 11:
		get("Observation?code:in=" + neturl.QueryEscape(set()) + "&_count=5")
	case 12:
		get(ref + "/$validate")
	case 13, 14:
		typ := pick(g, []string{"Patient", "Patient", "Encounter"})
		g.follow(Request{Method: "GET", Target: "/fhir/" + typ + "/" + pick(g, g.w.byType[typ]) + "/$everything" + pick(g, []string{"", "?_count=3", "?start=2000&end=2015", "?_type=Observation,Condition"})})
	default:
		if body := g.w.body[ref]; body != "" {
			g.p.Ask(Request{Method: "POST", Target: "/fhir/" + typ + "/$validate", Body: body})
		}
	}
}

// filter is an expression of _filter on a type.
func (g *generator) filter(typ string, depth int) string {
	if depth < 2 && g.chance(0.35) {
		a, b := g.filter(typ, depth+1), g.filter(typ, depth+1)
		return pick(g, []string{"(" + a + ") and (" + b + ")", "(" + a + ") or (" + b + ")", "not (" + a + ")"})
	}
	path := ""
	if p := g.reference(typ); p != nil && g.chance(0.3) {
		if to := g.pointed(typ, p); len(g.w.byType[to]) > 0 {
			path, typ = p.Code+".", to
		}
	}
	code := g.code(typ)
	value := strings.ReplaceAll(strings.Split(g.value(typ, code), ",")[0], `"`, "")
	kind := ""
	if p := g.w.reg.Param(typ, code); p != nil {
		kind = p.Type
	}
	switch kind {
	case "string":
		return path + code + pick(g, []string{" eq ", " co ", " sw ", " ne "}) + `"` + value + `"`
	case "date", "number", "quantity":
		return path + code + pick(g, []string{" eq ", " gt ", " le ", " ne "}) + value
	case "reference":
		return path + code + ` re "` + value + `"`
	}
	return path + code + pick(g, []string{" eq ", " ne "}) + `"` + value + `"`
}
