package profiles

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"ingle/fhir"
	"ingle/internal/testdata"
)

// TestBounds: documents made to be slow are not.
func TestBounds(t *testing.T) {
	testdata.Whole(t)
	repeat := func(n int, s string) string { return strings.TrimSuffix(strings.Repeat(s+",", n), ",") }
	var contained strings.Builder
	for i := range 8000 {
		fmt.Fprintf(&contained, `{"resourceType":"Basic","id":"b%d","code":{"text":"x"}},`, i)
	}
	for name, src := range map[string]string{
		"nulls":        `{"resourceType":"Patient","name":[{"given":[` + repeat(200_000, "null") + `],"_given":[` + repeat(200_000, `{"id":"x","extension":[]}`) + `]}]}`,
		"contained":    `{"resourceType":"List","status":"current","mode":"working","contained":[` + strings.TrimSuffix(contained.String(), ",") + `],"note":[],"entry":[` + repeat(8000, `{"item":{"reference":"#b7999"}}`) + `]}`,
		"extensions":   `{"resourceType":"Patient","extension":[` + repeat(50_000, `{"url":"http://x/y","valueString":"a"}`) + `]}`,
		"unknown":      `{"resourceType":"Patient","contact":[` + repeat(100_000, `{"zz":1}`) + `]}`,
		"same profile": `{"resourceType":"Patient","meta":{"profile":[` + repeat(50_000, `"http://hl7.org/fhir/StructureDefinition/vitalsigns"`) + `]}}`,
	} {
		doc, err := fhir.Parse([]byte(src), fhir.Limits{Nodes: 10_000_000})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		issues := base().Validate(t.Context(), doc, Request{Warnings: true})
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%s: %v for %d bytes", name, took, len(src))
		}
		if len(issues) > defaultMaxIssues+1 {
			t.Errorf("%s: %d issues", name, len(issues))
		}
	}
}

// TestLargeCodeSystem: a required binding to half a million codes is checked by
// looking codes up, in bounded memory.
//
// Not in parallel: the memory of other tests would count.
func TestLargeCodeSystem(t *testing.T) {
	testdata.Whole(t)
	v := custom(t, Config{}, map[string]string{"Observation-coded": `{"path":"Observation.code","binding":{"strength":"required","valueSet":"http://t/vs"}}`})
	var b strings.Builder
	b.WriteString(`{"resourceType":"CodeSystem","url":"http://t/cs","status":"active","content":"complete","concept":[`)
	for i := range 500_000 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"code":"c%d"}`, i)
	}
	b.WriteString(`]}`)
	if err := v.Registry().Set("cs", []byte(b.String())); err != nil {
		t.Fatal(err)
	}
	if err := v.Registry().Set("vs", []byte(`{"resourceType":"ValueSet","url":"http://t/vs","status":"active","compose":{"include":[{"system":"http://t/cs"}]}}`)); err != nil {
		t.Fatal(err)
	}
	check := func(code string) int {
		src := `{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://t/cs","code":"` + code + `"}]},"meta":{"profile":["http://t/Observation-coded"]}}`
		return len(errorsOf(v.Validate(t.Context(), parse(t, []byte(src)), Request{})))
	}
	if check("c499999") != 0 || check("none") == 0 {
		t.Error("the codes are not told apart")
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 10_000 {
		if check(fmt.Sprintf("c%d", i*37)) != 0 {
			t.Fatal("a code is refused")
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 64<<20 {
		t.Errorf("10,000 validations left %d MB behind", grown>>20)
	}
}
