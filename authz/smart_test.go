package authz

import (
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseSmart(t *testing.T) {
	const c, r, u, d, s = letterC, letterR, letterU, letterD, letterS
	for _, tc := range []struct {
		in   string
		want smartScope
		bad  bool
	}{
		{in: "patient/Observation.read", want: smartScope{context: "patient", typ: "Observation", allows: r | s}},
		{in: "user/*.write", want: smartScope{context: "user", typ: "*", allows: c | u | d}},
		{in: "system/*.*", want: smartScope{context: "system", typ: "*", allows: c | r | u | d | s}},
		{in: "patient/Observation.rs", want: smartScope{context: "patient", typ: "Observation", allows: r | s}},
		{in: "user/Patient.cruds", want: smartScope{context: "user", typ: "Patient", allows: c | r | u | d | s}},
		{in: "user/Patient.s", want: smartScope{context: "user", typ: "Patient", allows: s}},
		{in: "patient/Observation.rs?category=laboratory", want: smartScope{context: "patient", typ: "Observation", allows: r | s, query: "category=laboratory"}},
		{in: "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory&status=final",
			want: smartScope{context: "patient", typ: "Observation", allows: r | s, query: "category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory&status=final"}},
		{in: "patient/Observation.sr", bad: true},
		{in: "patient/Observation.rr", bad: true},
		{in: "patient/Observation.", bad: true},
		{in: "patient/Observation", bad: true},
		{in: "patient/.read", bad: true},
		{in: "patient/observation.read", bad: true},
		{in: "patient/Obs*.read", bad: true},
		{in: "patient/Observation.read?category=laboratory", bad: true},
		{in: "patient/Observation.rs?", bad: true},
		{in: "patient/Observation.rs?category=", bad: true},
		{in: "patient/Observation.rs?=x", bad: true},
		{in: "patient/Observation.rs?category=%zz", bad: true},
		{in: "patient/Observation.rs?_include=Observation:subject", bad: true},
		{in: "patient/Observation.rs?a=1;b=2", bad: true},
		{in: "user/Observation.rs?subject:Patient.name=x", bad: true},
		{in: "user/Observation.rs?subject.name=x", bad: true},
		{in: "user/Patient.rs?_has:Observation:patient:code=x", bad: true},
		{in: "user/Patient.rs?_filter=name eq x", bad: true},
		{in: "user/Observation.rs?code:in=http://x&category:not=y", want: smartScope{context: "user", typ: "Observation", allows: r | s, query: "code:in=http://x&category:not=y"}},
		{in: "Patient/Observation.read", bad: true},
		{in: "patient/Observation.READ", bad: true},
		{in: "launch/patient", bad: true},
		{in: "openid", bad: true},
		{in: "user/../Patient.read", bad: true},
	} {
		got, ok := parseSmart(tc.in)
		tc.want.text = got.text
		if ok == tc.bad || ok && got != tc.want {
			t.Errorf("%s: %+v, %v", tc.in, got, ok)
		}
	}
}

func TestNarrow(t *testing.T) {
	p1 := []Restriction{{Patient: "p1"}}
	for name, tc := range map[string]struct {
		scopes  string
		patient string
		typ     string
		m       Method
		want    Narrowing
	}{
		"no data scope":                   {"openid user data", "", "Patient", Read, Narrowing{Allowed: true}},
		"launch scopes are none":          {"launch/patient offline_access fhirUser", "p1", "Patient", Read, Narrowing{Allowed: true}},
		"patient compartment":             {"patient/Observation.rs", "p1", "Observation", Read, Narrowing{true, p1}},
		"another type":                    {"patient/Observation.rs", "p1", "Condition", Read, Narrowing{}},
		"another letter":                  {"patient/Observation.r", "p1", "Observation", Search, Narrowing{}},
		"another method":                  {"patient/Observation.rs", "p1", "Observation", Create, Narrowing{}},
		"no patient in context":           {"patient/*.*", "", "Observation", Read, Narrowing{}},
		"wildcard":                        {"patient/*.read", "p1", "Observation", Search, Narrowing{true, p1}},
		"shared type":                     {"patient/*.read", "p1", "Practitioner", Read, Narrowing{Allowed: true}},
		"shared type is not written":      {"patient/*.*", "p1", "Practitioner", Update, Narrowing{true, p1}},
		"outside compartments":            {"patient/*.read", "p1", "Binary", Read, Narrowing{true, p1}},
		"user":                            {"user/*.read", "", "Observation", Read, Narrowing{Allowed: true}},
		"user reads only":                 {"user/*.read", "", "Observation", Delete, Narrowing{}},
		"user and patient":                {"patient/Observation.rs user/Observation.r", "p1", "Observation", Read, Narrowing{Allowed: true}},
		"user and patient, searching":     {"patient/Observation.rs user/Observation.r", "p1", "Observation", Search, Narrowing{true, p1}},
		"parameters":                      {"patient/Observation.rs?category=laboratory patient/Observation.rs?category=vital-signs", "p1", "Observation", Read, Narrowing{true, []Restriction{{Patient: "p1", Query: "category=laboratory"}, {Patient: "p1", Query: "category=vital-signs"}}}},
		"parameters, and without":         {"patient/Observation.rs?category=laboratory patient/Observation.r", "p1", "Observation", Read, Narrowing{true, []Restriction{{Patient: "p1", Query: "category=laboratory"}, {Patient: "p1"}}}},
		"twice the same":                  {"patient/Observation.rs patient/Observation.r", "p1", "Observation", Read, Narrowing{true, p1}},
		"only a malformed one":            {"patient/Observation.nonsense", "p1", "Observation", Read, Narrowing{}},
		"system":                          {"system/*.rs", "", "Observation", Read, Narrowing{Allowed: true}},
		"shared type keeps its parameter": {"patient/Location.rs?status=active", "p1", "Location", Read, Narrowing{true, []Restriction{{Query: "status=active"}}}},
	} {
		s := Scope{&scope{smart: newPermissions(strings.Fields(tc.scopes), tc.patient, false)}}
		if got := s.Narrow(tc.typ, tc.m); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: got %+v, want %+v", name, got, tc.want)
		}
	}
	if n := (Scope{}).Narrow("Patient", Read); n.Allowed {
		t.Error("the zero Scope is allowed something")
	}
	if newPermissions(nil, "", true).narrow("Patient", Read).Allowed {
		t.Error("scopes are required and none is there, yet reading is allowed")
	}
}

// FuzzParseSmart holds the parser to its own printing: what it took, written
// out again in version 2, means the same.
func FuzzParseSmart(f *testing.F) {
	for _, s := range []string{"patient/Observation.read", "user/*.*", "system/Patient.cruds?_tag=a|b", "patient/X.cs", "user/Patient.s?name=%41"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		s, ok := parseSmart(in)
		if !ok {
			return
		}
		if s.allows == 0 || s.allows >= 1<<5 {
			t.Fatalf("%q allows %b", in, s.allows)
		}
		out := s.context + "/" + s.typ + "."
		for i, c := range "cruds" {
			if s.allows&(1<<i) != 0 {
				out += string(c)
			}
		}
		if s.query != "" {
			out += "?" + s.query
		}
		again, ok := parseSmart(out)
		s.text, again.text = "", ""
		if !ok || again != s {
			t.Fatalf("%q became %q: %+v, %+v", in, out, s, again)
		}
	})
}

// meets puts a Narrowing to a model of a resource: its patient and the
// parameters that it matches.
func meets(n Narrowing, patient string, matches map[string]bool) bool {
	if !n.Allowed {
		return false
	}
	for _, r := range n.Alternatives {
		ok := r.Patient == "" || r.Patient == patient
		for q := range strings.SplitSeq(r.Query+"&"+r.Criteria, "&") {
			ok = ok && (q == "" || matches[q])
		}
		if ok {
			return true
		}
	}
	return len(n.Alternatives) == 0
}

func TestNarrowingAndProperty(t *testing.T) {
	restriction := rapid.Custom(func(t *rapid.T) Restriction {
		return Restriction{rapid.SampledFrom([]string{"", "p1", "p2"}).Draw(t, "patient"),
			rapid.SampledFrom([]string{"", "a=1", "b=2"}).Draw(t, "query"), rapid.SampledFrom([]string{"", "a=1", "b=2"}).Draw(t, "criteria")}
	})
	narrowing := rapid.Custom(func(t *rapid.T) Narrowing {
		return Narrowing{rapid.Bool().Draw(t, "allowed"), rapid.SliceOfN(restriction, 0, 3).Draw(t, "alternatives")}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := narrowing.Draw(t, "a"), narrowing.Draw(t, "b")
		patient := rapid.SampledFrom([]string{"p1", "p2", "p3"}).Draw(t, "patient")
		matches := map[string]bool{"a=1": rapid.Bool().Draw(t, "a=1"), "b=2": rapid.Bool().Draw(t, "b=2")}
		got := meets(a.and(b), patient, matches)
		want := meets(a, patient, matches) && meets(b, patient, matches)
		if got != want {
			t.Fatalf("%+v and %+v: %+v; on %s %v got %v", a, b, a.and(b), patient, matches, got)
		}
	})
}
