package profiles

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"ingle/fhir"
)

// maxString is the longest string FHIR allows (R4 datatypes: "Strings SHALL NOT
// exceed 1MB in size").
const maxString = 1 << 20

// checkFormat tells what is wrong with the JSON value of a primitive type, ""
// if nothing is. The kind of JSON value is part of the format.
func checkFormat(typ string, n fhir.Node) string {
	switch typ {
	case "boolean":
		if n.Kind() != fhir.Bool {
			return "a boolean is written as true or false without quotes, not as " + n.Kind().String()
		}
		return ""
	case "integer", "unsignedInt", "positiveInt", "integer64":
		if n.Kind() != fhir.Number {
			return "a number of type " + typ + " is written without quotes, not as " + n.Kind().String()
		}
		return integerFault(typ, n.Bytes())
	case "decimal":
		if n.Kind() != fhir.Number {
			return "a decimal is written as a number without quotes, not as " + n.Kind().String()
		}
		return ""
	}
	if n.Kind() != fhir.String {
		return "a value of type " + typ + " is a string, not " + n.Kind().String()
	}
	return stringFault(typ, n.Bytes())
}

func integerFault(typ string, b []byte) string {
	low := int64(-1 << 31)
	high := int64(1<<31 - 1)
	switch typ {
	case "unsignedInt":
		low = 0
	case "positiveInt":
		low = 1
	case "integer64":
		low, high = -1<<63, 1<<63-1
	}
	digits := b
	if len(digits) > 0 && digits[0] == '-' {
		digits = digits[1:]
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return fmt.Sprintf("%s is not a whole number in plain digits", clip(b))
		}
	}
	if len(digits) < 10 { // fits whatever the digits are
		v := int64(0)
		for _, c := range digits {
			v = v*10 + int64(c-'0')
		}
		if len(digits) != len(b) {
			v = -v
		}
		if v < low {
			return fmt.Sprintf("%s is less than %d, the least value of the type %s", clip(b), low, typ)
		}
		return ""
	}
	v, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil || v < low || v > high {
		return fmt.Sprintf("%s is not between %d and %d, the range of the type %s", clip(b), low, high, typ)
	}
	return ""
}

func stringFault(typ string, b []byte) string {
	if len(b) == 0 {
		return "a value may not be empty; leave the property out instead"
	}
	switch typ {
	case "code":
		return codeFault(b)
	case "id":
		if !fhir.ValidID(string(b)) {
			return idFault(b)
		}
	case "date":
		return dateFault(b, fhir.ParseDate, "a date (YYYY, YYYY-MM or YYYY-MM-DD)")
	case "dateTime":
		return dateFault(b, fhir.ParseDateTime, "a dateTime (YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss+zz:zz)")
	case "instant":
		return dateFault(b, fhir.ParseInstant, "an instant (YYYY-MM-DDThh:mm:ss.sss+zz:zz)")
	case "time":
		return dateFault(b, fhir.ParseTime, "a time (hh:mm:ss)")
	case "uri", "url", "canonical":
		for _, c := range b {
			if c <= ' ' {
				return fmt.Sprintf("%s holds white space, which a %s may not", clip(b), typ)
			}
		}
	case "oid":
		if !validOID(string(b)) {
			return fmt.Sprintf("%s is not an OID (urn:oid:1.2.3)", clip(b))
		}
	case "uuid":
		if !validUUID(string(b)) {
			return fmt.Sprintf("%s is not a UUID (urn:uuid:c757873d-ec9a-4326-a141-556f43239520, in small letters)", clip(b))
		}
	case "base64Binary":
		return base64Fault(b)
	default: // string, markdown, xhtml and what packages may add
		return textFault(b)
	}
	return ""
}

func textFault(b []byte) string {
	if len(b) > maxString {
		return fmt.Sprintf("the text has %d bytes; a string may have at most %d", len(b), maxString)
	}
	blank := true
	for _, c := range b {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' {
			return fmt.Sprintf("the text holds the control character U+%04X; only tab, line feed and carriage return are allowed", c)
		}
		if c > ' ' {
			blank = false
		}
	}
	if blank {
		return "the text holds nothing but white space; leave the property out instead"
	}
	return ""
}

// codeFault: no white space at the ends and none but single spaces inside.
func codeFault(b []byte) string {
	space := true
	for _, c := range b {
		if c <= ' ' {
			if c != ' ' || space {
				return fmt.Sprintf("%s is not a code: white space at its ends or more than one space in a row", clip(b))
			}
			space = true
		} else {
			space = false
		}
	}
	if space {
		return fmt.Sprintf("%s is not a code: white space at its end", clip(b))
	}
	return ""
}

func idFault(b []byte) string {
	if len(b) > 64 {
		return fmt.Sprintf("an id has at most 64 characters, this one has %d", utf8.RuneCount(b))
	}
	return fmt.Sprintf("%s is not an id: only letters A-Z and a-z, digits, '-' and '.' are allowed", clip(b))
}

func dateFault(b []byte, parse func(string) (fhir.Date, error), right string) string {
	if _, err := parse(string(b)); err != nil {
		if strings.Contains(right, "hh:mm:ss+") && len(b) >= 16 && b[10] == 'T' && lacksZone(b) {
			return fmt.Sprintf("%s is not %s: a dateTime with a time must have a time zone", clip(b), right)
		}
		return fmt.Sprintf("%s is not %s", clip(b), right)
	}
	return ""
}

func lacksZone(b []byte) bool {
	for _, c := range b[11:] {
		if c == 'Z' || c == '+' || c == '-' {
			return false
		}
	}
	return true
}

func validOID(s string) bool {
	rest, ok := strings.CutPrefix(s, "urn:oid:")
	if !ok || rest == "" || rest[0] < '0' || rest[0] > '2' {
		return false
	}
	parts := strings.Split(rest, ".")
	if len(parts) < 2 || len(parts[0]) != 1 {
		return false
	}
	for _, p := range parts {
		if p == "" || len(p) > 1 && p[0] == '0' {
			return false
		}
		for i := range len(p) {
			if p[i] < '0' || p[i] > '9' {
				return false
			}
		}
	}
	return true
}

func validUUID(s string) bool {
	rest, ok := strings.CutPrefix(s, "urn:uuid:")
	if !ok || len(rest) != 36 {
		return false
	}
	for i := range len(rest) {
		c := rest[i]
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// base64Fault checks without decoding: the alphabet, the padding, and white
// space, which the R4 regular expression allows.
func base64Fault(b []byte) string {
	digits, pad := 0, 0
	for _, c := range b {
		switch {
		case c == ' ' || c == '\n' || c == '\r' || c == '\t':
		case c == '=':
			pad++
		case pad > 0, (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '+' && c != '/':
			return fmt.Sprintf("the content is not base64: the character %q is out of place", rune(c))
		default:
			digits++
		}
	}
	if (digits+pad)%4 != 0 || pad > 2 || digits == 0 {
		return "the content is not base64: its length with padding must be a multiple of four"
	}
	return ""
}

// base64Size returns the number of bytes that valid base64 text stands for.
func base64Size(b []byte) int {
	digits := 0
	for _, c := range b {
		if c > ' ' && c != '=' {
			digits++
		}
	}
	return base64.RawStdEncoding.DecodedLen(digits)
}

// clip quotes a value for a message and cuts long ones.
func clip[T string | []byte](b T) string {
	s := string(b)
	if len(s) > 80 {
		cut := 80
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		return "'" + s[:cut] + "…'"
	}
	return "'" + s + "'"
}
