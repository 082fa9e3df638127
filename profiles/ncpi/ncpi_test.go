package ncpi

import (
	"encoding/json"
	"path"
	"slices"
	"strings"
	"testing"

	"ingle/fhir"
	"ingle/fhir/r4"
	"ingle/internal/testdata"
	"ingle/profiles"
)

// Validator over the guide, with US Core where it is at hand.
func validator(t testing.TB, cfg profiles.Config) *profiles.Validator {
	t.Helper()
	reg := profiles.NewRegistry(r4.Definitions())
	p, err := Package()
	if err != nil {
		t.Fatal(err)
	}
	if err := reg.Load(p); err != nil {
		t.Fatal(err)
	}
	if _, _, err := reg.LoadFiles(testdata.Path(t, "packages/hl7.fhir.us.core-6.1.0.tgz")); err != nil {
		t.Fatal(err)
	}
	v, err := profiles.New(reg, cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestExamples compares the verdict on each example of the guide with that of
// the IG Publisher.
func TestExamples(t *testing.T) {
	t.Parallel()
	v := validator(t, profiles.Config{})
	verdicts := publisherErrors(t)
	passed, failed := 0, 0
	for name, src := range testdata.Tar(t, "ncpi/ncpi-ig-2-0.2.0.tar.zst") {
		if path.Base(path.Dir(name)) != "examples" {
			continue
		}
		want, ok := verdicts[strings.TrimSuffix(path.Base(name), ".json")]
		if !ok {
			t.Errorf("%s: the publisher has no verdict", name)
		}
		doc, err := fhir.Parse(src, fhir.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		errors := 0
		for _, is := range v.Validate(t.Context(), doc, profiles.Request{Warnings: true}) {
			if is.Severity == "error" || is.Severity == "fatal" {
				errors++
				t.Logf("%s: %s @%d:%d %s [%s]", path.Base(name), is.Expression, is.Line, is.Col, is.Diagnostics, is.Source)
			}
		}
		if (errors > 0) == (want > 0) {
			passed++
		} else {
			failed++
			t.Errorf("%s: %d errors, the publisher found %d", name, errors, want)
		}
	}
	t.Logf("NCPI examples: %d passed, %d failed", passed, failed)
	if passed < 39 {
		t.Errorf("only %d examples", passed)
	}
}

func publisherErrors(t *testing.T) map[string]int {
	var bundle struct {
		Entry []struct {
			Resource struct {
				ID    string
				Issue []struct{ Severity string }
			}
		}
	}
	if err := json.Unmarshal(testdata.TarFile(t, "ncpi/ncpi-ig-2-0.2.0.tar.zst", "other/validation-oo.json"), &bundle); err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for _, e := range bundle.Entry {
		n := 0
		for _, is := range e.Resource.Issue {
			if is.Severity == "error" || is.Severity == "fatal" {
				n++
			}
		}
		out[e.Resource.ID] = n
	}
	return out
}

// TestPackage holds what the guide is made of.
func TestPackage(t *testing.T) {
	p, err := Package()
	if err != nil {
		t.Fatal(err)
	}
	if p.ID() != "ncpi-fhir-implementation-guide-v2#0.2.0" {
		t.Errorf("the package is %s", p.ID())
	}
	count := map[string]int{}
	for _, src := range p.Resources {
		doc, err := fhir.Parse(src, fhir.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		count[doc.Root().Get("resourceType").Text()]++
	}
	if count["StructureDefinition"] != 58 || count["ValueSet"] != 18 || count["CodeSystem"] != 23 {
		t.Errorf("the package holds %v", count)
	}
	if !slices.Contains(p.FHIRVersions, "4.0.1") {
		t.Errorf("for FHIR %v", p.FHIRVersions)
	}
}

// TestAtLeastOne: with the guide's profiles asked for, a resource must claim
// one of those for its type.
func TestAtLeastOne(t *testing.T) {
	t.Parallel()
	list, err := Profiles()
	if err != nil {
		t.Fatal(err)
	}
	if len(list["ResearchStudy"]) == 0 || len(list["Observation"]) < 3 {
		t.Fatalf("the profiles are %v", list)
	}
	cfg := profiles.Config{Resources: map[string]profiles.Rules{}}
	for typ, urls := range list {
		cfg.Resources[typ] = profiles.Rules{AtLeastOne: urls}
	}
	gate := validator(t, cfg).Gate()
	for src, want := range map[string]string{
		`{"resourceType":"ResearchStudy","status":"active"}`:                                                             "must claim and follow at least one of the profiles",
		`{"resourceType":"ResearchStudy","status":"active","meta":{"profile":["` + list["ResearchStudy"][0] + `"]}}`:     "the profile requires",
		`{"resourceType":"Organization","name":"x"}`:                                                                     "",
		string(testdata.TarFile(t, "ncpi/ncpi-ig-2-0.2.0.tar.zst", "examples/ResearchStudy-research-study-gregor.json")): "",
	} {
		doc, err := fhir.Parse([]byte(src), fhir.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = gate.Validate(t.Context(), doc.Root(), profiles.Around{})
		if want == "" && err != nil || want != "" && (err == nil || fhir.AsError(err).Status != 422 || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.80s: %v, want %q", src, err, want)
		}
	}
}

// TestDbGaP: what dbGaP's own API gives out is valid but for Observations
// without a status, of which each is told.
func TestDbGaP(t *testing.T) {
	t.Parallel()
	v := validator(t, profiles.Config{})
	files, told := 0, 0
	for name, src := range testdata.Tar(t, "ncpi/dbgap-and-history-examples.tar.zst") {
		if path.Base(path.Dir(name)) != "dbgap-live" || !strings.HasSuffix(name, ".json") {
			continue
		}
		files++
		doc, err := fhir.Parse(src, fhir.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		for _, is := range v.Validate(t.Context(), doc, profiles.Request{}) {
			if is.Severity != "error" {
				continue
			}
			told++
			if !strings.HasPrefix(is.Diagnostics, "Observation.status is required") || is.Line == 0 {
				t.Errorf("%s: %s %s", name, is.Expression, is.Diagnostics)
			}
		}
	}
	if files != 3 || told < 400 {
		t.Errorf("%d files, %d errors", files, told)
	}
}
