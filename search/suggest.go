package search

import (
	"fmt"
	"strings"
)

// DidYouMean ends a message about an unknown name: "; did you mean …?" where one
// of the names is near, else "".
func DidYouMean(got string, names []string) string {
	best, dist := "", 3
	if len(got) < 4 {
		dist = 2
	}
	for _, n := range names {
		if strings.EqualFold(n, got) {
			return fmt.Sprintf("; did you mean %q?", n)
		}
		if d := editDistance(got, n, dist); d < dist {
			best, dist = n, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// editDistance counts the letters to change, at most limit.
func editDistance(a, b string, limit int) int {
	if len(a) > 64 || len(b) > 64 || max(len(a), len(b))-min(len(a), len(b)) >= limit {
		return limit
	}
	prev := make([]int, len(b)+1)
	var before []int
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] { // two letters changed places
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev = prev, row
	}
	return min(prev[len(b)], limit)
}

// list writes "a, b and c".
func list(words []string) string {
	switch len(words) {
	case 0:
		return "none"
	case 1:
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}
