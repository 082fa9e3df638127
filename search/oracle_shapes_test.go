package search

import (
	"encoding/base64"
	"html"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"ingle/fhir"
)

// The oracle of searches that are more than parameters of one type:
// compartments, lists, full text, sets of codes and filters.

// in tells whether a resource is in a compartment (R4 compartmentdefinition).
func (o *oracle) in(s *stored, compartment, id string) bool {
	self := compartment + "/" + id
	if s.typ == compartment && s.id == id {
		return true
	}
	for _, code := range o.w.reg.defs.Compartment(compartment).Params[s.typ] {
		if p := o.w.reg.defs.SearchParam(s.typ, code); p != nil && o.refers(s, p, self) {
			return true
		}
	}
	return false
}

// refers tells whether a parameter of a resource points to Type/id.
func (o *oracle) refers(s *stored, p *fhir.SearchParam, to string) bool {
	return slices.ContainsFunc(o.values(p, s), func(f found) bool { return slices.Contains(o.refs(f, s), to) })
}

// listed tells whether a List of the data holds a resource.
func (o *oracle) listed(s *stored, list string) bool {
	l := o.w.byKey["List/"+list]
	return l != nil && o.refers(l, o.w.reg.defs.SearchParam("List", "item"), s.typ+"/"+s.id)
}

// inSet tells whether a resource has a token of a set of codes.
func (o *oracle) inSet(s *stored, p *fhir.SearchParam, codes []Code) bool {
	for _, f := range o.values(p, s) {
		for _, t := range f.tokens() {
			for _, c := range codes {
				if t.matches(escapeValue(c.System) + "|" + escapeValue(c.Code)) {
					return true
				}
			}
		}
	}
	return false
}

var markup = regexp.MustCompile(`(?s)<[^>]*>`)

// plainWords are the words of a text, folded, up to 64 bytes each.
func plainWords(text string) []string {
	return strings.FieldsFunc(oracleFold(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

func withoutMarkup(div string) string { return html.UnescapeString(markup.ReplaceAllString(div, " ")) }

// textWords are the words of a resource that _text or _content looks at: those
// of the narrative, and for _content all others but what machines alone read.
func (o *oracle) textWords(s *stored, content bool) map[string]bool {
	out := map[string]bool{}
	add := func(text string) {
		for _, w := range plainWords(text) {
			out[w] = true
		}
	}
	root := s.root
	add(withoutMarkup(root.Get("text").Get("div").Text()))
	if !content {
		return out
	}
	machine := strings.Fields("id resourceType system url reference profile versionId lastUpdated contentType fullUrl hash data")
	var walk func(n fhir.Node, top bool)
	walk = func(n fhir.Node, top bool) {
		if kind := n.Get("contentType").Text(); strings.HasPrefix(kind, "text/") {
			if raw, err := base64.StdEncoding.DecodeString(n.Get("data").Text()); err == nil && kind == "text/html" {
				add(withoutMarkup(string(raw)))
			} else if err == nil {
				add(string(raw))
			}
		}
		for c := n.First(); c.Valid(); c = c.Next() {
			switch {
			case slices.Contains(machine, c.Key()) && n.Kind() == fhir.Object, c.KeyIs("status") && n.Get("div").Valid(): // of a narrative
			case c.Kind() == fhir.String && c.Key() == "div":
				if !top {
					add(withoutMarkup(c.Text()))
				}
			case c.Kind() == fhir.String:
				add(c.Text())
			case c.Kind() == fhir.Object, c.Kind() == fhir.Array:
				walk(c, top && c.KeyIs("text"))
			}
		}
	}
	walk(root, true)
	return out
}

// hasText answers _text and _content: "a b" and "a or b", with not in front of a
// word and * behind it.
func (o *oracle) hasText(s *stored, content bool, query string) bool {
	have := o.textWords(s, content)
	word := func(w string) bool {
		start, any := strings.CutSuffix(w, "*")
		if !any {
			return have[w]
		}
		for h := range have {
			if strings.HasPrefix(h, start) {
				return true
			}
		}
		return false
	}
	for _, alternative := range strings.Split(query, " or ") {
		all := true
		for _, w := range strings.Split(alternative, " ") {
			if bare, negated := strings.CutPrefix(w, "not:"); negated {
				all = all && !word(bare)
			} else {
				all = all && word(w)
			}
		}
		if all {
			return true
		}
	}
	return false
}

// filtered answers _filter, written as the generator writes it.
func (o *oracle) filtered(s *stored, filter string) bool {
	if left, and, right, ok := lastJoined(filter); ok {
		if and {
			return o.filtered(s, left) && o.filtered(s, right)
		}
		return o.filtered(s, left) || o.filtered(s, right)
	}
	if inner, ok := strings.CutPrefix(filter, "not ("); ok {
		return !o.filtered(s, strings.TrimSuffix(inner, ")"))
	}
	if strings.HasPrefix(filter, "(") {
		return o.filtered(s, filter[1:len(filter)-1])
	}
	parts := strings.SplitN(filter, " ", 3)
	path, op, value := parts[0], parts[1], strings.Trim(parts[2], `"`)
	p := o.w.reg.defs.SearchParam(s.typ, path)
	if p != nil && p.Type == "string" && op != "pr" {
		whole := func(match func(have, want string) bool) bool {
			for _, f := range o.values(p, s) {
				for _, t := range f.texts() {
					if match(oracleFold(t.s), oracleFold(value)) {
						return true
					}
				}
			}
			return false
		}
		first := func(s string) rune { return []rune(s)[0] }
		switch op {
		case "eq":
			return whole(func(a, b string) bool { return a == b })
		case "ne":
			return whole(func(a, b string) bool { return a != b })
		case "co":
			return whole(strings.Contains)
		case "ew":
			return whole(strings.HasSuffix)
		case "gt":
			return whole(func(a, b string) bool { return first(a) > first(b) })
		case "lt":
			return whole(func(a, b string) bool { return first(a) < first(b) })
		case "ge":
			return whole(func(a, b string) bool { return first(a) >= first(b) })
		case "le":
			return whole(func(a, b string) bool { return first(a) <= first(b) })
		}
		return o.matches(s, path, value) // sw
	}
	switch op {
	case "pr":
		return o.matches(s, path+":missing", map[string]string{"true": "false", "false": "true"}[value])
	case "ne", "co":
		return slices.ContainsFunc(o.values(p, s), func(f found) bool { return o.filterOne(p.Type, op, value, f) })
	case "eq", "re":
		return o.matches(s, path, value)
	}
	return o.matches(s, path, op+value)
}

// filterOne compares one value by an operator that no prefix or modifier is.
func (o *oracle) filterOne(typ, op, value string, f found) bool {
	switch typ {
	case "token":
		return slices.ContainsFunc(f.tokens(), func(t otoken) bool {
			return !t.matches(value) && (t.code != "" || t.kind == "coding")
		})
	case "uri":
		bare, _, _ := strings.Cut(f.n.Text(), "|")
		return f.n.Text() != value && (f.typ != "canonical" || bare != value)
	case "date":
		at, _ := oracleDate(value)
		return slices.ContainsFunc(f.dates(), func(t otime) bool {
			if op == "co" {
				return t.lo <= at.lo && t.hi >= at.hi
			}
			return t.matches("ne"+value, time.Time{})
		})
	}
	return o.one(typ, "", "ne"+value, f, nil)
}

// lastJoined splits a filter at its last and or or outside of parentheses and
// quotes: filters are read from left to right.
func lastJoined(s string) (left string, and bool, right string, ok bool) {
	depth, quoted := 0, false
	for i := len(s) - 1; i >= 0; i-- {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case quoted:
		case s[i] == ')':
			depth++
		case s[i] == '(':
			depth--
		case depth > 0:
		case strings.HasPrefix(s[i:], " and "):
			return s[:i], true, s[i+len(" and "):], true
		case strings.HasPrefix(s[i:], " or "):
			return s[:i], false, s[i+len(" or "):], true
		}
	}
	return "", false, "", false
}
