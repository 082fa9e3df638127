package profiles

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"ingle/fhir"
	"ingle/internal/testdata"
)

// officialCase is one of the test cases of the official validator.
type officialCase struct {
	Name, File, Format, Module, Expect string
	Errors                             []struct{ Text, Path string }
}

// otherVerdicts are JSON cases whose verdict is not the official one, with the
// reason.
var otherVerdicts = map[string]string{
	"uk-msg":                           "the displays of SNOMED CT codes: needs a terminology server",
	"contained-resource-bad-id-ignore": "the case runs with an option that ignores ids of contained resources; the id is too long (R4 id: 64 characters) and dom-3 is broken",
	"signatures-example-2":             "the digital signature of the Bundle is not verified",
}

// otherPlaces are errors of the official validator that are not found at the
// place it names, by case and the beginning of the text, with the reason.
var otherPlaces = map[string]string{
	"bundle-document-versioned-references-bad: Can't find":     "found, at entry[0].resource.section[0].entry[0]: the official path counts from 1",
	"bundle-document-versioned-references-bad: Found 2":        "found, at entry[0].resource.section[0].entry[1]: the official path counts from 1",
	"obs-vs-2: The extension http://hl7.org/fhir/uv/cardx-htn": "an extension that is not known is a warning: R4 does not forbid it (extensibility.html)",
	"obs-vs-2: BPCode: magic LOINC code":                       "the official validator takes LOINC 76534-7 for a blood pressure too, which R4's table of vital signs does not name",
}

// otherPlace returns why an error is not found at its place, "" if it has to be.
func otherPlace(name, text string) string {
	for begin, why := range otherPlaces {
		if strings.HasPrefix(name+": "+text, begin) {
			return why
		}
	}
	return ""
}

// TestOfficialCases compares verdicts on the JSON cases of the official
// validator, and the places of the errors.
func TestOfficialCases(t *testing.T) {
	t.Parallel()
	var cases []officialCase
	if err := json.Unmarshal(testdata.Read(t, "validator/cases.json"), &cases); err != nil {
		t.Fatal(err)
	}
	v, err := New(base().Registry(), Config{RejectExamples: true, VitalSigns: true, RejectMalformedCodes: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	passed, failed, paths, pathsFound := 0, 0, 0, 0
	for _, c := range cases {
		if c.Format != "json" {
			continue
		}
		issues := caseIssues(t, v, c)
		bad := HasErrors(issues)
		if bad == (c.Expect == "invalid") {
			passed++
		} else {
			failed++
			reason := otherVerdicts[c.Name]
			if reason == "" {
				t.Errorf("%s is %s", c.Name, c.Expect)
			}
			t.Logf("not as expected: %s (%s): %s", c.Name, c.Expect, reason)
			for _, is := range issues {
				t.Logf("    %s", describe(is))
			}
			for _, e := range c.Errors {
				t.Logf("    wanted: %s: %s", e.Path, e.Text)
			}
			continue
		}
		for _, e := range c.Errors {
			if e.Path == "" || c.Module == "json5" || terminologyOnly.MatchString(e.Text) {
				continue
			}
			paths++
			found := false
			for _, is := range errorsOf(issues) {
				found = found || samePlace(is.Expression, e.Path)
			}
			if found {
				pathsFound++
				continue
			}
			if why := otherPlace(c.Name, e.Text); why != "" {
				t.Logf("%s: no error at %s: %s", c.Name, e.Path, why)
				continue
			}
			t.Errorf("%s: no error at %s (%s)", c.Name, e.Path, e.Text)
			for _, is := range errorsOf(issues) {
				t.Logf("    %s", describe(is))
			}
		}
	}
	t.Logf("validator: %d passed, %d failed", passed, failed)
	t.Logf("validator error paths: %d passed, %d failed", pathsFound, paths-pathsFound)
	if named := paths - pathsFound; named != len(otherPlaces) {
		t.Errorf("%d error paths do not agree, %d are named", named, len(otherPlaces))
	}
	if passed < 60 {
		t.Errorf("only %d cases agree", passed)
	}
}

func caseIssues(t *testing.T, v *Validator, c officialCase) []fhir.Issue {
	t.Helper()
	doc, err := fhir.Parse(testdata.Read(t, "validator/"+c.File), fhir.Limits{})
	if err != nil {
		return fhir.AsError(err).Issues
	}
	return v.Validate(t.Context(), doc, Request{Warnings: true})
}

// terminologyOnly are errors that only a terminology server with SNOMED CT and
// LOINC can find.
var terminologyOnly = regexp.MustCompile(`^Wrong Display Name|http://snomed\.info/sct|http://loinc\.org`)

var comment = regexp.MustCompile(`/\*[^*]*\*/`)

// samePlace compares an expression with a path of the official validator, which
// holds comments and may name an element that encloses the one at fault.
func samePlace(expressions []string, path string) bool {
	path = comment.ReplaceAllString(path, "")
	// the official validator leaves the primitive out that holds an extension
	path = strings.Replace(path, ".filter[0].extension[0]", ".filter[0].value.extension[0]", 1)
	for _, x := range expressions {
		if x == path || strings.HasPrefix(x, path+".") || strings.HasPrefix(x, path+"[") {
			return true
		}
	}
	return false
}
