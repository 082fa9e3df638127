package cache

import (
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestCache(t *testing.T) {
	t.Parallel()
	type key struct{ a, b int }
	c := New(Options[key, string]{Max: 100})
	if v, ok := c.Get(key{1, 2}); ok || v != "" {
		t.Errorf("an empty cache has %q", v)
	}
	c.Set(key{1, 2}, "x")
	c.Set(key{2, 1}, "y")
	if v, ok := c.Get(key{1, 2}); !ok || v != "x" || !c.Has(key{2, 1}) {
		t.Errorf("what was set is %q, %v", v, ok)
	}
	if all := maps.Collect(c.All()); !maps.Equal(all, map[key]string{{1, 2}: "x", {2, 1}: "y"}) {
		t.Errorf("all is %v", all)
	}
	c.Drop(key{1, 2})
	if c.Has(key{1, 2}) || !c.Has(key{2, 1}) {
		t.Error("Drop did not drop the one value")
	}
	c.Clear()
	if _, ok := c.Get(key{2, 1}); ok {
		t.Error("Clear left a value")
	}
}

func TestNilKeepsNothing(t *testing.T) {
	t.Parallel()
	c := New(Options[string, int]{})
	if c != nil {
		t.Fatal("a cache without room is not nil")
	}
	c.Set("a", 1)
	c.Drop("a")
	c.Clear()
	if _, ok := c.Get("a"); ok || c.Has("a") || c.GetOrSet("a", func() int { return 2 }) != 2 {
		t.Error("a nil cache keeps something")
	}
}

func TestNilValues(t *testing.T) {
	t.Parallel()
	c := New(Options[string, error]{Max: 10, Weigh: func(string, error) uint32 { return 1 }})
	c.Set("none", nil)
	if err, ok := c.Get("none"); !ok || err != nil {
		t.Errorf("%v, %v", err, ok)
	}
}

// TestBounds proves that neither the number nor the weight of values passes the limit.
func TestBounds(t *testing.T) {
	t.Parallel()
	many := New(Options[int, int]{Max: 50})
	heavy := New(Options[int, int]{Max: 500, Weigh: func(_, v int) uint32 { return uint32(v) }})
	for i := range 2000 {
		many.Set(i, i)
		heavy.Set(i, 10)
	}
	for name, c := range map[string]*Cache[int, int]{"number": many, "weight": heavy} {
		left := 0
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			left = 0
			for i := range 2000 {
				if c.Has(i) {
					left++
				}
			}
			if left <= 50 || time.Now().After(end) { // what is over gives way behind the writer's back
				break
			}
		}
		if left == 0 || left > 50 {
			t.Errorf("%s: %d values are kept, of at most 50", name, left)
		}
	}
}

func TestAge(t *testing.T) {
	t.Parallel()
	c := New(Options[string, int]{Max: 10, Age: 20 * time.Millisecond})
	c.Set("a", 1)
	for end := time.Now().Add(10 * time.Second); c.Has("a"); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a value is kept beyond its age")
		}
	}
}

func TestGetOrSetMakesOnce(t *testing.T) {
	t.Parallel()
	c := New(Options[string, string]{Max: 100})
	var made atomic.Int32
	var group sync.WaitGroup
	for range 32 {
		group.Go(func() {
			for i := range 20 {
				k := fmt.Sprint(i)
				if v := c.GetOrSet(k, func() string { made.Add(1); return "v" + k }); v != "v"+k {
					t.Errorf("%s has %s", k, v)
				}
			}
		})
	}
	group.Wait()
	if made.Load() != 20 {
		t.Errorf("20 values were made %d times", made.Load())
	}
}
