package fhir

import (
	"strings"
	"testing"
)

func TestParseReference(t *testing.T) {
	own := []string{"http://localhost:8080/fhir", "https://ehr.example.org/base/r4"}
	known := func(name string) bool { return name == "Patient" || name == "ValueSet" }
	tests := []struct {
		text string
		want Reference
	}{
		{"Patient/1", Reference{Form: RefRelative, Type: "Patient", ID: "1"}},
		{"Patient/a-B.9/_history/2", Reference{Form: RefRelative, Type: "Patient", ID: "a-B.9", Version: "2"}},
		{"http://localhost:8080/fhir/Patient/1", Reference{Form: RefRelative, Type: "Patient", ID: "1"}},
		{"https://ehr.example.org/base/r4/Patient/1/_history/7", Reference{Form: RefRelative, Type: "Patient", ID: "1", Version: "7"}},
		{"http://localhost:8080/fhirx/Patient/1", Reference{Form: RefAbsolute, Type: "Patient", ID: "1", Base: "http://localhost:8080/fhirx", URL: "http://localhost:8080/fhirx/Patient/1"}},
		{"http://other/Patient/1", Reference{Form: RefAbsolute, Type: "Patient", ID: "1", Base: "http://other", URL: "http://other/Patient/1"}},
		{"http://other/fhir/Patient/1/_history/3#x", Reference{Form: RefAbsolute, Type: "Patient", ID: "1", Version: "3", Fragment: "x", Base: "http://other/fhir", URL: "http://other/fhir/Patient/1"}},
		{"http://hl7.org/fhir/ValueSet/a|4.0.1", Reference{Form: RefURL, URL: "http://hl7.org/fhir/ValueSet/a", Version: "4.0.1"}},
		{"http://other/Nothing/1", Reference{Form: RefURL, URL: "http://other/Nothing/1"}},
		{"http://Patient/1", Reference{Form: RefURL, URL: "http://Patient/1"}},
		{"ftp://other/Patient/1", Reference{Form: RefURL, URL: "ftp://other/Patient/1"}},
		{"http://other", Reference{Form: RefURL, URL: "http://other"}},
		{"urn:uuid:c757873d-ec9a-4326-a141-556f43239520", Reference{Form: RefURN, URL: "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"}},
		{"urn:oid:1.2.3", Reference{Form: RefURN, URL: "urn:oid:1.2.3"}},
		{"#p1", Reference{Form: RefFragment, Fragment: "p1"}},
		{"#", Reference{Form: RefFragment}},
		{"Patient?identifier=http://x|1", Reference{Form: RefConditional, Type: "Patient", Query: "identifier=http://x|1"}},
		{"1", Reference{Form: RefID, ID: "1"}},
		{"Patient", Reference{Form: RefID, ID: "Patient"}},
		{"", Reference{}},
		{"http:", Reference{URL: "http:"}},
		{"Patient/", Reference{}},
		{"Patient?", Reference{}},
		{"/Patient/1", Reference{}},
		{"Patient/1/", Reference{}},
		{"Patient/1/_history", Reference{}},
		{"Patient/1/_history/", Reference{}},
		{"Patient/1/_history/1/2", Reference{}},
		{"Patient/a_b", Reference{}},
		{"Patient/ 1", Reference{}},
		{"Nothing/1", Reference{}},
		{"patient/1", Reference{}},
		{"#a b", Reference{}},
		{"Patient/" + strings.Repeat("x", 65), Reference{}},
	}
	for _, tt := range tests {
		tt.want.Text = tt.text
		if got := ParseReference(tt.text, own, known); got != tt.want {
			t.Errorf("%q:\n got %+v\nwant %+v", tt.text, got, tt.want)
		}
	}
	if r := ParseReference("Anything/1", nil, nil); r.Form != RefRelative || r.Relative() != "Anything/1" {
		t.Errorf("without a list of types: %+v", r)
	}
}

func TestValidID(t *testing.T) {
	for id, want := range map[string]bool{"a": true, "A-1.b": true, strings.Repeat("x", 64): true, "": false, strings.Repeat("x", 65): false, "a_b": false, "a/b": false, "é": false} {
		if ValidID(id) != want {
			t.Errorf("ValidID(%q) is %v", id, !want)
		}
	}
}

func FuzzReference(f *testing.F) {
	for _, s := range []string{"Patient/1", "http://a/b/Patient/1/_history/2#c", "urn:oid:1", "#x", "a://", "http:///Patient/1", "Patient?a=b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := ParseReference(text, []string{"http://a/b"}, nil)
		switch r.Form {
		case RefRelative:
			if again := ParseReference(r.Relative(), nil, nil); again.Form != RefRelative || again.ID != r.ID || again.Type != r.Type {
				t.Fatalf("%q: %+v", text, r)
			}
		case RefAbsolute:
			if !strings.HasPrefix(text, r.Base+"/"+r.Relative()) {
				t.Fatalf("%q: %+v", text, r)
			}
		}
	})
}
