package authz

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	maxPath     = 1024 // bytes of a label path
	maxSegments = 64
)

// NormalizePath returns a label path in its one spelling: a leading slash, no
// trailing one. fault tells why a text is no path ("" if it is): paths are
// compared by segments, so an empty, "." or ".." segment, a control character
// or a space has no meaning that two readers would agree on.
func NormalizePath(text string) (path, fault string) {
	switch {
	case text == "":
		return "", "the path is empty"
	case len(text) > maxPath:
		return "", fmt.Sprintf("the path is longer than %d bytes", maxPath)
	case text[0] != '/':
		return "", "the path does not begin with a slash"
	case !utf8.ValidString(text):
		return "", "the path is not UTF-8"
	}
	path = text
	if len(path) > 1 {
		path = strings.TrimSuffix(path, "/")
	}
	if path == "/" {
		return "", "the path is the root of all paths, which is no label"
	}
	if strings.Count(path, "/") > maxSegments {
		return "", fmt.Sprintf("the path has more than %d segments", maxSegments)
	}
	for segment := range strings.SplitSeq(path[1:], "/") {
		switch segment {
		case "":
			return "", "the path has an empty segment"
		case ".", "..":
			return "", "the path has a segment of dots"
		}
		for _, r := range segment {
			if r <= ' ' || r == 0x7f || r == '\\' || r >= 0x80 && r < 0xa0 || r == '\u2028' || r == '\u2029' || r == '\ufeff' {
				return "", fmt.Sprintf("the path holds the character %U, which no path may", r)
			}
		}
	}
	return path, ""
}
