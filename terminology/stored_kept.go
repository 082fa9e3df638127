package terminology

import (
	"encoding/json"

	"ingle/store/concepts"

	"ingle/internal/cache"
)

// keptRows are concepts and counts of imported code systems that were asked for
// lately. They stand under the number of an import, of which nothing ever
// changes, so they are never stale. A nil one keeps nothing.
type keptRows struct {
	rows   *cache.Cache[rowKey, *concepts.Concept]
	counts *cache.Cache[rowKey, int]
}

// rowKey is a concept by its code, or a count by its selection.
type rowKey struct {
	system int32
	what   string
}

const (
	maxKeptRows   = 16 << 20 // bytes
	maxKeptCounts = 1 << 20
)

func newKeptRows() *keptRows {
	return &keptRows{
		rows: cache.New(cache.Options[rowKey, *concepts.Concept]{Max: maxKeptRows, Weigh: func(key rowKey, c *concepts.Concept) uint32 {
			return uint32(300 + 2*len(key.what) + len(c.Display) + len(c.Definition) + len(c.More) + 16*len(c.Below) + 8*len(c.Parents))
		}}),
		counts: cache.New(cache.Options[rowKey, int]{Max: maxKeptCounts, Weigh: func(key rowKey, _ int) uint32 { return uint32(100 + len(key.what)) }}),
	}
}

func (k *keptRows) concept(system int32, code string) (*concepts.Concept, bool) {
	if k == nil {
		return nil, false
	}
	return k.rows.Get(rowKey{system, code})
}

func (k *keptRows) keepConcept(system int32, code string, c *concepts.Concept) {
	if k != nil {
		k.rows.Set(rowKey{system, code}, c)
	}
}

// selectionKey tells selections apart, "" for one that is too large to be kept.
func selectionKey(sel *concepts.Selection) string {
	key, err := json.Marshal(sel)
	if err != nil || len(key) > 10_000 {
		return ""
	}
	return string(key)
}

func (k *keptRows) count(system int32, sel *concepts.Selection) (int, bool) {
	if k == nil {
		return 0, false
	}
	return k.counts.Get(rowKey{system, selectionKey(sel)})
}

func (k *keptRows) keepCount(system int32, sel *concepts.Selection, n int) {
	if k == nil {
		return
	}
	if key := selectionKey(sel); key != "" {
		k.counts.Set(rowKey{system, key}, n)
	}
}
