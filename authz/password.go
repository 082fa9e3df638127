package authz

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const (
	hashScheme     = "pbkdf2-sha256"
	hashIterations = 600_000 // OWASP Password Storage Cheat Sheet
	maxPassword    = 1024
)

// passwordHash is the stored form of a password: "pbkdf2-sha256$<iterations>$<salt>$<key>".
type passwordHash struct {
	iterations int
	salt, key  []byte
}

// HashPassword returns the form of a password that the configuration holds.
func HashPassword(password string) (string, error) {
	if password == "" || len(password) > maxPassword {
		return "", fmt.Errorf("a password has 1 to %d bytes", maxPassword)
	}
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // it never fails
	key, err := pbkdf2.Key(sha256.New, password, salt, hashIterations, sha256.Size)
	if err != nil {
		return "", err
	}
	b64 := base64.RawStdEncoding
	return hashScheme + "$" + strconv.Itoa(hashIterations) + "$" + b64.EncodeToString(salt) + "$" + b64.EncodeToString(key), nil
}

func parseHash(text string) (passwordHash, error) {
	fault := errors.New("its password is not of the form pbkdf2-sha256$iterations$salt$key")
	parts := strings.Split(text, "$")
	if len(parts) != 4 || parts[0] != hashScheme {
		return passwordHash{}, fault
	}
	n, err := strconv.Atoi(parts[1])
	if err != nil || n < 10_000 || n > 10_000_000 {
		return passwordHash{}, fault
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[2])
	if err != nil || len(salt) < 8 {
		return passwordHash{}, fault
	}
	key, err := base64.RawStdEncoding.DecodeString(parts[3])
	if err != nil || len(key) != sha256.Size {
		return passwordHash{}, fault
	}
	return passwordHash{n, salt, key}, nil
}

func (h passwordHash) matches(password string) bool {
	if len(password) > maxPassword {
		return false
	}
	key, err := pbkdf2.Key(sha256.New, password, h.salt, h.iterations, len(h.key))
	return err == nil && subtle.ConstantTimeCompare(key, h.key) == 1
}
