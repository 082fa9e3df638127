package profiles

import (
	"strings"

	"ingle/fhir"
)

const snomed = "http://snomed.info/sct"

// snomedRules checks the shape of a SNOMED CT code.
func (r *run) snomedRules(code fhir.Node) {
	text := code.Text()
	if snomedCode(text) {
		return
	}
	severity, why := fhir.SeverityWarning, "its check digit is wrong"
	if strings.Trim(text, "0123456789") != "" || len(text) < 6 || len(text) > 18 {
		why = "it is neither an identifier (6 to 18 digits) nor an expression"
		if r.v.cfg.RejectMalformedCodes {
			severity = fhir.SeverityError
		}
	}
	step := item{name: "code", idx: -1}
	r.push(&step)
	r.report(severity, fhir.CodeCodeInvalid, code, snomed, "the code %s is not one of SNOMED CT: %s", clip(text), why)
	r.pop()
}

// snomedCode tells whether a text can be a code of SNOMED CT: an identifier
// with a right check digit, or a post-coordinated expression.
func snomedCode(s string) bool {
	if strings.ContainsAny(s, ":+=|,{} ") {
		return true // an expression; its grammar is the terminology server's
	}
	if len(s) < 6 || len(s) > 18 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return verhoeff(s)
}

// verhoeff checks a number with a check digit of Verhoeff's dihedral group D5.
func verhoeff(s string) bool {
	c := 0
	for i := range len(s) {
		digit := int(s[len(s)-1-i] - '0')
		for range i % 8 {
			digit = int("1576283094"[digit] - '0')
		}
		c = dihedral(c, digit)
	}
	return c == 0
}

func dihedral(a, b int) int {
	switch {
	case a < 5 && b < 5:
		return (a + b) % 5
	case a < 5:
		return 5 + (a+b-5)%5
	case b < 5:
		return 5 + (a-5-b+5)%5
	}
	return (a - b + 5) % 5
}

// eclFault tells what is wrong with an expression of SNOMED CT's expression
// constraint language, as far as the order of its parts shows; "" for nothing.
func eclFault(s string) string {
	operand := false // a concept has just been read
	depth := 0
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case c == '|':
			end := strings.IndexByte(s[i+1:], '|')
			if end < 0 || !operand {
				return "a term in bars must follow its concept"
			}
			i += end + 2
		case c == '(' || c == '{' || c == '[':
			depth++
			operand = false
			i++
		case c == ')' || c == '}' || c == ']':
			if depth--; depth < 0 {
				return "a bracket is closed that was not opened"
			}
			operand = true
			i++
		case c == '<' || c == '>' || c == '^':
			if operand {
				return "the operator '" + string(c) + "' stands behind a concept without AND, OR, MINUS or a refinement between them"
			}
			for i < len(s) && (s[i] == '<' || s[i] == '>' || s[i] == '^' || s[i] == '!') {
				i++
			}
		case c >= '0' && c <= '9':
			if operand {
				return "two concepts stand side by side"
			}
			start := i
			for i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] == '.') {
				i++
			}
			if n := i - start; n < 6 && depth == 0 {
				return "'" + s[start:i] + "' is not a SNOMED CT identifier"
			}
			operand = true
		case c == '*':
			operand = true
			i++
		default: // AND, OR, MINUS, ':', '=', ',', '.', filters, strings
			operand = false
			i++
		}
	}
	switch {
	case depth != 0:
		return "a bracket is not closed"
	case !operand:
		return "it ends without a concept"
	}
	return ""
}
