package profiles

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"ingle/fhir"
	"ingle/fhir/r4"
	"ingle/internal/testdata"
)

// base is a validator over the official definitions alone, shared by tests.
var base = sync.OnceValue(func() *Validator {
	v, err := New(NewRegistry(r4.Definitions()), Config{}, nil)
	if err != nil {
		panic(err)
	}
	return v
})

func parse(t testing.TB, src []byte) *fhir.Doc {
	t.Helper()
	doc, err := fhir.Parse(src, fhir.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func describe(is fhir.Issue) string {
	return is.Severity + " " + is.Code + " " + strings.Join(is.Expression, ",") + " @" + itoa(is.Line) + ":" + itoa(is.Col) + " " + is.Diagnostics + " [" + is.Source + "]"
}

func errorsOf(issues []fhir.Issue) []fhir.Issue {
	var out []fhir.Issue
	for _, is := range issues {
		if is.Severity == fhir.SeverityError || is.Severity == fhir.SeverityFatal {
			out = append(out, is)
		}
	}
	return out
}

// TestExamples validates the official examples against the base definitions.
func TestExamples(t *testing.T) {
	t.Parallel()
	passed, failed, unofficial, files := 0, 0, 0, 0
	for name, src := range testdata.Tar(t, "r4-examples.tar.zst") {
		if !strings.HasSuffix(name, ".json") || name == "manifest.json" {
			continue
		}
		files++
		short := filepath.Base(name)
		doc, err := fhir.Parse(src, fhir.Limits{})
		var issues []fhir.Issue
		if err != nil {
			issues = fhir.AsError(err).Issues
		} else {
			issues = errorsOf(base().Validate(t.Context(), doc, Request{}))
		}
		if len(issues) == 0 {
			passed++
			continue
		}
		if fault := exampleFault(short); fault != "" && mentions(issues, fault) {
			passed++
			if x, ok := unofficialFaults[short]; ok {
				unofficial++
				t.Logf("%s: an error that the official validator does not report: %s (%s)", short, describe(issues[0]), x.why)
			}
			continue
		}
		failed++
		for i, is := range issues {
			if i == 4 {
				t.Logf("%s: … %d issues", short, len(issues))
				break
			}
			t.Logf("%s: %s", short, describe(is))
		}
	}
	t.Logf("official examples: %d passed, %d failed", passed, failed)
	if unofficial != len(unofficialFaults) {
		t.Errorf("%d examples have errors that the official validator does not report, %d are listed", unofficial, len(unofficialFaults))
	}
	if failed > 0 || files < 700 {
		t.Errorf("%d of %d official examples fail without a known reason", failed, files)
	}
}

// exampleFaults are official examples with errors that are really in them: a
// part of the message of each. The official validator finds them too.
var exampleFaults = map[string]string{
	"Questionnaire-qs1.json":                                                                   "Questionnaire.item.linkId is required",
	"ActivityDefinition-heart-valve-replacement.json":                                          "neither text nor an image",
	"ActivityDefinition-blood-tubes-supply.json":                                               "neither text nor an image",
	"EventDefinition-example.json":                                                             "neither text nor an image",
	"Questionnaire-zika-virus-exposure-assessment.json":                                        "neither text nor an image",
	"Bundle-10bb101f-a121-4264-a920-67be9cb82c74.json":                                         "does not fit the resource Patient/pat2",
	"Bundle-3a0707d3-549e-4467-b8b8-5a2ab3800efe.json":                                         "the fullUrl 'http://acme.com/ehr/fhir/Patient/pat12' does not fit|is to no entry of the Bundle",
	"Bundle-lri-example.json":                                                                  "does not fit the resource",
	"StructureDefinition-FiveWs.json":                                                          "sdf-4", // not abstract, and no baseDefinition
	"StructureDefinition-Event.json":                                                           "sdf-4",
	"StructureDefinition-Request.json":                                                         "sdf-4",
	"StructureDefinition-Definition.json":                                                      "sdf-4",
	"SearchParameter-questionnaireresponse-extensions-QuestionnaireResponse-item-subject.json": "an id has at most 64 characters|hasExtension() is not known",
	"SearchParameter-example-extension.json":                                                   "no part of the expression begins with one of the base types Patient",
}

// unofficialFaults are those that the official validator does not report, with
// what makes them errors here.
var unofficialFaults = map[string]struct{ fault, why string }{
	"Basic-referral.json": {"the modifier extension", "R4, extensibility.html: what is modified by what is not understood may not be processed. " +
		"The official validator takes a modifier extension that nobody defines for an error only where it is told to refuse all that are unknown"},
	"Observation-clinical-gender.json": {"the reference is to a Encounter", "a reference says by its type what it leads to; the official validator asks only of what it can resolve"},
	"DeviceUseStatement-example.json":  {"the reference is to a Procedure", "the same"},
	"MedicationRequest-medrx0301.json": {"the reference is to a Practitioner", "the same"},
	"DeviceMetric-example.json":        {"the reference is to a DeviceDefinition", "the same"},
	"Observation-decimal.json":         {"exponent of a number is beyond", "a bound of the parser, as a short number may be very long when it is written out"},
}

func exampleFault(name string) string {
	if strings.HasPrefix(name, "SearchParameter-codesystem-extensions-") || strings.HasPrefix(name, "SearchParameter-valueset-extensions-") {
		return "SearchParameter.base is required"
	}
	if x, ok := unofficialFaults[name]; ok {
		return x.fault
	}
	return exampleFaults[name]
}

// mentions tells whether each issue holds one of the texts parted by "|".
func mentions(issues []fhir.Issue, texts string) bool {
	for _, is := range issues {
		found := false
		for _, text := range strings.Split(texts, "|") {
			found = found || strings.Contains(is.Diagnostics, text)
		}
		if !found {
			return false
		}
	}
	return true
}
