package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// lastingCheck is how long a caller goes on getting an answer before the rights are
// looked at again.
const lastingCheck = 30 * time.Second

// lasting is the writer of an answer that may take longer than a request. The client
// has the time of an answer for each piece, and gets no more once its credentials have
// ended or its rights have changed.
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

func (l *lastingWriter) Write(p []byte) (int, error) {
	if time.Since(l.checked) > lastingCheck {
		if err := l.check(); err != nil {
			return 0, err
		}
	}
	_ = l.conn.SetWriteDeadline(time.Now().Add(l.s.cfg.WriteTime)) // not supported by every test writer
	return l.w.Write(p)
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
