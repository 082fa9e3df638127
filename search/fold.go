package search

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// maxVal is the length in bytes at which idx_string.val is cut: a B-tree entry
// may not be longer than a third of a page.
const maxVal = 600

// fold brings a text to the form in which strings are compared: case folded,
// accents taken off, runs of white space made one blank (R4 search, "string": "after
// both have been normalized by case and accent").
func fold(s string) string {
	if plain(s) {
		return s
	}
	ascii := true
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			ascii = false
			break
		}
	}
	if ascii {
		return strings.Join(strings.Fields(strings.ToLower(s)), " ")
	}
	s = cases.Fold().String(norm.NFD.String(s))
	var b strings.Builder
	b.Grow(len(s))
	blank := false
	for _, r := range s {
		switch {
		case unicode.Is(unicode.Mn, r):
		case unicode.IsSpace(r):
			blank = b.Len() > 0
		default:
			if blank {
				b.WriteByte(' ')
				blank = false
			}
			b.WriteRune(r)
		}
	}
	return norm.NFC.String(b.String())
}

// plain tells that fold would change nothing: the common case of codes.
func plain(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= utf8.RuneSelf || c >= 'A' && c <= 'Z' || c < ' ' || c == 0x7f {
			return false
		}
		if c == ' ' && (i == 0 || i == len(s)-1 || s[i+1] == ' ') {
			return false
		}
	}
	return true
}

// foldCode brings a code to the form in which tokens are compared. Servers
// SHOULD compare tokens without regard to case (R4 search, "token").
func foldCode(s string) string {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= 'A' && c <= 'Z' || c >= utf8.RuneSelf {
			return strings.ToLower(s)
		}
	}
	return s
}

// cut shortens s to at most maxVal bytes at the border of a character.
func cut(s string) string {
	if len(s) <= maxVal {
		return s
	}
	n := maxVal
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// after returns the least string above all that begin with prefix, in the byte
// order of UTF-8; ok is false where there is none.
func after(prefix string) (next string, ok bool) {
	for prefix != "" {
		r, size := utf8.DecodeLastRuneInString(prefix)
		prefix = prefix[:len(prefix)-size]
		switch {
		case r == 0xD7FF:
			r = 0xE000 // surrogates are no characters
		case r < unicode.MaxRune:
			r++
		default:
			continue
		}
		return prefix + string(r), true
	}
	return "", false
}
