package demo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"ingle/fhir"
	"ingle/fhir/r4"
	"ingle/profiles"
	ncpiguide "ingle/profiles/ncpi"
)

type entry struct {
	FullURL  string `json:"fullUrl"`
	Resource json.RawMessage
	Request  struct{ Method, URL string }
}

// cohort is the decoded Bundles, for all tests; none changes it.
var cohort = sync.OnceValues(func() ([][]entry, error) {
	var list [][]entry
	for text := range Bundles() {
		var b struct {
			ResourceType, Type string
			Entry              []entry
		}
		if err := json.Unmarshal(text, &b); err != nil {
			return nil, err
		}
		if b.ResourceType != "Bundle" || b.Type != "transaction" {
			return nil, fmt.Errorf("a %s of type %s", b.ResourceType, b.Type)
		}
		list = append(list, b.Entry)
	}
	return list, nil
})

func bundles(t testing.TB) [][]entry {
	t.Helper()
	list, err := cohort()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestTheSameEveryTime(t *testing.T) {
	t.Parallel()
	first, second := slices.Collect(Bundles()), slices.Collect(Bundles())
	if len(first) != len(second) {
		t.Fatalf("%d and %d Bundles", len(first), len(second))
	}
	for i := range first {
		if !bytes.Equal(first[i], second[i]) {
			t.Errorf("Bundle %d differs", i)
		}
	}
}

func TestCohortIsWhole(t *testing.T) {
	t.Parallel()
	counts := map[string]int{}
	for _, b := range bundles(t) {
		for _, e := range b {
			kind, _, _ := strings.Cut(e.Request.URL, "/")
			counts[kind]++
		}
	}
	t.Log(counts)
	for kind, least := range map[string]int{
		"Patient": 24, "Encounter": 100, "Condition": 30, "Observation": 800, "MedicationRequest": 20, "Procedure": 8,
		"Immunization": 60, "AllergyIntolerance": 3, "DiagnosticReport": 20, "Practitioner": 5, "PractitionerRole": 5, "Organization": 3,
		"Location": 1, "ResearchStudy": 2, "ResearchSubject": 24, "Specimen": 48, "DocumentReference": 40, "Consent": 2, "Group": 6,
	} {
		if counts[kind] < least {
			t.Errorf("%d resources of type %s, want %d", counts[kind], kind, least)
		}
	}
}

var idPattern = regexp.MustCompile(`^[A-Za-z0-9\-.]{1,64}$`)

// Every resource is well formed, stands once, and refers only to what is in the same or an earlier Bundle.
func TestEntries(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	last := ""
	for i, b := range bundles(t) {
		for _, e := range b {
			if _, err := fhir.Parse(e.Resource, fhir.Limits{}); err != nil {
				t.Errorf("%s: %v", e.Request.URL, err)
			}
			kind, id, _ := strings.Cut(e.Request.URL, "/")
			var r struct {
				ResourceType, ID string
				Meta             struct {
					Security []struct{ System, Code string }
				}
			}
			if err := json.Unmarshal(e.Resource, &r); err != nil {
				t.Fatal(err)
			}
			if r.ResourceType != kind || r.ID != id || e.Request.Method != "PUT" || !idPattern.MatchString(id) || !strings.HasSuffix(e.FullURL, "/"+e.Request.URL) {
				t.Errorf("entry %+v holds %s/%s", e.Request, r.ResourceType, r.ID)
			}
			if known[e.Request.URL] {
				t.Errorf("%s stands twice", e.Request.URL)
			}
			known[e.Request.URL] = true
			last = e.Request.URL
			if len(r.Meta.Security) == 0 {
				t.Errorf("%s has no label", e.Request.URL)
			}
			for _, s := range r.Meta.Security {
				if s.System != labelSystem || !slices.Contains(Projects(), s.Code) {
					t.Errorf("%s has the label %+v", e.Request.URL, s)
				}
			}
			for _, fault := range faultsIn(e.Resource) {
				t.Errorf("%s: %s", e.Request.URL, fault)
			}
		}
		for _, e := range b {
			for _, r := range references(e.Resource) {
				if !known[r] {
					t.Errorf("Bundle %d: %s refers to %s, which is not loaded yet", i, e.Request.URL, r)
				}
			}
		}
	}
	if last != Marker {
		t.Errorf("the last resource is %s, the marker %s", last, Marker)
	}
}

var referencePattern = regexp.MustCompile(`"reference":"([^"]+)"`)

func references(resource []byte) []string {
	var list []string
	for _, m := range referencePattern.FindAllSubmatch(resource, -1) {
		list = append(list, string(m[1]))
	}
	return list
}

// faultsIn finds what JSON allows and FHIR does not: null, empty objects, arrays and texts.
func faultsIn(resource []byte) []string {
	var v any
	if err := json.Unmarshal(resource, &v); err != nil {
		return []string{err.Error()}
	}
	var faults []string
	var walk func(v any, path string)
	walk = func(v any, path string) {
		switch v := v.(type) {
		case nil:
			faults = append(faults, path+" is null")
		case string:
			if strings.TrimSpace(v) == "" {
				faults = append(faults, path+" is empty")
			}
		case []any:
			if len(v) == 0 {
				faults = append(faults, path+" is empty")
			}
			for _, item := range v {
				walk(item, path+"[]")
			}
		case map[string]any:
			if len(v) == 0 {
				faults = append(faults, path+" is empty")
			}
			for name, item := range v {
				walk(item, path+"."+name)
			}
		}
	}
	walk(v, "")
	return faults
}

// all returns the decoded resources of a type.
func all(t testing.TB, kind string) []map[string]any {
	t.Helper()
	var list []map[string]any
	for _, b := range bundles(t) {
		for _, e := range b {
			if strings.HasPrefix(e.Request.URL, kind+"/") {
				var r map[string]any
				if err := json.Unmarshal(e.Resource, &r); err != nil {
					t.Fatal(err)
				}
				list = append(list, r)
			}
		}
	}
	return list
}

// at walks into a decoded resource; into the first item of a list.
func at(v any, path ...string) any {
	for _, name := range path {
		if list, ok := v.([]any); ok && len(list) > 0 {
			v = list[0]
		}
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[name]
	}
	return v
}

// The examples promise answers; here they are looked up by hand.
func TestExamplesHaveAnswers(t *testing.T) {
	t.Parallel()
	examples := Examples("http://127.0.0.1:8080/fhir/")
	matches := map[string]int{}
	for _, p := range all(t, "Patient") {
		if at(p, "name", "family") == "Okafor" {
			matches[queries[0].title]++
		}
	}
	for _, o := range all(t, "Observation") {
		code := at(o, "code", "coding", "code")
		if code == "85354-9" && at(o, "subject", "reference") == "Patient/demo-p01" {
			matches[queries[1].title]++
		}
		if value, ok := at(o, "valueQuantity", "value").(float64); ok && code == "4548-4" && value > 7 {
			matches[queries[3].title]++
		}
	}
	for _, c := range all(t, "Condition") {
		if at(c, "code", "coding", "code") == "44054006" {
			matches[queries[2].title]++
		}
	}
	for _, s := range all(t, "ResearchSubject") {
		if at(s, "study", "reference") == "ResearchStudy/demo-study-chd" && at(s, "individual", "reference") != nil {
			matches[queries[4].title]++
		}
	}
	if len(examples) != 5 {
		t.Fatalf("%d examples", len(examples))
	}
	for i, e := range examples {
		if matches[e.Title] == 0 {
			t.Errorf("%s: nothing in the cohort", e.Title)
		}
		u, err := url.Parse(e.URL)
		if err != nil || u.Path != "/fhir/"+queries[i].path {
			t.Errorf("%s: URL %s, %v", e.Title, e.URL, err)
			continue
		}
		for _, p := range queries[i].parameters {
			if u.Query().Get(p[0]) != p[1] {
				t.Errorf("%s: %s = %q, want %q", e.Title, p[0], u.Query().Get(p[0]), p[1])
			}
		}
		t.Log(matches[e.Title], e.URL)
	}
}

// Values that a clinician would believe.
func TestPlausibleValues(t *testing.T) {
	t.Parallel()
	limits := map[string][2]float64{
		"8302-2": {30, 80}, "29463-7": {25, 330}, "39156-5": {12, 50}, "8867-4": {50, 130}, "9279-1": {10, 30}, "8310-5": {97, 99.9},
		"2708-6": {85, 100}, "4548-4": {4, 12}, "2339-0": {60, 250}, "2093-3": {120, 300}, "2160-0": {0.5, 2.5}, "718-7": {10, 18},
		"33914-3": {25, 120}, "2823-3": {3, 6}, "2571-8": {60, 300}, "18262-6": {60, 220}, "2085-9": {25, 90},
	}
	for _, o := range all(t, "Observation") {
		code, _ := at(o, "code", "coding", "code").(string)
		value, ok := at(o, "valueQuantity", "value").(float64)
		if !ok {
			continue
		}
		limit, known := limits[code]
		if !known {
			t.Errorf("no limits for %s", code)
		}
		if value < limit[0] || value > limit[1] {
			t.Errorf("%v: %s is %v", o["id"], code, value)
		}
	}
	for _, p := range practitioners {
		sum := 24
		for i := range 10 {
			d := int(p.npi[i] - '0')
			if i%2 == 0 {
				if d *= 2; d > 9 {
					d -= 9
				}
			}
			sum += d
		}
		if len(p.npi) != 10 || sum%10 != 0 || p.npi[0] != '9' {
			t.Errorf("%s has the identifier %s", p.id, p.npi)
		}
	}
}

// The cohort has to pass Ingle's own validation with every profile that it claims.
func TestCohortIsValid(t *testing.T) {
	t.Parallel()
	registry := profiles.NewRegistry(r4.Definitions())
	guide, err := ncpiguide.Package()
	if err != nil {
		t.Fatal(err)
	}
	if err := registry.Load(guide); err != nil {
		t.Fatal(err)
	}
	v, err := profiles.New(registry, profiles.Config{VitalSigns: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bundles(t) {
		for _, e := range b {
			doc, err := fhir.Parse(e.Resource, fhir.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			for _, issue := range v.Validate(t.Context(), doc, profiles.Request{}) {
				t.Errorf("%s: %s %s %v: %s", e.Request.URL, issue.Severity, issue.Code, issue.Expression, issue.Diagnostics)
			}
		}
	}
}

func BenchmarkBundles(b *testing.B) {
	for b.Loop() {
		for text := range Bundles() {
			b.SetBytes(int64(len(text)))
		}
	}
}
