package terminology_test

import (
	"strings"
	"testing"

	"ingle/terminology"
)

// A code of which a part of the value set does not tell is neither in nor out:
// with its system and without it.
func TestMemberOfWhatIsPartlyKnown(t *testing.T) {
	t.Parallel()
	svc := terminology.New(terminology.Options{})
	src := listed(t,
		`{"resourceType":"CodeSystem","url":"http://e.org/cs","status":"active","caseSensitive":true,"content":"complete","concept":[{"code":"a"},{"code":"b"}]}`,
		set("a", `{"include":[{"system":"http://e.org/cs","concept":[{"code":"a"}]}]}`),
		set("nowhere", `{"include":[{"valueSet":["http://e.org/missing"]}]}`),
		set("imports", `{"include":[{"valueSet":["http://e.org/a"]},{"valueSet":["http://e.org/missing"]}]}`),
		set("inner", `{"include":[{"valueSet":["http://e.org/imports"]}]}`),
		set("system", `{"include":[{"system":"http://e.org/cs","concept":[{"code":"a"}]},{"system":"http://e.org/other"}]}`))
	for _, c := range []struct {
		set, system, code string
		want              terminology.Membership
		says              string
	}{
		{"a", "", "a", terminology.Member, ""},
		{"a", "", "b", terminology.NotMember, "'b'"},
		{"nowhere", "", "a", terminology.Unknown, "http://e.org/missing"},
		{"nowhere", "http://e.org/cs", "a", terminology.Unknown, "http://e.org/missing"},
		{"imports", "", "a", terminology.Member, ""},
		{"imports", "", "b", terminology.Unknown, "http://e.org/missing"},
		{"imports", "http://e.org/cs", "b", terminology.Unknown, "http://e.org/missing"},
		{"inner", "", "b", terminology.Unknown, "http://e.org/missing"},
		{"system", "", "a", terminology.Member, ""},
		{"system", "", "b", terminology.Unknown, "http://e.org/other"},
	} {
		m, why, err := svc.Member(t.Context(), src, "http://e.org/"+c.set, terminology.Coding{System: c.system, Code: c.code})
		if err != nil || m != c.want || !strings.Contains(why, c.says) {
			t.Errorf("%s#%s in %s: %v %q %v, want %v %q", c.system, c.code, c.set, m, why, err, c.want, c.says)
		}
	}
}
