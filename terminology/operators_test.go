package terminology_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"ingle/authz"
	"ingle/fhir/r4"
	"ingle/store"
	"ingle/store/storetest"
	"ingle/terminology"
)

// small is a code system for import: the same as smallResource.
type small struct{}

var smallParents = map[string][]string{"b": {"a"}, "c": {"b", "x"}, "d": {"b"}}

func (small) Info() *terminology.SystemInfo {
	return &terminology.SystemInfo{URL: "http://e.org/imported", Version: "1", Name: "Small", Status: "active", CaseSensitive: true, HierarchyMeaning: "is-a",
		Properties: []terminology.PropertyInfo{{Code: "kind", Type: "code"}, {Code: "note", Type: "string"}}}
}
func (small) Checksum() ([]byte, error) { return []byte("small"), nil }
func (small) Read(_ context.Context, _ bool, to terminology.Receiver) error {
	for _, code := range []string{"a", "b", "c", "d", "x"} {
		c := terminology.Concept{Code: code, Display: "The " + strings.ToUpper(code), Properties: []terminology.Property{{Code: "kind", Type: "Code", Value: smallKinds[code]}}}
		if code == "c" {
			c.Properties = append(c.Properties, terminology.Property{Code: "note", Type: "String", Value: "of both"})
		}
		if err := to.Concept(&c); err != nil {
			return err
		}
		for _, p := range smallParents[code] {
			if err := to.Parent(code, p); err != nil {
				return err
			}
		}
	}
	return nil
}

var smallKinds = map[string]string{"a": "k1", "b": "k1", "c": "k2", "d": "k3", "x": "k2"}

func smallResource() string {
	var list []string
	for _, code := range []string{"a", "b", "c", "d", "x"} {
		props := []string{`{"code":"kind","valueCode":"` + smallKinds[code] + `"}`}
		if code == "c" {
			props = append(props, `{"code":"note","valueString":"of both"}`)
		}
		for _, p := range smallParents[code] {
			props = append(props, `{"code":"parent","valueCode":"`+p+`"}`)
		}
		list = append(list, fmt.Sprintf(`{"code":"%s","display":"The %s","property":[%s]}`, code, strings.ToUpper(code), strings.Join(props, ",")))
	}
	return `{"resourceType":"CodeSystem","id":"small","url":"http://e.org/written","status":"active","content":"complete","caseSensitive":true,"hierarchyMeaning":"is-a",
		"property":[{"code":"kind","type":"code"},{"code":"note","type":"string"},{"code":"parent","uri":"http://hl7.org/fhir/concept-properties#parent","type":"code"}],"concept":[` + strings.Join(list, ",") + `]}`
}

// TestOperators asks every filter operator that R4 names of a code system that is
// stored as a resource, one that is imported and one of the specification: what
// $expand lists, what $validate-code accepts and what a search takes.
func TestOperators(t *testing.T) {
	t.Parallel()
	database := storetest.URL(t)
	db := storetest.OpenURL(t, database)
	svc := terminology.New(terminology.Options{Concepts: db.Concepts()})
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := svc.Import(t.Context(), small{}, false, nil); err != nil {
		t.Fatal(err)
	}
	write(t, db, "CodeSystem", "small", smallResource(), 1)
	type test struct{ property, op, value, want string }
	tests := []test{
		{"concept", "=", "b", "b"}, {"kind", "=", "k2", "c x"}, {"kind", "=", "none", ""}, {"display", "=", "The D", "d"},
		{"concept", "is-a", "b", "b c d"}, {"concept", "is-a", "none", ""},
		{"concept", "descendent-of", "a", "b c d"}, {"concept", "descendent-of", "d", ""},
		{"concept", "is-not-a", "b", "a x"},
		{"code", "regex", "[a-c]", "a b c"}, {"kind", "regex", "k[13]", "a b d"}, {"kind", "regex", "k", ""}, {"display", "regex", "The [AX]", "a x"},
		{"kind", "in", "k1, k3", "a b d"}, {"code", "in", "a,x,none", "a x"},
		{"kind", "not-in", "k1,k3", "c x"}, {"code", "not-in", "a,x", "b c d"}, {"note", "not-in", "of both", "a b d x"},
		{"concept", "generalizes", "c", "a b c x"}, {"concept", "generalizes", "a", "a"},
		{"note", "exists", "true", "c"}, {"note", "exists", "false", "a b d x"},
		{"parent", "=", "b", "c d"}, {"parent", "exists", "false", "a x"}, {"child", "exists", "true", "a b x"},
	}
	// the specification's own: issue-type, of which "invalid" and "security" have children
	embedded := []test{
		{"concept", "=", "structure", "structure"},
		{"concept", "is-a", "invalid", "invalid invariant required structure value"},
		{"concept", "descendent-of", "security", "expired forbidden login suppressed unknown"},
		{"code", "regex", "in(valid|variant|complete)", "incomplete invalid invariant"},
		{"code", "in", "login,value", "login value"},
		{"concept", "generalizes", "login", "login security"},
		{"display", "exists", "false", ""},
	}
	counts := map[string]int{}
	ask := func(system string, all []string, c test) {
		t.Helper()
		compose := fmt.Sprintf(`{"include":[{"system":"%s","filter":[{"property":"%s","op":"%s","value":"%s"}]}]}`, system, c.property, c.op, c.value)
		src := terminology.Sources{terminology.Stored(store.NewConformance(db, 0), db.As(authz.Open())), terminology.Definitions(r4.Definitions()), listed(t, set("x", compose))}
		name := fmt.Sprint(system, " ", c.property, " ", c.op, " ", c.value)
		for _, page := range []any{nil, 1000} {
			list := []any{"url", "http://e.org/x"}
			if page != nil {
				list = append(list, "count", page)
			}
			codes, says := expanded(t, svc, src, list...)
			got := strings.Fields(codes)
			slices.Sort(got)
			if says != "" || strings.Join(got, " ") != c.want {
				t.Errorf("%s: %v %s, want %s", name, got, says, c.want)
			}
		}
		want := strings.Fields(c.want)
		for _, code := range all {
			if in := isMember(t, svc, src, "http://e.org/x", system, code); in != slices.Contains(want, code) {
				t.Errorf("%s: %s is in it: %v", name, code, in)
			}
		}
		found, err := svc.CodeSet(t.Context(), src, "in", "http://e.org/x")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		for _, code := range all {
			if in := inCodeSet(t, conn, found, system, code); in != slices.Contains(want, code) {
				t.Errorf("%s: a search takes %s: %v", name, code, in)
			}
		}
		counts[c.op]++
	}
	for _, system := range []string{"http://e.org/written", "http://e.org/imported"} {
		for _, c := range tests {
			ask(system, []string{"a", "b", "c", "d", "x"}, c)
		}
	}
	for _, c := range embedded {
		ask("http://hl7.org/fhir/issue-type", []string{"invalid", "structure", "value", "login", "security", "incomplete"}, c)
	}
	for _, op := range []string{"=", "is-a", "descendent-of", "is-not-a", "regex", "in", "not-in", "generalizes", "exists"} {
		if counts[op] == 0 {
			t.Errorf("nothing asked %s", op)
		}
	}
}

// TestListedInBatches expands a value set that lists many codes of an imported
// system: each of them once, without those that there are not, and less what is
// excluded, in few round trips.
func TestListedInBatches(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t)
	svc := terminology.New(terminology.Options{Concepts: db.Concepts(), MaxExpansion: 5000, NoCache: true})
	m := generate("http://e.org/made", 3000, 5, 1)
	if _, err := svc.Import(t.Context(), m, false, nil); err != nil {
		t.Fatal(err)
	}
	var list, want []string
	for i := range m.n {
		list = append(list, `{"code":"`+m.code(i)+`"}`)
		if i%700 == 0 {
			list = append(list, fmt.Sprintf(`{"code":"gone%d"}`, i))
		}
		if i%5 != 0 {
			want = append(want, m.code(i))
		}
	}
	var out []string
	for i := 0; i < m.n; i += 5 {
		out = append(out, `{"code":"`+m.code(i)+`"}`)
	}
	src := listed(t, set("x", `{"include":[{"system":"http://e.org/made","concept":[`+strings.Join(list, ",")+`]}],"exclude":[{"system":"http://e.org/made","concept":[`+strings.Join(out, ",")+`]}]}`))
	before := db.Stat().AcquireCount()
	got, says := expanded(t, svc, src, "url", "http://e.org/x")
	if got != strings.Join(want, " ") {
		t.Errorf("%d codes, want %d: %s", len(strings.Fields(got)), len(want), says)
	}
	if trips := db.Stat().AcquireCount() - before; trips > 30 {
		t.Errorf("%d round trips", trips)
	}
}
