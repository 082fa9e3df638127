package server

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"ingle/fhir"
	"ingle/interaction"
)

// bodyLimit is how long the body of an interaction may be, inflated.
func (s *Server) bodyLimit(req *interaction.Request) int64 {
	switch {
	case req.Kind == interaction.Batch, req.Type == "Bundle", req.Kind == interaction.Operate:
		return s.cfg.BundleBody
	case req.Type == "Binary" && req.Raw:
		return s.cfg.BinaryBody
	case req.Type == "Binary":
		return s.cfg.BinaryBody/3*4 + 4096 // base64
	}
	return s.cfg.ResourceBody
}

// bodyStep is how bodies take their share of the memory for bodies; what is
// shorter takes none.
const bodyStep = 1 << 20

// readBody reads a body up to a limit and never more than 64 KiB beyond it. The
// client must keep the least rate. release gives back the body's share of the
// memory for bodies; it is never nil.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request, limit int64) (body []byte, release func(), err error) {
	held := int64(0)
	release = func() { s.bodies.Release(held) }
	if r.ContentLength == 0 || r.Body == nil {
		return nil, release, nil
	}
	body, err = s.readInto(w, r, limit, func(size int) error {
		for held+bodyStep <= int64(size) {
			if !s.bodies.TryAcquire(bodyStep) {
				w.Header().Set("Connection", "close")
				e := fhir.Errorf(http.StatusServiceUnavailable, fhir.CodeThrottled, "the server has more large requests in hand than it can hold; try again")
				e.RetryAfter = 2
				return e
			}
			held += bodyStep
		}
		return nil
	})
	return body, release, err
}

// readInto reads a body; grow is told the size of its buffer before it grows.
func (s *Server) readInto(w http.ResponseWriter, r *http.Request, limit int64, grow func(size int) error) ([]byte, error) {
	tooLarge := func() error {
		w.Header().Set("Connection", "close") // what was not read stays unread
		return fhir.Errorf(http.StatusRequestEntityTooLarge, fhir.CodeTooLong, "the body is longer than the %d bytes that this server takes here", limit)
	}
	encoding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding")))
	plain := encoding == "" || encoding == "identity"
	if r.ContentLength > limit && plain {
		return nil, tooLarge()
	}
	in := &meter{r: r.Body, control: http.NewResponseController(w), rate: s.cfg.BodyRate, start: time.Now()}
	var src io.Reader = http.MaxBytesReader(w, readCloser{in, r.Body}, limit)
	ratio := int64(0)
	if !plain {
		c := codingOf(encoding)
		if c == nil {
			return nil, fhir.Errorf(http.StatusUnsupportedMediaType, fhir.CodeNotSupported, "the Content-Encoding %q is not supported; %s are", encoding, codingNames())
		}
		z, err := c.read(src)
		if err != nil {
			return nil, bodyFault(err, "the body is not "+c.name+", as Content-Encoding says", tooLarge)
		}
		defer func() { _ = z.Close() }()
		src, ratio = z, s.cfg.InflateRatio
	}
	size := max(min(r.ContentLength, limit), 0)
	if ratio > 0 {
		size = min(size*4, limit)
	}
	// a length is only a promise: what is allocated grows with what has come
	out := make([]byte, 0, min(size+512, bodyStep))
	for {
		if len(out) == cap(out) {
			if err := grow(2 * cap(out)); err != nil {
				return nil, err
			}
			out = slices.Grow(out, cap(out))
		}
		n, err := src.Read(out[len(out):min(cap(out), len(out)+32<<10)])
		out = out[:len(out)+n]
		if int64(len(out)) > limit {
			return nil, tooLarge()
		}
		if ratio > 0 && len(out) > 1<<20 && int64(len(out)) > ratio*in.n {
			w.Header().Set("Connection", "close")
			return nil, fhir.Errorf(http.StatusRequestEntityTooLarge, fhir.CodeTooLong, "the body inflates to more than %d times its size", ratio)
		}
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, bodyFault(err, "the body could not be read", tooLarge)
		}
	}
}

func bodyFault(err error, text string, tooLarge func() error) error {
	var long *http.MaxBytesError
	var network net.Error
	switch {
	case errors.As(err, &long):
		return tooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return fhir.Errorf(http.StatusRequestTimeout, fhir.CodeTimeout, "the body arrives too slowly").Because(err)
	}
	return fhir.Errorf(http.StatusBadRequest, fhir.CodeStructure, "%s", text).Because(fmt.Errorf("read the body: %w", err))
}

type readCloser struct {
	io.Reader
	io.Closer
}

// meter counts what a body brings and moves the connection's deadline so that
// it ends a body that comes too slowly.
type meter struct {
	r       io.Reader
	control *http.ResponseController
	rate    int64
	start   time.Time
	n       int64
}

// bodyGrace is what a body may take beside the time that its rate allows.
const bodyGrace = 10 * time.Second

func (m *meter) Read(p []byte) (int, error) {
	if m.rate > 0 {
		allowed := time.Duration(float64(m.n) / float64(m.rate) * float64(time.Second))
		_ = m.control.SetReadDeadline(m.start.Add(bodyGrace + allowed)) // not supported by every test writer
	}
	n, err := m.r.Read(p)
	m.n += int64(n)
	if err != nil && m.rate > 0 {
		_ = m.control.SetReadDeadline(time.Time{})
	}
	return n, err
}
