package terminology

import (
	"strconv"

	"ingle/fhir"
)

// writer appends JSON. Commas are its own business.
type writer struct {
	b []byte
}

func (w *writer) comma() {
	if n := len(w.b); n > 0 {
		switch w.b[n-1] {
		case '{', '[', ':', ',':
		default:
			w.b = append(w.b, ',')
		}
	}
}

func (w *writer) open(c byte) *writer  { w.comma(); w.b = append(w.b, c); return w }
func (w *writer) close(c byte) *writer { w.b = append(w.b, c); return w }

func (w *writer) key(k string) *writer {
	w.comma()
	w.b = append(fhir.AppendString(w.b, k), ':')
	return w
}

func (w *writer) value(s string) *writer {
	w.comma()
	w.b = fhir.AppendString(w.b, s)
	return w
}

// str writes a string member, nothing if it is empty.
func (w *writer) str(k, v string) *writer {
	if v != "" {
		w.key(k)
		w.b = fhir.AppendString(w.b, v)
	}
	return w
}

func (w *writer) boolean(k string, v bool) *writer {
	w.key(k)
	w.b = strconv.AppendBool(w.b, v)
	return w
}

func (w *writer) integer(k string, v int) *writer {
	w.key(k)
	w.b = strconv.AppendInt(w.b, int64(v), 10)
	return w
}

// raw writes JSON that is already there.
func (w *writer) raw(v []byte) *writer {
	w.comma()
	w.b = append(w.b, v...)
	return w
}

// param writes a Parameters.parameter with a string-like value, nothing if it
// is empty.
func (w *writer) param(name, valueType, v string) *writer {
	if v == "" {
		return w
	}
	return w.open('{').str("name", name).str("value"+valueType, v).close('}')
}

func (w *writer) boolParam(name string, v bool) *writer {
	return w.open('{').str("name", name).boolean("valueBoolean", v).close('}')
}

func (w *writer) coding(c Coding) *writer {
	return w.open('{').str("system", c.System).str("version", c.Version).str("code", c.Code).str("display", c.Display).close('}')
}

// typed writes the value[x] of a property.
func (w *writer) typed(p *Property) *writer {
	switch p.Type {
	case "Coding":
		return w.key("valueCoding").coding(p.Coding)
	case "Boolean", "Integer", "Decimal":
		w.key("value" + p.Type)
		w.b = append(w.b, p.Value...)
		return w
	case "":
		return w.str("valueString", p.Value)
	}
	return w.str("value"+p.Type, p.Value)
}

func (w *writer) extensions(list []Extension) *writer {
	if len(list) == 0 {
		return w
	}
	w.key("extension").open('[')
	for _, e := range list {
		w.raw(e.Raw)
	}
	return w.close(']')
}
