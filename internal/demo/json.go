package demo

import (
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// object is a JSON object that keeps the order of its members, as people would write a resource.
type object []member

type member struct {
	name  string
	value any
}

type array []any

// number is a decimal as text, so that 98.60 stays 98.60.
type number string

// obj makes an object of names and values in turn. Empty values are left out, as FHIR wants it.
func obj(pairs ...any) object {
	o := make(object, 0, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		if !empty(pairs[i+1]) {
			o = append(o, member{pairs[i].(string), pairs[i+1]})
		}
	}
	return o
}

// arr leaves out empty items.
func arr(items ...any) array {
	var a array
	for _, item := range items {
		if !empty(item) {
			a = append(a, item)
		}
	}
	return a
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case object:
		return len(v) == 0
	case array:
		return len(v) == 0
	}
	return false
}

func (o object) get(name string) any {
	for _, m := range o {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// appendJSON writes a value behind b. It knows exactly the types that the cohort is made of.
func appendJSON(b []byte, v any) []byte {
	switch v := v.(type) {
	case object:
		b = append(b, '{')
		for i, m := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendJSON(b, m.name), ':')
			b = appendJSON(b, m.value)
		}
		return append(b, '}')
	case array:
		b = append(b, '[')
		for i, item := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(b, item)
		}
		return append(b, ']')
	case string:
		b, err := jsontext.AppendQuote(b, v)
		if err != nil {
			panic("demo: " + err.Error()) // not UTF-8
		}
		return b
	case number:
		return append(b, v...)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case bool:
		return strconv.AppendBool(b, v)
	}
	panic(fmt.Sprintf("demo: a value of type %T", v))
}

// decimal writes tenths, hundredths … as a decimal with that many places: decimal(986, 1) is 98.6.
func decimal(scaled, places int) number {
	if places == 0 {
		return number(strconv.Itoa(scaled))
	}
	unit := 1
	for range places {
		unit *= 10
	}
	return number(fmt.Sprintf("%d.%0*d", scaled/unit, places, scaled%unit))
}
