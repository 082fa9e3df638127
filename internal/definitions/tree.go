package main

import (
	"bytes"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// A JSON value is an *object, a []any or a jsontext.Value (a scalar as
// written). Members keep their order.
type object struct {
	names  []string
	values []any
}

func parse(text []byte) (any, error) {
	return parseValue(jsontext.NewDecoder(bytes.NewReader(text)))
}

func parseValue(dec *jsontext.Decoder) (any, error) {
	switch dec.PeekKind() {
	case '{':
		if _, err := dec.ReadToken(); err != nil {
			return nil, err
		}
		o := &object{}
		for dec.PeekKind() != '}' {
			name, err := dec.ReadToken()
			if err != nil {
				return nil, err
			}
			text := name.String()
			value, err := parseValue(dec)
			if err != nil {
				return nil, err
			}
			o.names = append(o.names, text)
			o.values = append(o.values, value)
		}
		_, err := dec.ReadToken()
		return o, err
	case '[':
		if _, err := dec.ReadToken(); err != nil {
			return nil, err
		}
		list := []any{}
		for dec.PeekKind() != ']' {
			value, err := parseValue(dec)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		_, err := dec.ReadToken()
		return list, err
	}
	value, err := dec.ReadValue()
	return value.Clone(), err
}

func (o *object) get(name string) any {
	if i := slices.Index(o.names, name); i >= 0 {
		return o.values[i]
	}
	return nil
}

func (o *object) has(name string) bool { return slices.Contains(o.names, name) }

// str returns a string's content, and any other scalar as written.
func (o *object) str(name string) string { return text(o.get(name)) }

func text(v any) string {
	value, ok := v.(jsontext.Value)
	if !ok {
		return ""
	}
	if value.Kind() != '"' {
		return string(value)
	}
	s, err := jsontext.AppendUnquote(nil, value)
	if err != nil {
		panic(err)
	}
	return string(s)
}

func (o *object) object(name string) *object {
	v, _ := o.get(name).(*object)
	if v == nil {
		return &object{}
	}
	return v
}

func (o *object) list(name string) []any {
	v, _ := o.get(name).([]any)
	return v
}

func (o *object) objects(name string) []*object {
	var out []*object
	for _, v := range o.list(name) {
		out = append(out, v.(*object))
	}
	return out
}

func (o *object) strings(name string) []string {
	var out []string
	for _, v := range o.list(name) {
		out = append(out, text(v))
	}
	return out
}

// extension returns the value of the extension with the given URL, "" if there
// is none.
func (o *object) extension(url string) string {
	for _, e := range o.objects("extension") {
		if e.str("url") == url {
			for i, name := range e.names {
				if name != "url" {
					return text(e.values[i])
				}
			}
		}
	}
	return ""
}

// appendJSON writes a value compactly.
func appendJSON(dst []byte, v any) []byte {
	switch v := v.(type) {
	case *object:
		dst = append(dst, '{')
		for i, name := range v.names {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst, _ = jsontext.AppendQuote(dst, name)
			dst = append(dst, ':')
			dst = appendJSON(dst, v.values[i])
		}
		return append(dst, '}')
	case []any:
		dst = append(dst, '[')
		for i, e := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSON(dst, e)
		}
		return append(dst, ']')
	case jsontext.Value:
		if v.Kind() == '"' { // escapes only where they must be
			dst, _ = jsontext.AppendQuote(dst, text(v))
			return dst
		}
		return append(dst, v...)
	}
	panic("not a JSON value")
}
