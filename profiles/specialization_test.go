package profiles

import (
	"strings"
	"testing"

	"ingle/fhir"
	"ingle/fhir/r4"
)

const viewDefinition = `{"resourceType":"StructureDefinition","id":"ViewDefinition","url":"http://t/StructureDefinition/ViewDefinition","name":"ViewDefinition","status":"draft",
	"kind":"resource","abstract":false,"type":"ViewDefinition","baseDefinition":"http://hl7.org/fhir/StructureDefinition/DomainResource","derivation":"specialization",
	"differential":{"element":[
		{"id":"ViewDefinition","path":"ViewDefinition","short":"A view","constraint":[{"key":"v-1","severity":"error","human":"a name or a title","expression":"name.exists() or title.exists()"}]},
		{"id":"ViewDefinition.url","path":"ViewDefinition.url","min":0,"max":"1","type":[{"code":"uri"}],"isSummary":true},
		{"id":"ViewDefinition.name","path":"ViewDefinition.name","min":0,"max":"1","type":[{"code":"string"}]},
		{"id":"ViewDefinition.title","path":"ViewDefinition.title","min":0,"max":"1","type":[{"code":"string"}]},
		{"id":"ViewDefinition.status","path":"ViewDefinition.status","min":1,"max":"1","type":[{"code":"code"}],"binding":{"strength":"required","valueSet":"http://hl7.org/fhir/ValueSet/publication-status"}},
		{"id":"ViewDefinition.subject[x]","path":"ViewDefinition.subject[x]","min":0,"max":"1","type":[{"code":"CodeableConcept"},{"code":"Reference","targetProfile":["http://hl7.org/fhir/StructureDefinition/Patient"]}]},
		{"id":"ViewDefinition.select","path":"ViewDefinition.select","min":1,"max":"*","type":[{"code":"BackboneElement"}]},
		{"id":"ViewDefinition.select.column","path":"ViewDefinition.select.column","min":0,"max":"*","type":[{"code":"BackboneElement"}]},
		{"id":"ViewDefinition.select.column.path","path":"ViewDefinition.select.column.path","min":1,"max":"1","type":[{"code":"string"}]},
		{"id":"ViewDefinition.select.select","path":"ViewDefinition.select.select","min":0,"max":"*","contentReference":"#ViewDefinition.select"}]}}`

// extended is a validator over definitions with the resource type above.
func extended(t *testing.T) *Validator {
	t.Helper()
	defs := r4.Definitions().Extensible()
	reg := NewRegistry(defs)
	if err := reg.Set("StructureDefinition/ViewDefinition", []byte(viewDefinition)); err != nil {
		t.Fatal(err)
	}
	v, err := New(reg, Config{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	added, err := v.ResourceType(parse(t, []byte(viewDefinition)).Root())
	if err != nil || added == nil {
		t.Fatal(added, err)
	}
	added.Number = fhir.FirstAdded
	defs.SetAdded([]fhir.AddedType{*added})
	return v
}

func TestAddedResourceType(t *testing.T) {
	t.Parallel()
	v := extended(t)
	for src, want := range map[string]string{
		`{"resourceType":"ViewDefinition","status":"active","name":"n","select":[{"column":[{"path":"id"}]}]}`: "",
		`{"resourceType":"ViewDefinition","id":"x","meta":{"versionId":"1"},"extension":[{"url":"http://e/x","valueCode":"x"}],"status":"active","title":"n","subjectReference":{"reference":"Patient/1"},"select":[{"id":"s","select":[{"column":[{"path":"id"}]}]}]}`: "",
		`{"resourceType":"ViewDefinition","name":"n","select":[{}]}`:                                                                      "ViewDefinition.status is required",
		`{"resourceType":"ViewDefinition","name":"n","status":"new","select":[{"id":"s"}]}`:                                               "ViewDefinition.status",
		`{"resourceType":"ViewDefinition","name":"n","status":"active"}`:                                                                  "ViewDefinition.select is required",
		`{"resourceType":"ViewDefinition","status":"active","select":[{"column":[{"path":"id"}]}]}`:                                       "v-1",
		`{"resourceType":"ViewDefinition","name":"n","status":"active","select":[{"select":[{"column":[{"id":"x"}]}]}]}`:                  "ViewDefinition.select[0].select[0].column[0]",
		`{"resourceType":"ViewDefinition","name":"n","status":"active","select":[{"id":"s"}],"other":1}`:                                  "other",
		`{"resourceType":"ViewDefinition","name":"n","status":"active","select":[{"id":"s"}],"subjectReference":{"reference":"Group/1"}}`: "Group",
	} {
		issues := errorsOf(v.Validate(t.Context(), parse(t, []byte(src)), Request{Schema: true}))
		if want == "" && len(issues) == 0 {
			continue
		}
		if want == "" || len(issues) == 0 {
			t.Errorf("%s: %v", src, issues)
			continue
		}
		found := false
		for _, is := range issues {
			found = found || strings.Contains(describe(is), want)
		}
		if !found {
			t.Errorf("%s: %v, want %s", src, issues, want)
		}
	}
}

func TestNoResourceType(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ old, now, want string }{
		{`"type":"ViewDefinition"`, `"type":"Patient"`, "is a type of FHIR"},
		{`"type":"ViewDefinition"`, `"type":"HumanName"`, "is a type of FHIR"},
		{`"type":"ViewDefinition"`, `"type":"viewDefinition"`, "cannot be the name"},
		{`"type":"ViewDefinition"`, `"type":"http://t/ViewDefinition"`, "cannot be the name"},
		{`StructureDefinition/DomainResource"`, `StructureDefinition/Patient"`, "specializes"},
		{`"code":"uri"`, `"code":"Nothing"`, "which is not known"},
		{`"#ViewDefinition.select"`, `"#ViewDefinition.other"`, "which is not known"},
		{`"kind":"resource"`, `"kind":"logical"`, "none"},
		{`"abstract":false`, `"abstract":true`, "none"},
	} {
		src := strings.ReplaceAll(viewDefinition, c.old, c.now)
		added, err := base().ResourceType(parse(t, []byte(src)).Root())
		switch {
		case c.want == "none" && (added != nil || err != nil), c.want != "none" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v %v, want %s", c.now, added, err, c.want)
		}
	}
}
