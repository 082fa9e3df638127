package r4

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"ingle/fhir"
)

func TestResourceTypes(t *testing.T) {
	d := Definitions()
	names := d.ResourceTypes()
	if len(names) != 146 || !slices.IsSorted(names) {
		t.Fatalf("%d resource types, sorted %v; want 146, sorted", len(names), slices.IsSorted(names))
	}
	for _, name := range names {
		n := d.TypeNumber(name)
		if n == 0 {
			t.Errorf("%s has no number in fhir/typenumber.go", name)
		}
		if d.TypeName(n) != name {
			t.Errorf("number %d stands for %q, want %q", n, d.TypeName(n), name)
		}
		ty := d.Type(name)
		if ty == nil || ty.Kind != fhir.TypeResource || ty.Abstract {
			t.Fatalf("Type(%q) = %+v", name, ty)
		}
	}
	for _, name := range []string{"Resource", "DomainResource", "HumanName", "patient", "", "MetadataResource"} {
		if d.IsResourceType(name) || d.TypeNumber(name) != 0 {
			t.Errorf("%q is taken for a concrete resource type", name)
		}
	}
	for _, n := range []int16{-1, 0, 147, 32767} {
		if name := d.TypeName(n); name != "" {
			t.Errorf("TypeName(%d) = %q", n, name)
		}
	}
}

// The numbers are stored in databases: these must hold for ever.
func TestTypeNumbersStay(t *testing.T) {
	for name, want := range map[string]int16{"Account": 1, "Binary": 9, "Observation": 96, "Patient": 103, "VisionPrescription": 146} {
		if got := Definitions().TypeNumber(name); got != want {
			t.Errorf("%s has the number %d, want %d", name, got, want)
		}
	}
}

// Every type that an element names can be had, down from all resources and
// data types.
func TestTypesResolve(t *testing.T) {
	d := Definitions()
	seen := map[string]bool{}
	var visit func(name, from string)
	fields := 0
	visit = func(name, from string) {
		if seen[name] {
			return
		}
		seen[name] = true
		ty := d.Type(name)
		if ty == nil {
			t.Errorf("%s has the unknown type %q", from, name)
			return
		}
		if ty.Base != "" {
			visit(ty.Base, name)
		} else if name != "Element" && name != "Resource" {
			t.Errorf("%s has no base", name)
		}
		for i := range ty.Fields {
			f := &ty.Fields[i]
			fields++
			if f.Order != i || ty.Field(f.Name) != f || len(f.Types) == 0 || f.Origin == "" {
				t.Errorf("%s.%s is not sound: %+v", name, f.Name, f)
			}
			if len(f.Types) > 1 && !f.Choice {
				t.Errorf("%s.%s has %d types and is no choice", name, f.Name, len(f.Types))
			}
			for _, ref := range f.Types {
				visit(ref.Code, name+"."+f.Name)
				for _, target := range ref.Targets {
					if !d.IsResourceType(target) {
						t.Errorf("%s.%s refers to the unknown type %q", name, f.Name, target)
					}
				}
			}
		}
	}
	for _, name := range append(d.ResourceTypes(), "Resource", "DomainResource", "Element", "BackboneElement") {
		visit(name, "")
	}
	t.Logf("%d types, %d fields", len(seen), fields)
	if len(seen) < 682 {
		t.Errorf("only %d types", len(seen))
	}
}

func TestType(t *testing.T) {
	d := Definitions()
	tests := []struct {
		path  string // type/field
		types string
		card  string
		flags string
	}{
		{"Patient/birthDate", "date", "0..1", "summary"},
		{"Patient/contact", "Patient.contact", "0..*", ""},
		{"Patient.contact/name", "HumanName", "0..1", ""},
		{"Patient.contact/modifierExtension", "Extension", "0..*", "summary modifier"},
		{"Patient/active", "boolean", "0..1", "summary modifier"},
		{"Patient/id", "id", "0..1", "summary"},
		{"Patient/meta", "Meta", "0..1", "summary"},
		{"Patient/contained", "Resource", "0..*", ""},
		{"Patient/deceased", "boolean dateTime", "0..1", "summary modifier choice"},
		{"HumanName/id", "string", "0..1", ""},
		{"Observation.component/referenceRange", "Observation.referenceRange", "0..*", ""},
		{"Observation/subject", "Reference(Patient,Group,Device,Location)", "0..1", "summary"},
		{"Observation/focus", "Reference", "0..*", "summary"},
		{"Observation/status", "code", "1..1", "summary modifier required http://hl7.org/fhir/ValueSet/observation-status|4.0.1"},
		{"Questionnaire.item/item", "Questionnaire.item", "0..*", ""},
		{"Questionnaire.item.item/linkId", "string", "1..1", ""},
		{"ValueSet.compose.exclude.concept.designation/value", "string", "1..1", ""},
		{"Timing.repeat/period", "decimal", "0..1", "summary"},
		{"Bundle.entry/resource", "Resource", "0..1", "summary"},
		{"Narrative/div", "xhtml", "1..1", ""},
		{"Extension/url", "uri", "1..1", ""},
		{"string/extension", "Extension", "0..*", ""},
		{"Age/value", "decimal", "0..1", "summary"},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			name, fieldName, _ := strings.Cut(tt.path, "/")
			ty := d.Type(name)
			if ty == nil {
				t.Fatalf("no type %s", name)
			}
			f := ty.Field(fieldName)
			if f == nil {
				t.Fatalf("no field %s", fieldName)
			}
			var types, flags []string
			for _, ref := range f.Types {
				text := ref.Code
				if len(ref.Targets) > 0 {
					text += "(" + strings.Join(ref.Targets, ",") + ")"
				}
				types = append(types, text)
			}
			card := fmt.Sprintf("%d..%d", f.Min, f.Max)
			if f.Max == fhir.Unbounded {
				card = fmt.Sprintf("%d..*", f.Min)
			}
			for flag, on := range map[string]bool{"summary": f.Summary, "modifier": f.Modifier, "choice": f.Choice} {
				if on != slices.Contains(strings.Fields(tt.flags), flag) {
					t.Errorf("%s is %v", flag, on)
				}
			}
			if f.Binding != nil && f.Binding.Strength == "required" {
				flags = append(flags, "required", f.Binding.ValueSet)
			}
			if got := strings.Join(types, " "); got != tt.types {
				t.Errorf("types %s, want %s", got, tt.types)
			}
			if card != tt.card {
				t.Errorf("cardinality %s, want %s", card, tt.card)
			}
			if len(flags) > 0 && !strings.Contains(tt.flags, strings.Join(flags, " ")) {
				t.Errorf("binding %v", flags)
			}
		})
	}
	for _, name := range []string{"", ".", "Nothing", "Patient.name", "Patient.nothing", "Patient.contact.name", "Patient.", "SimpleQuantity"} {
		if ty := d.Type(name); ty != nil {
			t.Errorf("Type(%q) = %s", name, ty.Name)
		}
	}
	if re := d.Type("id").Regex; re != `[A-Za-z0-9\-\.]{1,64}` {
		t.Errorf("regex of id: %s", re)
	}
}

func TestMember(t *testing.T) {
	d := Definitions()
	tests := []struct {
		typeName, key string
		field, value  string
		ext           bool
	}{
		{"Observation", "valueQuantity", "value", "Quantity", false},
		{"Observation", "valueDateTime", "value", "dateTime", false},
		{"Observation", "_valueDateTime", "value", "dateTime", true},
		{"Observation", "_valueQuantity", "", "", false},
		{"Observation", "value", "", "", false},
		{"Observation", "valueMoney", "", "", false},
		{"Observation", "component", "component", "Observation.component", false},
		{"Patient", "birthDate", "birthDate", "date", false},
		{"Patient", "_birthDate", "birthDate", "date", true},
		{"Patient", "_name", "", "", false},
		{"Patient", "__birthDate", "", "", false},
		{"Patient", "_", "", "", false},
		{"Patient", "", "", "", false},
		{"Patient", "resourceType", "", "", false},
		{"Narrative", "_div", "", "", false},
		{"Extension", "valueBase64Binary", "value", "base64Binary", false},
	}
	for _, tt := range tests {
		ty := d.Type(tt.typeName)
		f, value, ext := ty.Member(tt.key)
		f2, value2, ext2 := ty.MemberBytes([]byte(tt.key))
		name := ""
		if f != nil {
			name = f.Name
		}
		if name != tt.field || value != tt.value || ext != tt.ext {
			t.Errorf("%s.Member(%q) = %q %q %v", tt.typeName, tt.key, name, value, ext)
		}
		if f2 != f || value2 != value || ext2 != ext {
			t.Errorf("%s.MemberBytes(%q) differs", tt.typeName, tt.key)
		}
	}
	ty, key := d.Type("Observation"), []byte("_valueDateTime")
	if n := testing.AllocsPerRun(100, func() { ty.MemberBytes(key) }); n != 0 {
		t.Errorf("MemberBytes allocates %v times", n)
	}
}

func TestSearchParams(t *testing.T) {
	d := Definitions()
	counts := map[string]int{}
	for _, p := range d.AllSearchParams() {
		counts[p.Type]++
		if d.SearchParamByURL(p.URL) != p {
			t.Errorf("%s is not found by its URL", p.URL)
		}
		for _, target := range p.Target {
			if !d.IsResourceType(target) {
				t.Errorf("%s has the unknown target %q", p.URL, target)
			}
		}
		if (p.Type == "composite") != (len(p.Components) > 0) {
			t.Errorf("%s is of type %s with %d components", p.URL, p.Type, len(p.Components))
		}
		for _, c := range p.Components {
			if d.SearchParamByURL(c.Definition) == nil || c.Expression == "" {
				t.Errorf("%s has the unsound component %+v", p.URL, c)
			}
		}
		for _, base := range p.Base {
			if d.SearchParam(base, p.Code) != p {
				t.Errorf("%s is not found under %s", p.Code, base)
			}
		}
	}
	want := map[string]int{"token": 536, "reference": 472, "string": 133, "date": 109, "composite": 46, "uri": 45, "quantity": 27, "number": 6, "special": 1}
	if fmt.Sprint(counts) != fmt.Sprint(want) {
		t.Errorf("search parameters by type: %v, want %v", counts, want)
	}
	for _, name := range d.ResourceTypes() {
		list := d.SearchParams(name)
		for i, p := range list {
			if i > 0 && list[i-1].Code >= p.Code {
				t.Errorf("%s: %s after %s", name, p.Code, list[i-1].Code)
			}
		}
		if d.SearchParam(name, "_id") == nil || d.SearchParam(name, "_lastUpdated") == nil {
			t.Errorf("%s lacks the parameters of Resource", name)
		}
		domain := d.Type(name).Base == "DomainResource"
		if (d.SearchParam(name, "_text") != nil) != domain {
			t.Errorf("%s: _text is %v", name, !domain)
		}
	}
	p := d.SearchParam("Patient", "family")
	if p == nil || p.Expression != "Patient.name.family | Practitioner.name.family" || p.Type != "string" || !p.MultipleOr || !slices.Contains(p.Base, "Practitioner") {
		t.Errorf("Patient family: %+v", p)
	}
	if d.SearchParams("Nothing") != nil || d.SearchParam("Patient", "nothing") != nil || d.SearchParamByURL("") != nil {
		t.Error("what is not there was found")
	}
}

func TestCompartments(t *testing.T) {
	d := Definitions()
	if got := d.Compartments(); fmt.Sprint(got) != "[Device Encounter Patient Practitioner RelatedPerson]" {
		t.Fatalf("compartments %v", got)
	}
	for _, name := range d.Compartments() {
		c := d.Compartment(name)
		for resourceType, codes := range c.Params {
			if !d.IsResourceType(resourceType) {
				t.Errorf("%s compartment: unknown type %s", name, resourceType)
			}
			for _, code := range codes {
				if d.SearchParam(resourceType, code) == nil {
					t.Errorf("%s compartment: %s has no parameter %q", name, resourceType, code)
				}
			}
		}
	}
	c := d.Compartment("Patient")
	if fmt.Sprint(c.Params["Observation"]) != "[subject performer]" || fmt.Sprint(c.Params["Patient"]) != "[link]" || c.Params["Medication"] != nil {
		t.Errorf("Patient compartment: %v %v %v", c.Params["Observation"], c.Params["Patient"], c.Params["Medication"])
	}
	if d.Compartment("Group") != nil {
		t.Error("there is no Group compartment")
	}
}

func TestCorrections(t *testing.T) {
	d := Definitions()
	n := 0
	for _, p := range d.AllSearchParams() {
		if p.Correction != "" {
			n++
			continue
		}
		// What is not corrected is verbatim.
		text, _ := d.CanonicalOf("SearchParameter", p.URL)
		doc, err := fhir.Parse(text, fhir.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if got := doc.Root().Get("expression").Text(); got != p.Expression {
			t.Errorf("%s: %s, published is %s", p.URL, p.Expression, got)
		}
		i := 0
		for c := doc.Root().Get("component").First(); c.Valid(); c = c.Next() {
			if got := (fhir.SearchComponent{Definition: c.Get("definition").Text(), Expression: c.Get("expression").Text()}); got != p.Components[i] {
				t.Errorf("%s: component %+v, published is %+v", p.URL, p.Components[i], got)
			}
			i++
		}
	}
	if n != len(corrections) || n != 3 {
		t.Errorf("%d parameters are corrected", n)
	}
	if p := d.SearchParam("Observation", "code-value-date"); p.Components[1].Expression != "value.as(dateTime) | value.as(Period)" || p.Expression != "Observation" {
		t.Errorf("%+v", p)
	}
}
