package fhirpath

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"ingle/fhir"
	"ingle/fhirpath/syntax"
	"ingle/internal/testdata"
)

const fuzzPatient = `{"resourceType":"Patient","id":"p","active":true,"birthDate":"1974-12-25","_birthDate":{"extension":[{"url":"http://e/x","valueDateTime":"1974-12-25T14:35:45-05:00"}]},
"name":[{"family":"Ng","given":["A",null],"_given":[null,{"id":"g"}]}],"contained":[{"resourceType":"Organization","id":"o"}],
"extension":[{"url":"http://e/q","valueQuantity":{"value":1.50,"unit":"kg","system":"http://unitsofmeasure.org","code":"kg"}}],"managingOrganization":{"reference":"#o"}}`

// FuzzEval compiles anything and evaluates what compiles: no panic, no endless
// work, only errors of the kinds that are promised.
func FuzzEval(f *testing.F) {
	var tests []suiteTest
	if json.Unmarshal(testdata.Read(f, "fhirpath/fhirpath-tests-r4.json"), &tests) == nil {
		for _, s := range tests {
			f.Add(s.Expression)
		}
	}
	f.Add("repeat($this)")
	f.Add("descendants().select(descendants())")
	f.Add("'a'.replace('', 'aaaaaaaaaaaaaaaaaaaaaaaaa')")
	f.Add("9999.power(9999) | 1.exp() | (1 'kg' / 3 'm')")
	f.Add("defineVariable('x', 1).select(%x + 1) | coalesce({}, name.sort(family desc))")
	f.Add("'\x8a'.toChars()")
	f.Add("'8a'.decode('hex').toChars().upper().indexOf('\u00e9')")
	d, err := fhir.Parse([]byte(fuzzPatient), fhir.Limits{})
	if err != nil {
		f.Fatal(err)
	}
	focus := Resource(d.Root())
	env := &Env{Resource: focus, Limits: Limits{Steps: 20_000, Values: 2_000, Text: 4096}}
	f.Fuzz(func(t *testing.T, expr string) {
		for _, opts := range [][]Option{nil, {Checked("Patient"), Strict(), CheckOrder()}} {
			e, err := Compile(expr, opts...)
			var fault *Error
			if err != nil {
				if !errors.As(err, &fault) || fault.Line < 1 || fault.Col < 1 {
					t.Fatalf("%q: %v", expr, err)
				}
				continue
			}
			out, err := e.Eval(context.Background(), env, focus)
			if err != nil && !errors.As(err, &fault) && !errors.Is(err, ErrLimit) {
				t.Fatalf("%q: %v", expr, err)
			}
			for _, v := range out {
				_ = v.String()
				_ = v.TypeName()
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"a.b[0].c('x', 1) | -2.5 'mg' >= @2015-02-04T14:34:28.123+10:00", "`a`.where($this is FHIR.`B`)", "%`vs-x` & '\\u0041'", "((((1))))", "{} /* x */ // y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		n, err := syntax.Parse(expr)
		if (n == nil) == (err == nil) {
			t.Fatalf("%q: %v, %v", expr, n, err)
		}
	})
}
