package server

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"ingle/fhir"
	"ingle/interaction"
)

// respond writes an answer.
func (s *Server) respond(w http.ResponseWriter, r *http.Request, x *exchange, resp *interaction.Response) {
	h := w.Header()
	if resp.Version != "" {
		h.Set("ETag", `W/"`+resp.Version+`"`)
	}
	if !resp.LastModified.IsZero() {
		h.Set("Last-Modified", resp.LastModified.UTC().Format(http.TimeFormat))
	}
	if resp.Location != "" {
		h.Set("Location", x.base+"/"+resp.Location)
	}
	if resp.ContentLocation != "" {
		h.Set("Content-Location", x.base+"/"+resp.ContentLocation)
		h.Set("Preference-Applied", "respond-async") // RFC 7240, 3
	}
	if resp.Progress != "" {
		h.Set("X-Progress", resp.Progress)
	}
	if !resp.Expires.IsZero() {
		h.Set("Expires", resp.Expires.UTC().Format(http.TimeFormat))
	}
	if resp.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(resp.RetryAfter))
	}
	if len(resp.Allow) > 0 {
		h.Set("Allow", strings.Join(resp.Allow, ", "))
	}
	h.Set("Cache-Control", "private, no-cache")
	h.Add("Vary", "Accept, Accept-Encoding, Authorization")
	head := r.Method == http.MethodHead
	body, stream := resp.Body, resp.Stream
	if resp.Issues != nil {
		body, stream = fhir.AppendOutcome(nil, resp.Issues, x.id), nil
	}
	if resp.Status == http.StatusNotModified || resp.Status == http.StatusNoContent || body == nil && stream == nil {
		if resp.Status != http.StatusNotModified && resp.Status != http.StatusNoContent {
			h.Set("Content-Length", "0")
		}
		w.WriteHeader(resp.Status)
		return
	}
	if resp.ContentType != "" {
		s.rawContent(h, resp.ContentType)
	} else {
		h.Set("Content-Type", x.format.contentType())
		if x.format.pretty || x.format.encoding != nil {
			var err error
			if body, err = s.encode(x, body, stream); err != nil {
				x.err = err
				failed := interaction.Failed(err)
				w.WriteHeader(failed.Status)
				_, _ = w.Write(fhir.AppendOutcome(nil, failed.Issues, x.id))
				return
			}
			stream = nil
		}
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.cfg.WriteTime)) // not supported by every test writer
	var compress *coding
	if (stream != nil || len(body) >= compressFrom) && compressible(h.Get("Content-Type")) {
		compress = accepted(r)
	}
	if compress != nil {
		h.Set("Content-Encoding", compress.name)
	} else if stream == nil {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(resp.Status)
	if head {
		return
	}
	var out io.Writer = w
	if resp.Lasting {
		out = s.lasting(w, r)
	}
	if compress != nil {
		z, closing := compress.writer(out)
		defer func() {
			if err := closing(); err != nil && x.err == nil {
				x.err = err
			}
		}()
		out = z
	}
	var err error
	if stream != nil {
		err = stream(out)
	} else {
		_, err = out.Write(body)
	}
	if err != nil {
		// the status is sent: the only honest end is a connection cut off
		x.err = err
		panic(http.ErrAbortHandler)
	}
}

// encode makes the whole answer in another format or indented.
func (s *Server) encode(x *exchange, body []byte, stream func(io.Writer) error) ([]byte, error) {
	if stream != nil {
		var b bytes.Buffer
		if err := stream(&b); err != nil {
			return nil, err
		}
		body = b.Bytes()
	}
	if e := x.format.encoding; e != nil {
		var b bytes.Buffer
		err := e.Encode(&b, body, x.format.pretty)
		return b.Bytes(), err
	}
	v := jsontext.Value(bytes.Clone(body))
	err := v.Indent(jsontext.WithIndent("  "), jsontext.AllowDuplicateNames(true))
	return append(v, '\n'), err
}

func (f format) contentType() string {
	name := fhirJSON
	if f.encoding != nil {
		name = f.encoding.MediaTypes()[0]
	}
	if f.version {
		name += "; fhirVersion=4.0"
	}
	return name + "; charset=utf-8"
}

// rawContent sets the headers for a Binary's own content: it may be anything, so
// that a browser must not run it.
func (s *Server) rawContent(h http.Header, contentType string) {
	h.Set("Content-Type", contentType)
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("Content-Disposition", "attachment")
}
