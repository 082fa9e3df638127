package search

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ingle/fhir"
)

// TestIncludeCeiling proves that a page with more includes than allowed says so
// by one row more, and that matches are not counted as includes.
func TestIncludeCeiling(t *testing.T) {
	w := newWorld(t, registry(t))
	w.add(t, []byte(`{"resourceType":"Patient","id":"p"}`), time.Now())
	for i := range 7 {
		w.add(t, []byte(fmt.Sprintf(`{"resourceType":"Observation","id":"o%d","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p"}}`, i)), time.Now())
	}
	w.flush(t, 0)
	for limit, want := range map[int]int{3: 4, 6: 7, 7: 7, 8: 7} {
		req := request("Patient?_id=p&_revinclude=Observation:subject&_revinclude=Observation:patient")
		req.Limits.Includes = limit
		q, _, err := w.reg.Parse(req)
		if err != nil {
			t.Fatal(err)
		}
		st, err := w.reg.Compile(q, w.src)
		if err != nil {
			t.Fatal(err)
		}
		hits, err := w.run(t, st)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(hits) - 1; got != want || hits[0].mode != 0 || q.IncludeLimit() != limit {
			t.Errorf("limit %d: %d includes, want %d", limit, got, want)
		}
	}
}

func TestLimits(t *testing.T) {
	reg := registry(t)
	many := func(n int, s string) string { return strings.TrimSuffix(strings.Repeat(s+",", n), ",") }
	for text, fault := range map[string]string{
		"Patient?" + strings.TrimSuffix(strings.Repeat("family=a&", 64), "&"):                       "",
		"Patient?" + strings.TrimSuffix(strings.Repeat("family=a&", 65), "&"):                       "65 parameters",
		"Patient?family=" + many(500, "a"):                                                          "",
		"Patient?family=" + many(501, "a"):                                                          "501 values",
		"Patient?family=" + many(10_000, "a"):                                                       "values",
		"Patient?family=" + many(400, "a") + "&given=" + many(400, "a") + "&name=" + many(400, "a"): "values in all",
		"Patient?_count=5000":                                                                       "",
		"Patient?_sort=" + many(9, "family"):                                                        "more than 8 keys",
		"Patient?" + strings.TrimSuffix(strings.Repeat("_include=Patient:organization&", 33), "&"):  "32 _include",
		"Patient?_filter=" + strings.Repeat("(", 40) + "family eq a" + strings.Repeat(")", 40):      "nested too deeply",
		"Patient?_filter=" + strings.TrimSuffix(strings.Repeat("family eq a or ", 65), " or "):      "too many terms",
		"Patient?family=a\x00b":                                                                     "NUL",
		"Patient?family=\xff":                                                                       "UTF-8",
	} {
		q, notes, err := reg.Parse(request(text))
		short := text[:min(len(text), 40)]
		switch e := fhir.AsError(err); {
		case fault == "" && err != nil:
			t.Errorf("%s: %v", short, err)
		case fault != "" && (e == nil || e.Status != 400 || !strings.Contains(e.Issues[0].Diagnostics, fault)):
			t.Errorf("%s: %v, want %q", short, err, fault)
		case text == "Patient?_count=5000" && (q.Count != 1000 || q.CountCapped != 5000 || len(notes) != 0):
			t.Errorf("_count: %d, %d, %v", q.Count, q.CountCapped, notes)
		}
	}
}

// TestRequestShapes looks at what Parse makes of the parameters that shape a result.
func TestRequestShapes(t *testing.T) {
	reg := registry(t)
	q, _, err := reg.Parse(request("Patient?_summary=count&gender=male"))
	if err != nil || q.Count != 0 || q.Total != TotalAccurate || q.Summary != SummaryCount {
		t.Errorf("%+v %v", q, err)
	}
	q, _, err = reg.Parse(request("Patient?_count=0"))
	if err != nil || q.Count != 0 || q.Total != TotalAccurate {
		t.Errorf("%+v %v", q, err)
	}
	q, _, err = reg.Parse(request("Patient?_elements=name,Patient.birthDate&_format=json&gender=male&_sort=-birthdate,family"))
	if err != nil || strings.Join(q.Elements, " ") != "name birthDate" || len(q.Sort) != 2 || !q.Sort[0].Desc || q.Sort[1].Code != "family" {
		t.Errorf("%+v %v", q, err)
	}
	if got := fmt.Sprint(q.Applied); got != "[{_elements name,Patient.birthDate} {gender male} {_sort -birthdate,family}]" {
		t.Errorf("applied: %s", got)
	}
	req := request("Patient?nope=1&gender=male&alsono=2")
	req.Strict = false
	q, notes, err := reg.Parse(req)
	if err != nil || len(notes) != 2 || fmt.Sprint(q.Applied) != "[{gender male}]" || !strings.Contains(notes[0].Diagnostics, `"nope"`) {
		t.Errorf("%v %v %v", q, notes, err)
	}
	for text, stable := range map[string]bool{
		"Patient?identifier=1": true, "Patient?_id=1&gender=male": true, "Observation?patient=1&code=x&_sort=-date": true, "Patient?family=a": true, "Patient": true,
		"Patient?family=a&gender=male": false, "Observation?date=ge2020": true, "Observation?date=ge2020&code=x": false, "Patient?_has:Observation:patient:code=x": false, "Observation?code=x&_sort=-date": false,
	} {
		q, _, err := reg.Parse(request(text))
		if err != nil {
			t.Fatal(err)
		}
		if st, _ := reg.Compile(q, tables{}); st.Stable != stable {
			t.Errorf("%s: stable is %v", text, st.Stable)
		}
	}
}
