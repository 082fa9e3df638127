package servertest

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"testing"
)

// PasswordHash is authz.HashPassword with as few rounds as a configuration may
// ask for: sixty times faster, which counts under the race detector.
func PasswordHash(t testing.TB, password string) string {
	t.Helper()
	salt := []byte("salt of a test")
	key, err := pbkdf2.Key(sha256.New, password, salt, 10_000, sha256.Size)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawStdEncoding
	return "pbkdf2-sha256$10000$" + b64.EncodeToString(salt) + "$" + b64.EncodeToString(key)
}
