package search

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestSQL compares the statements of the common shapes with testdata/sql.
func TestSQL(t *testing.T) {
	reg := registry(t)
	var b strings.Builder
	cursor := &Cursor{Keys: []string{"=1577836800000000"}, RID: 42}
	for _, c := range []struct {
		text   string
		cursor *Cursor
	}{
		{"Patient", nil},
		{"Patient?family=ann", nil},
		{"Patient?identifier=http://ids|1", nil},
		{"Patient?birthdate=ge1970&birthdate=lt1980", nil},
		{"Patient?gender=male&family=ann", nil},
		{"Observation?patient=1&code=http://loinc.org|1-1", nil},
		{"Observation?code=http://loinc.org|1-1,http://loinc.org|2-2", &Cursor{RID: 42}},
		{"Observation?code=1-1", nil},
		{"Observation?patient=1&_sort=-date", cursor},
		{"Observation?code=http://loinc.org|1-1&_sort=-date", nil},
		{"Observation?code=http://loinc.org|1-1&_sort=-date", &Cursor{Keys: []string{""}, RID: 42, Back: true}},
		{"Observation?patient.identifier=1", nil},
		{"DocumentReference?related._tag=http://tags|1", nil}, // any type: one condition
		{"Library?composed-of._tag=http://tags|1", nil},       // by URL as well: two for all types that have one
		{"Patient?_has:Observation:patient:code=http://loinc.org|1-1", nil},
		{"Observation?code-value-quantity=http://loinc.org|1-1$gt5|http://unitsofmeasure.org|mg", nil},
		{"Encounter?date=2020&status:not=finished", nil},
		{"Patient?_id=1&_include=Patient:organization&_revinclude:iterate=Observation:patient", nil},
		{"Patient/1/Observation?code=http://loinc.org|1-1", nil},
		{"?_type=Patient,Observation&_lastUpdated=ge2020&_sort=_lastUpdated", nil},
		{"Medication?_contained=true&code=http://codes|1", nil},
		{"Medication?_contained=both&_containedType=contained&code=http://codes|1", nil},
	} {
		q, _, err := reg.Parse(request(c.text))
		if err != nil {
			t.Fatal(err)
		}
		q.Cursor = c.cursor
		st, err := reg.Compile(q, tables{})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "### %s", c.text)
		if c.cursor != nil {
			fmt.Fprintf(&b, " beyond %+v", *c.cursor)
		}
		fmt.Fprintf(&b, "\n%s\n", st.SQL)
		for i, a := range st.Args {
			if at, ok := a.(time.Time); ok {
				a = at.Format(time.RFC3339Nano)
			}
			fmt.Fprintf(&b, "-- $%d %T %v\n", i+1, a, a)
		}
		b.WriteString("\n")
	}
	const golden = "testdata/statements.sql"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got := b.String(); got != string(want) {
		at := 0
		for at < len(got) && at < len(want) && got[at] == want[at] {
			at++
		}
		t.Errorf("the statements differ from %s (go test -update writes it anew) at …%s", golden, got[max(0, at-100):min(len(got), at+200)])
	}
}

// TestEveryParameter asks for every parameter of every type with a value that
// the official examples hold, and finds the example.
func TestEveryParameter(t *testing.T) {
	w := newWorld(t, registry(t))
	w.examples(t)
	w.flush(t, 0)
	o := newOracle(w)
	asked, found := 0, 0
	for _, typ := range w.reg.defs.ResourceTypes() {
		for _, p := range w.reg.Params(typ) {
			if !p.indexed {
				continue
			}
			text := ""
			var rid int64
			for _, s := range w.docs {
				if s.typ != typ {
					continue
				}
				g := &generator{o: o, r: testRand(s.rid)}
				for _, f := range o.values(p.Definition, s) {
					v := ""
					switch p.Type {
					case "composite":
						v = g.compositeValue(p.Definition, f, s)
					case "special":
						v = f.n.Get("latitude").Text() + "|" + f.n.Get("longitude").Text()
					default:
						v = g.value(p.Type, f, s, "")
					}
					if v != "" {
						text, rid = typ+"?"+p.Code+"="+v, s.rid
					}
				}
				if text != "" {
					break
				}
			}
			if text == "" { // no example: only that it is answered
				text = typ + "?" + p.Code + ":missing=true"
				if p.Type == "composite" {
					continue
				}
			}
			asked++
			req := request(typ)
			name, value, _ := strings.Cut(strings.TrimPrefix(text, typ+"?"), "=")
			req.Params = []KV{{name, value}}
			got, _, total, err := w.pages(t, req, 1000)
			if err != nil {
				t.Errorf("%s: %v", text, err)
				continue
			}
			if rid == 0 {
				continue
			}
			var want []int64
			if p.Type == "special" {
				want = got
			} else {
				want = o.answer(req)
			}
			if len(got) != len(want) || int(total) != len(want) {
				t.Errorf("%s: %s", text, w.difference(got, want))
			}
			if len(got) > 0 {
				found++
			}
		}
	}
	t.Logf("every parameter: %d asked, %d found something", asked, found)
}

// TestHostileValues proves that no value of a request is part of the SQL text.
func TestHostileValues(t *testing.T) {
	reg := registry(t)
	reg.EnableFullText()
	w := newWorld(t, reg)
	w.add(t, []byte(`{"resourceType":"Patient","id":"1"}`), time.Now())
	w.flush(t, 0)
	values := []string{"'", "''", `"`, "\\", "\\\\", "$1", "$$", "');DROP TABLE resource;--", "%", "_", "a\nb", "é", "\u2028", "zzqq'x", "1;2", "|", "x|'", "'|x", "gt'1", "1|'|'",
		"\xff", strings.Repeat("x", 5000), strings.Repeat("é", 400), "-", ":", "*", "(", "a & b", "!a", "a:*", "'a':*", "NaN", "Infinity", "1e64", "-0", "0x10", "９"}
	names := []string{"family", "family:exact", "family:contains", "identifier", "gender", "birthdate", "organization", "_id", "_profile", "_profile:below", "_lastUpdated", "_text", "_content", "_filter", "_list",
		"organization.name", "_has:Observation:patient:code", "_sort", "_include", "_revinclude", "_count", "_total", "_summary", "_elements", "gender:text", "identifier:of-type", "_security", "link", "phonetic", "nope"}
	n, ran := 0, 0
	for _, name := range names {
		for _, v := range values {
			n++
			q, _, err := reg.Parse(Request{Type: "Patient", Params: []KV{{name, v}}, Strict: true})
			if err != nil {
				continue
			}
			st, err := reg.Compile(q, tables{})
			if err != nil {
				t.Fatal(err)
			}
			if len(v) > 3 && strings.Contains(st.SQL, v) && v != "NaN" {
				t.Errorf("%s=%q stands in the SQL", name, v)
			}
			if _, err := w.run(t, st); err != nil {
				t.Errorf("%s=%q: %v", name, v, err)
			}
			ran++
		}
	}
	t.Logf("hostile values: %d asked, %d understood and answered", n, ran)
}

// FuzzParse reads any query string; what is understood compiles.
func FuzzParse(f *testing.F) {
	reg := registry(f)
	reg.EnableFullText()
	for _, s := range []string{"Patient?family=a", "Observation?code-value-quantity=a$gt5", "Patient?_has:Observation:patient:code=x", "Patient?_filter=name eq a and (b co c)",
		"Observation?subject:Patient.name:exact=x&_sort=-date,_id", "Location?near=1|2|3|km", "Patient?_text=a or (b and not c)", "?_type=Patient,Group&_id=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q, _, err := reg.Parse(request(s))
		if err != nil {
			return
		}
		for _, cur := range []*Cursor{nil, {Keys: []string{"=1", ""}, RID: 5}, {Keys: []string{"", "=x"}, RID: 5, Back: true}} {
			one := *q
			one.Cursor = cur
			if _, err := reg.Compile(&one, tables{}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := reg.CompileCount(q, tables{}); err != nil {
			t.Fatal(err)
		}
	})
}
