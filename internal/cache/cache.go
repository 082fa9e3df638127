// Package cache keeps what is dear to come by in bounded memory. What is full lets go
// of what is asked for least; nothing is promised to be found again.
package cache

import (
	"iter"
	"time"

	"github.com/maypok86/otter/v2"
)

// A Cache keeps values under keys. It is safe for concurrent use. A nil Cache keeps
// nothing.
type Cache[K comparable, V any] struct{ kept kept }

// Options bound a Cache.
type Options[K comparable, V any] struct {
	Max   int               // the weight of all values; 0 keeps nothing
	Weigh func(K, V) uint32 // the weight of one; nil: 1
	Age   time.Duration     // how long a value is kept after it was set; 0: as long as there is room
}

// New makes a Cache, nil for one that keeps nothing.
func New[K comparable, V any](opt Options[K, V]) *Cache[K, V] {
	if opt.Max <= 0 {
		return nil
	}
	var weigh func(k, v any) uint32
	if opt.Weigh != nil {
		weigh = func(k, v any) uint32 { return opt.Weigh(k.(K), as[V](v)) }
	}
	return &Cache[K, V]{newKept(opt.Max, weigh, opt.Age)}
}

// Get returns the value under a key.
func (c *Cache[K, V]) Get(k K) (v V, ok bool) {
	if c == nil {
		return v, false
	}
	have, ok := c.kept.get(k)
	return as[V](have), ok
}

// Has tells whether there is a value under a key; it does not count as being asked for.
func (c *Cache[K, V]) Has(k K) bool { return c != nil && c.kept.has(k) }

// Set keeps a value under a key.
func (c *Cache[K, V]) Set(k K, v V) {
	if c != nil {
		c.kept.set(k, v)
	}
}

// GetOrSet returns the value under a key, which is made and kept where there is none.
// Of callers at the same time one makes it.
func (c *Cache[K, V]) GetOrSet(k K, make func() V) V {
	if c == nil {
		return make()
	}
	return as[V](c.kept.getOrSet(k, func() any { return make() }))
}

// Drop lets go of the value under a key.
func (c *Cache[K, V]) Drop(k K) {
	if c != nil {
		c.kept.drop(k)
	}
}

// Clear lets go of all values.
func (c *Cache[K, V]) Clear() {
	if c != nil {
		c.kept.clear()
	}
}

// All gives the keys and values that are kept, in no order.
func (c *Cache[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		if c == nil {
			return
		}
		for k, v := range c.kept.all() {
			if !yield(k.(K), as[V](v)) {
				return
			}
		}
	}
}

// as is a kept value as what it was; nil, where V is an interface, is the zero V.
func as[V any](v any) V {
	out, _ := v.(V)
	return out
}

// kept is the library's cache behind an interface: it is generic through and through,
// and every package that sees a type of it would compile all of it once more.
type kept interface {
	get(k any) (any, bool)
	has(k any) bool
	set(k, v any)
	getOrSet(k any, make func() any) any
	drop(k any)
	clear()
	all() iter.Seq2[any, any]
}

type bounded struct{ cache *otter.Cache[any, any] }

func newKept(most int, weigh func(k, v any) uint32, age time.Duration) kept {
	opt := &otter.Options[any, any]{MaximumSize: most}
	if weigh != nil {
		opt.MaximumSize, opt.MaximumWeight, opt.Weigher = 0, uint64(most), weigh
	}
	if age > 0 {
		opt.ExpiryCalculator = otter.ExpiryWriting[any, any](age)
	}
	return bounded{otter.Must(opt)}
}

func (b bounded) get(k any) (any, bool) { return b.cache.GetIfPresent(k) }

func (b bounded) has(k any) bool {
	_, ok := b.cache.GetEntryQuietly(k)
	return ok
}

func (b bounded) set(k, v any) { b.cache.Set(k, v) }

func (b bounded) getOrSet(k any, make func() any) any {
	v, _ := b.cache.ComputeIfAbsent(k, func() (any, bool) { return make(), false })
	return v
}

func (b bounded) drop(k any) { b.cache.Invalidate(k) }

func (b bounded) clear() { b.cache.InvalidateAll() }

func (b bounded) all() iter.Seq2[any, any] { return b.cache.All() }
