package interaction

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"ingle/fhir"
	"ingle/store"
)

const ndjson = "application/fhir+ndjson"

// deletionsALine is how many deletions stand in one Bundle.
const deletionsALine = 100

// exportFile answers with a file of an export: one resource a line, as the caller may
// see them now.
func (s *Service) exportFile(ctx context.Context, session *store.Session, req *Request) (*Response, error) {
	number, err := strconv.ParseInt(req.File, 10, 32)
	if err != nil || strconv.FormatInt(number, 10) != req.File {
		return nil, noAsync()
	}
	file, err := session.ExportFile(ctx, req.ID, int(number))
	if err != nil {
		return nil, err
	}
	if file == nil {
		return nil, noAsync()
	}
	apart := context.WithoutCancel(ctx) // it is sent when this is over
	write := s.writeResources
	if file.Deletion {
		write = s.writeDeletions
	}
	return &Response{Status: http.StatusOK, ContentType: ndjson, Lasting: true, Rows: file.Versions.Count,
		Stream: func(w io.Writer) error { return write(apart, session, file, w) }}, nil
}

func (s *Service) writeResources(ctx context.Context, session *store.Session, file *store.ExportFile, w io.Writer) error {
	part := s.newSubset("", file.Elements)
	out := bufio.NewWriterSize(w, 64<<10)
	err := session.EachVersion(ctx, file, func(resources []*store.Resource) error {
		for _, r := range resources {
			body := r.Body
			if part != nil {
				var err error
				if body, err = part.of(body); err != nil {
					return err
				}
			}
			if err := writeLine(out, body); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return out.Flush()
}

// writeLine writes JSON as one line: where it has others they stand between values,
// for a string holds none.
func writeLine(w *bufio.Writer, body []byte) error {
	if bytes.ContainsAny(body, "\n\r") {
		body = bytes.Map(func(c rune) rune {
			if c == '\n' || c == '\r' {
				return ' '
			}
			return c
		}, body)
	}
	if _, err := w.Write(body); err != nil {
		return err
	}
	return w.WriteByte('\n')
}

// writeDeletions writes transaction Bundles that would delete what was deleted.
func (s *Service) writeDeletions(ctx context.Context, session *store.Session, file *store.ExportFile, w io.Writer) error {
	now := time.Now()
	b := bundleWriter{w: w}
	end := func() error {
		if b.count == 0 {
			return nil
		}
		err := b.end()
		b = bundleWriter{w: w, buf: append(b.buf[:0], '\n')}
		return err
	}
	err := session.EachVersion(ctx, file, func(deletions []*store.Resource) error {
		for _, d := range deletions {
			if b.count == 0 {
				b.begin("transaction", now, -1, nil)
			}
			b.entry("")
			b.member("request", append(fhir.AppendString([]byte(`{"method":"DELETE","url":`), d.Reference()), '}'))
			if b.count == deletionsALine {
				if err := end(); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := end(); err != nil {
		return err
	}
	_, err = w.Write(b.buf) // the end of the last line
	return err
}
