package interaction

import (
	"crypto/rand"
	"encoding/hex"
	"strings"

	"ingle/fhir"
)

// newID makes a logical id: a random UUID (RFC 9562, version 4). Nothing about
// other resources can be guessed from it.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	var out [36]byte
	hex.Encode(out[:], b[:4])
	out[8] = '-'
	hex.Encode(out[9:], b[4:6])
	out[13] = '-'
	hex.Encode(out[14:], b[6:8])
	out[18] = '-'
	hex.Encode(out[19:], b[8:10])
	out[23] = '-'
	hex.Encode(out[24:], b[10:])
	return string(out[:])
}

// mayCreate tells whether a PUT may make a resource of this id.
func (s *Service) mayCreate(typ, id string) error {
	switch {
	case !s.cfg.UpdateCreate:
		e := fhir.Errorf(405, fhir.CodeNotSupported, "%s/%s is not known, and this server does not create resources by PUT; use POST", typ, id)
		e.Allow = []string{"GET", "HEAD", "DELETE"}
		return e
	case s.cfg.ClientIDs == ClientIDsNone:
		return fhir.Errorf(400, fhir.CodeBusinessRule, "this server gives the ids itself: use POST to create a %s", typ)
	case s.cfg.ClientIDs == ClientIDsAlphanumeric && strings.Trim(id, "0123456789") == "":
		return fhir.Errorf(400, fhir.CodeBusinessRule, "an id chosen by a client must not be of digits alone, as %q is", id)
	}
	return nil
}
