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
