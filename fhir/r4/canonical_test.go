package r4

import (
	"bytes"
	"encoding/json"
	"runtime"
	"strings"
	"sync"
	"testing"

	"ingle/fhir"
	"ingle/internal/testdata"
)

func fresh() *fhir.Definitions {
	return fhir.NewDefinitions(fhir.Embedded{Version: "4.0.1", ResourceTypes: resourceTypes, Types: types, Search: search, Index: index, Blocks: blocks, Corrections: corrections})
}

func TestCanonical(t *testing.T) {
	d := Definitions()
	for _, tt := range []struct{ url, resourceType string }{
		{"http://hl7.org/fhir/StructureDefinition/Patient", "StructureDefinition"},
		{"http://hl7.org/fhir/StructureDefinition/Patient|4.0.1", "StructureDefinition"},
		{"http://hl7.org/fhir/StructureDefinition/SimpleQuantity", "StructureDefinition"},
		{"http://hl7.org/fhir/StructureDefinition/bp", "StructureDefinition"},
		{"http://hl7.org/fhir/StructureDefinition/patient-birthPlace", "StructureDefinition"},
		{"http://hl7.org/fhir/ValueSet/observation-status|4.0.1", "ValueSet"},
		{"http://terminology.hl7.org/CodeSystem/v3-ActCode", "CodeSystem"},
		{"http://terminology.hl7.org/ValueSet/v2-0001", "ValueSet"},
		{"http://hl7.org/fhir/ConceptMap/101", "ConceptMap"},
		{"http://hl7.org/fhir/OperationDefinition/Patient-everything", "OperationDefinition"},
		{"http://hl7.org/fhir/SearchParameter/individual-family", "SearchParameter"},
		{"http://hl7.org/fhir/CompartmentDefinition/patient", "CompartmentDefinition"},
		{"http://hl7.org/fhir/NamingSystem/tx-sct", "NamingSystem"},
		{"http://hl7.org/fhir/StructureDefinition/Patient|5.0.0", ""},
		{"http://hl7.org/fhir/StructureDefinition/Nothing", ""},
		{"", ""},
	} {
		text, ok := d.Canonical(tt.url)
		if ok != (tt.resourceType != "") {
			t.Errorf("Canonical(%q) is %v", tt.url, ok)
			continue
		}
		if !ok {
			continue
		}
		var head struct{ ResourceType, URL string }
		if err := json.Unmarshal(text, &head); err != nil || head.ResourceType != tt.resourceType {
			t.Errorf("%s: %s, %v", tt.url, head.ResourceType, err)
		}
		if again, ok := d.CanonicalOf(tt.resourceType, tt.url); !ok || !bytes.Equal(again, text) {
			t.Errorf("CanonicalOf(%s, %s) differs", tt.resourceType, tt.url)
		}
		if _, ok := d.CanonicalOf("Patient", tt.url); ok {
			t.Errorf("%s was found as a Patient", tt.url)
		}
	}
}

// Each definition is acceptable JSON of its type under its URL, prose is gone and
// what validation and terminology need is there.
func TestEach(t *testing.T) {
	d := Definitions()
	want := map[string]int{
		"StructureDefinition": 649, "ValueSet": 1317, "CodeSystem": 1063, "ConceptMap": 19, "OperationDefinition": 46,
		"SearchParameter": 1375, "CompartmentDefinition": 5, "NamingSystem": 1105,
	}
	total := 0
	for kind, n := range want {
		got, last := 0, ""
		for url, text := range d.Each(kind) {
			got++
			if url <= last {
				t.Fatalf("%s after %s", url, last)
			}
			last = url
			if !testdata.Some(got, 10) {
				continue
			}
			doc, err := fhir.Parse(text, fhir.Limits{})
			if err != nil {
				t.Fatalf("%s: %v", url, err)
			}
			root := doc.Root()
			if root.Get("resourceType").Text() != kind || kind != "NamingSystem" && root.Get("url").Text() != url {
				t.Fatalf("%s is %s %s", url, root.Get("resourceType").Text(), root.Get("url").Text())
			}
			if root.Get("text").Valid() || root.Get("differential").Valid() {
				t.Errorf("%s has prose", url)
			}
			if kind == "StructureDefinition" && root.Get("snapshot").Get("element").Len() == 0 {
				t.Errorf("%s has no snapshot", url)
			}
		}
		if got != n {
			t.Errorf("%d of type %s, want %d", got, kind, n)
		}
		total += n
	}
	for range d.Each("") {
		total--
	}
	if total != 0 {
		t.Errorf("Each of all types is off by %d", total)
	}
	for range d.Each("Patient") {
		t.Error("there is no Patient among the definitions")
	}
}

// What programs act on survives the removal of prose.
func TestKept(t *testing.T) {
	d := Definitions()
	for url, wants := range map[string][]string{
		"http://hl7.org/fhir/StructureDefinition/Patient": {
			`"key":"pat-1","severity":"error","human":"SHALL at least contain a contact's details or a reference to an organization","expression":"name.exists() or telecom.exists() or address.exists() or organization.exists()"`,
			`"strength":"required","valueSet":"http://hl7.org/fhir/ValueSet/administrative-gender|4.0.1"`, `"key":"dom-6"`, `"isModifier":true`, `"path":"Patient.contact.period"`,
		},
		"http://hl7.org/fhir/StructureDefinition/string":          {`http://hl7.org/fhir/StructureDefinition/regex`},
		"http://hl7.org/fhir/StructureDefinition/Observation":     {`"contentReference":"#Observation.referenceRange"`, `"code":"SampledData"`, `"targetProfile"`},
		"http://hl7.org/fhir/StructureDefinition/bp":              {`"sliceName":"SystolicBP"`, `"discriminator"`, `"fixedCode"`, `"mustSupport":true`},
		"http://hl7.org/fhir/StructureDefinition/SimpleQuantity":  {`"max":"0"`, `"key":"sqty-1"`},
		"http://hl7.org/fhir/ValueSet/languages":                  {`"system":"urn:ietf:bcp:47"`, `"code":"de-CH"`, `"display"`},
		"http://hl7.org/fhir/issue-type":                          {`"code":"invalid"`, `"concept":[{"code":"structure"`, `"caseSensitive":true`, `"content":"complete"`},
		"http://terminology.hl7.org/CodeSystem/v3-ActCode":        {`"property"`, `"notSelectable"`, `"hierarchyMeaning":"is-a"`},
		"http://hl7.org/fhir/OperationDefinition/ValueSet-expand": {`"parameter"`, `"name":"activeOnly"`, `"type":true`},
	} {
		text, ok := d.Canonical(url)
		if !ok {
			t.Errorf("no %s", url)
		}
		for _, want := range wants {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s lacks %s", url, want)
			}
		}
	}
}

// Every value set that an element of a type is bound to with strength required
// is among the definitions, but for an answer list of LOINC.
func TestRequiredBindings(t *testing.T) {
	d := Definitions()
	n, missing := map[string]bool{}, 0
	visit := func(ty *fhir.Type) {
		for i := range ty.Fields {
			if b := ty.Fields[i].Binding; b != nil && b.Strength == "required" && b.ValueSet != "http://loinc.org/vs/LL379-9|4.0.1" && !n[b.ValueSet] {
				n[b.ValueSet] = true
				if _, ok := d.CanonicalOf("ValueSet", b.ValueSet); !ok {
					missing++
					t.Logf("%s.%s: %s", ty.Name, ty.Fields[i].Name, b.ValueSet)
				}
			}
		}
	}
	for ty := range d.Types() {
		visit(ty)
	}
	t.Logf("%d value sets in required bindings, %d not among the definitions", len(n), missing)
	if len(n) < 200 || missing > 0 {
		t.Errorf("%d of %d value sets are missing", missing, len(n))
	}
}

func TestConcurrentUse(t *testing.T) {
	d := fresh()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, name := range d.ResourceTypes() {
				if d.Type(name) == nil || len(d.SearchParams(name)) == 0 {
					t.Errorf("nothing of %s", name)
				}
				if _, ok := d.Canonical("http://hl7.org/fhir/StructureDefinition/" + name); !ok {
					t.Errorf("no definition of %s", name)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkFirstType(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if fresh().Type("Patient") == nil {
			b.Fatal("no Patient")
		}
	}
}

func BenchmarkFirstSearchParams(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if len(fresh().SearchParams("Patient")) == 0 {
			b.Fatal("nothing")
		}
	}
}

func BenchmarkFirstCanonical(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := fresh().Canonical("http://hl7.org/fhir/StructureDefinition/Patient"); !ok {
			b.Fatal("nothing")
		}
	}
}

func BenchmarkAllTypes(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		for range fresh().Types() {
		}
	}
}

func BenchmarkResourceTypes(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		fresh().ResourceTypes()
	}
}

func BenchmarkType(b *testing.B) {
	d := Definitions()
	for b.Loop() {
		d.Type("Patient.contact")
	}
}

func BenchmarkMember(b *testing.B) {
	ty, key := Definitions().Type("Observation"), []byte("valueQuantity")
	for b.Loop() {
		ty.MemberBytes(key)
	}
}

// What everything loaded at once costs to keep.
func BenchmarkRetained(b *testing.B) {
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		d := fresh()
		for range d.Types() {
		}
		d.SearchParams("Patient")
		d.Canonical("http://hl7.org/fhir/StructureDefinition/Patient")
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1024, "KB-kept")
		runtime.KeepAlive(d)
	}
}
