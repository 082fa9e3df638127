package store

import (
	"encoding/binary"
	"errors"
	"iter"
)

// VersionList names versions of resources in two or three bytes each: the distance
// of the resource's number to the one before, and the version.
type VersionList struct {
	Count int
	coded []byte
	last  int64
}

var errVersionList = errors.New("store: a list of versions is cut off")

// add appends a version. Resources come in the order of their numbers.
func (l *VersionList) add(rid int64, version int32) {
	l.coded = binary.AppendUvarint(l.coded, uint64(rid-l.last))
	l.coded = binary.AppendUvarint(l.coded, uint64(version))
	l.last = rid
	l.Count++
}

// versionBatch is a part of a list.
type versionBatch struct {
	rids     []int64
	versions []int32
}

// batches cuts a list into parts of as many versions as size says before each; the
// slices hold until the next one. err tells whether the list was whole.
func (l *VersionList) batches(size func() int, err *error) iter.Seq[versionBatch] {
	return func(yield func(versionBatch) bool) {
		var b versionBatch
		rest, rid := l.coded, int64(0)
		for left := l.Count; left > 0; {
			b.rids, b.versions = b.rids[:0], b.versions[:0]
			for range min(left, max(size(), 1)) {
				distance, n := binary.Uvarint(rest)
				version, m := binary.Uvarint(rest[max(n, 0):])
				if n <= 0 || m <= 0 {
					*err = errVersionList
					return
				}
				rid += int64(distance)
				b.rids, b.versions = append(b.rids, rid), append(b.versions, int32(version))
				rest = rest[n+m:]
			}
			left -= len(b.rids)
			if !yield(b) {
				return
			}
		}
	}
}
