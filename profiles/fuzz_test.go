package profiles

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"ingle/fhir"
)

// FuzzValidate: no document makes the validator fail, and what it says has a
// place in the document.
func FuzzValidate(f *testing.F) {
	for _, s := range []string{
		`{"resourceType":"Patient","_birthDate":{"extension":[{"url":"http://x/y","valueCode":"a"}]},"name":[{"given":["a",null],"_given":[null,{"id":"x"}]}]}`,
		`{"resourceType":"Observation","contained":[{"resourceType":"Patient","id":"p"}],"subject":{"reference":"#p"},"valueQuantity":{"value":1e2}}`,
		`{"resourceType":"Bundle","type":"document","entry":[{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Composition","section":[{"entry":[{"reference":"Patient/1"}]}]}}]}`,
		`{"resourceType":"Parameters","parameter":[{"name":"a","part":[{"name":"b","resource":{"resourceType":"Basic"}}]}]}`,
		`{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns='x'><p a=\"&amp;\">x</p></div>"}}`,
		`{"resourceType":"StructureDefinition","derivation":"constraint","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient","differential":{"element":[{"path":"Patient.name.x","id":"a:b.c"}]}}`,
		`{"resourceType":"ValueSet","compose":{"include":[{"system":"http://snomed.info/sct","filter":[{"property":"constraint","op":"=","value":"< 1"}]}]}}`,
		`[]`, `{}`, `{"resourceType":{}}`, `{"resourceType":"Extension"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		doc, err := fhir.Parse(src, fhir.Limits{Nodes: 2000})
		if err != nil {
			return
		}
		for _, is := range base().Validate(t.Context(), doc, Request{Warnings: true, Rules: true}) {
			if is.Diagnostics == "" || is.Severity == "" || is.Code == "" {
				t.Errorf("an issue says nothing: %+v", is)
			}
			if is.Line > bytes.Count(src, []byte{'\n'})+1 {
				t.Errorf("line %d of %d", is.Line, bytes.Count(src, []byte{'\n'})+1)
			}
		}
	})
}

// FuzzProfile: no profile makes the compiler or the snapshot generator fail.
func FuzzProfile(f *testing.F) {
	f.Add([]byte(`{"resourceType":"StructureDefinition","url":"http://t/x","type":"Patient","derivation":"constraint","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient",
		"differential":{"element":[{"path":"Patient.name","slicing":{"discriminator":[{"type":"value","path":"use"}],"rules":"closed"}},{"path":"Patient.name","sliceName":"a/b","min":1}]}}`))
	f.Add([]byte(`{"resourceType":"StructureDefinition","url":"http://t/x","type":"Patient","derivation":"constraint","baseDefinition":"http://t/x","differential":{"element":[{"path":"Patient"}]}}`))
	f.Add([]byte(`{"resourceType":"StructureDefinition","url":"http://t/x","type":"Patient","derivation":"constraint","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient",
		"snapshot":{"element":[{"path":"Patient"},{"path":"Patient.contact","contentReference":"#Patient.contact"},{"path":"Patient.contact.name"}]}}`))
	f.Fuzz(func(t *testing.T, src []byte) {
		useProfile(t, src, "http://t/x", `{"resourceType":"Patient","name":[{"use":"usual","family":"x"}],"contact":[{"name":{"text":"x"}}],"extension":[{"url":"http://t/x","valueCode":"x"}]}`)
	})
}

// useProfile validates an instance against a profile and makes its snapshot.
func useProfile(t *testing.T, profile []byte, url, instance string) {
	t.Helper()
	reg := NewRegistry(base().Registry().Definitions())
	if reg.Set("x", profile) != nil {
		return
	}
	v, err := New(reg, Config{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	v.Validate(t.Context(), parse(t, []byte(instance)), Request{Profiles: []string{url}})
	if p, err := fhir.Parse(profile, fhir.Limits{}); err == nil {
		_, _ = v.Snapshot(p)
	}
}

// FuzzEditedProfile: no more does a real profile with a few parts removed,
// repeated, renamed or replaced. Three bytes are one edit: where, how, and by what.
func FuzzEditedProfile(f *testing.F) {
	const url = "http://t/edited"
	subjects := []struct{ profile, instance string }{
		{"bp", `{"resourceType":"Observation","status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs"}]}],
			"code":{"coding":[{"system":"http://loinc.org","code":"85354-9"}]},"subject":{"reference":"Patient/1"},"effectiveDateTime":"2020","component":[{"code":{"text":"x"},"valueQuantity":{"value":1}}]}`},
		{"clinicaldocument", `{"resourceType":"Composition","status":"final","type":{"text":"x"},"subject":{"reference":"#p"},"contained":[{"resourceType":"Patient","id":"p"}],"date":"2020","author":[{"display":"x"}],
			"title":"x","section":[{"title":"a","section":[{"title":"b","entry":[{"reference":"#p"}]}]}]}`},
		{"groupdefinition", `{"resourceType":"Group","type":"person","actual":false,"characteristic":[{"code":{"text":"x"},"valueBoolean":true,"exclude":false}]}`},
		{"humanname-assembly-order", `{"resourceType":"Patient","name":[{"family":"x","extension":[{"url":"http://hl7.org/fhir/StructureDefinition/humanname-assembly-order","valueCode":"F"}]}]}`},
	}
	for i := range subjects {
		for seed := range uint64(6) {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			script := make([]byte, 3+3*r.IntN(8))
			for k := range script {
				script[k] = byte(r.Uint32())
			}
			f.Add(uint8(i), seed%2 == 0, script)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, differential bool, script []byte) {
		subject := subjects[int(which)%len(subjects)]
		src, ok := base().Registry().Definitions().CanonicalOf("StructureDefinition", sdPrefix+subject.profile)
		if !ok {
			t.Fatal(subject.profile)
		}
		var tree map[string]any
		if err := json.Unmarshal(src, &tree); err != nil {
			t.Fatal(err)
		}
		if differential { // R4's have a snapshot alone
			tree["differential"] = tree["snapshot"]
			delete(tree, "snapshot")
		}
		for i := 0; i+3 <= len(script) && i < 60; i += 3 {
			edit(tree, script[i], script[i+1], script[i+2])
		}
		tree["url"] = url
		edited, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		useProfile(t, edited, url, subject.instance)
	})
}

// edit changes one place of a tree.
func edit(tree map[string]any, where, how, by byte) {
	type place struct {
		object map[string]any
		list   []any
		key    string
		at     int
	}
	var places []place
	var values []any
	var visit func(v any)
	visit = func(v any) {
		values = append(values, v)
		switch v := v.(type) {
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				places = append(places, place{object: v, key: k})
				visit(v[k])
			}
		case []any:
			for i := range v {
				places = append(places, place{list: v, at: i})
				visit(v[i])
			}
		}
	}
	for _, part := range []string{"differential", "snapshot"} {
		visit(tree[part])
	}
	if len(places) == 0 {
		return
	}
	p := places[(int(where)*257+int(how)*31)%len(places)]
	words := []any{"", "x", "*", 0, -1, 1e9, true, nil, map[string]any{}, []any{}, "http://t/edited", "#Patient", "$this", "resolve()", "Extension", "Patient.contact.name", "a.b.c", "value[x]",
		"http://hl7.org/fhir/StructureDefinition/Patient", "Resource", "BackboneElement", "((", "type", "profile", "closed", "openAtEnd"}
	var now any
	switch how % 4 {
	case 0:
		now = words[int(by)%len(words)]
	case 1:
		now = values[int(by)*7%len(values)]
	case 2:
		if p.object == nil {
			now = p.list[int(by)%len(p.list)]
			break
		}
		delete(p.object, p.key)
		return
	case 3:
		if p.object != nil {
			p.object[fmt.Sprint(words[int(by)%len(words)])] = p.object[p.key]
			return
		}
		now = []any{p.list[p.at], p.list[p.at]}
	}
	now = copied(now)
	if p.object != nil {
		p.object[p.key] = now
	} else {
		p.list[p.at] = now
	}
}

// copied keeps a tree from holding itself.
func copied(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = copied(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = copied(x)
		}
		return out
	}
	return v
}

// FuzzReadPackage: no archive makes the reader fail, whether its compression or
// what is inside is broken.
func FuzzReadPackage(f *testing.F) {
	whole := archive(f, map[string]string{"package/package.json": `{"name":"a","version":"1","dependencies":{"b":"1.x"}}`, "package/x.json": `{"resourceType":"ValueSet","url":"http://t"}`})
	f.Add(whole, false)
	f.Add([]byte("\x1f\x8b"), false)
	zr, err := gzip.NewReader(bytes.NewReader(whole))
	if err != nil {
		f.Fatal(err)
	}
	inside, err := io.ReadAll(zr)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(inside, true)
	f.Fuzz(func(t *testing.T, src []byte, compress bool) {
		if compress {
			var b bytes.Buffer
			w, _ := gzip.NewWriterLevel(&b, gzip.NoCompression)
			_, _ = w.Write(src)
			_ = w.Close()
			src = b.Bytes()
		}
		p, err := ReadPackage(bytes.NewReader(src))
		if (p == nil) == (err == nil) {
			t.Errorf("%v, %v", p, err)
		}
		if p != nil {
			_ = NewRegistry(base().Registry().Definitions()).Load(p)
		}
	})
}
