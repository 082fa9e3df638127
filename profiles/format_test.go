package profiles

import (
	"testing"

	"ingle/fhir"
)

// TestFormats: the value space of each primitive type (R4 datatypes.html).
func TestFormats(t *testing.T) {
	t.Parallel()
	for typ, values := range map[string]map[string]bool{
		"boolean":      {`true`: true, `"true"`: false, `1`: false, `null`: false},
		"integer":      {`0`: true, `-1`: true, `2147483647`: true, `2147483648`: false, `-2147483648`: true, `-2147483649`: false, `1.0`: false, `1e3`: false, `"1"`: false},
		"unsignedInt":  {`0`: true, `-1`: false, `2147483647`: true},
		"positiveInt":  {`1`: true, `0`: false},
		"decimal":      {`1`: true, `1.00`: true, `-1e-5`: true, `"1.0"`: false},
		"string":       {`"x"`: true, `""`: false, `"  "`: false, `"a\tb\n"`: true, `"a\u0007"`: false, `1`: false, `{}`: false},
		"code":         {`"a"`: true, `"a b"`: true, `" a"`: false, `"a "`: false, `"a  b"`: false, `"a\tb"`: false},
		"id":           {`"a-1.B"`: true, `"a_b"`: false, `"0123456789012345678901234567890123456789012345678901234567890123"`: true, `"01234567890123456789012345678901234567890123456789012345678901234"`: false},
		"uri":          {`"http://a/b"`: true, `"a b"`: false, `"urn:oid:1.2"`: true},
		"url":          {`"https://a"`: true, `"\u00a0"`: true, `"a\n"`: false},
		"canonical":    {`"http://a|1"`: true, `"a b"`: false},
		"oid":          {`"urn:oid:1.2.3"`: true, `"1.2.3"`: false, `"urn:oid:3.1"`: false, `"urn:oid:1.02"`: false},
		"uuid":         {`"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"`: true, `"urn:uuid:C757873D-ec9a-4326-a141-556f43239520"`: false, `"c757873d-ec9a-4326-a141-556f43239520"`: false},
		"date":         {`"2020"`: true, `"2020-02"`: true, `"2020-02-29"`: true, `"2019-02-29"`: false, `"2020-13"`: false, `"2020-02-29T10:00:00Z"`: false, `"20"`: false},
		"dateTime":     {`"2020"`: true, `"2020-02-29T10:00:00Z"`: true, `"2020-02-29T10:00:00.123+10:00"`: true, `"2020-02-29T10:00:00"`: false, `"2020-02-29T10:00Z"`: false, `"2020-02-29T24:00:00Z"`: false},
		"instant":      {`"2020-02-29T10:00:00Z"`: true, `"2020-02-29"`: false},
		"time":         {`"10:00:00"`: true, `"10:00"`: false, `"24:00:00"`: false, `"10:00:00Z"`: false},
		"base64Binary": {`"aGVsbG8="`: true, `"aGVs\nbG8="`: true, `"aGVsbG8"`: false, `"a.b="`: false, `"===="`: false},
		"markdown":     {`"# x"`: true, `""`: false},
	} {
		for text, want := range values {
			n := parse(t, []byte(text)).Root()
			if got := checkFormat(typ, n); (got == "") != want {
				t.Errorf("%s %s: %q", typ, text, got)
			}
			// A JSON Schema may say less, but never more.
			if s, err := base().current().schema(sdPrefix + "Extension"); err == nil && want && typ != "oid" && typ != "uuid" {
				src := `{"url":"http://x","value` + string(typ[0]-32) + typ[1:] + `":` + text + `}`
				if f := s.against(parse(t, []byte(src)).Root()); f != nil {
					t.Errorf("%s %s: the schema refuses it: %s", typ, text, f[0].message)
				}
			}
		}
	}
}

// TestNarrative: what a div may hold.
func TestNarrative(t *testing.T) {
	t.Parallel()
	for div, want := range map[string]string{
		`<div xmlns="http://www.w3.org/1999/xhtml">x</div>`:                                         "",
		`<div xmlns='http://www.w3.org/1999/xhtml'><p class="a">x<br/>&amp; &#160;&nbsp;</p></div>`: "",
		`<div><img src="a.png" alt="x"/></div>`:                                                     "",
		`<div><!-- c --><table><tr><td colspan="2">x</td></tr></table></div>`:                       "",
		`<div></div>`:                             "txt-2",
		`<div> <p> </p></div>`:                    "txt-2",
		`<div><script>x</script></div>`:           "txt-1",
		`<div><p onclick="x()">x</p></div>`:       "txt-1",
		`<div><a href="javascript:x">x</a></div>`: "txt-1",
		`<div><p>x</div>`:                         "txt-1",
		`<div>x</div><p/>`:                        "txt-1",
		`<p>x</p>`:                                "txt-1",
		`text`:                                    "txt-1",
		`<div>a & b</div>`:                        "txt-1",
		`<div a>x</div>`:                          "txt-1",
		`<div class=x>x</div>`:                    "txt-1",
		`<div><object data="x"/></div>`:           "txt-1",
		`<div><?php x ?></div>`:                   "txt-1",
		`<div>`:                                   "txt-1",
		`<div`:                                    "txt-1",
		`<div><!-- x</div>`:                       "txt-1",
	} {
		fault, key := xhtmlFault(div)
		if key != want {
			t.Errorf("%s: %s %s, want %s", div, key, fault, want)
		}
	}
}

// TestPrimitiveExtensions: "_name" beside and instead of a value.
func TestPrimitiveExtensions(t *testing.T) {
	t.Parallel()
	const absent = `{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]}`
	for src, want := range map[string]string{
		`{"resourceType":"Patient","_birthDate":` + absent + `}`:                                              "",
		`{"resourceType":"Patient","birthDate":"2000","_birthDate":{"id":"x"}}`:                               "",
		`{"resourceType":"Patient","_birthDate":{"id":"x"}}`:                                                  "Patient.birthDate",
		`{"resourceType":"Patient","_birthDate":{}}`:                                                          "Patient.birthDate",
		`{"resourceType":"Patient","_birthDate":"x"}`:                                                         "Patient.birthDate",
		`{"resourceType":"Patient","_birthDate":{"value":"x"}}`:                                               "Patient.birthDate",
		`{"resourceType":"Patient","_name":[{}]}`:                                                             "Patient",
		`{"resourceType":"Patient","name":[{"given":["a",null],"_given":[null,` + absent + `]}]}`:             "",
		`{"resourceType":"Patient","name":[{"_given":[` + absent + `]}]}`:                                     "",
		`{"resourceType":"Patient","name":[{"given":["a",null]}]}`:                                            "Patient.name[0].given[1]",
		`{"resourceType":"Patient","name":[{"given":["a",null],"_given":[` + absent + `,null]}]}`:             "Patient.name[0].given[1]",
		`{"resourceType":"Patient","name":[{"given":["a"],"_given":` + absent + `}]}`:                         "Patient.name[0].given",
		`{"resourceType":"Patient","birthDate":null}`:                                                         "Patient.birthDate",
		`{"resourceType":"Patient","contact":[null]}`:                                                         "Patient.contact[0]",
		`{"resourceType":"Patient","_deceasedBoolean":` + absent + `,"deceasedDateTime":"2000"}`:              "Patient",
		`{"resourceType":"Observation","status":"final","code":{"text":"x"},"_valueQuantity":` + absent + `}`: "Observation",
	} {
		issues := errorsOf(base().Validate(t.Context(), parse(t, []byte(src)), Request{}))
		switch {
		case want == "" && len(issues) > 0:
			t.Errorf("%s: %s", src, describe(issues[0]))
		case want != "" && (len(issues) == 0 || issues[0].Expression[0] != want):
			t.Errorf("%s: %v, want an error on %s", src, issues, want)
		}
	}
}

// TestWholeDocuments: what is not even a resource.
func TestWholeDocuments(t *testing.T) {
	t.Parallel()
	for src, code := range map[string]string{
		`{}`: fhir.CodeStructure, `[]`: fhir.CodeStructure, `"x"`: fhir.CodeStructure, `null`: fhir.CodeStructure,
		`{"resourceType":"Nothing"}`: fhir.CodeStructure, `{"resourceType":"HumanName"}`: fhir.CodeStructure,
		`{"resourceType":"DomainResource"}`: fhir.CodeStructure, `{"resourceType":["Patient"]}`: fhir.CodeStructure,
	} {
		issues := base().Validate(t.Context(), parse(t, []byte(src)), Request{})
		if len(issues) != 1 || issues[0].Code != code {
			t.Errorf("%s: %v", src, issues)
		}
	}
}
