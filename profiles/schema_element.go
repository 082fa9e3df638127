package profiles

import (
	"encoding/json"
	"strings"

	"ingle/fhir"
)

// Formats of primitive types (R4 datatypes.html).
const (
	datePattern = `([0-9]([0-9]([0-9][1-9]|[1-9]0)|[1-9]00)|[1-9]000)(-(0[1-9]|1[0-2])(-(0[1-9]|[1-2][0-9]|3[0-1]))?)?`
	timePattern = `([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?`
	zonePattern = `(Z|(\+|-)((0[0-9]|1[0-3]):[0-5][0-9]|14:00))`
)

func primitiveSchema(typ string) object {
	pattern := func(p string) object { return object{"type": "string", "pattern": "^(" + p + ")$"} }
	switch typ {
	case "boolean":
		return object{"type": "boolean"}
	case "decimal":
		return object{"type": "number"}
	case "integer":
		return object{"type": "integer", "minimum": -1 << 31, "maximum": 1<<31 - 1}
	case "unsignedInt":
		return object{"type": "integer", "minimum": 0, "maximum": 1<<31 - 1}
	case "positiveInt":
		return object{"type": "integer", "minimum": 1, "maximum": 1<<31 - 1}
	case "date":
		return pattern(datePattern)
	case "dateTime":
		return pattern(strings.TrimSuffix(datePattern, ")?)?") + `(T` + timePattern + zonePattern + `)?)?)?`)
	case "instant":
		return pattern(`[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[1-2][0-9]|3[0-1])T` + timePattern + zonePattern)
	case "time":
		return pattern(timePattern)
	case "id":
		return pattern(`[A-Za-z0-9\-\.]{1,64}`)
	case "code":
		return pattern(`[^\s]+( [^\s]+)*`)
	case "uri", "url", "canonical":
		return pattern(`[^\x00-\x20]+`)
	case "oid":
		return pattern(`urn:oid:[0-2](\.(0|[1-9][0-9]*))+`)
	case "uuid":
		return pattern(`urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	}
	return object{"type": "string", "minLength": 1}
}

// profile is the schema of what a profile says of an element of a base type
// with the given table, beyond that type.
func (b *schemaBuilder) profile(t *tree, tab *table) object {
	props := object{}
	var rules []any
	for _, k := range t.children {
		el := tab.byName[strings.TrimSuffix(k.el.last(), "[x]")]
		if el == nil {
			continue
		}
		allowed := map[string]bool{}
		for _, dt := range k.el.types {
			allowed[dt.code] = true
		}
		var names []any
		for _, m := range el.variants {
			if el.choice && len(allowed) > 0 && !allowed[m.typ] || k.el.max == 0 {
				props[m.json] = false
				if tab.members["_"+m.json] != nil {
					props["_"+m.json] = false
				}
				continue
			}
			names = append(names, object{"required": []any{m.json}})
			if tab.members["_"+m.json] != nil {
				names = append(names, object{"required": []any{"_" + m.json}})
			}
			if own := b.narrow(k, el, m); len(own) > 0 {
				props[m.json] = own
			}
		}
		if k.el.min > 0 && el.min == 0 && len(names) > 0 {
			rules = append(rules, object{"anyOf": names})
		}
	}
	out := object{}
	if len(props) > 0 {
		out["properties"] = props
	}
	if len(rules) > 0 {
		out["allOf"] = rules
	}
	return out
}

// narrow is what a profile says of one JSON property.
func (b *schemaBuilder) narrow(k *tree, el *elem, m *member) object {
	one := object{}
	if f := k.el.fixed; f.Valid() {
		one["const"] = plain(f)
	}
	if p := k.el.pattern; p.Valid() {
		one = merge(one, patternSchema(p))
	}
	if !m.primitive && !m.resource && len(k.children) > 0 {
		if t := b.e.tableOf(m); t != nil {
			one = merge(one, b.profile(k, t))
		}
	}
	if !el.array {
		return one
	}
	out := object{}
	if len(one) > 0 {
		if m.primitive {
			one = object{"anyOf": []any{object{"type": "null"}, one}}
		}
		out["items"] = one
	}
	if k.el.min > 1 {
		out["minItems"] = k.el.min
	}
	if k.el.max > 0 && (el.max == unbounded || k.el.max < el.max) {
		out["maxItems"] = k.el.max
	}
	if el.name == "extension" || el.name == "modifierExtension" {
		out = merge(out, b.extensions(k))
	}
	return out
}

// extensions counts the extensions of a profile by their URLs.
func (b *schemaBuilder) extensions(k *tree) object {
	var rules []any
	c := &compiler{e: b.e}
	for _, s := range k.slices {
		url := c.extensionURL(s)
		if url == "" || s.el.min <= 0 && s.el.max == unbounded {
			continue
		}
		rule := object{"contains": object{"properties": object{"url": object{"const": url}}, "required": []any{"url"}}, "minContains": max(s.el.min, 0)}
		if s.el.max != unbounded && s.el.max != notGiven {
			rule["maxContains"] = s.el.max
		}
		rules = append(rules, rule)
	}
	if len(rules) == 0 {
		return nil
	}
	return object{"allOf": rules}
}

func merge(a, b object) object {
	if len(a) == 0 {
		return b
	}
	if len(b) == 0 {
		return a
	}
	for k := range a {
		if _, clash := b[k]; clash {
			return object{"allOf": []any{a, b}}
		}
	}
	for k, v := range b {
		a[k] = v
	}
	return a
}

// patternSchema is the schema of values that hold a pattern.
func patternSchema(p fhir.Node) object {
	switch p.Kind() {
	case fhir.Object:
		props := object{}
		var required []any
		for m := p.First(); m.Valid(); m = m.Next() {
			props[m.Key()] = patternSchema(m)
			required = append(required, m.Key())
		}
		return object{"type": "object", "properties": props, "required": required}
	case fhir.Array:
		var rules []any
		for c := p.First(); c.Valid(); c = c.Next() {
			rules = append(rules, object{"contains": patternSchema(c)})
		}
		return object{"type": "array", "allOf": rules}
	}
	return object{"const": plain(p)}
}

// plain is a JSON value as encoding/json would decode it, with exact numbers.
func plain(n fhir.Node) any {
	switch n.Kind() {
	case fhir.Object:
		out := make(map[string]any, n.Len())
		for m := n.First(); m.Valid(); m = m.Next() {
			out[m.Key()] = plain(m)
		}
		return out
	case fhir.Array:
		out := make([]any, 0, n.Len())
		for c := n.First(); c.Valid(); c = c.Next() {
			out = append(out, plain(c))
		}
		return out
	case fhir.String:
		return n.Text()
	case fhir.Number:
		return json.Number(n.Text())
	case fhir.Bool:
		return n.Text() == "true"
	}
	return nil
}
