package server

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// compressFrom is the length from which an answer is compressed: less fits into
// a packet as it is.
const compressFrom = 1400

// coding is a content coding of bodies both ways (RFC 9110, section 8.4.1).
type coding struct {
	name    string
	read    func(io.Reader) (io.ReadCloser, error)
	writers sync.Pool // of resettable
}

type resettable interface {
	io.WriteCloser
	Reset(io.Writer)
}

// zstdWindow bounds what a coder of zstd holds; a client's body may ask for the
// 8 MB that every decoder must offer (RFC 8878, section 3.1.1.1.2).
const zstdWindow, zstdBodyWindow = 128 << 10, 8 << 20

// codings are those that the server knows, its favourite first.
var codings = []*coding{
	{
		name: "zstd",
		read: func(r io.Reader) (io.ReadCloser, error) {
			z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(zstdBodyWindow))
			if err != nil {
				return nil, err
			}
			return z.IOReadCloser(), nil
		},
		writers: sync.Pool{New: func() any {
			w, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
				zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(zstdWindow)) // options that it knows
			return w
		}},
	},
	{
		name: "gzip",
		read: func(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) },
		writers: sync.Pool{New: func() any {
			w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // a level that it knows
			return w
		}},
	},
}

// codingOf finds a coding by its name, nil for none.
func codingOf(name string) *coding {
	if name == "x-gzip" { // RFC 9110, section 8.4.1.3
		name = "gzip"
	}
	for _, c := range codings {
		if c.name == name {
			return c
		}
	}
	return nil
}

// codingNames lists them for a person.
func codingNames() string {
	names := make([]string, len(codings))
	for i, c := range codings {
		names[i] = c.name
	}
	return strings.Join(names, " and ")
}

// accepted is the coding that the client wants most; nil: none (RFC 9110,
// section 12.5.3). What is malformed is not wanted.
func accepted(r *http.Request) *coding {
	wanted := map[string]float64{}
	for _, h := range r.Header.Values("Accept-Encoding") {
		for part := range strings.SplitSeq(h, ",") {
			name, params, _ := strings.Cut(part, ";")
			q := 1.0
			if v, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(params)), "q="); ok {
				q, _ = strconv.ParseFloat(v, 64)
			}
			wanted[strings.ToLower(strings.TrimSpace(name))] = q
		}
	}
	var best *coding
	most := 0.0
	for _, c := range codings {
		q, ok := wanted[c.name]
		if !ok {
			q = wanted["*"]
		}
		if q > most {
			best, most = c, q
		}
	}
	if q, ok := wanted["identity"]; ok && q > most {
		return nil
	}
	return best
}

// writer compresses to w; close ends the stream and takes the writer back.
func (c *coding) writer(w io.Writer) (out io.Writer, closing func() error) {
	z := c.writers.Get().(resettable)
	z.Reset(w)
	return z, func() error {
		err := z.Close()
		z.Reset(nil)
		c.writers.Put(z)
		return err
	}
}

func compressible(contentType string) bool {
	return strings.HasPrefix(contentType, "text/") || strings.Contains(contentType, "json") || strings.Contains(contentType, "xml")
}
