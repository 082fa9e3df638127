package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"ingle/internal/testdata"
)

// What is committed is what the generator makes of the pinned package.
func TestCommittedFiles(t *testing.T) {
	testdata.Whole(t)
	archive, err := fetch()
	if err != nil {
		t.Skipf("the package with the definitions cannot be had here: %v", err)
	}
	bundles, err := readBundles(archive)
	if err != nil {
		t.Fatal(err)
	}
	files, err := generate(bundles)
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for name, content := range files {
		committed, err := os.ReadFile(filepath.Join("..", "..", "fhir", "r4", name))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(committed, content) {
			t.Errorf("fhir/r4/%s is not what the generator makes: run go generate ./fhir/...", name)
		}
		if filepath.Ext(name) == ".zst" {
			total += len(content)
		}
	}
	t.Logf("%d bytes of definitions", total)
	if total > 3<<20 {
		t.Errorf("the definitions take %d bytes, more than 3 MiB", total)
	}
}

func TestStrip(t *testing.T) {
	v, err := parse([]byte(`{"resourceType":"CodeSystem","id":"a","text":{"div":"x"},"meta":{},
		"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/structuredefinition-wg","valueCode":"fhir"}],
		"name":"N","_name":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/translation","extension":[{"url":"lang","valueCode":"nl"}]}]},
		"concept":[{"code":"1\u00e9","definition":"d","extension":[{"url":"http://hl7.org/fhir/StructureDefinition/codesystem-replacedby","valueCoding":{"code":"2"}}]},{"code":"2","property":[{"code":"p","valueDecimal":1.50}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	strip(v.(*object))
	want := `{"resourceType":"CodeSystem","id":"a","name":"N","concept":[{"code":"1é","definition":"d","extension":[{"url":"http://hl7.org/fhir/StructureDefinition/codesystem-replacedby","valueCoding":{"code":"2"}}]},{"code":"2","property":[{"code":"p","valueDecimal":1.50}]}]}`
	if got := string(appendJSON(nil, v)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
