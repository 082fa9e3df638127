package server_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"ingle/fhir"
	"ingle/fhir/r4"
	"ingle/interaction"
	"ingle/internal/testdata"
	"ingle/profiles"
	"ingle/server/servertest"
)

// sampleValue is a value that a parameter of the type accepts.
var sampleValue = map[string]string{"number": "1", "date": "2020", "string": "x", "token": "x", "reference": "Patient/x", "quantity": "1", "uri": "http://x", "composite": "", "special": ""}

// composite builds a value for a composite parameter out of its components.
func composite(t *testing.T, defs *fhir.Definitions, typ, code string) string {
	t.Helper()
	p := defs.SearchParam(typ, code)
	var parts []string
	for _, c := range p.Components {
		part := defs.SearchParamByURL(c.Definition)
		if part == nil {
			t.Fatalf("%s.%s: component %s is not known", typ, code, c.Definition)
		}
		parts = append(parts, sampleValue[part.Type])
	}
	return strings.Join(parts, "$")
}

// Every search parameter, include and interaction of the CapabilityStatement
// works.
func TestCapabilityStatement(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	defs := r4.Definitions()
	m := s.Get("/metadata").Is(200)
	for path, want := range map[string]string{"resourceType": "CapabilityStatement", "status": "active", "kind": "instance", "fhirVersion": "4.0.1", "implementation.url": s.Base,
		"url": s.Base + "/metadata", "software.name": "Ingle", "software.version": "test", "date": "2026-01-02T03:04:05Z", "format.0": "application/fhir+json", "patchFormat.0": "application/json-patch+json"} {
		if got := m.Text(path); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	v, err := profiles.New(profiles.NewRegistry(defs), profiles.Config{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if issues := v.ValidateNode(t.Context(), m.Root(), profiles.Request{}); profiles.HasErrors(issues) {
		t.Errorf("the CapabilityStatement is not valid: %+v", issues)
	}
	rest := servertest.At(m.Root(), "rest.0")
	params, includes := 0, 0
	var types []string
	for r := rest.Get("resource").First(); r.Valid(); r = r.Next() {
		typ := r.Get("type").Text()
		types = append(types, typ)
		listed := map[string]bool{}
		for p := r.Get("searchParam").First(); p.Valid(); p = p.Next() {
			name, kind := p.Get("name").Text(), p.Get("type").Text()
			listed[name] = true
			if name[0] == '_' && typ != "Patient" {
				continue // the same for every type
			}
			value := sampleValue[kind]
			switch {
			case kind == "composite":
				value = composite(t, defs, typ, name)
			case name == "_filter":
				value = "_id eq x"
			case name == "_has":
				name, value = "_has:Provenance:target:_id", "x"
			case name == "_list":
				value = "x"
			case kind == "special":
				value = "1|1|1|km"
			}
			a := s.Get("/" + typ + "?_count=1&" + name + "=" + url.QueryEscape(value))
			if a.Status != 200 {
				t.Errorf("%s?%s=%s (%s) is listed and answers %d: %.300s", typ, name, value, kind, a.Status, a.Body)
			}
			params++
		}
		for _, p := range defs.SearchParams(typ) {
			if !listed[p.Code] {
				if a := s.Get("/" + typ + "?" + p.Code + "=x"); a.Status != 400 {
					t.Errorf("%s?%s is not listed and answers %d", typ, p.Code, a.Status)
				}
			}
		}
		for name, list := range map[string]fhir.Node{"_include": r.Get("searchInclude"), "_revinclude": r.Get("searchRevInclude")} {
			var all []string
			for n := list.First(); n.Valid(); n = n.Next() {
				all = append(all, n.Text())
			}
			includes += len(all)
			for chunk := range slices.Chunk(all, 32) {
				q := ""
				for _, v := range chunk {
					q += "&" + name + "=" + url.QueryEscape(v)
				}
				if a := s.Get("/" + typ + "?_count=1" + q); a.Status != 200 {
					t.Errorf("%s with %s %v answers %d: %.300s", typ, name, chunk, a.Status, a.Body)
				}
			}
		}
	}
	if !slices.Equal(types, defs.ResourceTypes()) {
		t.Errorf("%d types listed of %d", len(types), len(defs.ResourceTypes()))
	}
	for p := rest.Get("searchParam").First(); p.Valid(); p = p.Next() {
		name, value := p.Get("name").Text(), sampleValue[p.Get("type").Text()]
		switch name {
		case "_type":
			value = "Patient"
		case "_filter":
			value = "_id eq x"
		case "_has":
			name, value = "_has:Provenance:target:_id", "x"
		case "_list":
			value = "x"
		}
		s.Get("/?_count=1&" + name + "=" + url.QueryEscape(value)).Is(200)
	}
	t.Logf("capabilities: %d types, %d search parameters, %d includes", len(types), params, includes)

	if n := servertest.At(s.Get("/metadata?mode=normative").Is(200).Root(), "rest.0.resource").Len(); n != 11 {
		t.Errorf("mode=normative lists %d resources", n)
	}
	s.Get("/metadata?mode=full").Is(200)
	if tc := s.Get("/metadata?mode=terminology").Is(200); tc.Text("resourceType") != "TerminologyCapabilities" {
		t.Errorf("%s", tc.Body)
	}
	s.Get("/metadata?mode=other").Is(400)
	s.Get("/metadata?foo=1").Is(400)
	s.Get("/metadata?_summary=true").Is(200).Has("SUBSETTED")
	if sw := servertest.Start(t, servertest.Options{Interaction: func(c *interaction.Config) { c.UpdateCreate, c.DeleteLimit = false, 1 }}).Get("/metadata").Is(200); sw.Text("rest.0.resource.0.conditionalDelete") != "single" || sw.Text("rest.0.resource.0.updateCreate") != "false" {
		t.Error("the switches are not in the CapabilityStatement")
	}
}

// refusedExamples break the base specification, or a limit of this server.
var refusedExamples = map[string]string{
	"SearchParameter-questionnaireresponse-extensions-QuestionnaireResponse-item-subject": "an id has",
	"Observation-decimal": "exponent",
}

// formatOnly is validation with the mode off.
func formatOnly(t *testing.T) profiles.Gate {
	t.Helper()
	v, err := profiles.New(profiles.NewRegistry(r4.Definitions()), profiles.Config{Mode: profiles.Off}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v.Gate()
}

// Every official example of R4 is stored and comes back whole; for one of each
// type every interaction works that the CapabilityStatement lists.
func TestOfficialExamples(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{Interaction: func(c *interaction.Config) { c.Validator = formatOnly(t) }})
	examples, passed, failed, refused := 0, 0, 0, 0
	tried := map[string]bool{}
	for name, data := range testdata.Tar(t, "r4-examples.tar.zst") {
		if !strings.HasSuffix(name, ".json") {
			continue
		}
		doc, err := fhir.Parse(data, fhir.Limits{})
		if err != nil {
			if why := refusedExamples[strings.TrimSuffix(name[strings.LastIndexByte(name, '/')+1:], ".json")]; why != "" && strings.Contains(err.Error(), why) {
				refused++
				continue
			}
			t.Errorf("%s: %v", name, err)
			failed++
			continue
		}
		typ := doc.Root().Get("resourceType").Text()
		if !r4.Definitions().IsResourceType(typ) {
			continue
		}
		if examples++; tried[typ] && !testdata.Some(examples, 8) {
			continue
		}
		a := s.Post("/"+typ, string(data))
		if why, bad := refusedExamples[strings.TrimSuffix(name[strings.LastIndexByte(name, '/')+1:], ".json")]; bad {
			if a.Status != 400 || !strings.Contains(string(a.Body), why) {
				t.Errorf("%s: %d, want 400 for %s: %.500s", name, a.Status, why, a.Body)
			}
			refused++
			continue
		}
		if a.Status != 201 {
			t.Errorf("%s: %d %.500s", name, a.Status, a.Body)
			failed++
			continue
		}
		passed++
		id := a.ID()
		got := s.Get("/" + typ + "/" + id + "?_format=application/fhir%2Bjson").Is(200)
		if !sameResource(doc.Root(), got.Root()) {
			t.Errorf("%s came back changed", name)
		}
		if tried[typ] {
			continue
		}
		tried[typ] = true
		s.Put("/"+typ+"/"+id, string(got.Body)).Is(200)
		s.Do("PATCH", "/"+typ+"/"+id, `[{"op":"add","path":"/language","value":"en"}]`, "Content-Type", "application/json-patch+json").Is(200)
		s.Get("/"+typ+"/"+id+"/_history/1", "Accept", "application/fhir+json").Is(200)
		if h := s.Get("/" + typ + "/" + id + "/_history").Is(200); h.Text("total") != "3" {
			t.Errorf("%s: %s versions", name, h.Text("total"))
		}
		s.Get("/" + typ + "/_history?_count=1").Is(200)
		if f := s.Get("/" + typ + "?_id=" + id).Is(200); !slices.Equal(f.IDs("match"), []string{typ + "/" + id}) {
			t.Errorf("%s: found %v", name, f.IDs("match"))
		}
		s.Get("/" + typ + "?_id=" + id + "&_summary=true").Is(200)
		s.Delete("/"+typ+"/"+id).Is(204, 409)
	}
	t.Logf("examples: %d passed, %d failed; %d that break R4 refused; %d types", passed, failed, refused, len(tried))
	if passed < 500 && !testdata.Race {
		t.Errorf("only %d examples", passed)
	}
}

// sameResource compares two resources but for what the server sets.
func sameResource(a, b fhir.Node) bool {
	for m := a.First(); m.Valid(); m = m.Next() {
		switch m.Key() {
		case "id", "meta":
			continue
		}
		if fmt.Sprint(canonical(m)) != fmt.Sprint(canonical(b.Get(m.Key()))) {
			return false
		}
	}
	return true
}

// canonical is a value without the order of its members.
func canonical(n fhir.Node) any {
	switch n.Kind() {
	case fhir.Object:
		out := map[string]any{}
		for m := n.First(); m.Valid(); m = m.Next() {
			out[m.Key()] = canonical(m)
		}
		return out
	case fhir.Array:
		var out []any
		for m := n.First(); m.Valid(); m = m.Next() {
			out = append(out, canonical(m))
		}
		return out
	}
	return n.Kind().String() + n.Text()
}
