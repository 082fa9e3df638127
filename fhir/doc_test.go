package fhir

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestParseKeepsBytesAndPositions(t *testing.T) {
	src := "{\n \"resourceType\":\"Patient\", \"n\": 1.00,\n \"ü\": [true,null,\"a\\u00e9\", {}], \"x\":{\"y\":[]}}"
	d, err := Parse([]byte(src), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	r := d.Root()
	if got := r.Get("n").Text(); got != "1.00" {
		t.Errorf("n = %q", got)
	}
	arr := r.Get("ü")
	if arr.Len() != 4 || arr.First().Next().Next().Text() != "aé" {
		t.Errorf("array = %d %q", arr.Len(), arr.First().Next().Next().Text())
	}
	if l, c := arr.LineCol(); l != 3 || c != 2 {
		t.Errorf("position = %d:%d", l, c)
	}
	if r.Get("x").Get("y").Kind() != Array || r.Get("nope").Get("y").Valid() {
		t.Error("lookup")
	}
}

func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		src    string
		status int
		says   string
	}{
		"empty":          {"", 400, "empty"},
		"truncated":      {`{"a":1`, 400, "too early"},
		"trailing":       {`{} {}`, 400, "after the end"},
		"bom":            {"\xef\xbb\xbf{}", 400, "byte order mark"},
		"duplicate":      {"{\"a\":1,\n\"a\":2}", 400, "line 2, column 1"},
		"bad utf-8":      {"{\"a\":\"\xff\"}", 400, "UTF-8"},
		"nul":            {`{"a":"\u0000"}`, 400, "u0000"},
		"lone surrogate": {`{"a":"\ud800"}`, 400, "surrogate"},
		"depth":          {strings.Repeat("[", 65) + strings.Repeat("]", 65), 400, "64 levels"},
		"deep":           {strings.Repeat("[", 100000), 400, "64 levels"},
		"exponent":       {`{"a":1e10000000}`, 400, "exponent"},
		"digits":         {`{"a":` + strings.Repeat("9", 65) + `}`, 400, "significant"},
		"number":         {`{"a":01}`, 400, "line 1"},
		"close":          {`]`, 400, "line 1"},
		"string only":    {`{"a"}`, 400, "line 1"},
	} {
		_, err := Parse([]byte(c.src), Limits{})
		e := AsError(err)
		if e == nil || e.Status != c.status || !strings.Contains(e.Error(), c.says) {
			t.Errorf("%s: got %v, want %d … %s", name, err, c.status, c.says)
		}
	}
	for _, ok := range []string{`{"a":"\\u0000"}`, `"x"`, `1e64`, strings.Repeat("[", 64) + strings.Repeat("]", 64)} {
		if _, err := Parse([]byte(ok), Limits{}); err != nil {
			t.Errorf("%.20s: %v", ok, err)
		}
	}
}

// decode rebuilds a value through the Node API alone.
func decode(n Node) any {
	switch n.Kind() {
	case Object:
		m := map[string]any{}
		for c := n.First(); c.Valid(); c = c.Next() {
			m[c.Key()] = decode(c)
		}
		return m
	case Array:
		a := []any{}
		for c := n.First(); c.Valid(); c = c.Next() {
			a = append(a, decode(c))
		}
		return a
	case String:
		return n.Text()
	case Number:
		return json.Number(n.Text())
	case Bool:
		return n.Text() == "true"
	}
	return nil
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"a":[1,2.50,{"b":"\n\ud83d\ude00"}],"c":null,"d":{}}`))
	f.Add([]byte(`[[],[[]],"x",-0]`))
	f.Fuzz(func(t *testing.T, src []byte) {
		d, err := Parse(src, Limits{})
		if err != nil {
			if AsError(err) == nil {
				t.Fatalf("not an *Error: %v", err)
			}
			return
		}
		var want any
		dec := json.NewDecoder(strings.NewReader(string(src)))
		dec.UseNumber()
		if err := dec.Decode(&want); err != nil {
			t.Fatalf("accepted what encoding/json refuses: %v", err)
		}
		if got := decode(d.Root()); !reflect.DeepEqual(got, want) {
			t.Fatalf("got %#v\nwant %#v", got, want)
		}
	})
}
