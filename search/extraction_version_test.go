package search

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"ingle/fhir"
	"ingle/internal/testdata"
)

// extracted is the hash of the index rows of the official examples at
// ExtractionVersion.
const extracted = "bf069ff017abc7ea9cd5df9074c3a81b41d93eeae78c01443923fac451fdff64"

// TestExtractionVersion fails when the rows of some example changed: what is
// stored must be indexed anew then.
func TestExtractionVersion(t *testing.T) {
	t.Parallel()
	reg := registry(t)
	sum := sha256.New()
	reg.EnableFullText()
	n := 0
	for name, data := range testdata.Tar(t, "r4-examples.tar.zst") {
		if !strings.HasSuffix(name, ".json") {
			continue
		}
		doc, err := fhir.Parse(data, fhir.Limits{})
		if err != nil || !reg.defs.IsResourceType(doc.Root().Get("resourceType").Text()) {
			continue
		}
		rows, err := reg.IndexRows(doc)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		text, err := json.Marshal(rows)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = sum.Write(text) // a hash never fails
		n++
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != extracted {
		t.Errorf("the index rows of %d examples have the hash %s, not that of ExtractionVersion %d: count the version on and put the hash here", n, got, ExtractionVersion)
	}
}
