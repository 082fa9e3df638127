package interaction

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"ingle/fhir"
	"ingle/fhir/r4"
	"ingle/internal/testdata"
	"ingle/profiles"
	"ingle/search"
	"ingle/store"
)

func TestStamp(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 67e6, time.UTC)
	const meta = `{"versionId":"3","lastUpdated":"2026-01-02T03:04:05.067Z"}`
	for _, c := range []struct{ in, want string }{
		{`{"resourceType":"Patient"}`, `{"resourceType":"Patient","id":"x","meta":` + meta + `}`},
		{`{ "resourceType" : "Patient" , "id" : "y" }`, `{ "resourceType" : "Patient" , "id" : "x","meta":` + meta + ` }`},
		{`{"meta":{"versionId":"9","tag":[{"code":"t"}]},"resourceType":"Patient"}`, `{"meta":{"versionId":"3","tag":[{"code":"t"}],"lastUpdated":"2026-01-02T03:04:05.067Z"},"resourceType":"Patient","id":"x"}`},
		{`{"id":"y","meta":{"lastUpdated":"1999-01-01T00:00:00Z"},"resourceType":"Observation","valueQuantity":{"value":1.00}}`, `{"id":"x","meta":{"lastUpdated":"2026-01-02T03:04:05.067Z","versionId":"3"},"resourceType":"Observation","valueQuantity":{"value":1.00}}`},
	} {
		if got := string(stamp(parse(t, []byte(c.in)), "x", 3, at)); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.in, got, c.want)
		}
	}
}

func TestPrune(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{`{"a":1}`, `{"a":1}`},
		{`{"a":{},"b":[],"c":2}`, `{"c":2}`},
		{`{"a":{"b":{"c":[{}]}},"d":1.00}`, `{"d":1.00}`},
		{`{"given":["A","B"],"_given":[{},{"id":"x"}]}`, `{"given":["A","B"],"_given":[null,{"id":"x"}]}`},
		{`{"given":["A"],"_given":[null]}`, `{"given":["A"]}`},
		{`{"a":[{"b":[]},{"c":1}]}`, `{"a":[{"c":1}]}`},
	} {
		got, err := withoutEmpty([]byte(c.in))
		if err != nil || string(got) != c.want {
			t.Errorf("%s: got %s, %v, want %s", c.in, got, err, c.want)
		}
	}
}

func TestParsePrefer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   []string
		want Prefer
	}{
		{nil, Prefer{}},
		{[]string{"return=minimal"}, Prefer{Return: "minimal"}},
		{[]string{`return="representation"; handling=strict`}, Prefer{Return: "representation", Handling: "strict"}},
		{[]string{"respond-async, Handling = LENIENT", "return=operationoutcome"}, Prefer{Return: "OperationOutcome", Handling: "lenient", Async: true}},
		{[]string{"return=minimal, return=representation"}, Prefer{Return: "minimal"}},
		{[]string{"return=all, foo, ="}, Prefer{}},
	} {
		if got := ParsePrefer(c.in); got != c.want {
			t.Errorf("%q: %+v, want %+v", c.in, got, c.want)
		}
	}
}

func TestETags(t *testing.T) {
	t.Parallel()
	r := &store.Resource{Version: 3, Op: store.OpUpdate}
	for header, want := range map[string]bool{`W/"3"`: true, `"3"`: true, `3`: true, `W/"1", W/"3"`: true, `*`: true, `W/"33"`: false, `W/"1"`: false, ``: false, `,`: false, `W/""`: false} {
		if got := etagMatches(header, r); got != want {
			t.Errorf("%q: %v", header, got)
		}
	}
	if etagMatches("*", nil) || etagMatches("*", &store.Resource{Op: store.OpDelete, Version: 3}) {
		t.Error("* matches what is not there")
	}
}

func TestRewriteLinks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{`<a href="urn:1">x</a>`, `<a href="P/1">x</a>`},
		{`<a  href = 'urn:1'>x</a><img src="urn:1"/>`, `<a  href = 'P/1'>x</a><img src="P/1"/>`},
		{`<a href="urn:12">urn:1</a>`, `<a href="urn:12">urn:1</a>`},
		{`a = "urn:1" href="`, `a = "urn:1" href="`},
		{`href="urn:1`, `href="urn:1`},
		{`<p title="href">=</p>`, `<p title="href">=</p>`},
	} {
		got, _ := rewriteLinks(c.in, func(target string) (string, bool) { return "P/1", target == "urn:1" })
		if got != c.want {
			t.Errorf("%s: got %s, want %s", c.in, got, c.want)
		}
	}
}

// The check of the format accepts the official examples but for those that break
// R4.
func TestFormatOnExamples(t *testing.T) {
	t.Parallel()
	format, err := baseValidator(r4.Definitions(), profiles.Off)
	if err != nil {
		t.Fatal(err)
	}
	n, bad := 0, 0
	for name, data := range testdata.Tar(t, "r4-examples.tar.zst") {
		doc, err := fhir.Parse(data, fhir.Limits{})
		if err != nil || !r4.Definitions().IsResourceType(doc.Root().Get("resourceType").Text()) {
			continue
		}
		n++
		if _, err := format.Validate(t.Context(), doc.Root(), profiles.Around{}); err != nil {
			bad++
			t.Logf("%s: %v", name, err)
		}
	}
	t.Logf("format: %d passed, %d refused", n-bad, bad)
	if n < 500 || bad > 12 {
		t.Errorf("%d of %d examples refused", bad, n)
	}
}

func FuzzJSONPatch(f *testing.F) {
	f.Add([]byte(`{"a":1,"b":[1,{"c":null}]}`), []byte(`[{"op":"move","from":"/b/1","path":"/a"}]`))
	f.Add([]byte(`{"a":{"b":[]}}`), []byte(`[{"op":"add","path":"/a/b/-","value":{}},{"op":"remove","path":"/a/b/0"}]`))
	f.Add([]byte(`[]`), []byte(`[{"op":"copy","from":"","path":"/-"}]`))
	f.Fuzz(func(t *testing.T, src, patch []byte) {
		lim := fhir.Limits{Nodes: 10_000}
		doc, err := fhir.Parse(src, lim)
		if err != nil {
			return
		}
		p, err := fhir.Parse(patch, lim)
		if err != nil {
			return
		}
		out, err := jsonPatch(doc, p, fhir.Limits{})
		if err != nil {
			return
		}
		if _, err := fhir.Parse(out, fhir.Limits{Depth: 1000}); err != nil {
			t.Fatalf("%s patched by %s is no JSON: %s: %v", src, patch, out, err)
		}
	})
}

func FuzzQuery(f *testing.F) {
	f.Add("a=b&c=%20+&=&a&%C3%A9=|")
	f.Fuzz(func(t *testing.T, raw string) {
		params, err := ParseQuery(raw)
		if err != nil {
			if fhir.AsError(err) == nil {
				t.Fatal(err)
			}
			return
		}
		again, err := ParseQuery(string(AppendQuery(nil, params)))
		if err != nil || !slices.Equal(params, again) {
			t.Fatalf("%q: %q came back as %q, %v", raw, params, again, err)
		}
		_ = lockOf("Patient", params)
	})
}

func FuzzResolve(f *testing.F) {
	f.Add("GET", "/Patient/1/_history/2")
	f.Add("POST", "/Patient/x/Observation/_search")
	f.Add("PUT", "//%2f/%zz")
	s := &Service{cfg: Config{Definitions: r4.Definitions()}, operations: map[string][]*Operation{}}
	f.Fuzz(func(t *testing.T, method, path string) {
		req, err := s.Resolve(method, path)
		if err != nil {
			if fe := fhir.AsError(err); fe == nil || fe.Status < 400 || fe.Status >= 500 {
				t.Fatalf("%s %q: %v", method, path, err)
			}
			return
		}
		if req.ID != "" && !fhir.ValidID(req.ID) || req.Type != "" && !r4.Definitions().IsResourceType(req.Type) {
			t.Fatalf("%s %q: %+v", method, path, req)
		}
	})
}

func FuzzFormat(f *testing.F) {
	f.Add([]byte(`{"resourceType":"Patient","name":[{"given":["A",null],"_given":[null,{"id":"x"}]}],"contained":[{"resourceType":"Basic","code":{"text":"x"}}]}`))
	f.Add([]byte(`{"resourceType":"Parameters","parameter":[{"name":"a","resource":{"resourceType":"Bundle","type":"batch"},"valueQuantity":{"value":1e2}}]}`))
	defs := r4.Definitions()
	format, err := baseValidator(defs, profiles.Off)
	if err != nil {
		f.Fatal(err)
	}
	sub := &subset{defs: defs, summary: search.SummaryTrue}
	f.Fuzz(func(t *testing.T, src []byte) {
		doc, err := fhir.Parse(src, fhir.Limits{})
		if err != nil {
			return
		}
		if _, err := format.Validate(t.Context(), doc.Root(), profiles.Around{}); err != nil {
			return
		}
		out := stamp(doc, "x", 1, time.Unix(0, 0))
		again, err := fhir.Parse(out, fhir.Limits{})
		if err != nil || again.Root().Get("id").Text() != "x" {
			t.Fatalf("%s stamped is %s: %v", src, out, err)
		}
		small, err := sub.of(out)
		if err != nil || !bytes.Contains(small, []byte("SUBSETTED")) {
			t.Fatalf("the summary of %s is %s: %v", src, small, err)
		}
		if _, err := fhir.Parse(small, fhir.Limits{}); err != nil && !strings.Contains(err.Error(), "levels") {
			t.Fatalf("the summary of %s is %s: %v", src, small, err)
		}
		if pruned, err := withoutEmpty(out); err != nil || !bytes.Equal(pruned, out) {
			t.Fatalf("something was pruned from %s: %s, %v", out, pruned, err)
		}
	})
}
