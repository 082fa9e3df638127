package terminology_test

import (
	"errors"
	"testing"

	"ingle/store/concepts"
	"ingle/store/storetest"
	"ingle/terminology"
)

// TestClosureIsBounded: a table that is full, or one table too many, is refused and
// changes nothing; one of thousands of codings is replayed.
func TestClosureIsBounded(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t)
	c, ctx := db.Concepts(), t.Context()
	if err := c.ResetClosure(ctx, "me", "x", 1); err != nil {
		t.Fatal(err)
	}
	if err := c.ResetClosure(ctx, "me", "y", 1); !errors.Is(err, concepts.ErrClosureFull) {
		t.Errorf("a second table: %v", err)
	}
	if err := c.ResetClosure(ctx, "me", "x", 1); err != nil {
		t.Errorf("the same again: %v", err)
	}
	if err := c.ResetClosure(ctx, "somebody else", "y", 1); err != nil {
		t.Errorf("somebody else's: %v", err)
	}
	add := func(codes ...string) (int, int, error) {
		systems := make([]string, len(codes))
		all, version, _, err := c.ExtendClosure(ctx, "me", "x", systems, codes, 3)
		return len(all), version, err
	}
	if n, v, err := add("a", "b"); n != 2 || v != 1 || err != nil {
		t.Error(n, v, err)
	}
	if _, _, err := add("c", "d"); !errors.Is(err, concepts.ErrClosureFull) {
		t.Error(err)
	}
	if n, v, err := add("a", "b"); n != 2 || v != 1 || err != nil {
		t.Error("nothing new:", n, v, err)
	}
	if n, v, err := add("c"); n != 3 || v != 2 || err != nil {
		t.Error(n, v, err)
	}

	svc := terminology.New(terminology.Options{Concepts: c})
	m := generate("http://e.org/made", 3000, 6, 2)
	if _, err := svc.Import(ctx, m, false, nil); err != nil {
		t.Fatal(err)
	}
	want := 0
	var codes []string
	for i := range m.n {
		want += len(m.ancestors(i))
		codes = append(codes, m.code(i))
	}
	src := terminology.Sources{}
	if _, err := svc.Closure(ctx, src, "me", params("name", "all")); err != nil {
		t.Fatal(err)
	}
	for _, list := range [][]string{codes[:2000], codes[2000:]} {
		if _, err := svc.Closure(ctx, src, "me", closureParams(t, "all", m.info.URL, list...)); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := svc.Closure(ctx, src, "me", params("name", "all", "version", "0"))
	if err != nil {
		t.Fatal(err)
	}
	edges := map[string]bool{}
	if readClosure(t, raw, edges); len(edges) != want {
		t.Errorf("%d relations, want %d", len(edges), want)
	}
}
