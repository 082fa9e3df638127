package r4

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Open is the value of an element that may be of any data type, such as
// Extension.value[x], Parameters.parameter.value[x] or
// ElementDefinition.pattern[x].
type Open struct {
	Type  string          // "string", "CodeableConcept" …
	Value json.RawMessage // as in JSON
}

// OpenOf makes an Open of a Go value. typeName is the FHIR type; v is what
// encoding/json writes as it (a string for the primitives that are strings in
// JSON, json.Number for decimal, a struct of this package). It panics if v
// cannot be written as JSON.
func OpenOf(typeName string, v any) *Open {
	value, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("r4: a value of type %s: %v", typeName, err))
	}
	return &Open{Type: typeName, Value: value}
}

// String returns the content of a value that is a JSON string, and any other
// as JSON; "" for nil.
func (o *Open) String() string {
	if o == nil {
		return ""
	}
	if len(o.Value) > 0 && o.Value[0] == '"' {
		if s, err := jsontext.AppendUnquote(nil, o.Value); err == nil {
			return string(s)
		}
	}
	return string(o.Value)
}

// Decode reads the value into a Go value, as json.Unmarshal.
func (o *Open) Decode(v any) error { return json.Unmarshal(o.Value, v) }

type openField struct {
	name string
	to   **Open
}

// writeOpen writes plain, a struct without methods, and adds the open fields.
func writeOpen(plain any, fields ...openField) ([]byte, error) {
	text, err := json.Marshal(plain)
	if err != nil {
		return nil, err
	}
	text = text[:len(text)-1] // the last brace
	for _, f := range fields {
		o := *f.to
		if o == nil {
			continue
		}
		if !slices.Contains(openTypes, o.Type) {
			return nil, fmt.Errorf("%s[x] cannot be of type %q", f.name, o.Type)
		}
		if len(text) > 1 {
			text = append(text, ',')
		}
		text = append(text, '"')
		text = append(text, f.name...)
		text = append(text, strings.ToUpper(o.Type[:1])...)
		text = append(text, o.Type[1:]...)
		text = append(text, '"', ':')
		text = append(text, o.Value...)
	}
	return append(text, '}'), nil
}

// readOpen reads text into plain, a struct without methods, and the open
// fields into theirs.
func readOpen(text []byte, plain any, fields ...openField) error {
	if err := json.Unmarshal(text, plain); err != nil {
		return err
	}
	dec := jsontext.NewDecoder(bytes.NewReader(text))
	if kind := dec.PeekKind(); kind != '{' {
		return nil // null
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for dec.PeekKind() != '}' {
		token, err := dec.ReadToken()
		if err != nil {
			return err
		}
		key := token.String()
		value, err := dec.ReadValue()
		if err != nil {
			return err
		}
		for _, f := range fields {
			suffix, ok := strings.CutPrefix(key, f.name)
			if !ok || suffix == "" {
				continue
			}
			i := slices.IndexFunc(openTypes, func(name string) bool {
				return name[1:] == suffix[1:] && strings.ToUpper(name[:1]) == suffix[:1]
			})
			if i >= 0 {
				*f.to = &Open{Type: openTypes[i], Value: slices.Clone(json.RawMessage(value))}
			}
		}
	}
	return nil
}

// checkResourceType refuses a resource of another type.
func checkResourceType(text []byte, want string) error {
	if string(text) != want {
		return fmt.Errorf("resourceType is %s, want %s", text, want)
	}
	return nil
}
