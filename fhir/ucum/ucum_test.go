package ucum

import (
	"math/big"
	"strings"
	"testing"

	"github.com/cockroachdb/apd/v3"
)

func num(t testing.TB, s string) *apd.Decimal {
	t.Helper()
	d, _, err := apd.NewFromString(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestTable resolves every unit of the table to base units.
func TestTable(t *testing.T) {
	n := 0
	for code, a := range load().atoms {
		n++
		u, err := Parse(code)
		if err != nil {
			t.Errorf("%s: %v", code, err)
			continue
		}
		if u.factor.Sign() <= 0 {
			t.Errorf("%s: factor %s", code, u.factor)
		}
		if a.is('s') != u.IsSpecial() {
			t.Errorf("%s: special", code)
		}
		if u.IsSpecial() {
			x := big.NewRat(3, 2)
			base, err := u.toBase(x)
			if err != nil {
				t.Errorf("%s: %v", code, err)
				continue
			}
			back, err := u.fromBase(base)
			if err != nil {
				t.Errorf("%s: %v", code, err)
				continue
			}
			if d, _ := new(big.Rat).Sub(back, x).Float64(); d > 1e-9 || d < -1e-9 {
				t.Errorf("%s: there and back is %v off", code, d)
			}
		}
	}
	if n < 300 {
		t.Errorf("only %d units", n)
	}
}

func TestConvert(t *testing.T) {
	for _, c := range [][4]string{
		{"1", "[in_i]", "cm", "2.54"},
		{"1", "[mi_i]", "m", "1609.344"},
		{"185", "[lb_av]", "kg", "83.91458845"},
		{"5", "mg/dL", "g/L", "0.05"},
		{"1", "wk", "d", "7"},
		{"1", "a", "d", "365.25"},
		{"1", "mo", "d", "30.4375"},
		{"37", "Cel", "K", "310.15"},
		{"37", "Cel", "[degF]", "98.6"},
		{"98.6", "[degF]", "Cel", "37"},
		{"-40", "[degF]", "Cel", "-40"},
		{"80", "[degRe]", "Cel", "100"},
		{"1000", "mCel", "Cel", "1"},
		{"7", "[pH]", "mol/L", "1e-7"},
		{"1", "B", "1", "10"},
		{"30", "dB", "1", "1000"},
		{"180", "deg", "[pi].rad", "1"},
		{"120", "mm[Hg]", "kPa", "15.99864"},
		{"1", "m[H2O]", "kPa", "9.80665"},
		{"1", "10*3/uL", "10*9/L", "1"},
		{"1", "10^6/mL", "10*12/L", "0.001"},
		{"1", "mL/min/{1.73_m2}", "L/h", "0.06"},
		{"1", "kg.m/s2", "N", "1"},
		{"1", "J", "kg.m2/s2", "1"},
		{"1", "/min", "Hz", "0.01666666666666666666666666666666667"},
		{"1", "%", "[ppth]", "10"},
		{"1", "k[IU]/L", "[iU]/mL", "1"},
		{"2", "(8.h)", "d", "0.6666666666666666666666666666666667"},
		{"1", "l", "L", "1"},
		{"1", "{RBC}", "1", "1"},
		{"1", "KiBy", "bit", "8192"},
	} {
		got, err := Convert(num(t, c[0]), c[1], c[2])
		if err != nil {
			t.Errorf("%s %s → %s: %v", c[0], c[1], c[2], err)
		} else if got.Cmp(num(t, c[3])) != 0 {
			t.Errorf("%s %s = %s %s, want %s", c[0], c[1], got, c[2], c[3])
		}
	}
}

func TestNotComparable(t *testing.T) {
	for _, c := range [][2]string{{"mg", "mL"}, {"[iU]", "1"}, {"[iU]", "[NTU]"}, {"cm", "s"}, {"[pH]", "mg"}, {"g", "g2"}} {
		if got, err := Convert(num(t, "1"), c[0], c[1]); err == nil {
			t.Errorf("1 %s = %s %s", c[0], got, c[1])
		}
		if _, ok := Compare(num(t, "1"), c[0], num(t, "1"), c[1]); ok {
			t.Errorf("%s and %s compare", c[0], c[1])
		}
	}
}

func TestCanonical(t *testing.T) {
	for _, c := range [][4]string{
		{"5", "mg/dL", "50", "g.m-3"},
		{"1", "mm[Hg]", "133322", "g.m-1.s-2"},
		{"98.6", "[degF]", "310.15", "K"},
		{"3", "1", "3", "1"},
		{"2", "k[IU]/L", "2000000", "[iU].m-3"},
		{"1", "W", "1000", "g.m2.s-3"},
	} {
		v, u, err := Canonical(num(t, c[0]), c[1])
		if err != nil || v.Cmp(num(t, c[2])) != 0 || u != c[3] {
			t.Errorf("%s %s = %s %s, %v; want %s %s", c[0], c[1], v, u, err, c[2], c[3])
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for code, says := range map[string]string{
		"":                                   "empty",
		"lbs":                                "not known",
		"mm Hg":                              "spaces",
		"mmHg":                               "not known",
		"[s]":                                "not known",
		"k[in_i]":                            "takes no prefix",
		"Cel/h":                              "scale of its own",
		"Cel2":                               "scale of its own",
		"(m":                                 "not closed",
		"m)":                                 "no meaning",
		"{x":                                 "not closed",
		"[x":                                 "not closed",
		"m..s":                               "missing",
		"m/":                                 "missing",
		"m100":                               "out of range",
		"0":                                  "not a factor",
		"µg":                                 "ASCII",
		"IU":                                 "[IU]",
		strings.Repeat("(", 30):              "deep",
		strings.Repeat("m.", 200):            "longer",
		"meter":                              "m (meter) is",
		strings.Repeat("(10*99)", 1) + "10*": "no meaning",
	} {
		_, err := Parse(code)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want … %s", code, err, says)
		}
	}
}

func FuzzParse(f *testing.F) {
	for code := range load().atoms {
		f.Add(code)
	}
	f.Add("10*-3.(mg/dL{x})2")
	f.Fuzz(func(t *testing.T, code string) {
		u, err := Parse(code)
		if err != nil {
			return
		}
		// What is accepted can be written in base units and read again.
		v, err := Parse(u.Base())
		if err != nil {
			t.Fatalf("%q → %q: %v", code, u.Base(), err)
		}
		if !u.Comparable(v) {
			t.Fatalf("%q is not comparable with %q", code, u.Base())
		}
	})
}

func BenchmarkCompare(b *testing.B) {
	x, y := num(b, "4"), num(b, "4000")
	b.ReportAllocs()
	for b.Loop() {
		Compare(x, "g", y, "mg")
	}
}
