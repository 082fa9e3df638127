package store

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// A list gives back what was put into it, in parts of any size, in few bytes; one
// that is cut off says so.
func TestVersionList(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	var l VersionList
	var rids []int64
	var versions []int32
	for rid := int64(1 << 40); len(rids) < 5000; rid += 1 + random.Int64N(100) {
		version := 1 + random.Int32N(3)
		l.add(rid, version)
		rids, versions = append(rids, rid), append(versions, version)
	}
	if l.Count != 5000 || len(l.coded) > 2*5000+8 {
		t.Errorf("%d versions in %d bytes", l.Count, len(l.coded))
	}
	for _, size := range []int{0, 1, 7, 4999, 5000, 1 << 20} {
		var err error
		var gotRIDs []int64
		var gotVersions []int32
		for b := range l.batches(func() int { return size }, &err) {
			if len(b.rids) > max(size, 1) {
				t.Fatalf("%d at once, not %d", len(b.rids), size)
			}
			gotRIDs, gotVersions = append(gotRIDs, b.rids...), append(gotVersions, b.versions...)
		}
		if err != nil || !slices.Equal(gotRIDs, rids) || !slices.Equal(gotVersions, versions) {
			t.Fatalf("in parts of %d: %d and %d, %v", size, len(gotRIDs), len(gotVersions), err)
		}
	}
	for _, cut := range []int{0, 1, len(l.coded) - 1} {
		short := VersionList{Count: l.Count, coded: l.coded[:cut]}
		var err error
		for range short.batches(func() int { return 1000 }, &err) {
		}
		if err == nil {
			t.Errorf("%d of %d bytes are taken for the whole", cut, len(l.coded))
		}
	}
	var err error
	for range l.batches(func() int { return 10 }, &err) {
		break
	}
}
