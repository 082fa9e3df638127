package server

import (
	"bytes"
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ingle/authz"
)

// changing is a resolver whose callers' rights may change.
type changing struct {
	open
	scope authz.Scope
	err   error
}

func (c *changing) Resolve(context.Context, authz.Credentials) (authz.Scope, error) {
	return c.scope, c.err
}

// An answer that takes long ends with the rights that it was begun with.
func TestLasting(t *testing.T) {
	t.Parallel()
	who := &changing{scope: authz.Open()}
	s := &Server{cfg: Config{Resolver: who}}
	r := httptest.NewRequest("GET", "/fhir/_async/x/1", nil)
	r = r.WithContext(withExchange(r.Context(), &exchange{scope: who.scope}))
	rec := httptest.NewRecorder()
	w := s.lasting(rec, r).(*lastingWriter)
	late := func() { w.checked = time.Now().Add(-lastingCheck - time.Second) }
	long := bytes.Repeat([]byte("x"), 200<<10)
	if n, err := w.Write(long); n != len(long) || err != nil || rec.Body.Len() != n {
		t.Errorf("%d %v", n, err)
	}
	late()
	if _, err := w.Write([]byte("y")); err != nil || time.Since(w.checked) > time.Second {
		t.Errorf("with the same rights: %v", err)
	}
	who.scope = authz.System("another")
	if _, err := w.Write([]byte("y")); err != nil {
		t.Errorf("asked at each piece: %v", err)
	}
	late()
	if n, err := w.Write([]byte("z")); n != 0 || err == nil || !strings.Contains(err.Error(), "rights have changed") {
		t.Errorf("with other rights: %v", err)
	}
	who.scope, who.err = authz.Open(), errors.New("expired")
	late()
	if n, err := w.Write([]byte("z")); n != 0 || !errors.Is(err, who.err) || strings.Contains(rec.Body.String(), "z") {
		t.Errorf("without rights: %v", err)
	}
}
