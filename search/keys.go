package search

import (
	"crypto/sha256"
	"encoding/binary"
)

// The keys of the index are hashes, so that every index entry is a few fixed
// bytes. They are the first 64 bits of a SHA-256: two values that occur in the
// data collide with a probability of about n²/2⁶⁵, and nobody can make a value
// that collides with a given one. docs/decisions/0002-storage.md has the figures.

// ParamID is the 32-bit number of a search parameter on one resource type, the
// first four bytes of SHA-256("Type.code"). A test proves that the parameters
// of R4 do not collide; the registry refuses a custom one that does.
type ParamID int32

// ParamIDOf returns the number of a parameter, e.g. ("Observation", "code"). A
// suffix such as "subject:identifier" names a derived index of the parameter.
func ParamIDOf(resourceType, code string) ParamID {
	sum := sha256.Sum256([]byte(resourceType + "." + code))
	return ParamID(binary.BigEndian.Uint32(sum[:4]))
}

// hash64 hashes the parts after the parameter's number, each ended by a byte
// that UTF-8 does not hold, so that ("a","bc") and ("ab","c") differ.
func hash64(p ParamID, parts ...string) int64 {
	var buf [256]byte
	b := binary.BigEndian.AppendUint32(buf[:0], uint32(p))
	for _, s := range parts {
		b = append(b, s...)
		b = append(b, 0xff)
	}
	sum := sha256.Sum256(b)
	return int64(binary.BigEndian.Uint64(sum[:8]))
}

// RefKey is the hash by which references meet their targets: of "Type/id" for
// a resource of this server, of the absolute URL or urn for anything else.
func RefKey(target string) int64 { return hash64(0, target) }

// ValueKey is the key k of a parameter's rows in idx_date, idx_string and
// idx_quantity.
func ValueKey(p ParamID) int64 { return hash64(p) }

// TokenKey is the key h of one system and code (system "" for none). The code
// must already be folded.
func TokenKey(p ParamID, system, code string) int64 { return hash64(p, "t", system, code) }
