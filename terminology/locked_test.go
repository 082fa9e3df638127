package terminology_test

import (
	"fmt"
	"strings"
	"testing"

	"ingle/authz"
	"ingle/fhir"
	"ingle/store"
	"ingle/store/storetest"
	"ingle/terminology"
)

// TestLockedDate: references without a version are meant as they were at the
// locked date, through nested value sets; where that is not known it is said.
func TestLockedDate(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t)
	svc := terminology.New(terminology.Options{Concepts: db.Concepts()})
	system := func(url, version, date, code string) string {
		return fmt.Sprintf(`{"resourceType":"CodeSystem","url":"http://e.org/%s","version":"%s",%s"status":"active","content":"complete","concept":[{"code":"both"},{"code":"%s"}]}`, url, version, date, code)
	}
	include := func(url string) string { return `"include":[{"system":"http://e.org/` + url + `"}]` }
	l := listed(t,
		system("cs", "1", `"date":"2019-03",`, "first"), system("cs", "2", `"date":"2020-05-10T10:00:00Z",`, "second"), system("cs", "10", `"date":"2021",`, "tenth"),
		system("mixed", "1", `"date":"2019-03-01",`, "first"), system("mixed", "2", ``, "second"),
		set("new", `{`+include("cs")+`}`),
		set("old", `{"lockedDate":"2020-05-09",`+include("cs")+`}`),
		set("day", `{"lockedDate":"2020-05-10",`+include("cs")+`}`),
		set("month", `{"lockedDate":"2020-05",`+include("cs")+`}`),
		set("named", `{"lockedDate":"2020-05-09","include":[{"system":"http://e.org/cs","version":"10"}]}`),
		set("before", `{"lockedDate":"2018-01-01",`+include("cs")+`}`),
		set("mixed", `{"lockedDate":"2022-01-01",`+include("mixed")+`}`),
		set("units", `{"lockedDate":"2022-01-01","include":[{"system":"http://unitsofmeasure.org"}]}`),
		set("excludes", `{"lockedDate":"2020-05-09","include":[{"system":"http://e.org/cs","version":"10"}],"exclude":[{"system":"http://e.org/cs"}]}`),
		set("release", `{"lockedDate":"2023-12-31",`+include("release")+`}`),
		`{"resourceType":"ValueSet","url":"http://e.org/inner","version":"1","date":"2019-01-01","status":"active","compose":{`+include("cs")+`}}`,
		`{"resourceType":"ValueSet","url":"http://e.org/inner","version":"2","date":"2022-01-01","status":"active","compose":{"include":[{"system":"http://e.org/cs","concept":[{"code":"both"}]}]}}`,
		set("outer", `{"lockedDate":"2020-06-01","include":[{"valueSet":["http://e.org/inner"]}]}`),
	)
	// imported versions have their dates in the version
	for i, version := range []string{"2023-01-31", "2024-01-31"} {
		m := generate("http://e.org/release", 3+i, 2, 1)
		m.info.Version = version
		if _, err := svc.Import(t.Context(), m, false, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ url, want, says string }{
		{"new", "both tenth", ""},
		{"old", "both first", ""},
		{"day", "both second", ""},
		{"month", "both second", ""},
		{"named", "both tenth", ""},
		{"before", "", "1 of 2019-03, 2 of 2020-05-10, 10 of 2021"},
		{"mixed", "", "2 of an unknown date"},
		{"units", "", "http://unitsofmeasure.org"},
		{"excludes", "tenth", ""},
		{"outer", "both second", ""},
		{"release", "C0000000 C0000001 C0000002", ""},
	} {
		got, says := expanded(t, svc, l, "url", "http://e.org/"+c.url)
		if got != c.want || !strings.Contains(says, c.says) || (c.says == "") != (says == "") {
			t.Errorf("%s: %q %q, want %q %q", c.url, got, says, c.want, c.says)
		}
		if paged, _ := expanded(t, svc, l, "url", "http://e.org/"+c.url, "count", "100"); paged != c.want {
			t.Errorf("%s, a page: %q", c.url, paged)
		}
		set, err := svc.CodeSet(t.Context(), l, "in", "http://e.org/"+c.url)
		switch {
		case (err == nil) != (c.says == ""):
			t.Errorf(":in %s: %v", c.url, err)
		case err == nil && set.Where == nil && len(set.Codes) != len(strings.Fields(c.want)):
			t.Errorf(":in %s: %v", c.url, set.Codes)
		}
		for _, code := range []string{"first", "second", "tenth", "both"} {
			if c.url == "release" || c.url == "units" {
				continue
			}
			m, why, err := svc.Member(t.Context(), l, "http://e.org/"+c.url, terminology.Coding{System: "http://e.org/cs", Code: code})
			if c.says != "" && c.url != "mixed" {
				if err == nil || m != terminology.Unknown {
					t.Errorf("%s in %s: %v %s %v", code, c.url, m, why, err)
				}
			} else if c.says == "" && (err != nil || (m == terminology.Member) != strings.Contains(c.want, code)) {
				t.Errorf("%s in %s: %v %s %v", code, c.url, m, why, err)
			}
		}
	}
	if got, says := expanded(t, svc, l, "url", "http://e.org/before", "force-system-version", "http://e.org/cs|1"); got != "both first" {
		t.Errorf("forced: %q %q", got, says)
	}

	// what has no date is as old as its last write
	write(t, db, "CodeSystem", "c", `{"resourceType":"CodeSystem","id":"c","url":"http://e.org/written","version":"1","status":"active","content":"complete","concept":[{"code":"a"}]}`, 1)
	write(t, db, "ValueSet", "past", `{"resourceType":"ValueSet","id":"past","url":"http://e.org/past","status":"active","compose":{"lockedDate":"2001-01-01","include":[{"system":"http://e.org/written"}]}}`, 1)
	write(t, db, "ValueSet", "later", `{"resourceType":"ValueSet","id":"later","url":"http://e.org/later","status":"active","compose":{"lockedDate":"2999-01-01","include":[{"system":"http://e.org/written"}]}}`, 1)
	src := terminology.Stored(store.NewConformance(db, 0), db.As(authz.Open()))
	if got, says := expanded(t, svc, src, "url", "http://e.org/past"); got != "" || !strings.Contains(says, "locked to 2001-01-01") {
		t.Errorf("%q %q", got, says)
	}
	if got, says := expanded(t, svc, src, "url", "http://e.org/later"); got != "a" {
		t.Errorf("%q %q", got, says)
	}
}

// expanded lists the codes of an expansion, or says why there is none.
func expanded(t *testing.T, svc *terminology.Service, src terminology.Source, list ...any) (codes, says string) {
	t.Helper()
	raw, err := svc.Expand(t.Context(), src, params(list...))
	if err != nil {
		fe := fhir.AsError(err)
		if fe == nil || fe.Status >= 500 {
			t.Fatal(err)
		}
		return "", fe.Issues[0].Details + fe.Issues[0].Diagnostics
	}
	doc, err := fhir.Parse(raw, fhir.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	var walk func(fhir.Node)
	walk = func(list fhir.Node) {
		for c := list.First(); c.Valid(); c = c.Next() {
			out = append(out, c.Get("code").Text())
			walk(c.Get("contains"))
		}
	}
	walk(doc.Root().Get("expansion").Get("contains"))
	return strings.Join(out, " "), ""
}
