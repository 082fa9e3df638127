package noninterference

import (
	"fmt"
	neturl "net/url"
	"strings"

	"ingle/authz"
	"ingle/search"
)

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
		if g.chance(0.5) { // to any type that it may point to
			return p.Code + "." + s
		}
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
