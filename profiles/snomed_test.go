package profiles

import "testing"

func TestSnomedCode(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{
		"276885007": true, "103228002": true, "73211009": true, "840539006": true, "1525011000168107": true,
		"271649006": true, "8517006": true, "35901911000001104": true, "900000000000207008": true,
		"1": false, "276885007x": false, "276885008": false, "T-15460": false, "": false,
		"73211009 |Diabetes mellitus|": true, "80146002|Appendectomy|:260870009=25876001": true,
	} {
		if got := snomedCode(code); got != want {
			t.Errorf("snomedCode(%q) = %v", code, got)
		}
	}
}

func TestECLFault(t *testing.T) {
	t.Parallel()
	for expr, ok := range map[string]bool{
		"<< 404684003 |Clinical finding|":                                true,
		"< 19829001 |Disorder of lung| AND < 301867009 |Edema of trunk|": true,
		"< 404684003 : 363698007 = << 39057004":                          true,
		"(< 19829001 OR < 301867009) MINUS << 79654002":                  true,
		"^ 700043003":        true,
		"*":                  true,
		"234234 << 234234":   false,
		"<< ":                false,
		"< 404684003 )":      false,
		"404684003 39057004": false,
		"(< 404684003":       false,
	} {
		if got := eclFault(expr); (got == "") != ok {
			t.Errorf("eclFault(%q) = %q", expr, got)
		}
	}
}
