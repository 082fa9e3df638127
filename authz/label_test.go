package authz

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"ingle/fhir"
)

func parse(t testing.TB, text string) *fhir.Doc {
	t.Helper()
	doc, err := fhir.Parse([]byte(text), fhir.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// granting makes a scope with the same roots for every method.
func granting(roots ...string) Scope {
	var g grantSet
	for m := range g.roots {
		g.roots[m] = Collapse(slices.Clone(roots))
		g.unlabelled[m] = coveredBy(g.roots[m], defaultAdminPath)
	}
	return Scope{&scope{identity: identity{Kind: kindUser, Name: "alice"}, mode: ModeArborist, admin: g.unlabelled[Update], grants: g.grants(false)}}
}

func TestLabelPaths(t *testing.T) {
	for _, c := range []struct{ name, in, system, want string }{
		{"none", `{"resourceType":"Patient"}`, "", ""},
		{"one", `{"resourceType":"Patient","meta":{"security":[{"system":"urn:gen3:authz","code":"/programs/a"}]}}`, "", "/programs/a"},
		{"alias", `{"meta":{"security":[{"system":"gen3-security","code":"/programs/a/"}]}}`, "", "/programs/a"},
		{"sorted and unique", `{"meta":{"security":[{"system":"urn:gen3:authz","code":"/b"},{"system":"gen3-security","code":"/a"},{"system":"urn:gen3:authz","code":"/b/"}]}}`, "", "/a /b"},
		{"other systems", `{"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"},{"code":"/x"}]}}`, "", ""},
		{"configured", `{"meta":{"security":[{"system":"urn:x","code":"/a"},{"system":"urn:gen3:authz","code":"/b"}]}}`, "urn:x", "/a"},
		{"escaped", `{"meta":{"security":[{"system":"urn\u003agen3:authz","code":"\/a"}]}}`, "", "/a"},
		{"in tags", `{"meta":{"tag":[{"system":"urn:gen3:authz","code":"/a"}]}}`, "", ""},
		{"contained", `{"contained":[{"meta":{"security":[{"system":"urn:gen3:authz","code":"/a"}]}}]}`, "", ""},
		{"malformed left out", `{"meta":{"security":[{"system":"urn:gen3:authz","code":"a"},{"system":"urn:gen3:authz"}]}}`, "", ""},
		{"no object", `{"meta":7}`, "", ""},
	} {
		if got := strings.Join(LabelPaths(parse(t, c.in), c.system), " "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestLabelsOfRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		in     string
		status int
	}{
		"no path":          {`{"meta":{"security":[{"system":"urn:gen3:authz","code":"programs"}]}}`, 422},
		"dots":             {`{"meta":{"security":[{"system":"gen3-security","code":"/a/../b"}]}}`, 422},
		"no code":          {`{"meta":{"security":[{"system":"urn:gen3:authz"}]}}`, 422},
		"code is a number": {`{"meta":{"security":[{"system":"urn:gen3:authz","code":7}]}}`, 422},
		"root":             {`{"meta":{"security":[{"system":"urn:gen3:authz","code":"/"}]}}`, 422},
		"too many":         {`{"meta":{"security":[` + strings.TrimSuffix(many(33), ",") + `]}}`, 422},
		"meta":             {`{"meta":[]}`, 400},
		"security":         {`{"meta":{"security":{"system":"urn:gen3:authz","code":"/a"}}}`, 400},
		"coding":           {`{"meta":{"security":["urn:gen3:authz"]}}`, 400},
	} {
		_, err := Labels{}.Of(parse(t, c.in))
		if e := fhir.AsError(err); e == nil || e.Status != c.status || len(e.Issues[0].Expression) == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := (Labels{}).Of(parse(t, `{"meta":{"security":[`+strings.TrimSuffix(many(32), ",")+`]}}`)); err != nil || len(got) != 32 {
		t.Errorf("32 labels: %d, %v", len(got), err)
	}
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"system":"urn:gen3:authz","code":"/p%d"},`, i)
	}
	return b.String()
}

func TestForCreate(t *testing.T) {
	l := Labels{}
	none, profile := `{"resourceType":"Patient"}`, `{"resourceType":"StructureDefinition"}`
	at := func(paths ...string) string {
		body, _ := l.Stamp(parse(t, none), paths)
		return string(body)
	}
	for name, c := range map[string]struct {
		s      Scope
		body   string
		header string
		want   string
		status int
		text   string
	}{
		"its own label":                {s: granting("/programs/a"), body: at("/programs/a/projects/b"), want: "/programs/a/projects/b"},
		"its own, whatever the header": {s: granting("/programs/a"), body: at("/programs/a/x"), header: "/programs/a/y", want: "/programs/a/x"},
		"a foreign label":              {s: granting("/programs/a"), body: at("/programs/b"), status: 403, text: "create"},
		"one of two foreign":           {s: granting("/programs/a"), body: at("/programs/a", "/programs/b"), status: 403, text: "each"},
		"a label by prefix":            {s: granting("/programs/a"), body: at("/programs/ab"), status: 403},
		"above the grant":              {s: granting("/programs/a"), body: at("/programs"), status: 403},
		"stamped":                      {s: granting("/programs/a"), body: none, want: "/programs/a"},
		"stamped by header":            {s: granting("/programs/a", "/programs/b"), body: none, header: "/programs/b/projects/c/", want: "/programs/b/projects/c"},
		"header of a foreign path":     {s: granting("/programs/a"), body: none, header: "/programs/b", status: 403, text: PathHeader},
		"header that is no path":       {s: granting("/programs/a"), body: none, header: "/programs/../a", status: 400, text: PathHeader},
		"two roots":                    {s: granting("/programs/a", "/programs/b"), body: none, status: 403, text: "/programs/a, /programs/b"},
		"no root":                      {s: granting(), body: none, status: 403, text: "ask for a grant of create"},
		"the zero scope":               {s: Scope{}, body: none, status: 403},
		"an administrator of one":      {s: granting("/services/fhir/admin", "/programs/a"), body: none, want: "/programs/a"},
		"an administrator of two":      {s: granting("/services/fhir/admin", "/programs/a", "/programs/b"), body: none, want: ""},
		"an administrator's profile":   {s: granting("/services/fhir/admin", "/programs/a"), body: profile, want: ""},
		"a profile with a header":      {s: granting("/services/fhir/admin", "/programs/a"), body: profile, header: "/programs/a/b", want: "/programs/a/b"},
		"a profile of a project":       {s: granting("/programs/a"), body: profile, want: "/programs/a"},
		"an administrator of services": {s: granting("/services"), body: none, want: ""},
		"open":                         {s: Open(), body: none, want: ""},
		"open with header":             {s: Open(), body: none, header: "/programs/a", want: "/programs/a"},
	} {
		got, err := l.ForCreate(c.s, parse(t, c.body), c.header)
		if c.status != 0 {
			e := fhir.AsError(err)
			if e == nil || e.Status != c.status || !strings.Contains(e.Error(), c.text) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.want)
		}
	}
}

func TestForUpdate(t *testing.T) {
	l := Labels{}
	at := func(paths ...string) *fhir.Doc {
		body, _ := l.Stamp(parse(t, `{"resourceType":"Patient"}`), paths)
		return parse(t, string(body))
	}
	a, b, ab := []string{"/programs/a"}, []string{"/programs/b"}, []string{"/programs/a", "/programs/b"}
	both, onlyA, admin := granting("/programs/a", "/programs/b"), granting("/programs/a"), granting("/programs", "/services/fhir/admin")
	for name, c := range map[string]struct {
		s        Scope
		old      []string
		doc      *fhir.Doc
		explicit bool
		want     string
		status   int
	}{
		"as it was":                        {s: onlyA, old: a, doc: at(a...), want: "/programs/a"},
		"left out, so kept":                {s: onlyA, old: a, doc: at(), want: "/programs/a"},
		"moved with both rights":           {s: both, old: a, doc: at(b...), want: "/programs/b"},
		"moved without the right there":    {s: onlyA, old: a, doc: at(b...), status: 403},
		"moved without the right here":     {s: onlyA, old: b, doc: at(a...), status: 403},
		"widened":                          {s: onlyA, old: a, doc: at(ab...), status: 403},
		"narrowed":                         {s: onlyA, old: ab, doc: at(a...), status: 403},
		"shared, by one of two":            {s: onlyA, old: ab, doc: at(ab...), status: 403},
		"shared, by both":                  {s: both, old: ab, doc: at(b...), want: "/programs/b"},
		"unlabelled by an outsider":        {s: onlyA, old: nil, doc: at(a...), status: 403},
		"unlabelled by an administrator":   {s: admin, old: nil, doc: at(a...), want: "/programs/a"},
		"last label removed":               {s: onlyA, old: a, doc: at(), explicit: true, status: 403},
		"last label removed by the office": {s: admin, old: a, doc: at(), explicit: true, want: ""},
	} {
		f := l.ForUpdate
		if c.explicit {
			f = l.ForExplicit
		}
		got, err := f(c.s, c.doc, c.old)
		if c.status != 0 {
			if e := fhir.AsError(err); e == nil || e.Status != c.status {
				t.Errorf("%s: %q, %v", name, got, err)
			} else if strings.Contains(e.Error(), "/programs") {
				t.Errorf("%s: the refusal tells a label: %v", name, e)
			}
			continue
		}
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if onlyA.MayDelete(ab) == nil || both.MayDelete(ab) != nil || (Scope{}).MayDelete(nil) == nil {
		t.Error("delete")
	}
}

func TestStamp(t *testing.T) {
	const coding = `{"system":"urn:gen3:authz","code":"/a"}`
	for _, c := range []struct{ name, in, want string }{
		{"nothing to do", `{"resourceType":"Patient","meta":{"security":[` + coding + `]}}`, `{"resourceType":"Patient","meta":{"security":[` + coding + `]}}`},
		{"no meta", `{"resourceType":"Patient","active":true}`, `{"resourceType":"Patient","meta":{"security":[` + coding + `]},"active":true}`},
		{"type comes last", "{ \"active\" : true,\n\"resourceType\" : \"Patient\"\n}", "{ \"active\" : true,\n\"resourceType\" : \"Patient\",\"meta\":{\"security\":[" + coding + "]}\n}"},
		{"empty", `{}`, `{"meta":{"security":[` + coding + `]}}`},
		{"meta", `{"resourceType":"Patient","meta":{"tag":[{"code":"x"}]}}`, `{"resourceType":"Patient","meta":{"tag":[{"code":"x"}],"security":[` + coding + `]}}`},
		{"empty meta", `{"meta":{ }}`, `{"meta":{ "security":[` + coding + `]}}`},
		{"security", `{"meta":{"security":[{"code":"R"} ]}}`, `{"meta":{"security":[{"code":"R"} ,` + coding + `]}}`},
		{"empty security", `{"meta":{"security":[]}}`, `{"meta":{"security":[` + coding + `]}}`},
		{"alias", `{"meta":{"security":[{"display":"d","code":"/a","system":"gen3-security"}]}}`, `{"meta":{"security":[{"display":"d","code":"/a","system":"urn:gen3:authz"}]}}`},
		{"spelling", `{"meta":{"security":[{"code":"/a/","system":"gen3-security"}],"x":1.00}}`, `{"meta":{"security":[{"code":"/a","system":"urn:gen3:authz"}],"x":1.00}}`},
	} {
		doc := parse(t, c.in)
		body, changed := Labels{}.Stamp(doc, []string{"/a"})
		got := string(body)
		if changed != (c.in != c.want) {
			t.Errorf("%s: changed is %v", c.name, changed)
		}
		if got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
		if p := LabelPaths(parse(t, got), ""); !slices.Equal(p, []string{"/a"}) {
			t.Errorf("%s: the labels are %v", c.name, p)
		}
	}
}

// FuzzStamp: whatever the document, the result is JSON with exactly the labels
// asked for and nothing else changed.
func FuzzStamp(f *testing.F) {
	f.Add(`{"resourceType":"Patient","meta":{"security":[{"system":"gen3-security","code":"/a/"}]},"id":"x"}`, "/b")
	f.Add(`{"meta":{}}`, "/a")
	f.Add(`{"meta":{"security":[{"system":"urn:gen3:authz","code":"\/a"}]}}`, "/é/ü")
	f.Fuzz(func(t *testing.T, text, path string) {
		doc, err := fhir.Parse([]byte(text), fhir.Limits{})
		path, fault := NormalizePath(path)
		if err != nil || fault != "" || doc.Root().Kind() != fhir.Object {
			return
		}
		l := Labels{}
		had, err := l.Of(doc)
		if err != nil || len(had) >= maxLabels {
			return
		}
		want := slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(had), path))))
		out, changed := l.Stamp(doc, want)
		if !changed && string(out) != text {
			t.Fatalf("%s became %s unnoticed", text, out)
		}
		again, err := fhir.Parse(out, fhir.Limits{Depth: 80})
		if err != nil {
			t.Fatalf("%s became %s: %v", text, out, err)
		}
		got, err := l.Of(again)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%s became %s: %v, want %v (%v)", text, out, got, want, err)
		}
		for c := range l.codings(again) {
			if c.Get("system").Text() != DefaultLabelSystem {
				t.Fatalf("%s became %s: the alias stayed", text, out)
			}
		}
		var before, after map[string]json.RawMessage
		if json.Unmarshal([]byte(text), &before) == nil && json.Unmarshal(out, &after) == nil {
			delete(before, "meta")
			delete(after, "meta")
			for k, v := range before {
				if string(after[k]) != string(v) {
					t.Fatalf("%s became %s: %s changed", text, out, k)
				}
			}
			if len(before) != len(after) {
				t.Fatalf("%s became %s", text, out)
			}
		}
	})
}
