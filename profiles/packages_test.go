package profiles

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path"
	"strings"
	"testing"

	"ingle/fhir"
	"ingle/fhir/r4"
	"ingle/internal/testdata"
)

// withPackages is a validator with packages from the test data.
func withPackages(t testing.TB, cfg Config, names ...string) *Validator {
	t.Helper()
	reg := NewRegistry(r4.Definitions())
	for _, name := range names {
		if _, _, err := reg.LoadFiles(testdata.Path(t, "packages/"+name)); err != nil {
			t.Fatal(err)
		}
	}
	v, err := New(reg, cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

const (
	usCore = "hl7.fhir.us.core-6.1.0.tgz"
	auBase = "hl7.fhir.au.base-6.0.0.tgz"
	auCore = "hl7.fhir.au.core-1.0.0.tgz"
)

// packageExamples are the files of a package's folder "example".
func packageExamples(t testing.TB, name string) map[string][]byte {
	t.Helper()
	f, err := os.Open(testdata.Path(t, "packages/"+name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zr, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for r := tar.NewReader(zr); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if path.Base(path.Dir(h.Name)) == "example" && strings.HasSuffix(h.Name, ".json") {
			data, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			out[path.Base(h.Name)] = data
		}
	}
}

// TestPackageExamples validates the examples of packages against the profiles
// that they claim.
func TestPackageExamples(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		load  []string
		files string
	}{
		{"US Core", []string{usCore}, usCore},
		{"AU Base", []string{auBase}, auBase},
		{"AU Core", []string{auBase, auCore}, auCore},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := withPackages(t, Config{}, c.load...)
			passed, failed := 0, 0
			for name, src := range packageExamples(t, c.files) {
				doc, err := fhir.Parse(src, fhir.Limits{})
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				issues := errorsOf(v.Validate(t.Context(), doc, Request{}))
				if len(issues) == 0 || packageFaults[name] != "" && mentions(issues, packageFaults[name]) {
					passed++
					continue
				}
				failed++
				for i, is := range issues {
					if i < 4 {
						t.Logf("%s: %s", name, describe(is))
					}
				}
			}
			t.Logf("%s examples: %d passed, %d failed", c.name, passed, failed)
			if failed > 0 {
				t.Errorf("%d examples fail without a known reason", failed)
			}
		})
	}
}

// packageFaults are examples of packages with errors that are really in them.
var packageFaults = map[string]string{
	"Bundle-docref-example-2.json":                     "does not fit the resource DocumentReference/discharge",
	"Bundle-66c8856b-ba11-4876-8aa8-467aad8c11a2.json": "does not fit the resource Endpoint/71",
}

// TestPackageDefinitions: the definitions in packages are valid resources
// themselves, so that they can be stored.
func TestPackageDefinitions(t *testing.T) {
	t.Parallel()
	testdata.Whole(t)
	v := withPackages(t, Config{}, usCore, auBase, auCore)
	loadNCPI(t, v.Registry())
	passed, failed := 0, 0
	for origin, src := range v.Registry().Each("") {
		issues := errorsOf(v.Validate(t.Context(), parse(t, src), Request{}))
		if len(issues) == 0 {
			passed++
			continue
		}
		if failed++; failed < 10 {
			t.Errorf("%s: %s", origin, describe(issues[0]))
		}
	}
	t.Logf("definitions in packages: %d passed, %d failed", passed, failed)
}
