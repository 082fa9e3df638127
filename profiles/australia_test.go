package profiles

import (
	"strings"
	"testing"

	"ingle/fhir/r4"
)

func TestAustralianNumbers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		check func(string) string
		value string
		fault string // part of the message, "" for none
	}{
		{medicareFault, "2950156481", ""},
		{medicareFault, "29501564811", ""},
		{medicareFault, "295015648111", "has 10 digits"},
		{medicareFault, "2950156471", "check digit"},
		{medicareFault, "7950156481", "from 2 to 6"},
		{medicareFault, "2950156480", "issue number"},
		{medicareFault, "29501564810", "individual reference"},
		{medicareFault, "2950 15648 1", "has 10 digits"},
		{providerFault, "2426621B", ""},
		{providerFault, "2426621A", "check character"},
		{providerFault, "12345AB", "check character"},
		{providerFault, "242662IB", "without I, O, S and Z"},
		{providerFault, "24266211", "check character is one of"},
		{providerFault, "24266", "8 characters"},
		{func(s string) string { return healthIdentifierFault("ihi", s) }, "8003608166690503", ""},
		{func(s string) string { return healthIdentifierFault("ihi", s) }, "8003608166690504", "check digit"},
		{func(s string) string { return healthIdentifierFault("ihi", s) }, "8003618166690503", "begins with 800360"},
		{func(s string) string { return healthIdentifierFault("hpio", s) }, "800362", "16 digits"},
		{abnFault, "51824753556", ""},
		{abnFault, "51 824 753 556", ""},
		{abnFault, "51824753557", "check digits"},
	} {
		got := c.check(c.value)
		if c.fault == "" && got != "" || c.fault != "" && !strings.Contains(got, c.fault) {
			t.Errorf("%s: %q, want %q", c.value, got, c.fault)
		}
	}
}

// TestAustralianRules: the rules are off until they are asked for, and name the
// element but not the number.
func TestAustralianRules(t *testing.T) {
	t.Parallel()
	v, err := New(NewRegistry(r4.Definitions()), Config{AustralianIdentifiers: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	src := `{"resourceType":"Patient","identifier":[{"system":"http://ns.electronichealth.net.au/id/medicare-number","value":"2950156471"}]}`
	if issues := base().Validate(t.Context(), parse(t, []byte(src)), Request{}); HasErrors(issues) {
		t.Errorf("without the rules: %v", issues)
	}
	issues := v.Validate(t.Context(), parse(t, []byte(src)), Request{})
	if len(issues) != 1 || issues[0].Expression[0] != "Patient.identifier[0].value" || strings.Contains(issues[0].Diagnostics, "2950156471") {
		t.Errorf("with the rules: %v", issues)
	}
}

// TestAustralianExamples: the healthcare identifiers in the examples of AU Base
// are real ones; some of the other numbers are made up.
func TestAustralianExamples(t *testing.T) {
	t.Parallel()
	v := withPackages(t, Config{AustralianIdentifiers: true}, auBase)
	right, wrong := 0, 0
	for name, src := range packageExamples(t, auBase) {
		right += strings.Count(string(src), auHI+"ihi/1.0\"") + strings.Count(string(src), auHI+"hpii/1.0\"") + strings.Count(string(src), auHI+"hpio/1.0\"")
		for _, is := range errorsOf(v.Validate(t.Context(), parse(t, src), Request{})) {
			if strings.HasPrefix(is.Source, auHI) {
				wrong++
				t.Errorf("%s: %s", name, describe(is))
			}
		}
	}
	if right < 10 {
		t.Errorf("the examples hold %d healthcare identifiers", right)
	}
	t.Logf("healthcare identifiers in AU Base: %d passed, %d failed", right-wrong, wrong)
}
