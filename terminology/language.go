package terminology

import (
	"sort"
	"strconv"
	"strings"
)

// languages is a list of wanted languages in order of preference, as in the
// Accept-Language header (RFC 9110 12.5.4) and the displayLanguage parameter.
type languages struct {
	text   string // as given
	ranges []languageRange
	hard   bool // "*;q=0": no other language will do
}

type languageRange struct {
	tag string // lower case, "*" for any
	q   float64
}

// parseLanguages reads "de,en-AU;q=0.4,*;q=0". Unreadable weights count as 1.
func parseLanguages(text string) languages {
	l := languages{text: text}
	weighted := false
	for part := range strings.SplitSeq(text, ",") {
		tag, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		if tag = strings.TrimSpace(tag); tag == "" {
			continue
		}
		r := languageRange{strings.ToLower(tag), 1}
		if k, v, ok := strings.Cut(strings.TrimSpace(params), "="); ok && strings.TrimSpace(k) == "q" {
			if q, err := strconv.ParseFloat(strings.TrimSpace(v), 64); err == nil {
				r.q, weighted = q, true
			}
		}
		if r.tag == "*" && r.q == 0 {
			l.hard = true
		}
		l.ranges = append(l.ranges, r)
	}
	if weighted { // said back in canonical form
		parts := strings.Split(text, ",")
		for i := range parts {
			parts[i] = strings.TrimSpace(parts[i])
		}
		l.text = strings.Join(parts, ", ")
	}
	sort.SliceStable(l.ranges, func(i, j int) bool { return l.ranges[i].q > l.ranges[j].q })
	return l
}

func (l *languages) empty() bool { return len(l.ranges) == 0 }

// rank returns the place of a tag in the preferences: smaller is better, -1 for
// not wanted. "de" wants "de" first and "de-CH" after it.
func (l *languages) rank(tag string) int {
	tag = strings.ToLower(tag)
	for i, r := range l.ranges {
		if r.q == 0 || r.tag == "*" || tag == "" {
			continue
		}
		if r.tag == tag {
			return 2 * i
		}
		if strings.HasPrefix(tag, r.tag+"-") {
			return 2*i + 1
		}
	}
	return -1
}

// wants tells whether the preferences name the language.
func (l *languages) wants(tag string) bool { return l.rank(tag) >= 0 }

// shown is the list for messages: "en", "de, it", "--" for none.
func (l *languages) shown() string {
	if l.empty() {
		return "--"
	}
	return l.text
}

// name is one way to call a concept.
type name struct {
	Designation
	base bool // the display itself, of the code system or the value set
}

// pickDisplay returns the display in the preferred language and its place in
// names (-1 where there is none).
func (l *languages) pickDisplay(names []name) (string, int) {
	base := -1
	for i := range names {
		if names[i].base {
			base = i
			break
		}
	}
	if !l.empty() {
		best, at := -1, -1
		for i := range names {
			if !displayUse(&names[i]) {
				continue
			}
			r := l.rank(names[i].Language)
			if r >= 0 && (best < 0 || r < best || r == best && names[i].base && !names[at].base) {
				best, at = r, i
			}
		}
		if at >= 0 {
			return names[at].Value, at
		}
		if l.hard {
			return "", -1
		}
	}
	if base >= 0 {
		return names[base].Value, base
	}
	return "", -1
}

// displayUse tells whether a designation may serve as display: one without a
// use, or with a use that says so.
func displayUse(n *name) bool {
	if n.base {
		return true
	}
	if n.withdrawn() {
		return false
	}
	switch n.Use.Code {
	case "", "display", "preferredForLanguage", "900000000000003001", "900000000000013009":
		return true
	}
	return false
}
