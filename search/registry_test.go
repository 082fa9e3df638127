package search

import (
	"fmt"
	"strings"
	"testing"

	"ingle/fhir"
	"ingle/fhir/r4"
)

// TestParamIDs proves that the 32-bit numbers of R4's parameters, and of the
// indexes derived from them, do not collide.
func TestParamIDs(t *testing.T) {
	seen := map[ParamID]string{}
	n := 0
	for _, typ := range r4.Definitions().ResourceTypes() {
		for _, p := range registry(t).Params(typ) {
			for _, suffix := range []string{"", ":of-type", ":identifier", ":ucum", ":url"} {
				name := typ + "." + p.Code + suffix
				id := ParamIDOf(typ, p.Code+suffix)
				if other := seen[id]; other != "" {
					t.Errorf("%s and %s have the same number %d", name, other, id)
				}
				seen[id] = name
				n++
			}
		}
		id := ParamIDOf(typ, "url:canonical")
		if other := seen[id]; other != "" {
			t.Errorf("%s.url:canonical and %s have the same number", typ, other)
		}
		seen[id] = typ + ".url:canonical"
	}
	t.Logf("%d numbers", n)
}

// TestEveryParameterIsPlanted proves that every parameter of R4 with an
// expression leads to values in every type it applies to, without FHIRPath.
func TestEveryParameterIsPlanted(t *testing.T) {
	reg := registry(t)
	n := 0
	for _, typ := range r4.Definitions().ResourceTypes() {
		for _, p := range reg.Params(typ) {
			if p.Definition.Expression == "" || notIndexed[p.Code] {
				continue
			}
			n++
			if !p.indexed {
				t.Errorf("%s.%s (%s) finds nothing: %s", typ, p.Code, p.Type, p.Definition.Expression)
			}
			if p.Type == "reference" && !p.canonical && len(p.Targets) == 0 {
				t.Errorf("%s.%s points to no type", typ, p.Code)
			}
			if p.Type == "composite" && len(p.components) < 2 {
				t.Errorf("%s.%s has no components", typ, p.Code)
			}
		}
		if b := reg.index(typ).beyond; len(b) > 0 {
			t.Errorf("%s.%s needs FHIRPath", typ, b[0].p.Code)
		}
	}
	t.Logf("%d parameters", n)
}

func parse(t testing.TB, text string) *fhir.Doc {
	t.Helper()
	doc, err := fhir.Parse([]byte(text), fhir.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestRefPaths(t *testing.T) {
	reg := registry(t)
	rows, err := reg.IndexRows(parse(t, `{"resourceType":"Encounter","subject":{"reference":"Patient/1"},
		"participant":[{"individual":{"reference":"Practitioner/a"}},{"individual":{"reference":"https://x.org/Practitioner/b"}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, r := range rows.Refs {
		if r.Target != "" {
			got[r.Target] = r.Path()
		}
	}
	want := map[string]string{"Patient/1": "Encounter.subject", "Practitioner/a": "Encounter.participant[0].individual"}
	if len(got) != len(want) {
		t.Errorf("got %v", got)
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s: path %q, want %q", k, got[k], v)
		}
	}
}

func TestUnknownType(t *testing.T) {
	for _, s := range []string{`{"resourceType":"Foo"}`, `{}`, `[]`, `{"resourceType":5}`, `"x"`} {
		if _, err := registry(t).IndexRows(parse(t, s)); fhir.AsError(err) == nil {
			t.Errorf("%s: %v", s, err)
		}
	}
}

// TestWrongShapes proves that values of a wrong JSON kind are passed over.
func TestWrongShapes(t *testing.T) {
	reg := registry(t)
	reg.EnableFullText()
	for _, s := range []string{
		`{"resourceType":"Patient","name":"x","birthDate":5,"active":"yes","identifier":{"value":7},"telecom":[5,null,[]],"deceasedDateTime":[]}`,
		`{"resourceType":"Observation","code":[],"subject":"Patient/1","valueQuantity":{"value":"5"},"effectivePeriod":{"start":7},"component":{"code":null}}`,
		`{"resourceType":"Observation","valueQuantity":5,"valueSampledData":{"origin":{"value":1},"data":5},"component":[[[]]]}`,
		`{"resourceType":"Bundle","entry":[]}`, `{"resourceType":"Bundle","entry":[{"resource":[]}]}`, `{"resourceType":"Bundle","entry":{"resource":{"resourceType":"Composition"}}}`,
		`{"resourceType":"Location","position":{"latitude":"x","longitude":5}}`,
		`{"resourceType":"ValueSet","url":5,"version":[],"useContext":[{"code":{},"valueQuantity":[]}]}`,
	} {
		if _, err := reg.IndexRows(parse(t, s)); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func quote(s string) string { return string(fhir.AppendString(nil, s)) }

func customParam(t *testing.T, code, kind, expr string) *fhir.SearchParam {
	t.Helper()
	body := `{"resourceType":"SearchParameter","url":` + quote("http://example.org/sp/"+code) + `,"code":` + quote(code) +
		`,"status":"active","base":["Patient"],"type":` + quote(kind) + `,"expression":` + quote(expr) + `}`
	def, err := ReadSearchParameter(parse(t, body).Root())
	if err != nil {
		t.Fatal(err)
	}
	return def
}

func TestCustomParameters(t *testing.T) {
	reg := registry(t)
	body := `{"resourceType":"Patient","id":"x","name":[{"use":"nickname","given":["Bob"]},{"given":["Robert"]}],
		"extension":[{"url":"http://example.org/race","valueCoding":{"system":"http://race","code":"A"}}],"multipleBirthInteger":2,
		"contact":[{"name":{"family":"Friend"}}]}`
	for _, c := range []struct{ code, kind, expr, search string }{
		{"nick", "string", "Patient.name.where(use = 'nickname').given", "nick=bob"},
		{"race", "token", "Patient.extension('http://example.org/race').value", "race=http://race|A"},
		{"race2", "token", "Patient.extension.where(url = 'http://example.org/race').value.ofType(Coding)", "race2=a"},
		{"birth-order", "number", "Patient.multipleBirth.ofType(integer)", "birth-order=2"},
		{"names", "number", "Patient.name.count()", "names=2"},
		{"has-nick", "token", "Patient.name.where(use = 'nickname').exists()", "has-nick=true"},
		{"contact-name", "string", "Patient.contact.name", "contact-name=friend"},
		{"upper", "string", "Patient.name.given.first().upper()", "upper:exact=BOB"},
	} {
		if err := reg.Add(customParam(t, c.code, c.kind, c.expr), Building); err != nil {
			t.Errorf("%s: %v", c.code, err)
			continue
		}
		name, value, _ := strings.Cut(c.search, "=")
		req := Request{Type: "Patient", Strict: true, Params: []KV{{name, value}}}
		if _, _, err := reg.Parse(req); fhir.AsError(err) == nil || !strings.Contains(err.Error(), "still being built") {
			t.Errorf("%s while building: %v", c.code, err)
		}
	}
	w := newWorld(t, reg)
	w.add(t, []byte(body), request("").Now)
	w.add(t, []byte(`{"resourceType":"Patient","id":"y"}`), request("").Now)
	w.flush(t, 0)
	for _, c := range []struct{ code, search string }{
		{"nick", "nick=bob"}, {"nick", "nick:missing=false"}, {"race", "race=http://race|A"}, {"race2", "race2=a"}, {"birth-order", "birth-order=2"}, {"names", "names=2"},
		{"has-nick", "has-nick=true"}, {"contact-name", "contact-name=friend"}, {"upper", "upper:exact=BOB"}, {"race", "race=A&_sort=nick"},
	} {
		def := reg.Param("Patient", c.code).Definition
		if err := reg.Add(def, Active); err != nil {
			t.Fatal(err)
		}
		if c.search == "race=A&_sort=nick" {
			if err := reg.Add(reg.Param("Patient", "nick").Definition, Active); err != nil {
				t.Fatal(err)
			}
		}
		got, back, total, err := w.pages(t, request("Patient?"+c.search), 1)
		if err != nil || len(got) != 1 || got[0] != 1 || len(back) != 1 || total != 1 {
			t.Errorf("%s: %v %v %d %v", c.search, got, back, total, err)
		}
	}
	for _, c := range []struct{ code, kind, expr, fault string }{
		{"family", "string", "Patient.name.family", "part of FHIR"},
		{"bad", "string", "Patient.name.where(", "expression"},
		{"empty", "string", "", "expression"},
		{"kind", "special", "Patient.name", "type"},
		{"_mine", "string", "Patient.name", "begin with _"},
		{"a b", "string", "Patient.name", "name of a search parameter"},
	} {
		err := reg.Add(customParam(t, c.code, c.kind, c.expr), Active)
		if e := fhir.AsError(err); e == nil || e.Status != 422 || !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: %v", c.code, err)
		}
	}
	other := customParam(t, "nick", "string", "Patient.name")
	other.URL += "/other"
	if err := reg.Add(other, Active); fhir.AsError(err) == nil {
		t.Error("two parameters with one code")
	}
	if !reg.Remove("http://example.org/sp/nick") || reg.State("http://example.org/sp/nick") != Absent || reg.Param("Patient", "nick") != nil {
		t.Error("the parameter is still there")
	}
}

func TestRules(t *testing.T) {
	reg := registry(t)
	reg.Restrict(map[string]Rules{
		"Observation": {Params: []string{"patient", "code", "category"}, Includes: []string{"Observation:patient"}, RevIncludes: []string{}, Combinations: [][]string{{"patient"}, {"code", "category"}}},
		"Patient":     {Combinations: [][]string{{}, {"identifier"}}},
		// subject, by which the compartment goes, is not enough
		"DiagnosticReport": {Combinations: [][]string{{"subject", "category"}}},
	})
	for text, fault := range map[string]string{
		"Observation?patient=1":                                      "",
		"Observation?code=1&category=2":                              "",
		"Observation?code=1":                                         "must use one of",
		"Observation":                                                "must use one of",
		"Observation?patient=1&status=final":                         "does not let",
		"Observation?patient=1&_id=2":                                "",
		"Observation?patient=1&_include=Observation:patient":         "",
		"Observation?patient=1&_include=Observation:patient:Patient": "",
		"Observation?patient=1&_include=Observation:encounter":       "allows Observation:patient",
		"Observation?patient=1&_revinclude=Provenance:target":        "allows none",
		"Patient":              "",
		"Patient?identifier=1": "",
		"Patient?family=x":     "must use one of",
		"Condition?code=x&_include=Condition:encounter":                     "",
		"Patient?identifier=1&_has:Observation:patient:status=final":        "does not let",
		"Observation?patient.identifier=1":                                  "",
		"Observation?patient=1&_sort=date":                                  "does not let",
		"Observation?patient=1&_sort=-_lastUpdated":                         "",
		"Observation?patient=1&category:not=x&code:missing=false&_count=10": "",
		"Patient/1/Observation":                                             "", // as patient=1
		"Patient/1/Observation?code=1":                                      "",
		"Patient/1/Observation?code=1&status=final":                         "does not let",
		"Practitioner/1/Observation?code=1":                                 "must use one of",
		"Practitioner/1/Observation?code=1&category=2":                      "",
		"Patient/1/DiagnosticReport?code=1":                                 "must use one of",
		"Patient/1/DiagnosticReport?code=1&category=2":                      "",
		"Patient/1/*?_lastUpdated=gt2020":                                   "must use one of",
		"Observation?patient=1&_contained=true":                             "",
		"Observation?code=1&_contained=true":                                "must use one of",
		"Observation?patient=1&status=final&_contained=both":                "does not let",
		"Observation?_type=Patient&_contained=true&patient=1":               "belongs to",
		"Condition?patient=1&_contained=true&_include=Patient:*":            "",
	} {
		_, _, err := reg.Parse(request(text))
		if fault == "" && err != nil || fault != "" && (fhir.AsError(err) == nil || !strings.Contains(err.Error(), fault)) {
			t.Errorf("%s: %v, want %q", text, err, fault)
		}
	}
}

// TestManyWords proves that the words of a resource stay within what a tsvector
// holds, and that a text repeated many times loses none.
func TestManyWords(t *testing.T) {
	reg := registry(t)
	reg.EnableFullText()
	rows, err := reg.IndexRows(parse(t, `{"resourceType":"Basic","implicitRules":"`+strings.Repeat("again and ", 200_000)+`last"}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(rows.Words, " "); got != "c:again c:and c:last" || rows.WordsCut {
		t.Errorf("%.200s", got)
	}
	var b strings.Builder
	for i := range 300_000 {
		fmt.Fprintf(&b, "word%d ", i)
	}
	if rows, err = reg.IndexRows(parse(t, `{"resourceType":"Basic","implicitRules":"`+b.String()+`"}`)); err != nil {
		t.Fatal(err)
	}
	bytes := 0
	for _, w := range rows.Words {
		bytes += len(w) + 4
	}
	if bytes > 1<<20 || len(rows.Words) < 10_000 || !rows.WordsCut {
		t.Errorf("%d words of %d bytes", len(rows.Words), bytes)
	}
}
