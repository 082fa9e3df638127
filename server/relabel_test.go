package server_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"ingle/authz"
	"ingle/store"
)

// A relabelling that was broken off leaves every resource on one side or the
// other, and is finished by running it again.
func TestRelabel(t *testing.T) {
	t.Parallel()
	const n = 450
	s, as := withUsers(t, map[string][]string{"ann": {"a"}, "bob": {"b"}, "both": {"a", "b"}})
	const from, to = "/programs/a/projects/x", "/programs/b/projects/y"
	var entries []string
	for i := range n {
		id := fmt.Sprintf("p%d", i)
		entries = append(entries, entryOf("", strings.Replace(labelled(id, from+"/s"), `"identifier"`, `"name":[{"family":"Moved"}],"identifier"`, 1), "PUT", "Patient/"+id))
	}
	s.Post("", transaction(entries...), as("ann")...).Is(200)
	s.Put("/Patient/p0", strings.Replace(labelled("p0", from), `"identifier"`, `"active":true,"identifier"`, 1), as("ann")...).Is(200)
	s.Put("/Patient/shared", `{"resourceType":"Patient","id":"shared","meta":{"security":[{"system":"urn:gen3:authz","code":"`+from+`"},{"system":"urn:gen3:authz","code":"`+to+`"},{"code":"R"}]}}`, as("both")...).Is(201)
	s.Put("/Patient/gone", labelled("gone", from), as("ann")...).Is(201)
	s.Delete("/Patient/gone", as("ann")...).Is(204)
	s.Put("/Patient/left", labelled("left", from), as("ann")...).Is(201) // it leaves before
	s.Put("/Patient/left", labelled("left", "/programs/a/projects/z"), as("ann")...).Is(200)
	s.Put("/Patient/near", labelled("near", "/programs/a/projects/x2"), as("ann")...).Is(201)

	work := s.Database.As(authz.System("relabel"))
	total := func(who, query string) string {
		t.Helper()
		return s.Get("/Patient?_total=accurate&_count=1&"+query, as(who)...).Is(200).Text("total")
	}
	if all := n + 3; total("ann", "") != fmt.Sprint(all) {
		t.Fatalf("ann sees %s, not %d", total("ann", ""), all)
	}
	dry, err := work.Relabel(t.Context(), store.Relabelling{From: from, To: to, DryRun: true})
	if want := (store.Relabelled{Resources: n + 2, Versions: 3}); err != nil || dry != want {
		t.Fatalf("dry run: %+v, %v; want %+v", dry, err, want)
	}
	if total("bob", "") != "1" { // the shared one
		t.Fatal("a dry run moved something")
	}

	ctx, cancel := context.WithCancel(t.Context())
	first, err := work.Relabel(ctx, store.Relabelling{From: from, To: to, Progress: func(store.Relabelled) { cancel() }})
	if err == nil || first.Resources == 0 || first.Resources >= n {
		t.Fatalf("broken off: %+v, %v", first, err)
	}
	var seen [2]int
	for i, who := range []string{"ann", "bob"} {
		_, _ = fmt.Sscan(total(who, "name=moved"), &seen[i])
	}
	if seen[0]+seen[1] != n-1 || seen[1] == 0 {
		t.Errorf("half way ann finds %d and bob %d of %d", seen[0], seen[1], n-1)
	}

	rest, err := work.Relabel(t.Context(), store.Relabelling{From: from, To: to})
	if err != nil || first.Resources+rest.Resources != n+2 || rest.Versions != 3 {
		t.Errorf("%+v and %+v, %v", first, rest, err)
	}
	if got := total("ann", ""); got != "2" { // left and near
		t.Errorf("ann still sees %s", got)
	}
	for query, want := range map[string]int{"": n + 1, "name=moved": n - 1, "_security=urn:gen3:authz|" + to + "/s": n - 1, "_security=urn:gen3:authz|" + from + "/s": 0,
		"identifier=p7": 1, "active=true": 1} {
		if got := total("bob", query); got != fmt.Sprint(want) {
			t.Errorf("bob, %q: %s, want %d", query, got, want)
		}
	}
	if a := s.Get("/Patient/p7", as("bob")...).Is(200).Has(to + "/s").Lacks(from); a.Text("meta.versionId") != "1" {
		t.Errorf("%s", a.Body)
	}
	s.Get("/Patient/p7", as("ann")...).Is(404)
	s.Get("/Patient/p0/_history/1", as("bob")...).Is(200).Has(to + "/s").Lacks(from)
	s.Get("/Patient/p0/_history/1", as("ann")...).Is(404)
	if a := s.Get("/Patient/shared", as("bob")...).Is(200).Has(`"R"`).Lacks(from); strings.Count(string(a.Body), to) != 1 {
		t.Errorf("%s", a.Body)
	}
	s.Get("/Patient/gone", as("bob")...).Is(410)
	s.Get("/Patient/gone", as("ann")...).Is(404)
	s.Get("/Patient/left/_history/1", as("ann")...).Is(404) // that version is bob's now
	s.Get("/Patient/left", as("ann")...).Is(200)
	s.Get("/Patient/near", as("ann")...).Is(200)

	again, err := work.Relabel(t.Context(), store.Relabelling{From: from, To: to})
	if err != nil || again != (store.Relabelled{}) {
		t.Errorf("once more: %+v, %v", again, err)
	}
	for _, bad := range [][2]string{{from, from + "/deeper"}, {from, from}, {"x", to}, {from, "/"}} {
		if _, err := work.Relabel(t.Context(), store.Relabelling{From: bad[0], To: bad[1]}); err == nil {
			t.Errorf("%v was accepted", bad)
		}
	}
	if _, err := s.Database.As(authz.Open()).Relabel(t.Context(), store.Relabelling{From: from, To: to}); err == nil {
		t.Error("a caller may relabel")
	}
}
