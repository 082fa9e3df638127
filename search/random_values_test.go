package search

// The values that the random searches ask for.

import (
	"strings"
	"time"

	"ingle/fhir"
	"ingle/fhir/ucum"
)

func (g *generator) prefix() string {
	return pick(g.r, []string{"", "", "", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"})
}

func escapeValue(s string) string {
	return strings.NewReplacer(`\`, `\\`, ",", `\,`, "|", `\|`, "$", `\$`).Replace(s)
}

func (g *generator) value(typ string, f found, s *stored, modifier string) string {
	switch typ {
	case "token":
		toks := f.tokens()
		if len(toks) == 0 {
			return ""
		}
		t := pick(g.r, toks)
		code := t.code
		if !t.cased && g.chance(0.2) {
			code = strings.ToUpper(code)
		}
		system := ""
		if len(t.systems) > 0 {
			system = pick(g.r, t.systems)
		}
		switch g.r.IntN(5) {
		case 0:
			if code != "" {
				return "|" + escapeValue(code)
			}
		case 1:
			if system != "" {
				return escapeValue(system) + "|"
			}
		case 2, 3:
			if system != "" || code != "" {
				return escapeValue(system) + "|" + escapeValue(code)
			}
		}
		return escapeValue(code)
	case "date":
		d := f.dates()
		if len(d) == 0 {
			return ""
		}
		at := pick(g.r, d)
		micro := at.lo
		if micro == since || g.chance(0.5) && at.hi != ever {
			micro = at.hi
		}
		tm := time.UnixMicro(micro).UTC()
		if g.chance(0.3) {
			tm = tm.Add(time.Duration(g.r.IntN(2000)-1000) * time.Hour)
		}
		layout := pick(g.r, []string{"2006", "2006-01", "2006-01-02", "2006-01-02", "2006-01-02T15:04Z", "2006-01-02T15:04:05Z", "2006-01-02T15:04:05.000Z", "zone"})
		if layout == "zone" {
			return g.prefix() + tm.In(time.FixedZone("", -5*3600)).Format(time.RFC3339)
		}
		return g.prefix() + tm.Format(layout)
	case "string":
		texts := f.texts()
		if len(texts) == 0 {
			return ""
		}
		v := pick(g.r, texts).s
		runes := []rune(v)
		switch {
		case modifier == ":exact":
			if g.chance(0.2) {
				v = strings.ToLower(v)
			}
		case modifier == ":contains":
			a := g.r.IntN(len(runes))
			v = string(runes[a:min(len(runes), a+1+g.r.IntN(8))])
		default:
			v = string(runes[:1+g.r.IntN(len(runes))])
			if words := strings.Fields(v); len(words) > 1 && g.chance(0.3) {
				v = words[1]
			}
		}
		if strings.TrimSpace(v) == "" {
			return ""
		}
		if g.chance(0.2) && modifier != ":exact" {
			v = strings.ToUpper(v)
		}
		return escapeValue(v)
	case "uri":
		v := f.n.Text()
		if i := strings.LastIndexByte(v, '/'); modifier == ":below" && i > 8 {
			v = v[:i+g.r.IntN(2)]
		}
		if modifier == ":above" {
			v += "/x"
		}
		if version := s.root.Get("version").Text(); modifier == "" && version != "" && s.root.Get("url").Text() == v && g.chance(0.5) {
			return escapeValue(v) + "|" + escapeValue(version)
		}
		return escapeValue(v)
	case "reference":
		refs := g.o.refs(f, s)
		if len(refs) == 0 {
			return ""
		}
		r := pick(g.r, refs)
		if strings.HasPrefix(r, "#") {
			return ""
		}
		if t, id, ok := strings.Cut(r, "/"); ok && g.o.w.reg.defs.IsResourceType(t) && !strings.Contains(id, "/") && g.chance(0.3) {
			p := g.o.w.byKey[r]
			if p != nil {
				return id
			}
		}
		if i := strings.LastIndexAny(r, ".-"); modifier == ":below" && i > strings.IndexByte(r, '|') && strings.Contains(r, "|") {
			r = r[:i]
		}
		return strings.ReplaceAll(escapeValue(r), `\|`, "|")
	case "number", "quantity":
		nums := f.numbers()
		if len(nums) == 0 {
			return ""
		}
		n := pick(g.r, nums)
		v := n.lo
		if v == nil {
			v = n.hi
		}
		text := v.FloatString(g.r.IntN(4))
		if strings.HasPrefix(text, "-0") && strings.Trim(text, "-0.") == "" {
			text = strings.TrimPrefix(text, "-")
		}
		text = g.prefix() + text
		if typ == "quantity" {
			switch {
			case g.chance(0.3) && n.unit != "" && (n.system != ucum.System || ucumUnit(n.unit)):
				return text + "|" + escapeValue(n.system) + "|" + escapeValue(n.unit)
			case g.chance(0.3) && n.text != "":
				return text + "||" + escapeValue(n.text)
			case g.chance(0.1) && n.system != "":
				return text + "|" + escapeValue(n.system) + "|"
			}
		}
		return text
	}
	return ""
}

func (g *generator) compositeValue(p *fhir.SearchParam, base found, s *stored) string {
	var parts []string
	for _, c := range p.Components {
		def := g.o.w.reg.defs.SearchParamByURL(c.Definition)
		focus, ok := elementOf(base)
		if !ok {
			return ""
		}
		vals := g.o.eval(c.Expression, s, focus)
		if len(vals) == 0 {
			return ""
		}
		v := g.value(def.Type, pick(g.r, vals), s, "")
		if v == "" || strings.HasSuffix(v, "|") && def.Type == "token" || strings.HasPrefix(v, "|") && def.Type == "token" && false {
			return ""
		}
		parts = append(parts, v)
	}
	return strings.Join(parts, "$")
}

// ucumUnit tells whether a code is a unit of UCUM: searches for others are refused.
func ucumUnit(code string) bool {
	_, err := ucum.Parse(code)
	return err == nil
}
