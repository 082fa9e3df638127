package interaction

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"ingle/fhir"
	"ingle/search"
	"ingle/store"
)

// cursorParam names the parameter of a page link.
const cursorParam = "_cursor"

// A cursor is a place in a search or a history. In a link it is sealed: the
// sort keys in it are values of resources, and it holds only for the caller and
// the query that it was made for. It does not expire, since the server keeps
// nothing for it; what a caller may see is decided anew on every page.
type cursor struct {
	Keys []string `json:"k,omitempty"`
	RID  int64    `json:"r,omitempty"`
	Back bool     `json:"b,omitempty"`
	// Included is the last resource that was included of this page: what follows
	// are the others, without the matches.
	Included int64                `json:"i,omitempty"`
	History  *store.HistoryCursor `json:"h,omitempty"`
	// Query are the parameters of a POST _search, which no link may show.
	Query string `json:"q,omitempty"`
	Form  bool   `json:"f,omitempty"`
}

// bound is what a cursor holds for: caller, path and parameters.
func bound(principal, path string, params []search.KV) []byte {
	b := append([]byte(principal), '\n')
	b = append(append(b, path...), '\n')
	return AppendQuery(b, params)
}

// sealCursor makes the text of a cursor. Its nonce is derived from what is
// sealed (a synthetic IV), so that equal pages have equal links.
func (s *Service) sealCursor(c cursor, bound []byte) (string, error) {
	plain, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("write a cursor: %w", err)
	}
	mac := hmac.New(sha256.New, s.db.CursorKey())
	mac.Write(bound)
	mac.Write([]byte{0})
	mac.Write(plain)
	nonce := mac.Sum(nil)[:s.seal.NonceSize()]
	return base64.RawURLEncoding.EncodeToString(s.seal.Seal(nonce, nonce, plain, bound)), nil
}

// openCursor reads a cursor's text. What was changed, or was made for another
// caller or query, is a 400.
func (s *Service) openCursor(text string, bound []byte) (*cursor, error) {
	bad := func() error {
		return fhir.Errorf(400, fhir.CodeValue, "%s: the page link is not valid: it was changed, or it belongs to another caller or another query; begin with the first page", cursorParam)
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	n := s.seal.NonceSize()
	if err != nil || len(raw) < n {
		return nil, bad()
	}
	plain, err := s.seal.Open(nil, raw[:n], raw[n:], bound)
	if err != nil {
		return nil, bad()
	}
	c := &cursor{}
	if err := json.Unmarshal(plain, c); err != nil {
		return nil, bad()
	}
	return c, nil
}
