package testdata

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestArchive(t *testing.T) {
	n := 0
	for name, data := range Tar(t, "r4-examples.tar.zst") {
		if strings.HasSuffix(name, ".json") {
			n++
			if !json.Valid(data) {
				t.Errorf("%s is not JSON", name)
			}
		}
	}
	if n < 500 {
		t.Errorf("only %d JSON files in the archive of examples", n)
	}
	if a, b := Files(t, "r4-examples.tar.zst"), Files(t, "r4-examples.tar.zst"); &a[0] != &b[0] {
		t.Error("the archive was read twice")
	}
	if !bytes.Contains(TarFile(t, "r4-examples.tar.zst", "Patient-example.json"), []byte(`"Patient"`)) {
		t.Error("Patient-example.json is not the Patient")
	}
}

func TestRead(t *testing.T) {
	if !json.Valid(Read(t, "fhirpath/fhirpath-tests-r4.json")) {
		t.Error("not JSON")
	}
}
