package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	lastingCheck = 30 * time.Second // that a caller goes on getting an answer before the rights are looked at again
	lastingPiece = 30 * time.Second // that the client has to take a piece of 64 KB
)

// lasting is the writer of an answer that may take longer than a request. A client that
// takes it too slowly, or whose credentials have ended or rights have changed, gets no
// more of it.
func (s *Server) lasting(w http.ResponseWriter, r *http.Request) io.Writer {
	return &lastingWriter{s: s, w: w, r: r, conn: http.NewResponseController(w), checked: time.Now()}
}

type lastingWriter struct {
	s       *Server
	w       io.Writer
	r       *http.Request
	conn    *http.ResponseController
	checked time.Time
}

func (l *lastingWriter) Write(p []byte) (n int, err error) {
	for err == nil && n < len(p) {
		if time.Since(l.checked) > lastingCheck {
			if err := l.check(); err != nil {
				return n, err
			}
		}
		_ = l.conn.SetWriteDeadline(time.Now().Add(lastingPiece)) // not supported by every test writer
		var m int
		m, err = l.w.Write(p[n:min(n+64<<10, len(p))])
		n += m
	}
	return n, err
}

func (l *lastingWriter) check() error {
	x := exchangeOf(l.r)
	_, scope, err := l.s.authenticate(l.r, x)
	if err != nil {
		return fmt.Errorf("the answer is cut off: %w", err)
	}
	if !bytes.Equal(scope.Digest(), x.scope.Digest()) {
		return errors.New("the answer is cut off: the caller's rights have changed")
	}
	l.checked = time.Now()
	return nil
}
