package authz

import (
	"context"
	"errors"
	"strings"

	"ingle/fhir"
)

var errNoCredentials = &faultError{fhir.CodeLogin, "credentials are needed: send a token in the Authorization header (Bearer)"}

// outward gives an error its form for the client.
func outward(err error) error {
	if err == nil {
		return nil
	}
	if fhir.AsError(err) != nil {
		return err
	}
	fault := (*faultError)(nil)
	switch {
	case errors.As(err, &fault):
		return fhir.Errorf(401, fault.code, "%s", fault.text).Because(err)
	case errors.Is(err, errArborist):
		return unavailable("what you may see cannot be told now: the authorization service does not answer; try again", err)
	case errors.Is(err, errNoKeys), errors.Is(err, errNoIntrospection):
		return unavailable("your token cannot be checked now: its issuer does not answer; try again", err)
	case errors.Is(err, errBusy), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return unavailable("your credentials could not be checked in time; try again", err)
	}
	return err
}

func unavailable(text string, err error) error {
	e := fhir.Errorf(503, fhir.CodeTransient, "%s", text).Because(err)
	e.RetryAfter = 5
	return e
}

// Challenges returns the values of WWW-Authenticate for a 401 or 403 (RFC 6750,
// section 3; RFC 7617), none for any other error.
func (r *Resolver) Challenges(err error) []string {
	e := fhir.AsError(err)
	if e == nil || e.Status != 401 && !(e.Status == 403 && errors.Is(err, errScope)) {
		return nil
	}
	bearer := `Bearer realm="` + r.cfg.Realm + `"`
	fault := (*faultError)(nil)
	switch {
	case e.Status == 403:
		return []string{bearer + `, error="insufficient_scope"`}
	case errors.As(err, &fault) && fault != errNoCredentials:
		bearer += `, error="invalid_token", error_description="` + challengeText(fault.text) + `"`
	}
	out := []string{bearer}
	if len(r.cfg.Basic) > 0 {
		out = append(out, `Basic realm="`+r.cfg.Realm+`", charset="UTF-8"`)
	}
	return out
}

// challengeText keeps to the characters of RFC 6750, section 3.
func challengeText(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return ' '
		}
		return c
	}, s)
}
