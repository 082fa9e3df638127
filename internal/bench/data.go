package bench

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"ingle/fhir"
	"ingle/internal/load"
)

// bundle is one transaction Bundle as it is posted.
type bundle struct {
	body    []byte
	entries int
}

// source gives the transaction Bundles of the files, again and again; each time
// round with other UUIDs, so that no id, reference or identifier made of one is
// seen twice and all stay consistent.
type source struct {
	next func() (bundle, error)
	stop func()
}

var errStopped = errors.New("no more Bundles are wanted")

// newSource reads ahead by one Bundle, so that the files need not fit into memory.
// With labels, the Bundles are put under that many paths in turn.
func newSource(ctx context.Context, paths []string, labels int) *source {
	ctx, cancel := context.WithCancel(ctx)
	out := make(chan bundle)
	failed := make(chan error, 1)
	go func() {
		defer close(out)
		count := 0
		for round := uint32(0); ; round++ {
			found := false
			err := load.Documents(paths, func(name string, data []byte) error {
				n := transactionEntries(data)
				if n == 0 {
					return nil
				}
				found = true
				data = renew(data, round)
				if labels > 0 {
					data = labelled(data, labelPath(count%labels))
				}
				count++
				select {
				case out <- bundle{data, n}:
					return nil
				case <-ctx.Done():
					return errStopped
				}
			})
			if err == nil && !found {
				err = errors.New("the data holds no transaction Bundle")
			}
			if err != nil {
				failed <- err
				return
			}
		}
	}()
	return &source{
		next: func() (bundle, error) {
			b, ok := <-out
			if !ok {
				return b, <-failed
			}
			return b, nil
		},
		stop: func() {
			cancel()
			for range out {
			}
		},
	}
}

// take returns Bundles with at least n resources together.
func (s *source) take(n int) ([]bundle, error) {
	var out []bundle
	for n > 0 {
		b, err := s.next()
		if err != nil {
			return nil, err
		}
		out = append(out, b)
		n -= b.entries
	}
	return out, nil
}

// about returns Bundles with n resources together, or as few more as some of the next make.
func (s *source) about(n int) ([]bundle, error) {
	var out []bundle
	sum := 0
	for tries := 0; sum < n; tries++ {
		b, err := s.next()
		if err != nil {
			return nil, err
		}
		if sum+b.entries <= n+n/20 || tries > 100 {
			out, sum = append(out, b), sum+b.entries
		}
	}
	return out, nil
}

// transactionEntries counts the entries of a transaction Bundle; 0 for anything else.
func transactionEntries(data []byte) int {
	if !bytes.Contains(data[:min(len(data), 4096)], []byte(`"transaction"`)) {
		return 0
	}
	doc, err := fhir.Parse(data, bigLimits)
	if err != nil || doc.Root().Get("resourceType").Text() != "Bundle" || doc.Root().Get("type").Text() != "transaction" {
		return 0
	}
	return doc.Root().Get("entry").Len()
}

var bigLimits = fhir.Limits{Nodes: 1 << 24, String: 1 << 28}

// renew replaces every UUID in the text by another, the same one everywhere.
// Round 0 leaves the text as it is.
func renew(data []byte, round uint32) []byte {
	if round == 0 {
		return data
	}
	sum := sha256.Sum256(binary.BigEndian.AppendUint32([]byte("round"), round))
	out := bytes.Clone(data)
	for at := 8; at+28 <= len(out); {
		i := bytes.IndexByte(out[at:], '-')
		if i < 0 || at+i+28 > len(out) {
			break
		}
		at += i
		uuid := out[at-8 : at+28]
		if !isUUID(uuid) {
			at++
			continue
		}
		nibble := 0
		for j, c := range uuid {
			if c == '-' {
				continue
			}
			mask := sum[nibble/2]
			if nibble%2 == 0 {
				mask >>= 4
			}
			uuid[j] = "0123456789abcdef"[unhex(c)^mask&15]
			nibble++
		}
		at += 28 + 8
	}
	return out
}

func isUUID(b []byte) bool {
	for i, c := range b {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if unhex(c) > 15 {
			return false
		}
	}
	return true
}

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

// joined makes one transaction of whole Bundles. What two of them hold, such as
// the hospital of both patients, comes once.
func joined(list []bundle) (bundle, error) {
	out := bundle{body: []byte(`{"resourceType":"Bundle","type":"transaction","entry":[`)}
	seen := map[string]bool{}
	for _, b := range list {
		doc, err := fhir.Parse(b.body, bigLimits)
		if err != nil {
			return bundle{}, fmt.Errorf("read a Bundle: %w", err)
		}
		for e := doc.Root().Get("entry").First(); e.Valid(); e = e.Next() {
			if url := e.Get("fullUrl").Text(); url != "" {
				if seen[url] {
					continue
				}
				seen[url] = true
			}
			if out.entries > 0 {
				out.body = append(out.body, ',')
			}
			out.body = append(out.body, e.Raw()...)
			out.entries++
		}
	}
	out.body = append(out.body, "]}"...)
	return out, nil
}

// DefaultData is the set of Synthea Bundles made for measuring, "" where it is absent.
func DefaultData() string {
	const name = "synthea/synthea-2.4.0-2019-load.tar.zst"
	dir := os.Getenv("INGLE_TESTDATA")
	if dir == "" {
		dir = filepath.Join("..", "shared", "data")
	}
	path := filepath.Join(dir, filepath.FromSlash(name))
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}
