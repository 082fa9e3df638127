package interaction

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"ingle/fhir"
)

// maxStringBytes is what a string may hold (R4 datatypes.html#string: 1 MB);
// base64Binary and xhtml have no such bound.
const maxStringBytes = 1 << 20

// primitiveFault tells what is wrong with the value of a primitive type, ""
// if nothing is (R4 datatypes.html#primitive).
func primitiveFault(n fhir.Node, typ string) string {
	switch typ {
	case "boolean":
		if n.Kind() != fhir.Bool {
			return wrongKind(n, typ, "true or false")
		}
		return ""
	case "decimal":
		if n.Kind() != fhir.Number {
			return wrongKind(n, typ, "a number")
		}
		return ""
	case "integer", "positiveInt", "unsignedInt":
		if n.Kind() != fhir.Number {
			return wrongKind(n, typ, "a number")
		}
		v, err := strconv.ParseInt(n.Text(), 10, 64)
		low := int64(math.MinInt32)
		switch typ {
		case "positiveInt":
			low = 1
		case "unsignedInt":
			low = 0
		}
		if err != nil || v < low || v > math.MaxInt32 {
			return fmt.Sprintf("%s is not of type %s: a whole number from %d to %d without fraction or exponent", printable(n.Text()), typ, low, math.MaxInt32)
		}
		return ""
	}
	if n.Kind() != fhir.String {
		return wrongKind(n, typ, "a string")
	}
	b := n.Bytes()
	if len(b) == 0 {
		return "a string may not be empty (R4 datatypes.html#string)"
	}
	ok := true
	want := ""
	switch typ {
	case "date":
		_, err := fhir.ParseDate(string(b))
		ok, want = err == nil, "YYYY, YYYY-MM or YYYY-MM-DD"
	case "dateTime":
		_, err := fhir.ParseDateTime(string(b))
		ok, want = err == nil, "YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with a zone"
	case "instant":
		_, err := fhir.ParseInstant(string(b))
		ok, want = err == nil, "YYYY-MM-DDThh:mm:ss.sss with a zone"
	case "time":
		_, err := fhir.ParseTime(string(b))
		ok, want = err == nil, "hh:mm:ss"
	case "id":
		ok, want = fhir.ValidID(string(b)), "1 to 64 of the characters A-Z a-z 0-9 - ."
	case "code":
		ok, want = codeText(b), "no space at either end and no two in a row"
	case "uri", "url", "canonical":
		ok, want = noSpace(b), "without white space"
	case "oid":
		ok, want = oidText(string(b)), "urn:oid:1.2.3"
	case "uuid":
		ok, want = uuidText(string(b)), "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"
	case "base64Binary":
		ok, want = base64Text(b), "base64 (RFC 4648, 4) with padding"
	default: // string, markdown
		if len(b) > maxStringBytes {
			return fmt.Sprintf("a string may not be longer than %d bytes (R4 datatypes.html#string)", maxStringBytes)
		}
		for _, c := range b {
			if c < ' ' && c != '\t' && c != '\n' && c != '\r' {
				return fmt.Sprintf("a string may not hold the control character U+%04X (R4 datatypes.html#string)", c)
			}
		}
		ok, want = len(strings.TrimSpace(string(b))) > 0, "something other than white space"
	}
	if !ok {
		return fmt.Sprintf("%q is not of type %s: %s", printable(string(b)), typ, want)
	}
	return ""
}

func wrongKind(n fhir.Node, typ, want string) string {
	return fmt.Sprintf("%s is expected for type %s, not %s", want, typ, n.Kind())
}

func codeText(b []byte) bool {
	space := true // as if one stood before
	for _, c := range b {
		switch {
		case c == ' ':
			if space {
				return false
			}
			space = true
		case c < ' ':
			return false
		default:
			space = false
		}
	}
	return !space
}

func noSpace(b []byte) bool {
	for _, c := range b {
		if c <= ' ' {
			return false
		}
	}
	return true
}

func oidText(s string) bool {
	s, ok := strings.CutPrefix(s, "urn:oid:")
	if !ok || s == "" || s[0] < '0' || s[0] > '2' {
		return false
	}
	parts := 0
	for arc := range strings.SplitSeq(s, ".") {
		if arc == "" || len(arc) > 1 && arc[0] == '0' || strings.Trim(arc, "0123456789") != "" {
			return false
		}
		parts++
	}
	return parts > 1
}

func uuidText(s string) bool {
	s, ok := strings.CutPrefix(s, "urn:uuid:")
	if !ok || len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}

// base64Text checks alphabet and padding; white space may stand anywhere
// (R4 datatypes.html#base64Binary).
func base64Text(b []byte) bool {
	digits, pad := 0, 0
	for _, c := range b {
		switch {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '+', c == '/':
			if pad > 0 {
				return false
			}
			digits++
		case c == '=':
			pad++
		case c == ' ', c == '\n', c == '\r', c == '\t':
		default:
			return false
		}
	}
	return pad <= 2 && (digits+pad)%4 == 0
}
