package search

// Prefixes of ordered values (R4 search, "Prefixes").
const (
	eq = "eq"
	ne = "ne"
	gt = "gt"
	lt = "lt"
	ge = "ge"
	le = "le"
	sa = "sa"
	eb = "eb"
	ap = "ap"

	covers = "covers" // of _filter: what is there includes the value
)

// cutPrefix takes the prefix off a value; eq where there is none.
func cutPrefix(s string) (prefix, rest string) {
	if len(s) >= 2 {
		switch s[:2] {
		case eq, ne, gt, lt, ge, le, sa, eb, ap:
			return s[:2], s[2:]
		}
	}
	return eq, s
}

// prefixed tells that a value begins with two letters that are not a prefix.
func prefixed(s string) bool {
	letter := func(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
	return len(s) > 2 && letter(s[0]) && letter(s[1])
}
