package fhir

import (
	"iter"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// decoder decompresses all parts. DecodeAll is safe for concurrent use.
var decoder = sync.OnceValue(func() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		panic("fhir: " + err.Error()) // only wrong options
	}
	return d
})

// decompress unpacks a part of the definitions. The parts are embedded in the
// program; a damaged one is a broken build.
func decompress(data []byte) []byte {
	out, err := decoder().DecodeAll(data, nil)
	if err != nil {
		panic("fhir: the embedded definitions are damaged: " + err.Error())
	}
	return out
}

// lines walks over the lines of a decompressed part. The last line ends with a
// line feed, too.
func lines(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for text != "" {
			line, rest, _ := strings.Cut(text, "\n")
			if !yield(line) {
				return
			}
			text = rest
		}
	}
}

// columns takes a line apart at its tabs.
func columns(line string, into ...*string) {
	for _, c := range into {
		*c, line, _ = strings.Cut(line, "\t")
	}
}

// split is strings.Split, nil for "".
func split(s, sep string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, sep)
}
