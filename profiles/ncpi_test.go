package profiles

import (
	"path"
	"testing"

	"ingle/fhir"
	"ingle/internal/testdata"
)

// loadNCPI adds the conformance resources of the NCPI guide from its archive.
func loadNCPI(t testing.TB, reg *Registry) {
	t.Helper()
	p := &Package{Name: "ncpi", Version: "test"}
	for name, src := range testdata.Tar(t, "ncpi/ncpi-ig-2-0.2.0.tar.zst") {
		switch path.Base(path.Dir(name)) {
		case "profiles", "extensions", "datatypes", "valuesets", "codesystems":
			if _, err := fhir.Parse(src, fhir.Limits{}); err != nil {
				t.Fatal(err)
			}
			p.Resources = append(p.Resources, src)
		}
	}
	if err := reg.Load(p); err != nil {
		t.Fatal(err)
	}
}
