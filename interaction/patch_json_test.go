package interaction

import (
	"testing"

	"ingle/fhir"
	"ingle/internal/testdata"
)

func parse(t testing.TB, src []byte) *fhir.Doc {
	t.Helper()
	doc, err := fhir.Parse(src, fhir.Limits{})
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return doc
}

// The official JSON Patch cases of the FHIR test suite.
func TestJSONPatchSuite(t *testing.T) {
	suite := parse(t, testdata.Read(t, "patch/json-patch-tests.json"))
	passed, failed := 0, 0
	for c := suite.Root().First(); c.Valid(); c = c.Next() {
		name := c.Get("comment").Text()
		out, err := jsonPatch(parse(t, c.Get("doc").Raw()), parse(t, c.Get("patch").Raw()), fhir.Limits{})
		switch {
		case c.Get("error").Valid():
			if fhir.AsError(err) == nil {
				failed++
				t.Errorf("%s: got %s, %v; want an error", name, out, err)
				continue
			}
		case err != nil:
			failed++
			t.Errorf("%s: %v", name, err)
			continue
		case !fhir.SameJSON(parse(t, out).Root(), c.Get("expected")):
			failed++
			t.Errorf("%s: got %s, want %s", name, out, c.Get("expected").Raw())
			continue
		}
		passed++
	}
	t.Logf("patch (JSON Patch): %d passed, %d failed", passed, failed)
	if passed+failed != 16 {
		t.Errorf("%d cases, want 16", passed+failed)
	}
}

func TestJSONPatchKeepsBytes(t *testing.T) {
	for _, c := range []struct{ doc, patch, want string }{
		{`{ "a" : 1.00, "b":[ 1 , 2e2 ] }`, `[{"op":"remove","path":"/b/0"}]`, `{ "a" : 1.00, "b":[ 2e2 ] }`},
		{`{ "a" : 1.00, "b":[ 1 , 2e2 ] }`, `[{"op":"remove","path":"/b/1"}]`, `{ "a" : 1.00, "b":[ 1 ] }`},
		{`{ "a" : 1.00, "b":2 }`, `[{"op":"remove","path":"/b"}]`, `{ "a" : 1.00 }`},
		{`{ "a" : 1.00, "b":2 }`, `[{"op":"remove","path":"/a"},{"op":"remove","path":"/b"}]`, `{  }`},
		{`{ "a" : 1.00 }`, `[{"op":"add","path":"/b","value":[]},{"op":"add","path":"/b/0","value":1.50},{"op":"add","path":"/b/0","value":2}]`, `{ "a" : 1.00,"b":[2,1.50] }`},
		{`{"a":{"b":1}}`, `[{"op":"copy","from":"/a","path":"/c"},{"op":"replace","path":"/c/b","value":2}]`, `{"a":{"b":1},"c":{"b":2}}`},
		{`{"a":1e2}`, `[{"op":"test","path":"/a","value":100.0}]`, `{"a":1e2}`},
		{`{"a":[1,2,3]}`, `[{"op":"move","from":"/a/0","path":"/a/-"}]`, `{"a":[2,3,1]}`},
	} {
		got, err := jsonPatch(parse(t, []byte(c.doc)), parse(t, []byte(c.patch)), fhir.Limits{})
		if err != nil || string(got) != c.want {
			t.Errorf("%s\n%s\n got %s, %v\nwant %s", c.doc, c.patch, got, err, c.want)
		}
	}
}

func TestJSONPatchRefuses(t *testing.T) {
	for _, c := range []struct {
		patch  string
		status int
	}{
		{`{"op":"add"}`, 400},
		{`[1]`, 400},
		{`[{"op":"add","path":"/a"}]`, 400},
		{`[{"path":"/a"}]`, 400},
		{`[{"op":"delete","path":"/a"}]`, 400},
		{`[{"op":"add","path":"a","value":1}]`, 400},
		{`[{"op":"remove","path":"/x"}]`, 422},
		{`[{"op":"remove","path":""}]`, 422},
		{`[{"op":"replace","path":"/x","value":1}]`, 422},
		{`[{"op":"add","path":"/l/01","value":1}]`, 422},
		{`[{"op":"add","path":"/l/3","value":1}]`, 422},
		{`[{"op":"add","path":"/l/-1","value":1}]`, 422},
		{`[{"op":"add","path":"/a/x","value":1}]`, 422},
		{`[{"op":"move","from":"/o","path":"/o/p"}]`, 422},
		{`[{"op":"copy","path":"/o/p"}]`, 400},
		{`[{"op":"test","path":"/l","value":[2,1]}]`, 422},
		{`[{"op":"test","path":"/l","value":[1]}]`, 422},
		{`[{"op":"test","path":"/l","value":{"0":1}}]`, 422},
	} {
		out, err := jsonPatch(parse(t, []byte(`{"a":1,"l":[1,2],"o":{"q":null}}`)), parse(t, []byte(c.patch)), fhir.Limits{})
		if fe := fhir.AsError(err); fe == nil || fe.Status != c.status {
			t.Errorf("%s: got %s, %v; want %d", c.patch, out, err, c.status)
		}
	}
}
