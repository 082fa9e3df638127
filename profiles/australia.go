package profiles

import (
	"strings"

	"ingle/fhir"
)

// The systems of Australian identifiers (AU Base).
const (
	auMedicare = "http://ns.electronichealth.net.au/id/medicare-number"
	auProvider = "http://ns.electronichealth.net.au/id/medicare-provider-number"
	auHI       = "http://ns.electronichealth.net.au/id/hi/"
	auABN      = "http://hl7.org.au/id/abn"
)

// australianIdentifier checks the numbers of an Identifier by its system.
func (r *run) australianIdentifier(it *item) {
	value := it.n.Get("value")
	if value.Kind() != fhir.String {
		return
	}
	system, number := it.n.Get("system").Text(), value.Text()
	fault := ""
	switch {
	case system == auMedicare:
		fault = medicareFault(number)
	case system == auProvider:
		fault = providerFault(number)
	case system == auABN:
		fault = abnFault(number)
	case strings.HasPrefix(system, auHI):
		kind, _, _ := strings.Cut(system[len(auHI):], "/")
		fault = healthIdentifierFault(kind, number)
	}
	if fault == "" {
		return
	}
	step := item{name: "value", idx: -1}
	r.push(&step)
	r.fail(value, fhir.CodeValue, system, "%s", fault) // the number itself is patient data
	r.pop()
}

// medicareFault checks a Medicare card number: eight digits of which the first
// is 2 to 6, a check digit, the issue number, and where given the individual
// reference number.
func medicareFault(s string) string {
	if !digitsOnly(s) || len(s) != 10 && len(s) != 11 {
		return "a Medicare card number has 10 digits, or 11 with the individual reference number"
	}
	if s[0] < '2' || s[0] > '6' {
		return "a Medicare card number begins with a digit from 2 to 6"
	}
	sum := 0
	for i, w := range [...]int{1, 3, 7, 9, 1, 3, 7, 9} {
		sum += int(s[i]-'0') * w
	}
	switch {
	case sum%10 != int(s[8]-'0'):
		return "the check digit of the Medicare card number (its 9th digit) is wrong"
	case s[9] == '0':
		return "the issue number of the Medicare card (the 10th digit) is not 0"
	case len(s) == 11 && s[10] == '0':
		return "the individual reference number on the Medicare card (the 11th digit) is not 0"
	}
	return ""
}

const (
	practiceLocations = "0123456789ABCDEFGHJKLMNPQRTUVWXY" // without I, O, S and Z
	providerChecks    = "YXWTLKJHFBA"
)

// providerFault checks a Medicare provider number: a stem of six digits, the
// practice location and a check character.
func providerFault(s string) string {
	const shape = "a Medicare provider number has 8 characters: 6 digits, the practice location and a check character"
	if len(s) == 7 {
		s = "0" + s // a stem of five digits is written without its zero
	}
	if len(s) != 8 || !digitsOnly(s[:6]) {
		return shape
	}
	s = strings.ToUpper(s)
	location := strings.IndexByte(practiceLocations, s[6])
	if location < 0 {
		return shape + "; the practice location is a digit or a letter without I, O, S and Z"
	}
	if strings.IndexByte(providerChecks, s[7]) < 0 {
		return shape + "; the check character is one of " + providerChecks
	}
	sum := location * 6
	for i, w := range [...]int{3, 5, 8, 4, 2, 1} {
		sum += int(s[i]-'0') * w
	}
	if providerChecks[sum%11] != s[7] {
		return "the check character of the Medicare provider number (its last) is wrong"
	}
	return ""
}

// healthIdentifierFault checks an IHI, HPI-I or HPI-O: 16 digits with the
// prefix of its kind and a Luhn check digit.
func healthIdentifierFault(kind, s string) string {
	prefix := map[string]string{"ihi": "800360", "hpii": "800361", "hpio": "800362"}[kind]
	if prefix == "" {
		return ""
	}
	name := map[string]string{"ihi": "Individual Healthcare Identifier", "hpii": "Healthcare Provider Identifier (individual)",
		"hpio": "Healthcare Provider Identifier (organisation)"}[kind]
	switch {
	case len(s) != 16 || !digitsOnly(s):
		return "an " + name + " has 16 digits"
	case !strings.HasPrefix(s, prefix):
		return "an " + name + " begins with " + prefix
	case !luhn(s):
		return "the check digit of the " + name + " (its last) is wrong"
	}
	return ""
}

// abnFault checks an Australian Business Number: 11 digits whose weighted sum,
// one taken from the first, is divisible by 89.
func abnFault(s string) string {
	s = strings.ReplaceAll(s, " ", "")
	if len(s) != 11 || !digitsOnly(s) {
		return "an Australian Business Number has 11 digits"
	}
	sum := -10
	for i, w := range [...]int{10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19} {
		sum += int(s[i]-'0') * w
	}
	if sum%89 != 0 {
		return "the check digits of the Australian Business Number are wrong"
	}
	return ""
}

func luhn(s string) bool {
	sum := 0
	for i := range len(s) {
		d := int(s[len(s)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

func digitsOnly(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
