package load

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// piece is one request's worth of input: a Bundle, a resource, or some lines
// of an NDJSON file.
type piece struct {
	file string // for people: "cohort.tar.zst:folder/a.json"
	line int    // of its first byte in the file, from 1
	data []byte
	kind kind
}

type kind int

const (
	document kind = iota // one JSON document: a Bundle or another resource
	lines                // resources, one a line
)

// maxDocument bounds one JSON document in memory.
const maxDocument = 512 << 20

// linesAtOnce is how many NDJSON resources travel in one Bundle, and
// bytesAtOnce how many bytes of them at most.
const (
	linesAtOnce = 200
	bytesAtOnce = 4 << 20
)

// first are the files that others refer to by condition (Synthea's
// "hospitalInformation…" and "practitionerInformation…"): they are loaded
// before the rest.
var first = regexp.MustCompile(`(?i)(hospital|practitioner)Information`)

// files lists what the paths name: files as they are, folders with all that is
// below them. size is in bytes.
func files(paths []string) (names []string, size int64, err error) {
	for _, p := range paths {
		err := filepath.WalkDir(p, func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() {
				if name != p && strings.HasPrefix(d.Name(), ".") {
					return fs.SkipDir
				}
				return nil
			}
			if name != p && !readable(name) {
				return nil
			}
			info, err := os.Stat(name)
			if err != nil {
				return err
			}
			names = append(names, name)
			size += info.Size()
			return nil
		})
		if err != nil {
			return nil, 0, err
		}
	}
	slices.SortStableFunc(names, func(a, b string) int {
		return rank(a) - rank(b)
	})
	return names, size, nil
}

func rank(name string) int {
	if first.MatchString(name) {
		return 0
	}
	return 1
}

func readable(name string) bool {
	base := strings.ToLower(name)
	for _, packed := range []string{".gz", ".zst"} {
		base = strings.TrimSuffix(base, packed)
	}
	switch filepath.Ext(base) {
	case ".json", ".ndjson", ".jsonl", ".tar", ".tgz", ".tzst":
		return true
	}
	return false
}

// walk reads a file and gives its pieces to yield, in order. count is told of
// the bytes read from the disk. fault tells why the file could not be read to its
// end, err is yield's.
func walk(name string, count func(int), yield func(piece) error) (fault, err error) {
	passes := []func(string) bool{func(string) bool { return true }}
	if isTar(name) { // what others refer to first, wherever it stands in the archive
		passes = []func(string) bool{first.MatchString, func(n string) bool { return !first.MatchString(n) }}
	}
	for _, want := range passes {
		fault = pass(name, count, want, func(p piece) error {
			err = yield(p)
			return err
		})
		if err != nil {
			return nil, err
		}
		count = func(int) {} // each byte once
	}
	return fault, nil
}

func pass(name string, count func(int), want func(string) bool, yield func(piece) error) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return unpack(name, filepath.ToSlash(name), &countingReader{f, count}, want, yield)
}

func isTar(name string) bool {
	base := strings.ToLower(name)
	base = strings.TrimSuffix(strings.TrimSuffix(base, ".gz"), ".zst")
	return strings.HasSuffix(base, ".tar") || strings.HasSuffix(base, ".tgz") || strings.HasSuffix(base, ".tzst")
}

// unpack takes off one layer of packing after the other, as the name says.
func unpack(name, shown string, r io.Reader, want func(string) bool, yield func(piece) error) error {
	lower := strings.ToLower(name)
	switch {
	case strings.HasSuffix(lower, ".gz"), strings.HasSuffix(lower, ".tgz"):
		z, err := gzip.NewReader(r)
		if err != nil {
			return err
		}
		defer z.Close()
		return unpack(inner(name, ".gz", ".tgz"), shown, z, want, yield)
	case strings.HasSuffix(lower, ".zst"), strings.HasSuffix(lower, ".tzst"):
		z, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(1<<27), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return err
		}
		defer z.Close()
		return unpack(inner(name, ".zst", ".tzst"), shown, z, want, yield)
	case strings.HasSuffix(lower, ".tar"):
		t := tar.NewReader(r)
		for {
			h, err := t.Next()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			if h.Typeflag != tar.TypeReg || !readable(h.Name) || isTar(h.Name) || !want(h.Name) {
				continue
			}
			if err := unpack(h.Name, shown+":"+h.Name, t, want, yield); err != nil {
				return fmt.Errorf("%s: %w", h.Name, err)
			}
		}
	case strings.HasSuffix(lower, ".ndjson"), strings.HasSuffix(lower, ".jsonl"):
		return splitLines(shown, r, yield)
	}
	data, err := io.ReadAll(io.LimitReader(r, maxDocument+1))
	if err != nil {
		return err
	}
	if len(data) > maxDocument {
		return fmt.Errorf("the document is larger than %d MB", maxDocument>>20)
	}
	return yield(piece{file: shown, line: 1, data: data})
}

func inner(name, plain, tarred string) string {
	if strings.HasSuffix(strings.ToLower(name), tarred) {
		return name[:len(name)-len(tarred)] + ".tar"
	}
	return name[:len(name)-len(plain)]
}

// splitLines cuts NDJSON into pieces of whole lines.
func splitLines(shown string, r io.Reader, yield func(piece) error) error {
	in := bufio.NewReaderSize(r, 1<<20)
	p := piece{file: shown, line: 1, kind: lines}
	line, held := 1, 0
	for {
		text, err := in.ReadBytes('\n')
		if len(text) > maxDocument {
			return fmt.Errorf("line %d is larger than %d MB", line, maxDocument>>20)
		}
		if len(bytes.TrimSpace(text)) > 0 {
			held++
		}
		p.data = append(p.data, text...)
		line++
		if held > 0 && (held >= linesAtOnce || len(p.data) >= bytesAtOnce || err != nil) {
			if err := yield(p); err != nil {
				return err
			}
			p, held = piece{file: shown, line: line, kind: lines}, 0
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

type countingReader struct {
	r     io.Reader
	count func(int)
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.count(n)
	return n, err
}
