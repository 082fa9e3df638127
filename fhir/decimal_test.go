package fhir

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/cockroachdb/apd/v3"
)

func TestDecimalRange(t *testing.T) {
	for _, tt := range []struct{ text, lo, hi string }{
		{"100", "99.5", "100.5"},
		{"100.00", "99.995", "100.005"},
		{"1.00e2", "99.5", "100.5"},
		{"1.0e2", "95", "105"},
		{"1e2", "50", "150"},
		{"2.0", "1.95", "2.05"},
		{"0", "-0.5", "0.5"},
		{"-0", "-0.5", "0.5"},
		{"0.0", "-0.05", "0.05"},
		{"-5.4", "-5.45", "-5.35"},
		{"1E-2", "0.005", "0.015"},
		{"0.0000000000000000000000000000000001", "0.00000000000000000000000000000000005", "0.00000000000000000000000000000000015"},
	} {
		d, err := ParseDecimal(tt.text)
		if err != nil {
			t.Fatal(err)
		}
		lo, hi := d.ImplicitRange()
		for _, c := range []struct {
			got  *apd.Decimal
			want string
		}{{lo, tt.lo}, {hi, tt.hi}} {
			want, _, _ := apd.NewFromString(c.want)
			if c.got.Cmp(want) != 0 {
				t.Errorf("%s: end %s, want %s", tt.text, c.got, c.want)
			}
		}
		if d.String() != tt.text {
			t.Errorf("%s became %s", tt.text, d)
		}
	}
}

func TestDecimalRefused(t *testing.T) {
	for _, text := range []string{
		"", "-", "+1", ".5", "1.", "01", "1e", "1e+", "0x1", "NaN", "Infinity", "1,5", " 1", "1 ", "--1", "1e65", "1e-65", "1e10000000",
		strings.Repeat("9", 65), "0." + strings.Repeat("0", 200) + "1",
	} {
		if d, err := ParseDecimal(text); err == nil {
			t.Errorf("%q was taken for %s", text, d.Value())
		}
	}
}

func FuzzDecimal(f *testing.F) {
	for _, s := range []string{"1", "-1.50", "1e2", "1.5E-3", "00", "1e", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDecimal(text)
		if isJSON := json.Valid([]byte(text)) && len(text) > 0 && strings.TrimSpace(text) == text && (text[0] == '-' || text[0] >= '0' && text[0] <= '9'); err == nil && !isJSON {
			t.Fatalf("%q is no JSON number", text)
		} else if isJSON && err != nil && numberFault([]byte(text)) == "" {
			t.Fatalf("%q: %v", text, err)
		}
		if err != nil {
			return
		}
		lo, hi := d.ImplicitRange()
		if lo.Cmp(d.Value()) >= 0 || hi.Cmp(d.Value()) <= 0 {
			t.Fatalf("%s is not within [%s, %s)", text, lo, hi)
		}
	})
}
