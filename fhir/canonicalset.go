package fhir

import (
	"bytes"
	"iter"
	"strconv"
	"strings"
	"sync"
	"weak"
)

// canonicalSet finds definitions by URL in compressed blocks. Only the index
// stays in memory; a decompressed block is kept as long as the garbage
// collector lets it live, which makes a walk over neighbours cheap.
type canonicalSet struct {
	once   sync.Once
	items  []canonicalItem // by type, then URL
	byURL  map[string]int32
	byType map[string][2]int32 // first and end in items
	spans  [][2]int            // of the blocks in the file
	mu     sync.Mutex
	blocks []weak.Pointer[block]
}

type canonicalItem struct {
	kind, url, version string
	block, off, n      int32
}

type block struct{ data []byte }

func (s *canonicalSet) load(d *Definitions) {
	s.once.Do(func() { s.read(d.embedded.Index) })
}

// read parses the index (see internal/definitions for its shape).
func (s *canonicalSet) read(data []byte) {
	text := string(decompress(data))
	n := strings.Count(text, "\n")
	s.items = make([]canonicalItem, 0, n)
	s.byURL = make(map[string]int32, n)
	s.byType = map[string][2]int32{}
	for line := range lines(text) {
		var it canonicalItem
		var number, off, length string
		columns(line, &it.kind, &it.url, &it.version, &number, &off, &length)
		if it.kind == "B" {
			off, _ := strconv.Atoi(it.url)
			length, _ := strconv.Atoi(it.version)
			s.spans = append(s.spans, [2]int{off, off + length})
			continue
		}
		it.block, it.off, it.n = atoi32(number), atoi32(off), atoi32(length)
		i := int32(len(s.items))
		s.items = append(s.items, it)
		if _, taken := s.byURL[it.url]; !taken {
			s.byURL[it.url] = i
		}
		first := i
		if span, known := s.byType[it.kind]; known {
			first = span[0]
		}
		s.byType[it.kind] = [2]int32{first, i + 1}
	}
	s.blocks = make([]weak.Pointer[block], len(s.spans))
}

func atoi32(s string) int32 {
	n, _ := strconv.ParseInt(s, 10, 32)
	return int32(n)
}

// bytes returns the JSON of an item, shared with others.
func (s *canonicalSet) bytes(d *Definitions, it *canonicalItem) []byte {
	s.mu.Lock()
	b := s.blocks[it.block].Value()
	s.mu.Unlock()
	if b == nil {
		span := s.spans[it.block]
		b = &block{decompress(d.embedded.Blocks[span[0]:span[1]])}
		s.mu.Lock()
		s.blocks[it.block] = weak.Make(b)
		s.mu.Unlock()
	}
	return b.data[it.off : it.off+it.n : it.off+it.n]
}

func (s *canonicalSet) get(d *Definitions, resourceType, url string) ([]byte, bool) {
	s.load(d)
	url, version, versioned := strings.Cut(url, "|")
	i, ok := s.byURL[url]
	for ok && resourceType != "" && s.items[i].kind != resourceType {
		// the same URL may stand again under a later type
		i, ok = s.after(i, url)
	}
	if !ok || versioned && version != s.items[i].version {
		return nil, false
	}
	return bytes.Clone(s.bytes(d, &s.items[i])), true
}

func (s *canonicalSet) after(i int32, url string) (int32, bool) {
	for i++; int(i) < len(s.items); i++ {
		if s.items[i].url == url {
			return i, true
		}
	}
	return 0, false
}

func (s *canonicalSet) each(d *Definitions, resourceType string) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		s.load(d)
		span := s.byType[resourceType]
		if resourceType == "" {
			span[1] = int32(len(s.items))
		}
		for i := span[0]; i < span[1]; i++ {
			if it := &s.items[i]; !yield(it.url, s.bytes(d, it)) {
				return
			}
		}
	}
}
