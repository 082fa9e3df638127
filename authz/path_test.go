package authz

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		root, path string
		want       bool
	}{
		{"/programs/a", "/programs/a", true},
		{"/programs/a", "/programs/a/projects/b", true},
		{"/programs/a", "/programs/a/projects/not-registered/x", true},
		{"/programs/a", "/programs", false},
		{"/programs/a", "/programs/ab", false},
		{"/programs/a", "/programs/a-b", false},
		{"/programs/a", "/Programs/a", false},
		{"/", "/programs", true},
		{"/", "", false},
		{"", "/programs", false},
		{"", "", false},
	} {
		if got := Covers(c.root, c.path); got != c.want {
			t.Errorf("Covers(%q, %q) = %v, want %v", c.root, c.path, got, c.want)
		}
	}
}

func TestCollapse(t *testing.T) {
	got := Collapse([]string{"/a/b", "/a-b", "/a", "/a/b/c", "/ab", "/a", "/x/y"})
	if want := []string{"/a", "/a-b", "/ab", "/x/y"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := Collapse([]string{"/b", "/", "/a"}); !slices.Equal(got, []string{"/"}) {
		t.Errorf("with the root of all: %v", got)
	}
	if g := (Grant{Roots: []string{"/"}}); !g.AllowsPaths([]string{"/a/b"}) || g.AllowsPaths(nil) {
		t.Error("the root of all covers every path and no resource without one")
	}
	if got := Collapse(nil); len(got) != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

func TestIntersect(t *testing.T) {
	for _, c := range []struct{ a, b, want []string }{
		{[]string{"/a"}, []string{"/a/b", "/c"}, []string{"/a/b"}},
		{[]string{"/a/b", "/a/c", "/d"}, []string{"/a", "/d/e"}, []string{"/a/b", "/a/c", "/d/e"}},
		{[]string{"/a"}, []string{"/ab"}, nil},
		{[]string{"/"}, []string{"/a", "/b"}, []string{"/a", "/b"}},
		{nil, []string{"/a"}, nil},
	} {
		if got := Intersect(c.a, c.b); !slices.Equal(got, c.want) {
			t.Errorf("Intersect(%v, %v) = %v, want %v", c.a, c.b, got, c.want)
		}
		if got := Intersect(c.b, c.a); !slices.Equal(got, c.want) {
			t.Errorf("Intersect(%v, %v) = %v, want %v", c.b, c.a, got, c.want)
		}
	}
}

// paths draws label paths over few and treacherous segments, so that they meet.
var paths = rapid.Custom(func(t *rapid.T) string {
	segments := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "ab", "a-b", "a.b", "a!", "~", "é", "0"}), 1, 4).Draw(t, "segments")
	return "/" + strings.Join(segments, "/")
})

var pathLists = rapid.SliceOfN(paths, 0, 8)

// covers is Covers told another way.
func covers(root, path string) bool {
	r, p := strings.Split(root, "/"), strings.Split(path, "/")
	return len(r) <= len(p) && slices.Equal(r, p[:len(r)])
}

func anyCovers(roots []string, path string) bool {
	return slices.ContainsFunc(roots, func(r string) bool { return covers(r, path) })
}

func TestCoversProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		root, path := paths.Draw(t, "root"), paths.Draw(t, "path")
		if Covers(root, path) != covers(root, path) {
			t.Fatalf("Covers(%q, %q) = %v", root, path, Covers(root, path))
		}
		if !Covers(root, root+path) {
			t.Fatalf("%q does not cover its descendant", root)
		}
	})
}

func TestCollapseProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := pathLists.Draw(t, "roots")
		out := Collapse(slices.Clone(in))
		if !slices.IsSorted(out) {
			t.Fatalf("not sorted: %v", out)
		}
		for i, a := range out {
			if !slices.Contains(in, a) {
				t.Fatalf("%q was not there", a)
			}
			for j, b := range out {
				if i != j && Covers(a, b) {
					t.Fatalf("%q and %q both stayed", a, b)
				}
			}
		}
		path := paths.Draw(t, "path")
		if coveredBy(out, path) != anyCovers(in, path) {
			t.Fatalf("%v and %v differ on %q", in, out, path)
		}
	})
}

func TestIntersectProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := Collapse(pathLists.Draw(t, "a")), Collapse(pathLists.Draw(t, "b"))
		out := Intersect(a, b)
		if !slices.Equal(out, Collapse(slices.Clone(out))) {
			t.Fatalf("not collapsed: %v", out)
		}
		path := paths.Draw(t, "path")
		if coveredBy(out, path) != (anyCovers(a, path) && anyCovers(b, path)) {
			t.Fatalf("%v ∩ %v = %v is wrong for %q", a, b, out, path)
		}
	})
}

func TestAllowsPathsProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := Grant{Roots: Collapse(pathLists.Draw(t, "roots")), Unlabelled: rapid.Bool().Draw(t, "unlabelled"), NeedAll: rapid.Bool().Draw(t, "needAll")}
		labels := pathLists.Draw(t, "labels")
		some, all := false, true
		for _, l := range labels {
			c := anyCovers(g.Roots, l)
			some, all = some || c, all && c
		}
		want := some
		if g.NeedAll {
			want = all
		}
		if len(labels) == 0 {
			want = g.Unlabelled
		}
		if g.AllowsPaths(labels) != want {
			t.Fatalf("%+v on %v: %v", g, labels, !want)
		}
	})
}

func TestGrantAndProperty(t *testing.T) {
	grant := rapid.Custom(func(t *rapid.T) Grant {
		if rapid.IntRange(0, 5).Draw(t, "all") == 0 {
			return Grant{All: true}
		}
		return Grant{Roots: Collapse(pathLists.Draw(t, "roots")), Unlabelled: rapid.Bool().Draw(t, "unlabelled")}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := grant.Draw(t, "a"), grant.Draw(t, "b")
		label := paths.Draw(t, "label")
		for _, labels := range [][]string{nil, {label}} {
			if got, want := a.and(b).AllowsPaths(labels), a.AllowsPaths(labels) && b.AllowsPaths(labels); got != want {
				t.Fatalf("%+v and %+v on %v: %v", a, b, labels, got)
			}
		}
	})
}

func TestNormalizePath(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"/programs/a", "/programs/a"},
		{"/programs/a/", "/programs/a"},
		{"/programs/phs000424.c1-GRU/projects/GTEx-v8_all~x", "/programs/phs000424.c1-GRU/projects/GTEx-v8_all~x"},
		{"/é", "/é"},
		{"", ""}, {"/", ""}, {"//", ""}, {"programs", ""}, {"/a//b", ""}, {"/a/./b", ""}, {"/a/../b", ""}, {"/a/..", ""},
		{"/a b", ""}, {"/a\tb", ""}, {"/a\x00", ""}, {"/a\\b", ""}, {"/\xff", ""}, {"/a\u2028b", ""}, {"/\u0085", ""}, {" /a", ""},
		{"/" + strings.Repeat("x", 1024), ""}, {strings.Repeat("/x", 65), ""},
	} {
		got, fault := NormalizePath(c.in)
		if got != c.want || (fault == "") != (c.want != "") {
			t.Errorf("NormalizePath(%q) = %q, %q; want %q", c.in, got, fault, c.want)
		}
	}
}

func FuzzNormalizePath(f *testing.F) {
	for _, s := range []string{"/programs/a", "/a/", "/a/../b", "//", "/\u2028", "/a\\b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		path, fault := NormalizePath(in)
		if fault != "" {
			if path != "" {
				t.Fatalf("%q: both a path and a fault", in)
			}
			return
		}
		again, fault := NormalizePath(path)
		if again != path || fault != "" {
			t.Fatalf("%q became %q, which became %q (%s)", in, path, again, fault)
		}
		if path[0] != '/' || strings.HasSuffix(path, "/") || strings.Contains(path, "//") || len(path) > maxPath {
			t.Fatalf("%q became %q", in, path)
		}
		if path != in && path+"/" != in {
			t.Fatalf("%q became %q", in, path)
		}
	})
}
