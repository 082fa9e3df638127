package search

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"ingle/fhir"
)

// Random searches that are more than parameters of one type. Each has its
// counterpart in oracle_shapes_test.go.

// randomSets is a terminology of sets that the generator made up, by modifier
// and value.
type randomSets map[string][]Code

func (r randomSets) CodeSet(modifier, value string) (*CodeSet, error) {
	codes, ok := r[strings.TrimPrefix(modifier, "not-")+" "+value]
	if !ok {
		return nil, fhir.Errorf(400, fhir.CodeNotFound, "the set %s is not known", value)
	}
	if len(value)%2 == 0 {
		return &CodeSet{Codes: codes}, nil
	}
	return &CodeSet{Where: func(system, code string, arg func(any) string) string {
		parts := []string{"false"}
		for _, c := range codes {
			parts = append(parts, system+" = "+arg(c.System)+" AND "+code+" = "+arg(strings.ToLower(c.Code)))
		}
		return "(" + strings.Join(parts, " OR ") + ")"
	}}, nil
}

// common are parameters that every type has.
func (g *generator) common() string {
	s := pick(g.r, g.o.w.docs)
	switch g.r.IntN(4) {
	case 0:
		if id := g.id(s); id != "" {
			return id
		}
	case 1:
		return "_lastUpdated=" + g.prefix() + s.lu.Format("2006-01-02T15:04")
	}
	p := g.o.w.reg.Param(s.typ, pick(g.r, []string{"_tag", "_profile", "_security", "_source"}))
	if _, vals := g.sample(p); len(vals) > 0 {
		if v := g.value(p.Type, pick(g.r, vals), s, ""); v != "" && !strings.Contains(v, "&") {
			return p.Code + "=" + v
		}
	}
	return p.Code + ":missing=" + pick(g.r, []string{"true", "false"})
}

// wide is a search over several types or in a compartment, "" where none comes to mind.
func (g *generator) wide() string {
	typ := pick(g.r, g.types)
	if g.chance(0.5) {
		types := slices.Compact(slices.Sorted(slices.Values([]string{typ, pick(g.r, g.types), pick(g.r, g.types)})))
		return "?_type=" + strings.Join(types, ",") + "&" + g.common() + pick(g.r, []string{"", "&_sort=_lastUpdated", "&_sort=-_id"})
	}
	defs := g.o.w.reg.defs
	c := defs.Compartment(pick(g.r, defs.Compartments()))
	if len(g.byType[c.Name]) == 0 {
		return ""
	}
	place := c.Name + "/" + pick(g.r, g.byType[c.Name]).id + "/"
	if g.chance(0.3) {
		return place + "*?" + pick(g.r, []string{"", g.common()})
	}
	if typ = pick(g.r, slices.Sorted(maps.Keys(c.Params))); len(c.Params[typ]) == 0 || len(g.byType[typ]) == 0 {
		return ""
	}
	text := place + typ + "?" + g.term(typ, 0)
	if s := g.sort(typ); s != "" && g.chance(0.4) {
		text = strings.TrimSuffix(text+"&"+s, "&")
	}
	return strings.ReplaceAll(text, "?&", "?")
}

// shape is a term that is no plain parameter, "" where none comes to mind.
func (g *generator) shape(typ string) string {
	switch g.r.IntN(5) {
	case 0:
		if lists := g.byType["List"]; len(lists) > 0 {
			return "_list=" + pick(g.r, lists).id
		}
	case 1:
		return g.text(typ)
	case 2:
		return g.set(typ)
	default:
		if f := g.filter(typ, 0); f != "" {
			return "_filter=" + f
		}
	}
	return ""
}

// text is a search for words that occur.
func (g *generator) text(typ string) string {
	content := g.chance(0.5)
	words := slices.Sorted(maps.Keys(g.o.textWords(pick(g.r, g.byType[typ]), content)))
	words = slices.DeleteFunc(words, func(w string) bool { return len(w) > 60 || w == "or" || w == "and" || w == "not" })
	if len(words) == 0 {
		return ""
	}
	word := func() string {
		w := pick(g.r, words)
		if g.chance(0.3) {
			r := []rune(w)
			w = string(r[:1+g.r.IntN(len(r))]) + "*"
		}
		if g.chance(0.1) {
			w = "not:" + w
		}
		return w
	}
	query := word()
	for range g.r.IntN(3) {
		query += pick(g.r, []string{" ", " or "}) + word()
	}
	return map[bool]string{false: "_text=", true: "_content="}[content] + query
}

// set is :in, :not-in, :below or :above of a token, with a set of codes that occur.
func (g *generator) set(typ string) string {
	p := pick(g.r, g.o.w.reg.Params(typ))
	if p.Type != "token" || !p.inDict {
		return ""
	}
	var codes []Code
	for range 1 + g.r.IntN(4) {
		_, vals := g.sample(p)
		for _, f := range vals {
			for _, t := range f.tokens() {
				if t.kind == "coding" && len(t.systems) > 0 && t.code != "" {
					codes = append(codes, Code{t.systems[0], t.code})
				}
			}
		}
	}
	if codes == nil {
		return ""
	}
	if g.sets == nil {
		g.sets = randomSets{}
	}
	if g.chance(0.5) {
		modifier := pick(g.r, []string{"below", "above"})
		value := codes[0].System + "|" + codes[0].Code
		if strings.ContainsAny(value, "\\,$&") {
			return ""
		}
		if _, ok := g.sets[modifier+" "+value]; !ok {
			g.sets[modifier+" "+value] = codes
		}
		return p.Code + ":" + modifier + "=" + value
	}
	value := fmt.Sprintf("http://sets/%d", len(g.sets))
	g.sets["in "+value] = codes
	return p.Code + ":" + pick(g.r, []string{"in", "not-in"}) + "=" + value
}

// filter is the text of a _filter.
func (g *generator) filter(typ string, depth int) string {
	if depth < 3 && g.chance(0.45) {
		a, b := g.filter(typ, depth+1), g.filter(typ, depth+1)
		if a == "" || b == "" {
			return a + b
		}
		switch g.r.IntN(5) {
		case 0:
			return "not (" + a + ")"
		case 1:
			return "(" + a + ") and (" + b + ")"
		case 2:
			return "(" + a + ") or (" + b + ")"
		case 3:
			return a + " and " + b
		}
		return a + " or " + b
	}
	p := pick(g.r, g.o.w.reg.Params(typ))
	if !p.indexed || p.Type == "composite" || p.Type == "special" || p.Code[0] == '_' {
		return ""
	}
	if g.chance(0.1) {
		return p.Code + " pr " + pick(g.r, []string{"true", "false"})
	}
	s, vals := g.sample(p)
	if s == nil {
		return ""
	}
	value := g.value(p.Type, pick(g.r, vals), s, "")
	if value == "" || strings.ContainsAny(value, "\\\",$&") || p.Type == "token" && strings.HasSuffix(value, "|") {
		return ""
	}
	op := pick(g.r, []string{"eq", "ne"})
	switch p.Type {
	case "string":
		op = pick(g.r, []string{"eq", "ne", "co", "sw", "ew", "gt", "lt", "ge", "le"})
	case "date", "number", "quantity":
		if op, value = oraclePrefix(value); p.Type == "date" && g.chance(0.2) {
			op = "co"
		}
	case "reference":
		op = pick(g.r, []string{"eq", "re"})
	case "token", "uri": // what ne refuses
		if op == "ne" && (p.Type == "uri" || p.hasIdent) && strings.Contains(value, "|") || op == "ne" && p.hasIdent && (p.hasCoding || p.hasCode) {
			op = "eq"
		}
	}
	return p.Code + " " + op + ` "` + value + `"`
}
