package main

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/klauspost/compress/zstd"
)

// blockSize is how much JSON is compressed together: what one look-up has to
// decompress, against how well it compresses.
const blockSize = 256 << 10

var canonicalTypes = []string{
	"StructureDefinition", "ValueSet", "CodeSystem", "ConceptMap", "OperationDefinition", "SearchParameter",
	"CompartmentDefinition", "NamingSystem",
}

// canonicals writes the resources without prose in blocks, and their index:
//
//	type url version block offset length     (of the JSON in the decompressed block)
//	B offset length                          (of a block in the file), in order
func canonicals(entries []entry) (index, blocks []byte, err error) {
	type item struct {
		kind, url, version string
		json               []byte
	}
	var items []item
	for _, e := range entries {
		r := e.resource
		it := item{kind: r.str("resourceType"), url: r.str("url"), version: r.str("version")}
		if !slices.Contains(canonicalTypes, it.kind) {
			continue
		}
		if it.url == "" { // a NamingSystem has no URL of its own
			it.url = e.fullURL
		}
		strip(r)
		it.json = appendJSON(nil, r)
		items = append(items, it)
	}
	slices.SortFunc(items, func(a, b item) int {
		return cmp.Or(cmp.Compare(slices.Index(canonicalTypes, a.kind), slices.Index(canonicalTypes, b.kind)), cmp.Compare(a.url, b.url))
	})
	var list bytes.Buffer
	var block []byte
	number := 0
	flush := func() error {
		if len(block) == 0 {
			return nil
		}
		packed, err := compress(block)
		if err != nil {
			return err
		}
		line(&list, "B", strconv.Itoa(len(blocks)), strconv.Itoa(len(packed)))
		blocks = append(blocks, packed...)
		block = block[:0]
		number++
		return nil
	}
	for i, it := range items {
		if i > 0 && items[i-1].kind == it.kind && items[i-1].url == it.url {
			return nil, nil, fmt.Errorf("%s %s stands twice", it.kind, it.url)
		}
		if len(block) > 0 && (len(block)+len(it.json) > blockSize || items[i-1].kind != it.kind) {
			if err := flush(); err != nil {
				return nil, nil, err
			}
		}
		line(&list, it.kind, it.url, it.version, strconv.Itoa(number), strconv.Itoa(len(block)), strconv.Itoa(len(it.json)))
		block = append(block, it.json...)
	}
	if err := flush(); err != nil {
		return nil, nil, err
	}
	index, err = compress(list.Bytes())
	return index, blocks, err
}

func compress(data []byte) ([]byte, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(8<<20))
	if err != nil {
		return nil, err
	}
	defer enc.Close()
	return enc.EncodeAll(data, nil), nil
}
